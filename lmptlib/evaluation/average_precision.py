"""Average precision of each class, and its means over classes."""

import warnings

import numpy as np
from sklearn.metrics import average_precision_score

from lmptlib.data.dataset import GROUPS


def average_precision(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """AP of each class in [0, 1], from labels and scores (N, C); NaN for a class without positives.

    Positives at ranks 1 and 3 of three: the mean of the precisions 1/1 and 2/3.

    >>> import numpy as np
    >>> from lmptlib.evaluation.average_precision import average_precision
    >>> labels = np.array([[True, False], [False, False], [True, False]])
    >>> average_precision(labels, scores=np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]))
    array([0.83333333,        nan])
    """
    ap = [average_precision_score(y, s) if y.any() else np.nan for y, s in zip(labels.T, scores.T)]
    return np.array(ap, dtype=np.float64)


def weighted_average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AP of each class under each of R weightings of the images: weights (R, N) -> (R, C).

    The same as scikit-learn's with `sample_weight`, for all weightings at once. NaN where a class has no positive.
    """
    result = np.full((len(weights), labels.shape[1]), np.nan)
    for c in range(labels.shape[1]):
        order = np.argsort(-scores[:, c], kind="stable")
        ranked, positive = scores[order, c], labels[order, c]
        if not positive.any():
            continue
        w = weights[:, order].astype(np.float64)
        last_of_tie = np.searchsorted(-ranked, -ranked[positive], side="right") - 1
        seen = np.cumsum(w, axis=1)[:, last_of_tie]
        hits = np.cumsum(w * positive, axis=1)[:, last_of_tie]
        mass = w[:, positive]
        precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        total = mass.sum(1)
        result[:, c] = np.divide((mass * precision).sum(1), total, out=np.full(len(w), np.nan), where=total > 0)
    return result


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
    ap = weighted_average_precision(labels, standardised_by_fold(scores, folds), np.ones((1, len(labels))))[0]
    return np.where(labels.sum(0) > 1, ap, np.nan)


def summarise(ap: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Mean over the last axis (C) of all classes and of each group, without the NaN ones; NaN for an empty group."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of a group that has no AP is NaN, as it should be
        means = {"total": np.nanmean(ap, axis=-1)}
        return means | {group: np.nanmean(ap[..., groups == group], axis=-1) for group in GROUPS}
