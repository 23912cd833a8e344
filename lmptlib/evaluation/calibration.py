"""Thresholds, F1, and whether stated probabilities come true."""

import numpy as np
import pandas as pd


def thresholds(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The score of each class, (C,), from which on calling it present gives the best F1 on labels and scores (N, C).

    Chosen on a validation split. Infinite for a class without positives there: it is never called present.
    """
    # scikit-learn takes a second to import
    from sklearn.metrics import precision_recall_curve

    found = np.full(labels.shape[1], np.inf)
    for c in np.flatnonzero(labels.any(0)):
        precision, recall, cut = precision_recall_curve(labels[:, c], scores[:, c])
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        found[c] = cut[f1[:-1].argmax()]
    return found


def f1_scores(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """CF1 and OF1 in [0, 1] of labels and predictions (N, C): harmonic means of precision and recall.

    CF1 of their means over the classes that have positives, OF1 over all elements at once.

    >>> import numpy as np
    >>> from lmptlib.evaluation.calibration import f1_scores
    >>> labels = np.array([[True, True], [True, False], [False, False]])
    >>> predicted = np.array([[True, False], [True, True], [False, False]])
    >>> {name: round(float(score), 4) for name, score in f1_scores(labels, predicted).items()}
    {'CF1': 0.5, 'OF1': 0.6667}
    """
    labels, predicted = labels[:, labels.any(0)], predicted[:, labels.any(0)]
    hits, n_predicted, n_true = (labels & predicted).sum(0), predicted.sum(0), labels.sum(0)
    precision, recall = np.mean(hits / np.maximum(n_predicted, 1)), np.mean(hits / n_true)
    return {
        "CF1": 2 * precision * recall / max(precision + recall, 1e-12),
        "OF1": 2 * hits.sum() / max(n_predicted.sum() + n_true.sum(), 1),
    }


def reliability(labels: np.ndarray, probabilities: np.ndarray, n_bins: int = 10) -> pd.DataFrame:
    """How often a stated probability comes true: columns stated (mean of the bin), observed (share of positives), count.

    labels and probabilities (N, C), all elements in bins of equal width.
    """
    table = pd.DataFrame({"stated": probabilities.ravel(), "observed": labels.ravel().astype(float)})
    bins = table.groupby(np.minimum((table["stated"] * n_bins).astype(int), n_bins - 1))
    return bins.mean().assign(count=bins.size()).reset_index(drop=True)
