"""How a long tail is cut out of a multi-label data set: the rule that made VOC-LT and COCO-LT (Wu et al., ECCV 2020)."""

import random
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lmptlib.data.dataset import class_groups, usual_task


def conditional(labels: np.ndarray) -> np.ndarray:
    """p(j | i) in row i, column j (C, C): the share of class i's images that show class j too. labels (N, C) bool.

    The row of a class without images is NaN.
    """
    together = labels.T.astype(float) @ labels
    with np.errstate(invalid="ignore"):
        return together / np.diag(together)[:, None]


def class_order(labels: np.ndarray) -> np.ndarray:
    """Classes (C,) by falling sum over i of p(j | i): those that come with many others first. labels (N, C) bool.

    Of equals the one with more images comes first [ours]: of single labels all are.
    """
    return np.lexsort([-labels.sum(0), -np.nansum(conditional(labels), axis=0)])


def pareto_counts(n_classes: int, b: float, largest: int, smallest: int = 1, tail: float = 0.99) -> np.ndarray:
    """Images wanted of each class (C,), falling from `largest` towards `smallest` as the Pareto density x^-(b + 1) falls.

    The density is read at C even steps up to its quantile `tail`. VOC-LT: b 6, largest 800; COCO-LT: b 6, largest 1,200.
    Raises ValueError on settings without such a curve.

    >>> from lmptlib.data.longtail import pareto_counts
    >>> pareto_counts(5, b=6, largest=800).tolist()
    [800, 136, 33, 11, 4]
    """
    if not 0 < b < np.inf or not 0 < tail < 1 or not 0 <= smallest <= largest:
        settings = f"b {b}, tail {tail}, smallest {smallest}, largest {largest}"
        raise ValueError(f"no Pareto counts: {settings}; needed: b > 0, 0 < tail < 1, 0 <= smallest <= largest")
    # takes half a second to import, and nothing else of the data needs it
    from scipy import stats

    rule = stats.pareto(b)
    density = rule.pdf(np.linspace(rule.ppf(0), rule.ppf(tail), n_classes)) / b
    return (density * (largest - smallest) + smallest).astype(int)


def sample_long_tail(labels: np.ndarray, counts: np.ndarray, seed: int = 0) -> np.ndarray:
    """Rows of the images in a long-tailed sample, rising, from labels (N, C) bool and the counts wanted (C,), largest first.

    Classes take their turn in `class_order`. Each is brought to its count by images that are added or removed at random,
    all of their labels with them: a class whose turn is over may gain or lose images in later turns. One that has fewer
    images than wanted gives all. With VOC2012 trainval in the order of its ids, VOC-LT's counts and seed 0 this is
    VOC-LT's training list, in which the order of Python's sets has a part.
    """
    return np.sort(np.array(draw_long_tail(labels, counts, seed), int))


def draw_long_tail(labels: np.ndarray, counts: np.ndarray, seed: int = 0) -> list[int]:
    """The rows of `sample_long_tail` in the order of Python's set of them, which is that of VOC-LT's training list."""
    draw = random.Random(seed)
    every = [set(np.flatnonzero(column).tolist()) for column in labels.T]
    chosen: list[set[int]] = [set() for _ in every]
    # all of them, kept beside: the order of a set depends on its past
    sample: set[int] = set()
    for wanted, turn in zip(counts, class_order(labels)):
        missing = int(wanted) - len(chosen[turn])
        pool = tuple(every[turn] - chosen[turn]) if missing > 0 else tuple(chosen[turn])
        for row in draw.sample(pool, min(abs(missing), len(pool))):
            for rows in (sample, *(chosen[label] for label in np.flatnonzero(labels[row]))):
                if missing > 0:
                    rows.add(row)
                else:
                    rows.remove(row)
    return list(sample)


def sample_table(labels: np.ndarray, class_names: Sequence[str], counts: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """Wanted and got, a row a class in `class_order`: columns class, wanted, images, group (by the images of the sample)."""
    order, got = class_order(labels), labels[rows].sum(0)
    columns = {"class": np.array(class_names)[order], "wanted": counts, "images": got[order]}
    task = usual_task(got)
    table = pd.DataFrame({**columns, "group": class_groups(got, task.cutoffs)[order]})
    table.attrs |= task.attrs
    return table
