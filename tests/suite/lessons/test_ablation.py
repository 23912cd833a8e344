"""Notebook 11: its sentences follow the steps, and what is right is counted apart."""

import numpy as np
import pandas as pd
import pytest

from lmptlib.suite.lessons import ablation
from lmptlib.sweeps.grid import read_sweep
from lmptlib.sweeps.tables import printed_table


def steps(*rows) -> pd.DataFrame:
    """Lines (row, difference, low, high) of the total under both rankings, as `step_table`."""
    columns = ["row", "difference", "difference_low", "difference_high"]
    table = pd.DataFrame(rows, columns=columns).assign(group="total", before="before")
    return pd.concat([table.assign(ranking=ranking) for ranking in ("softmax", "logit")])


STEPS = steps(
    ("soft", 6.0, 4.0, 8.0), ("margin", -0.5, -1.0, 0.2), ("weights", -1.0, -1.5, -0.4), ("more", 1.0, np.nan, np.nan)
)


def test_the_opening_tells_the_printed_steps():
    printed = printed_table(read_sweep("ablation"))
    said = ablation.opening(printed, "emoji-lt")
    # LMPT, Table 3: 85.77, 86.02, 87.28, 87.62, 87.88 and 60.17, 60.68, 65.34, 65.81, 66.19
    assert "voc-lt by +0.25, +1.26, +0.34, +0.26" in said and "coco-lt by +0.51, +4.66, +0.47, +0.38" in said
    assert (
        "a gain for every part" in said
        and "Of the 6 printed steps after the first 4 are smaller" in ablation.printed_says(printed)
    )
    assert ablation.printed_says(printed.assign(total=10 * printed["total"])) == "", "none is small"
    down = printed.assign(total=-printed["total"])
    assert "gains and losses" in ablation.opening(down, "emoji-lt")
    empty = printed_table(read_sweep("rivals")).iloc[:0]
    assert "the data" in ablation.opening(empty, "the data") and ablation.printed_says(empty) == ""


def test_steps_are_guessed_told_and_counted():
    guess = ablation.steps_guess(STEPS, "logit")
    assert guess.truth == {"soft": 6.0, "margin": -0.5, "weights": -1.0, "more": 1.0} and guess.bounds == (-10, 10)
    lines = ablation.steps_say(STEPS).splitlines()[2:]
    for line, said in zip(lines, ("a gain", "holds zero", "a loss", "too few positives")):
        assert said in line
    assert ablation.quiz(STEPS, "logit")[0].options[0] == "2 of 4"
    assert ablation.quiz(STEPS[STEPS["row"] == "margin"], "logit")[0].options[0] == "0 of 1"


def history(**gradients) -> pd.DataFrame:
    rows = {row: {"grad_cls": 0.2, "grad_cse": value, "inside_margin": 0.1} for row, value in gradients.items()}
    return pd.DataFrame.from_dict(rows, orient="index").reset_index(names="row")


def test_what_is_left_of_a_gradient_is_told_as_it_is():
    """Half is not most: the text once said that re-weighting takes most of it away."""
    halved = ablation.activity(history(margin=0.02, weights=0.01))
    assert "0.50 times" in ablation.gradient_says(halved)
    assert ablation.gradient_ratio(halved).verdict("1/2")[0] and not ablation.gradient_ratio(halved).verdict("0.2")[0]
    assert "3.00 times" in ablation.gradient_says(ablation.activity(history(margin=0.02, weights=0.06)))
    assert ablation.gradient_guess(halved).truth == {"margin": 0.02, "weights": 0.01}
    without = ablation.activity(history(coop=np.nan))
    assert ablation.gradient_says(without) == "" and ablation.gradient_ratio(without).verdict("1")[0] is None


def test_a_margin_without_negatives_is_no_evidence():
    means = pd.DataFrame({"row": ["a", "a", "b", "b", "c"], "inside_margin": [0.5, 0.25, 0.0, 0.0, np.nan]})
    said = ablation.margins_say(means)
    assert "**a** 50.0% at first" in said and "25.0% at the end" in said and "**c**" not in said
    assert said.count("did nothing") == 1 and said.index("did nothing") > said.index("**b**")


@pytest.mark.parametrize("ranking", ["softmax", "logit"])
def test_the_take_away_is_of_the_run(ranking):
    said = ablation.take_away(STEPS, ablation.activity(history(a=0.02, b=0.01)), ranking)
    assert "a gain in soft; a loss in weights; an interval that holds zero in margin" in said[0] and "0.50" in said[1]
