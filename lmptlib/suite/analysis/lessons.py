"""Exercises with checks, and what the lesson on LMPT's parts computes from the data at hand."""

import itertools
import math

import numpy as np
import pandas as pd
from scipy import stats

from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.comparison import compare
from lmptlib.runs.run import Run
from lmptlib.runs.tables import difference_texts


def read_answers(text: str | None, exercises: int) -> dict[int, float]:
    """Answers by the number of the exercise, from a text like `1: 0.7, 5: 0.3`. Raises ValueError, one line."""
    try:
        pairs = [pair.split(":") for pair in (text or "").split(",") if pair.strip()]
        answers = {int(number): float(answer) for number, answer in pairs}
    except ValueError:
        raise ValueError(f"answers must be like '1: 0.7, 5: 0.3', not '{text}'") from None
    for number in answers:
        if not 1 <= number <= exercises:
            raise ValueError(f"no exercise {number} to answer: they are 1 to {exercises}")
    return answers


def verdict(given: float | None, expected: float, tolerance: float, hint: str) -> str:
    """`right` where given is within the tolerance of expected, else `not yet: hint`; None is `not answered yet`.

    An expected value that is NaN says that the data at hand have nothing to ask about.
    """
    if math.isnan(expected):
        return "cannot be asked of these data"
    if given is None:
        return "not answered yet"
    return "right" if abs(given - expected) <= tolerance else f"not yet: {hint}"


def check(name: str, given: float | None, expected: float, tolerance: float, hint: str) -> None:
    """Print the verdict on an answer: see `verdict`."""
    print(f"{name}: {verdict(given, expected, tolerance, hint)}")


def six_in_a_row(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Six neighbours in the ranking of N images by scores (N,), best first, as near as can be to three positives, mixed.

    labels (N,) bool. The first such six of the ranking, as indices.
    """
    order = np.argsort(-scores, kind="stable")
    windows = np.lib.stride_tricks.sliding_window_view(labels[order], min(6, len(labels)))
    in_front = windows[:, :3].sum(1) == windows.sum(1)  # an AP of 1 asks nothing
    start = int((np.abs(windows.sum(1) - 3) + 0.5 * in_front).argmin())
    return order[start : start + 6]


def short_caption(labels: np.ndarray, inside: np.ndarray) -> int:
    """The image whose CSE loss has the fewest terms, with a class of its own and another inside the margin (else the first).

    labels, inside (N, C) bool: the classes of the images, and what lies within the margins.
    """
    foreign = inside & ~labels
    terms = labels.sum(1) + foreign.sum(1)
    return int(np.where(labels.any(1) & foreign.any(1), terms, labels.shape[1] + 1).argmin())


def seeds_needed(difference: float, sd: float) -> float:
    """The fewest seeds (2 to 100,000, or inf) at which the 95% t interval of a mean difference is without zero.

    difference: the mean of the paired differences; sd: their standard deviation over seeds.
    """
    seeds = np.arange(2, 100_001)
    enough = stats.t.ppf(0.975, seeds - 1) * sd / np.sqrt(seeds) < abs(difference)
    return int(seeds[enough.argmax()]) if enough.any() else math.inf


def steps(runs: dict[str, list[Run]]) -> pd.DataFrame:
    """Each row of a sweep against the row before it, under both rankings: `lmptlib.runs.compare` with columns ranking, before."""
    tables = [
        compare({before: runs[before], row: runs[row]}, before, ranking)
        .query("row == @row")
        .assign(ranking=ranking, before=before)
        for ranking in RANKINGS
        for before, row in itertools.pairwise(runs)
    ]
    return pd.concat(tables, ignore_index=True)


def measured(table: pd.DataFrame, row: str) -> pd.DataFrame:
    """What one row adds to the row before it, for reading: a line a ranking, `difference_text` by group.

    table: `steps`. Empty where the row was not made.
    """
    part = table[table["row"] == row].dropna(subset="difference")
    wide = part.assign(text=difference_texts(part)).pivot(index="ranking", columns="group", values="text")
    return wide.reindex(columns=["total", *GROUPS]).dropna(axis=1, how="all").rename_axis(columns=f"{row} adds")


def caption_distances(captions: np.ndarray, prompts: dict[str, np.ndarray], targets: np.ndarray) -> pd.DataFrame:
    """Quantiles of D = 1 - cos between captions (N, D) and prompts (C, D), unit features, a line a row and side.

    prompts: row -> features; targets (N, C) bool. Columns row, side (own, other), low (5%), q1, median, q3, high (95%).
    """
    rows = []
    for row, features in prompts.items():
        distance = 1 - captions @ features.T
        for side, mask in (("own", targets), ("other", ~targets)):
            quantiles = np.quantile(distance[mask], [0.05, 0.25, 0.5, 0.75, 0.95])
            rows.append({"row": row, "side": side, **dict(zip(("low", "q1", "median", "q3", "high"), quantiles))})
    return pd.DataFrame(rows)
