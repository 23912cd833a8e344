"""What a ranking is judged by: average precision where an image has many labels, accuracy where it has one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmptlib.evaluation import accuracy, average_precision, intervals
from lmptlib.evaluation.rankings import RANKINGS


@dataclass(frozen=True)
class Measure:
    """A figure of each class and its mean over classes.

    name: of the mean; of_class: of one class. rankings: under which it is told, for accuracy is the same under all.
    by_class, of labels and scores (N, C): (C,) in [0, 1], NaN for a class without positives. of_folds: the same of scores
    out of fold, with folds (N,). class_intervals: (C, 2). resampled_means: draws of the means by group, which want groups
    (C,).
    """

    name: str
    of_class: str
    rankings: tuple[str, ...]
    by_class: Callable[[np.ndarray, np.ndarray], np.ndarray]
    of_folds: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    class_intervals: Callable[[np.ndarray, np.ndarray], np.ndarray]
    resampled_means: Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, np.ndarray]]


def _accuracy_of_folds(labels: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """An image's scores are of one fold, so that they compare as they stand. NaN for a class with fewer than two images."""
    return np.where(labels.sum(0) > 1, accuracy.class_accuracy(labels, scores), np.nan)


MEASURES = {
    "multi-label": Measure(
        "mAP",
        "AP",
        RANKINGS,
        average_precision.average_precision,
        average_precision.average_precision_of_folds,
        intervals.class_intervals,
        intervals.resampled_means,
    ),
    "single-label": Measure(
        "accuracy",
        "accuracy",
        ("logit",),
        accuracy.class_accuracy,
        _accuracy_of_folds,
        accuracy.accuracy_intervals,
        accuracy.resampled_accuracy,
    ),
}
