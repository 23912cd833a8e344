"""Accuracy of single labels: an image is of the class whose score is highest."""

from zlib import crc32

import numpy as np
from scipy.special import ndtri

from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.intervals import FEWEST, draws_of

# Images that a mean has more than there are.
_MORE = 4


def class_accuracy(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The share of each class's images, (C,) in [0, 1], whose highest score is the class's; NaN for a class without images.

    labels (N, C), one a row, and scores (N, C). Of equal scores the first counts.

    >>> import numpy as np
    >>> from lmptlib.evaluation.accuracy import class_accuracy
    >>> class_accuracy(np.eye(2, dtype=bool)[[0, 0, 1]], np.array([[2, 1], [0, 1], [0, 3]])).tolist()
    [0.5, 1.0]
    """
    with np.errstate(invalid="ignore"):
        return hits(labels, scores).sum(0) / labels.sum(0)


def hits(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Which labels (N, C) have the highest score of their image."""
    return labels & (np.arange(labels.shape[1]) == scores.argmax(1)[:, None])


def top_accuracy(labels: np.ndarray, scores: np.ndarray, k: int = 1) -> float:
    """The share of images, in [0, 1], whose label is among the k highest of scores (N, C)."""
    above = (scores > scores[labels][:, None]).sum(1)
    equal_before = ((scores == scores[labels][:, None]) & (np.arange(labels.shape[1]) < labels.argmax(1)[:, None])).sum(
        1
    )
    return float((above + equal_before < k).mean())


def accuracy_intervals(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Wilson's 95% interval of each class's accuracy, (C, 2) in [0, 1]; NaN for a class without images."""
    return wilson_intervals(hits(labels, scores).sum(0), labels.sum(0))


def wilson_intervals(right: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Wilson's 95% intervals (JASA 1927), (C, 2) in [0, 1], of `right` of n, (C,) each; NaN for none of none."""
    z = ndtri(0.975)
    with np.errstate(invalid="ignore"):
        half = z * np.sqrt(right * (n - right) / n + z**2 / 4)
    ends = np.stack([right + z**2 / 2 - half, right + z**2 / 2 + half], axis=-1)
    return np.clip(ends / (n + z**2)[:, None], 0, 1)


def resampled_accuracy(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Mean accuracy of classes, total and by group, over 200 bootstrap draws of the images, (R,) each; shifted a little.

    labels and scores (N, C), groups (C,). NaN for what has fewer than 10 images in all its classes together.

    As `lmptlib.evaluation.intervals.resampled_means`: draws of runs on the same images are paired. What is right in few
    images, or wrong in few, would deviate too little, or not at all. So every mean has four images more, two of them right,
    shared out evenly among its classes (Price & Bonett, Computational Statistics & Data Analysis 2004, for a sum of
    proportions): it moves a little towards a half, and deviates. The four are drawn by what a run scores [ours], so that
    the difference of two runs that are right in the same images is not sure to be none.
    """
    tested = labels.any(0)
    labels, right, groups = labels[:, tested], hits(labels, scores)[:, tested], groups[tested]
    rng = np.random.default_rng(crc32(np.ascontiguousarray(scores).tobytes()))
    more = rng.multinomial(_MORE, np.full(_MORE, 1 / _MORE), size=len(draws_of(len(labels))))
    members = {"total": np.full(len(groups), True)} | {group: groups == group for group in GROUPS}
    return {name: _draws(labels[:, of], right[:, of], more) for name, of in members.items()}


def _draws(labels: np.ndarray, right: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Draws (R,) of the mean of classes; more (R, 4): how often a draw has each of the four images, the last two right."""
    if labels.sum() < FEWEST:
        return np.full(len(more), np.nan)
    mean, around, moves, of_more = moving_parts(right.sum(0), labels.sum(0))
    deviations = draws_of(len(labels)) @ ((right - labels * around) @ moves) + more @ of_more
    return mean + deviations - deviations.mean()


def moving_parts(right: np.ndarray, n: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The mean accuracy of classes with `right` of n images, (C,) each, with four images more, and what moves it.

    An image of class c moves it by (1 if right, else 0, less around_c) times moves_c, (C,) each, and each of the four by
    what it says itself, (4,).
    """
    share = _MORE / len(n)
    weight = n + share
    accuracy = (right + share / 2) / weight
    # the deviation of a single image from its own accuracy says nothing
    around = np.where(n > 1, accuracy, accuracy.mean())
    # of n images a bootstrap spreads by the root of (n - 1) / n too little
    moves = np.where(n > 1, np.sqrt(weight / (weight - 1)), 1) / weight / len(n)
    of_more = moves @ (np.repeat([0, 1], _MORE // 2) - around[:, None]) / len(n)
    return float(accuracy.mean()), around, moves, of_more
