"""A run's intervals: read where they stand, made anew where percentiles stand."""

import json
from pathlib import Path

import numpy as np
import pytest

from lmptlib.evaluation.metrics import evaluate
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run
from lmptlib.runs.tables import class_table, difference_text, group_table, interval_text, readable

NAMES, GROUPS = ("cat", "dog", "owl"), ("head", "medium", "tail")
MISSING = float("nan")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A run folder with invented scores of 80 images; 40, 20 and 4 of them show a cat, a dog and an owl."""
    rng = np.random.default_rng(0)
    labels = np.arange(80)[:, None] < [40, 20, 4]
    scores = rng.normal(size=labels.shape) + labels
    config = {
        "settings": {"method": "zero_shot", "model": "none", "recipe": "calibrated"},
        "dataset": "example",
        "classes": [{"class": name, "group": group, "train": 9} for name, group in zip(NAMES, GROUPS)],
        "fingerprints": {"dataset": "example", "clip": "none"},
        "logit_scale": 1.0,
        "warnings": [],
        "versions": {},
        "n_train": 9,
        "n_val": 0,
        "n_test": 80,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "metrics.json").write_text(json.dumps(evaluate(labels, scores, 1.0, NAMES, np.array(GROUPS))))
    np.savez(tmp_path / "scores.npz", scores=scores, logits=scores, labels=labels)
    return tmp_path


def test_percentiles_are_not_shown(folder):
    """A folder of before has no intervals of classes, and other ends of those of means."""
    expected = Run(folder).metrics
    assert expected["scores"]["logit"]["ci95"]["total"] is not None
    old = json.loads((folder / "metrics.json").read_text())
    for entry in old["scores"].values():
        entry |= {"ci95": {name: [1.0, 2.0] for name in entry["ci95"]}}
        del entry["per_class_ci95"]
    (folder / "metrics.json").write_text(json.dumps(old))
    assert Run(folder).metrics == expected
    (folder / "scores.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"scores\.npz: damaged"):
        Run(folder).metrics  # noqa: B018


def test_intervals_that_stand_in_the_folder_are_read_from_it(folder):
    (folder / "scores.npz").unlink()
    assert Run(folder).metrics == json.loads((folder / "metrics.json").read_text())


@pytest.mark.parametrize("ranking", ["softmax", "logit"])
def test_tables_have_the_intervals_of_their_ranking(folder, ranking):
    run = Run(folder)
    scores = run.metrics["scores"][ranking]
    for one in (run, Ensemble(((1.0, run),))):
        classes = one.classes.set_index("class")
        for name in ("cat", "dog"):
            ends = classes.loc[name, [f"{ranking} low", f"{ranking} high"]].tolist()
            assert ends == pytest.approx(scores["per_class_ci95"][name])
        assert classes.loc["owl", [f"{ranking} low", f"{ranking} high"]].isna().all()
    table = class_table([run], ranking).set_index("class")
    assert table.loc["cat", ["ap", "low", "high"]].tolist() == [
        scores["per_class"]["cat"],
        *scores["per_class_ci95"]["cat"],
    ]
    means = group_table([run], ranking).set_index("name")
    assert means.loc["head", ["low", "high"]].tolist() == scores["ci95"]["head"]
    assert means.loc["tail", ["low", "high"]].isna().all() and means.loc["tail", "value"] == scores["tail"]


def test_what_has_no_interval_says_why(folder):
    assert interval_text(12.34, 45.67) == "12.3–45.7" and interval_text(MISSING, MISSING) == "too few positives"
    assert difference_text(1.23, -0.3, 2.76) == "+1.2 [-0.3, +2.8]"
    table = group_table([Run(folder)]).assign(
        difference=[MISSING, 1.0, 2.0, 3.0], difference_low=[MISSING, 0, 1, MISSING]
    )
    shown = readable(table.assign(difference_high=table["difference_low"] + 2))
    assert shown["difference"].tolist() == ["", "+1.0 [+0.0, +2.0]", "+2.0 [+1.0, +3.0]", "+3.0 (too few positives)"]
    assert "difference_low" not in shown
