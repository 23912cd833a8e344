"""Run folders of version 0.1, made by its code on the tiny card: they are read, and nothing goes on from one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lmptlib.config import resolve
from lmptlib.runs.classifier import Classifier
from lmptlib.runs.comparison import compare
from lmptlib.runs.run import Run, find_runs
from lmptlib.runs.tables import (
    by_dataset,
    by_label,
    class_table,
    curve_table,
    group_table,
    results_table,
    settings_table,
)
from lmptlib.suite.cli.main import main
from lmptlib.training.training import train
from lmptlib.training.version_0_1 import stopped_twins

FOLDERS = Path(__file__).with_name("version_0_1")
STOPPED = "tiny-lmpt-db_focal-calibrated-s1-6b1170b8eb32"


@pytest.fixture
def old() -> dict[str, Run]:
    """Zero-shot, LMPT, recipe best, a linear probe, and an LMPT run that was stopped after one epoch of two."""
    names = {"zero_shot": "tiny-zero_shot", "lmpt": "*-calibrated-s0", "best": "*-best", "probe": "*-probe"}
    found = {key: Run(next(FOLDERS.glob(f"{name}-*"))) for key, name in names.items()}
    return found | {"stopped": Run(FOLDERS / STOPPED)}


def test_settings_have_the_names_of_today(old):
    """And those that a method has no more are gone: the runs read as configurations."""
    for run in old.values():
        assert resolve(**run.settings).flat() == {**run.settings, "cache": None}
    assert old["lmpt"].settings["logit_map"] == "affine" and old["best"].settings["lr_logit_map"] == 0
    assert old["best"].settings["method"] == "prompts_and_probe" and old["best"].settings["residual"] == 0.93
    assert "seed" not in old["zero_shot"].settings and old["zero_shot"].seed == 0
    assert [run.stopped for run in old.values()] == [None, None, None, None, 1]
    assert old["stopped"].label == "LMPT, stopped after 1 of 2 epochs"


def test_scores_and_logits_are_those_of_today(old, make_run):
    """Trained again, they differ by no more than rounding; version 0.1 kept no logits."""
    settings = {
        "zero_shot": {"method": "zero_shot"},
        "lmpt": {"method": "lmpt"},
        "best": {"recipe": "prompts_and_probe"},
        "probe": {"method": "linear_probe", "recipe": "probe"},
    }
    for key, given in settings.items():
        new = make_run(**given)
        assert old[key].settings["method"] == new.settings["method"]
        for name, values in new.scores().items():
            np.testing.assert_allclose(old[key].scores()[name], values, atol=1e-3, err_msg=f"{key} {name}")
        prompts = old[key].prompts()
        for name, tensor in new.prompts().items():
            if name in prompts:
                np.testing.assert_allclose(prompts[name], tensor, atol=1e-3, err_msg=f"{key} {name}")
        missing = {name for name in new.prompts() if name not in prompts}
        assert missing == ({"text"} if key == "zero_shot" else set()), key
        assert old[key].metrics == new.metrics
        assert new.data_fingerprint == old[key].data_fingerprint
    labels, ranked = old["best"].ranking_scores("softmax")
    assert labels.shape == ranked.shape == (12, 4)


def test_tables_and_comparison_read_them(old, make_run):
    """As notebook 14 has them, and beside a run of today, which has the same label as its like of 0.1."""
    finished = [run for run in old.values() if not run.stopped]
    assert [run.folder.name for run in find_runs(FOLDERS)] and len(find_runs(FOLDERS)) == 5
    assert [*by_dataset(finished)] == ["tiny"]
    table = results_table(old.values())
    assert table["method"].tolist() == ["zero_shot", "lmpt", "prompts_and_probe", "linear_probe", "lmpt"]
    assert table["run"].tolist() == [
        "zero-shot",
        "LMPT",
        "prompts and probe, recipe prompts_and_probe",
        "linear probe, recipe probe",
        "LMPT, stopped after 1 of 2 epochs",
    ]
    assert table["logit total"].notna().all() and table["softmax tail"].notna().all()
    assert settings_table(finished)["sampler"].tolist() == ["", "shuffle", "class_aware", "class_aware"]
    assert len(group_table(finished, "logit")) == 16 and len(class_table(finished, "softmax")) == 16
    assert set(curve_table(finished)["epoch"]) == {0, 1, 2} and set(curve_table(finished, "loss")["epoch"]) == {1, 2}
    rows = by_label([*finished, make_run(seed=1)])
    assert [len(part) for part in rows.values()] == [1, 2, 1, 1], list(rows)
    compared = compare(rows, next(iter(rows)), "logit")
    assert compared.query("group == 'total'")["mean"].notna().all()


def test_results_lists_them(tmp_path):
    shutil.copytree(FOLDERS, tmp_path / "outputs")
    done = CliRunner().invoke(main, ["results", "--out", str(tmp_path / "outputs")])
    assert done.exit_code == 0 and done.output.count("tiny-") == 5


def test_a_classifier_of_one_is_refused_by_name(old):
    for run in old.values():
        with pytest.raises(ValueError, match=rf"^{run.folder.name}: made by version 0.1, .* train it again$"):
            Classifier(run)


def test_nothing_goes_on_from_one(tiny, tmp_path):
    shutil.copytree(FOLDERS, tmp_path / "outputs")
    before = {path: path.read_bytes() for path in (tmp_path / "outputs" / STOPPED).iterdir()}
    said: list[str] = []
    config = {"dataset": str(tiny.path), "epochs": 2, "batch_size": 8}
    run = Run(train(resolve(**config, seed=1), tmp_path / "outputs", log=said.append))
    assert f"note: {STOPPED} was stopped by version 0.1, and is not gone on with: this run begins anew" in said
    assert run.folder.name != STOPPED and len(run.history) == 2 and not run.stopped
    assert before == {path: path.read_bytes() for path in (tmp_path / "outputs" / STOPPED).iterdir()}
    said.clear()
    for other in ({"seed": 0}, {"seed": 1, "lr": 1e-3}, {"seed": 1, "method": "coop"}):
        train(resolve(**config, **other), tmp_path / "outputs", log=said.append)
    assert not [line for line in said if "version 0.1" in line]


@pytest.mark.parametrize("spoilt", [b"", b'{"versions', b"[1]", b"\xff\x00"])
def test_a_damaged_one_stands_in_nobodys_way(tmp_path, spoilt):
    outputs = tmp_path / "outputs"
    shutil.copytree(FOLDERS, outputs)
    wanted = resolve(epochs=2, batch_size=8, seed=1)
    assert stopped_twins(wanted, "tiny", outputs) == [STOPPED]
    (outputs / STOPPED / "config.json").write_bytes(spoilt)
    assert stopped_twins(wanted, "tiny", outputs) == []
