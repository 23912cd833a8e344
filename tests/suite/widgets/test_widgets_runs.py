"""Runs beside each other, and tables by pages: controls are changed, and their effect read."""

import base64
import dataclasses
import html
import io
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from tiny import make_tiny

from lmptlib.config import fitting, resolve
from lmptlib.data.loading import load_dataset
from lmptlib.runs.comparison import compare
from lmptlib.runs.run import Run, find_runs
from lmptlib.runs.tables import by_dataset, by_label, curve_table, settings_table
from lmptlib.suite.widgets.cases import CaseExplorer
from lmptlib.suite.widgets.comparison import loss_comparison
from lmptlib.suite.widgets.runs import RunExplorer
from lmptlib.suite.widgets.tables import paged_table
from lmptlib.training.training import train


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> list[Run]:
    """Zero-shot, two seeds of CoOp, and one that was selected on the test images."""
    folder = tmp_path_factory.mktemp("runs")
    common = {"dataset": str(make_tiny(folder / "tiny").path), "epochs": 2, "batch_size": 8}
    asked = [{"method": "zero_shot"}, {"method": "coop"}, {"method": "coop", "seed": 1}]
    asked.append({"method": "coop", "select": "test"})
    return [Run(train(resolve(**fitting({**common, **one})), folder / "out", log=lambda line: None)) for one in asked]


def saved(text: str) -> dict[str, pd.DataFrame]:
    """The CSV files that links in a text save, by name."""
    links = re.findall(r"download='([^']+)' href='data:text/csv;base64,([^']+)'", text)
    return {name: pd.read_csv(io.BytesIO(base64.b64decode(file))) for name, file in links}


def test_settings_that_differ_and_curves_over_seeds(made):
    zero_shot, first, second, leaking = made
    table = settings_table([zero_shot, first, second])
    assert set(table) == {"method", "seed"}
    assert table.loc[zero_shot.folder.name, "seed"] == "" and table["seed"].tolist()[1:] == [0, 1]
    assert set(settings_table([first, leaking])) == {"select"}
    curves = curve_table([first, second]).query("panel == 'tail' and side == 'positive'")["value"]
    both = [run.probabilities("epoch").query("group == 'tail'")["positive"].to_numpy() for run in (first, second)]
    np.testing.assert_allclose(curves, np.mean(both, axis=0), rtol=1e-6)
    losses = curve_table([zero_shot, leaking], "loss").query("panel == 'loss'")
    np.testing.assert_allclose(losses["value"], leaking.history["loss"])


def test_the_chosen_runs_are_shown_and_saved(made):
    controls, settings, figures = RunExplorer(made).children
    bars, of_curves, classes, of_classes, *_ = figures.children
    chosen, choosers = controls.children
    _, ranking, quantity, *_ = choosers.children
    assert ["TEST-SET LEAKAGE" in label for label in chosen._options_labels] == [False, False, False, True]
    chosen.value, ranking.value, quantity.value = (0, 3), "softmax", "loss"
    # what each run is, in full, where its label is hovered
    assert '<td title="zero-shot">zero-shot</td>' in settings.value
    assert re.search('<td title="CoOp; .*batch size 8; select test; TEST-SET LEAKAGE">CoOp, .*</td>', settings.value)
    files = saved(settings.value)
    assert files["runs.csv"]["folder"].tolist() == [made[0].folder.name, made[3].folder.name]
    assert list(files["runs.csv"])[:5] == ["run", "total", "head", "medium", "tail"]
    totals = [made[i].metrics["scores"]["softmax"]["total"] for i in (0, 3)]
    np.testing.assert_allclose(files["runs.csv"]["total"], totals, atol=0.005)
    np.testing.assert_allclose(files["groups.csv"].query("name == 'total'")["value"], totals)
    assert [trace.y[0] for trace in bars.data] == totals
    np.testing.assert_allclose(of_curves.children[0].data[0].y, made[3].history["loss"], atol=1e-4)
    order = made[0].classes.sort_values("train", ascending=False)["class"].tolist()
    ap = made[3].classes.set_index("class")["softmax"].reindex(order)
    np.testing.assert_allclose(classes.data[2].y, ap)
    assert of_classes.df["class"].tolist() == order
    np.testing.assert_allclose(of_classes.df.iloc[:, -1], ap, atol=0.005)
    chosen.value = (0,)
    assert of_curves.layout.display == "none"  # zero-shot has no losses
    chosen.value = ()
    assert "Choose" in settings.value and figures.layout.display == "none"


def test_differences_are_those_of_compare(made):
    controls, _, figures = RunExplorer(made).children
    *_, pairing, of_gaps, differences = figures.children
    chosen, _ = controls.children
    baseline, button = pairing.children
    chosen.value = (0, 1, 2)
    baseline.value = "zero-shot"
    ranking = controls.children[1].children[1]
    ranking.value = "softmax"
    assert baseline.value == "zero-shot"  # a choice outlasts another ranking
    ranking.value = "logit"
    button.click()
    expected = compare(by_label(made[:3]), "zero-shot", "logit")
    table = saved(differences.value)["differences.csv"]
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    drawn = of_gaps.children[0].data[0]
    assert of_gaps.layout.display == "flex" and drawn.x[0] == expected["difference"].dropna().iloc[0]
    chosen.value = (0, 1)
    assert of_gaps.layout.display == "none" and not differences.value  # they were of other runs


def test_a_label_of_the_users_own_is_given_in_a_text_field(made):
    controls, settings, figures = RunExplorer(made).children
    chosen, (*_, called, own_label, refusal) = controls.children[0], controls.children[1].children
    chosen.value = (0, 1)
    called.value = "CoOp"
    try:
        own_label.value = " my <b>base "
        assert [run.own_label for run in made] == ["", "my <b>base", "my <b>base", ""], "the seeds of one configuration"
        assert chosen.value == (0, 1) and chosen.options[2][0] == "my <b>base, seed 1"
        own_label.value = "x" * 81
        assert refusal.value == "a label is one line of at most 80 letters" and made[1].own_label == "my <b>base"
        own_label.value = "my <b>base"
        assert not refusal.value
        assert "my &lt;b&gt;base" in settings.value and figures.children[0].data[1].name == "my <b>base"
        chosen.value = (0,)
        assert own_label.value == ""
        chosen.value = (1,)
        assert own_label.value == "my <b>base"
    finally:
        own_label.value = ""
    assert not any(run.own_label for run in made)


def test_one_data_set_at_a_time_and_a_hundred_runs_are_read_when_chosen(made, tmp_path):
    config = made[1].config
    for run in made:
        shutil.copytree(run.folder, tmp_path / run.folder.name)
    for i in range(100):
        copy = tmp_path / f"copy{i}"
        shutil.copytree(made[1].folder, copy)
        other = {"dataset": "other", "fingerprints": config["fingerprints"] | {"dataset": "f" * 64}}
        (copy / "config.json").write_text(json.dumps(config | other | {"settings": config["settings"] | {"seed": i}}))
    found = find_runs(tmp_path)
    assert {name: len(part) for name, part in by_dataset(found).items()} == {"other": 100, "tiny": 4}
    chosen, choosers = RunExplorer(found).children[0].children
    assert len(chosen.options) == 100
    read = [run for run in found if "metrics" in vars(run)]
    assert len(read) == 2
    choosers.children[0].value = "tiny"
    assert len(chosen.options) == 4
    with pytest.raises(ValueError, match="lmpt run train"):
        RunExplorer([])


def test_data_sets_of_one_name_are_told_apart(made):
    twin = dataclasses.replace(made[0])
    vars(twin)["config"] = made[0].config | {"fingerprints": made[0].config["fingerprints"] | {"dataset": "0" * 64}}
    assert set(by_dataset([made[0], twin])) == {
        "tiny 000000",
        f"tiny {made[0].config['fingerprints']['dataset'][:6]}",
    }


def test_a_long_table_is_whole_where_scripts_do_not_run():
    table = pd.DataFrame({"class": [f"<{i}>" for i in range(40)], "ap": np.arange(40)[::-1] / 2}).set_index("class")
    shown = paged_table(table, "classes.csv").data
    cells = [html.unescape(text) for text in re.findall("<td>(.*?)</td>", shown)]
    assert cells == [str(cell) for row in table.reset_index().to_numpy() for cell in row]
    assert '"filename": "classes"' in shown and '"pageLength": 15' in shown and len(shown) < 1e6
    assert paged_table(table.iloc[:0]).data.count("<td>") == 0


def test_single_labels_have_one_ranking_and_no_choice_of_it(made, tiny, tmp_path):
    tiny.single()
    tiny.edit(name="single")
    run = Run(train(resolve(dataset=str(tiny.path), method="zero_shot"), tmp_path, log=lambda line: None))
    runs = RunExplorer([*made, run])
    cases = CaseExplorer({"A": run}, load_dataset(str(tiny.path)), "softmax")
    assert cases.ranking.options == ("logit",) and cases.ranking.layout.display == "none"
    assert {name.split("(")[1].split(",")[0] for name, _ in cases.of_class.options[1:]} <= {"many", "medium", "few"}
    single = loss_comparison({"A": [run]}).children[0].children[2]
    assert single.options == ("logit",) and single.layout.display == "none"
    runs.dataset.value = "tiny"
    runs.ranking.value = "softmax"
    assert runs.ranking.layout.display == "flex"
    runs.dataset.value = "single"
    assert runs.ranking.value == "logit" and runs.ranking.layout.display == "none"
    assert "<th>few</th>" in runs.settings.value and "<th>tail</th>" not in runs.settings.value
    runs.dataset.value = "tiny"
    assert runs.ranking.options == ("softmax", "logit") and runs.ranking.layout.display == "flex"
