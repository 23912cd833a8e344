"""`lmpt settings`: every setting with its default, type, meaning and what it may be."""

import pytest
from click.testing import CliRunner

from lmptlib.config import COMMON, resolve
from lmptlib.losses import LOSSES, settings_model
from lmptlib.methods import METHODS
from lmptlib.suite.cli.main import main


def shown(*name: str, code: int = 0) -> list[str]:
    result = CliRunner().invoke(main, ["settings", *name])
    assert result.exit_code == code, result.output
    return result.output.splitlines()


def cells(lines: list[str]) -> dict[str, list[str]]:
    """The rows below the titles, by the setting's name; an empty cell is none."""
    rows = [[cell for cell in line.split("  ") if cell] for line in lines]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows if len(row) > 1}


def test_without_a_name_all_are_listed():
    lines = shown()
    listed = cells(lines)
    assert [name for name in listed if name in COMMON] == list(COMMON)
    assert listed["device"] == ["auto", "text", "where it computes; auto: cuda where there is one (auto, cpu, cuda)"]
    assert listed["weights"][:2] == ["none", "text or none"]
    assert listed["bce"] == ["Every class of every image weighs the same: the baseline of all tables (PG Eq. 2)."]
    assert listed["cb"][0] == f"{listed['cb_focal'][0]} Here gamma 0."
    assert {*METHODS, *LOSSES} <= listed.keys() and not METHODS.keys() & LOSSES.keys()


@pytest.mark.parametrize("name", METHODS)
def test_a_method_shows_its_own(name):
    lines = shown(name)
    fields, defaults = METHODS[name].Settings.model_fields, resolve(method=name, views=5).flat()
    assert lines[0].startswith(f"{name}: ") and list(cells(lines[2:])) == ["setting", *fields]
    for key, (default, kind, meaning) in cells(lines[3:]).items():
        assert default == (str(defaults[key]).lower() or "''") or float(default) == defaults[key]
        assert kind.split()[-1] in ("number", "text", "false", "none") and fields[key].description in meaning


def test_what_the_recipe_gives_is_the_default():
    assert cells(shown("lmpt")[3:])["lam"] == [
        "0.5",
        "a number",
        "weight of the classification loss; 1 - lam weighs the CSE loss (from 0 to 1)",
    ]
    probe, coop = cells(shown("linear_probe")[3:]), cells(shown("coop")[3:])
    assert (probe["lr"][0], coop["lr"][0], coop["loss"][0]) == ("0.01", "0.002", "bce")
    assert coop["n_ctx"][:2] == ["4", "a whole number or none"] and coop["n_ctx"][2].endswith("(from 1 to 64)")


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_shows_its_own(name):
    lines = shown(name)
    fields = settings_model(name).model_fields
    assert lines[0].startswith(f"{name}: ")
    if not fields:
        assert lines[1:] == ["it has no settings"]
        return
    assert list(cells(lines[3:])) == list(fields)
    assert all(field.description in line for field, line in zip(fields.values(), lines[3:]))


def test_a_loss_shows_what_each_preset_gives():
    assert cells(shown("db_focal")[2:])["setting"][:3] == ["default", "voc-lt", "coco-lt"]
    assert cells(shown("db_focal")[3:])["lam"][:4] == ["5", "5", "2", "a number"]
    guided = cells(shown("pg")[3:])
    assert guided["l1_neg"][:4] == ["1", "[5, 5, 10]", "4", "a number or a list"]
    assert guided["l1_neg"][4].endswith("(above 0)")
    assert guided["adaptive"] == [
        "[l1_neg]",
        "a list",
        "factors that follow the batch (l1_pos, l2_pos, l1_neg, l2_neg)",
    ]


def test_an_unknown_name_gets_the_nearest():
    assert shown("db_focl", code=1) == ["Error: no method and no loss is called 'db_focl'. Did you mean 'db_focal'?"]
