"""Measures of probability curves: on curves made by hand, and PR's effects on a real training run."""

import numpy as np
import pandas as pd
import pytest

from lmptlib.evaluation.calibration import reliability
from lmptlib.runs.run import Run
from lmptlib.suite.analysis import probabilities
from lmptlib.sweeps.engine import run_sweep
from lmptlib.sweeps.grid import read_sweep
from lmptlib.training.training import train

GRID = "probabilities"
HEAD = {"recipe": "probe", "method": "linear_probe"}


class Curves:
    """Stands in for a run whose curves are the same in every group but the tail, which has no classes."""

    def __init__(self, positive, negative):
        self.table = pd.DataFrame({"positive": positive, "negative": negative})

    def probabilities(self, every):
        assert every == "epoch"
        steps = self.table.rename_axis("step").reset_index()
        tail = steps.assign(positive=np.nan, negative=np.nan, group="tail")
        return pd.concat([steps.assign(group="head"), steps.assign(group="medium"), tail])


def test_numbers_of_curves_made_by_hand():
    numbers = probabilities.curve_numbers(Curves([0.5, 0.3, 0.7], [0.5, 0.9, 0.9]))
    assert numbers.loc["tail"].isna().all() and list(numbers.index) == ["head", "medium", "tail", "all"]
    expected = {
        "positive": (0.4 + 0.5) / 2,
        "negative": (0.7 + 0.9) / 2,
        "rise_positive": -0.05,
        "move": ((0.1 + 0.2) / 2 + (0.2 + 0.4) / 2) / 2,
        "gap": (0.3 + 0.4) / 2,
        "end_positive": 0.7,
        "end_negative": 0.9,
    }
    for group in ("head", "all"):
        assert numbers.loc[group].to_dict() == pytest.approx(expected)


def test_arrows_and_their_verdicts():
    rows = {
        "all 1": (0.5, 0.8),
        "l1+ 5": (0.6, 0.7),
        "l1+ 5, l2+ 5": (0.6, 0.705),
        "l1- 5": (0.7, 0.6),
        "l1- 5, l2- 5": (0.8, 0.5),
    }
    made = {f"figure 3: {row}": [Curves([p, p], [n, n]), Curves([p, p], [n, n])] for row, (p, n) in rows.items()}
    table = probabilities.arrows(made)
    assert table["measured"].tolist() == ["↑", "↓", "–", "–", "↑", "↓", "↑", "↓"]
    assert table["holds"].tolist() == [True, True, False, False, False, True, True, True]
    assert table["head"].tolist() == pytest.approx([0.1, -0.1, 0, 0.005, 0.2, -0.2, 0.1, -0.1])


def test_statements_and_their_verdicts():
    rows = [row for row in read_sweep(GRID).rows if not row.startswith("figure 3")]
    made = {row: [Curves([0.5, 0.6], [0.5, 0.7])] for row in rows}
    made |= {"figure 1: bce": [Curves([0.5, 0.9], [0.5, 0.9])], "figure 1: pg": [Curves([0.5, 0.55], [0.5, 0.55])]}
    table = probabilities.statements(made).set_index("statement")
    assert table.loc["BCE: positives rise to a big value", "verdict"] == "holds"
    assert table.loc["PG: slower than DB", ["low", "high"]].tolist() == pytest.approx([0.025, 0.075])
    assert table.loc["focal: narrower gap than BCE", "verdict"] == "does not hold"
    assert table.loc["DB: tail positives grow faster than head's", "verdict"] == "no classes to tell"
    assert table.loc["DB: negatives lower than with focal", "verdict"] == "a tie"


def test_the_effects_of_the_factors_on_a_real_run(tiny, tmp_path):
    """Table 1 for l1+, l2+ and l2-, and negatives falling under l1-, on a linear probe and rare labels."""
    lines = [f"train/{i}.jpg {i % 4 if i < 12 else ''}\n" for i in range(24)]  # each class in 3 images of 24
    (tiny.folder / "train.txt").write_text("".join(lines))
    settings = {"dataset": str(tiny.path), "seeds": [0], "batch_size": 8, "sampler": "shuffle", "warmup": 0, "lr": 0.3}
    rows = dict.fromkeys(row for _, before, after, *_ in probabilities.TABLE_1 for row in (before, after))
    sweep = read_sweep(GRID, {**HEAD, **settings})
    table = probabilities.arrows(
        {row: [Run(train(sweep.rows[row][0], tmp_path, log=lambda line: None))] for row in rows}
    )
    table = table.set_index(["factor", "side"])
    assert table["holds"].drop(("l1-", "positive")).all(), table
    assert ((table["after"] - table["before"]).abs() > 0.03).all(), table  # by a wide margin each


def test_the_sweep_makes_shared_rows_once_and_serves_both_kinds(tiny, tmp_path):
    given = {"dataset": str(tiny.path), "epochs": 1, "batch_size": 8, "seeds": [0]}
    prompts, head = read_sweep(GRID, given), read_sweep(GRID, {**given, **HEAD})
    assert list(prompts.rows) == list(head.rows) and len(prompts.rows) == 21 and len(set(prompts.configs)) == 18
    assert {config.method for config in prompts.configs} == {"coop"}
    assert {(config.method, config.settings.sampler) for config in head.configs} == {("linear_probe", "class_aware")}
    assert {row for statement in probabilities.STATEMENTS for row, *_ in statement[2:]} <= {
        row[7:] for row in head.rows
    }
    made = run_sweep(head, tmp_path, log=lambda line: None)
    assert made["figure 1: db"][0].folder == made["figure 4: db"][0].folder
    assert len(probabilities.statements(made)) == len(probabilities.STATEMENTS)


@pytest.mark.parametrize("method", ["coop", "linear_probe"])
def test_reliability_is_of_the_runs_own_probabilities(method, tiny, tmp_path):
    row = "figure 1: bce"
    given = {"dataset": str(tiny.path), "epochs": 2, "batch_size": 8, "seeds": [0]}
    config = read_sweep(GRID, {**given, **(HEAD if method == "linear_probe" else {})}).rows[row][0]
    run = Run(train(config, tmp_path, log=lambda line: None))
    scores, learned = run.scores(), run.prompts()
    logits = scores["scores"].astype(float)
    if method == "coop":
        logits = logits * np.exp(learned["logit_map.a"].item()) + learned["logit_map.b"].item()
    expected = reliability(scores["labels"], 1 / (1 + np.exp(-logits)))
    table = probabilities.reliability_table({"bce": run})
    pd.testing.assert_frame_equal(table.drop(columns="run"), expected, rtol=1e-5)
    assert table["count"].sum() == scores["labels"].size
