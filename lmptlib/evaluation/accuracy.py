"""Accuracy of single labels: an image is of the class whose score is highest."""

import numpy as np
from scipy import stats

from lmptlib.evaluation.average_precision import summarise
from lmptlib.evaluation.intervals import draws_of


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
    found = np.full((labels.shape[1], 2), np.nan)
    for c, (right, n) in enumerate(zip(hits(labels, scores).sum(0).tolist(), labels.sum(0).tolist())):
        if n:
            found[c] = stats.binomtest(right, n).proportion_ci(method="wilson")
    return found


def resampled_accuracy(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Mean accuracy of classes, total and by group, over bootstrap draws of the images, (R,) each.

    As `lmptlib.evaluation.intervals.resampled_means`: draws of runs on the same images are paired.
    """
    tested = labels.any(0)
    labels, right, groups = labels[:, tested], hits(labels, scores)[:, tested], groups[tested]
    drawn = draws_of(len(labels)).astype(float)
    with np.errstate(invalid="ignore"):
        return summarise((drawn @ right) / (drawn @ labels), groups)
