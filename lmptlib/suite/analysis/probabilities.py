"""What a loss does to the probabilities, in numbers, and the PG paper's statements about it held against them.

Rows are those of the sweep `probabilities`: `figure 1: bce`, `figure 3: l1+ 5`, and so on.
"""

from functools import reduce
from operator import add

import numpy as np
import pandas as pd
from scipy.special import expit as sigmoid

from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.calibration import reliability
from lmptlib.runs.run import Run

_ALONE, _STEEP = "figure 3: all 1", "figure 3: l1{} 5"
# PG Table 1: factor, row before and after it is raised, arrows of the positive and of the negative probability
TABLE_1 = (
    ("l1+", _ALONE, _STEEP.format("+"), "↑", "↓"),
    ("l2+", _STEEP.format("+"), "figure 3: l1+ 5, l2+ 5", "↓", "↑"),
    ("l1-", _ALONE, _STEEP.format("-"), "↓", "↓"),
    ("l2-", _STEEP.format("-"), "figure 3: l1- 5, l2- 5", "↑", "↓"),
)
# PG's words, and what they say: (figure and row, number of `curve_numbers`, group, else all) is below another
_BIG = 0.7  # what is a big probability is not said: ours
_FLAT = 0.01  # a difference that counts as none: ours
STATEMENTS: tuple[tuple[str, float | tuple[str, ...], tuple[str, ...]], ...] = (
    ("BCE: positives rise to a big value", _BIG, ("1: bce", "end_positive")),
    ("BCE: negatives rise to a big value", _BIG, ("1: bce", "end_negative")),
    ("focal: narrower gap than BCE", ("1: focal", "gap"), ("1: bce", "gap")),
    ("focal: positives rise slower than with BCE", ("1: focal", "positive"), ("1: bce", "positive")),
    ("focal: negatives rise slower than with BCE", ("1: focal", "negative"), ("1: bce", "negative")),
    ("DB: negatives lower than with BCE", ("1: db", "negative"), ("1: bce", "negative")),
    ("DB: negatives lower than with focal", ("1: db", "negative"), ("1: focal", "negative")),
    ("DB: tail positives grow faster than head's", ("1: db", "rise_positive", "head"), ("1: db", "rise_positive", "tail")),
    ("DB: tail positives grow faster than medium's", ("1: db", "rise_positive", "medium"), ("1: db", "rise_positive", "tail")),
    ("DB: wider gap than focal", ("1: focal", "gap"), ("1: db", "gap")),
    ("PG: slower than focal", ("1: pg", "move"), ("1: focal", "move")),
    ("PG: slower than DB", ("1: pg", "move"), ("1: db", "move")),
    ("PG: narrower gap than focal", ("1: pg", "gap"), ("1: focal", "gap")),
    ("PG: narrower gap than DB", ("1: pg", "gap"), ("1: db", "gap")),
    ("tail's l1- raised: tail positives lower than with DB", ("4: l1- tail", "positive", "tail"), ("4: db", "positive", "tail")),
    ("tail's l2+ raised: tail positives lower than with DB", ("4: l2+ tail", "positive", "tail"), ("4: db", "positive", "tail")),
    ("both raised: tail positives lower than with DB", ("4: both", "positive", "tail"), ("4: db", "positive", "tail")),
    ("APAF: narrower gap than focal (COCO-LT)", ("5: apaf", "gap"), ("5: focal", "gap")),
    ("APR: narrower gap with APAF than with focal", ("5: pg", "gap"), ("5: apr + focal", "gap")),
)  # fmt: skip


def curve_numbers(run: Run) -> pd.DataFrame:
    """A run's curves (PG Eq. 6, over the training set at each epoch's end) in numbers, a row for head, medium, tail, all.

    positive, negative: mean of the curve over training, the area below it; higher is faster.
    rise_positive: that mean minus the start. move: mean distance of both curves from their start.
    gap: mean of |negative - positive|. end_positive, end_negative: after the last epoch.
    `all` is the mean over the groups that have classes; NaN for a group without.
    """
    rows, sides = {}, ["positive", "negative"]
    for group, part in run.probabilities("epoch").groupby("group"):
        curves = part.sort_values("step")[sides].astype(float)
        mean, start, end = _over_training(curves), curves.iloc[0], curves.iloc[-1]
        rows[group] = {
            **mean,
            "rise_positive": mean["positive"] - start["positive"],
            "move": _over_training((curves - start).abs()).mean(skipna=False),
            "gap": _over_training((curves[["negative"]] - curves[["positive"]].to_numpy()).abs())["negative"],
            "end_positive": end["positive"],
            "end_negative": end["negative"],
        }
    table = pd.DataFrame(rows).T.loc[list(GROUPS)]
    return pd.concat([table, table.mean().to_frame("all").T])


def _over_training(curves: pd.DataFrame) -> pd.Series:
    """Mean of each column over the epochs, its line from point to point integrated."""
    return (curves + curves.shift()).iloc[1:].mean(skipna=False) / 2


def row_numbers(runs: dict[str, list[Run]]) -> pd.DataFrame:
    """`curve_numbers` of each row, the mean over its seeds; index row and group."""
    means = {row: reduce(add, map(curve_numbers, seeds)) / len(seeds) for row, seeds in runs.items()}
    return pd.concat(means, names=["row", "group"])


def arrows(runs: dict[str, list[Run]]) -> pd.DataFrame:
    """PG Table 1 measured: what raising a factor does to the mean of the curves over training.

    Columns factor, side, printed, measured (arrows; – for a change below 0.01), holds, before, after and the change
    by group.
    """
    numbers, rows = row_numbers(runs), []
    for factor, before, after, *printed in TABLE_1:
        for side, arrow in zip(("positive", "negative"), printed):
            was, now = numbers[side].loc[before], numbers[side].loc[after]
            change = now - was
            found = "–" if abs(change["all"]) < _FLAT else "↑" if change["all"] > 0 else "↓"
            row = {"factor": factor, "side": side, "printed": arrow, "measured": found, "holds": found == arrow}
            row |= {"before": was["all"], "after": now["all"]}
            rows.append(row | change[list(GROUPS)].to_dict())
    return pd.DataFrame(rows)


def statements(runs: dict[str, list[Run]]) -> pd.DataFrame:
    """PG's statements on Figures 1, 4 and 5 measured: columns statement, low, high, verdict.

    A statement says that one number of `curve_numbers` is below another. The verdict is `holds`, `does not hold`, `a tie`
    (they differ by less than 0.01) or `no classes to tell`.
    """
    numbers, rows = row_numbers(runs), []
    for words, *sides in STATEMENTS:
        low, high = (side if isinstance(side, float) else _pick(numbers, *side) for side in sides)
        verdict = "a tie" if abs(high - low) < _FLAT else "holds" if low < high else "does not hold"
        verdict = "no classes to tell" if np.isnan(low + high) else verdict
        rows.append({"statement": words, "low": low, "high": high, "verdict": verdict})
    return pd.DataFrame(rows)


def _pick(numbers: pd.DataFrame, row: str, number: str, group: str = "all") -> float:
    return numbers[number].loc[f"figure {row}", group]


def reliability_table(runs: dict[str, Run]) -> pd.DataFrame:
    """`lmptlib.evaluation.calibration.reliability` of each run's probabilities on the test images.

    runs: name -> run. Columns run, stated, observed, count.
    """
    tables = []
    for name, run in runs.items():
        scores = run.scores()
        tables.append(reliability(scores["labels"], sigmoid(scores["logits"].astype(float))).assign(run=name))
    return pd.concat(tables, ignore_index=True)[["run", "stated", "observed", "count"]]
