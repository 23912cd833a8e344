"""Average precision of each class, and its means over classes."""

import warnings

import numpy as np

from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.places import places_by_class


def average_precision(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """AP of each class in [0, 1], from labels and scores (N, C); NaN for a class without positives.

    The same as scikit-learn's, sooner. Raises ValueError for scores that are NaN. Positives at ranks 1 and 3 of three: the
    mean of the precisions 1/1 and 2/3.

    >>> import numpy as np
    >>> from lmptlib.evaluation.average_precision import average_precision
    >>> labels = np.array([[True, False], [False, False], [True, False]])
    >>> average_precision(labels, scores=np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]))
    array([0.83333333,        nan])
    """
    if np.isnan(scores).any():
        raise ValueError("scores that are not numbers (NaN) have no ranking")
    ap = np.full(labels.shape[1], np.nan)
    for c, places in places_by_class(labels, scores):
        ap[c] = places.average_precision
    return ap


def standardised_by_fold(scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Scores (N, C) less their class's mean in their fold (N,), in its deviations: fits to other folds differ in both."""
    standard = np.zeros(scores.shape)
    for fold in np.unique(folds):
        part = scores[folds == fold]
        deviation = part.std(0)
        standard[folds == fold] = (part - part.mean(0)) / np.where(deviation > 0, deviation, 1)
    return standard


def average_precision_of_folds(labels: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """AP of each class, (C,), of scores (N, C) that each fold's images have from a fit to the others.

    Scores are standardised by class within each fold (N,), then pooled. NaN for a class with fewer than two positives,
    whose fold has learned it from none.
    """
    ap = average_precision(labels, standardised_by_fold(scores, folds))
    return np.where(labels.sum(0) > 1, ap, np.nan)


def summarise(ap: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Mean over the last axis (C) of all classes and of each group, without the NaN ones; NaN for an empty group."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of a group that has no AP is NaN, as it should be
        means = {"total": np.nanmean(ap, axis=-1)}
        return means | {group: np.nanmean(ap[..., groups == group], axis=-1) for group in GROUPS}
