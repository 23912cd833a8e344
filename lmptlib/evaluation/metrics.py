"""Average precision per class and group, with bootstrap intervals over test images."""

import warnings

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, precision_recall_curve

from lmptlib.data.loading import GROUPS

SCORINGS = ("softmax", "cosine")


def softmax_scores(cosine: np.ndarray, logit_scale: float) -> np.ndarray:
    """Softmax over classes of CLIP's own logits, (N, C): its scale matters to the ranking."""
    logits = logit_scale * cosine.astype(np.float64)
    exp = np.exp(logits - logits.max(1, keepdims=True))
    return exp / exp.sum(1, keepdims=True)


def average_precision(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """AP of each class in [0, 1], from labels and scores (N, C); NaN for a class without positives."""
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


def summarise(ap: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Mean over the last axis (C) of all classes and of each group, without the NaN ones; NaN for an empty group."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of a group that has no AP is NaN, as it should be
        means = {"total": np.nanmean(ap, axis=-1)}
        return means | {group: np.nanmean(ap[..., groups == group], axis=-1) for group in GROUPS}


def bootstrap(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, resamples: int = 1000
) -> dict[str, np.ndarray]:
    """mAP total and by group, (R,) each in [0, 1], over R resamples of the test images.

    The resamples depend on the number of images alone, so that runs on the same images share them: differences of two
    runs are paired.
    """
    weights = np.random.default_rng(0).multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=resamples)
    return summarise(weighted_average_precision(labels, scores, weights), groups)


def thresholds(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The score of each class, (C,), from which on calling it present gives the best F1 on labels and scores (N, C).

    Chosen on a validation split. Infinite for a class without positives there: it is never called present.
    """
    found = np.full(labels.shape[1], np.inf)
    for c in np.flatnonzero(labels.any(0)):
        precision, recall, cut = precision_recall_curve(labels[:, c], scores[:, c])
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        found[c] = cut[f1[:-1].argmax()]
    return found


def f1_scores(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """CF1 and OF1 in [0, 1] of labels and predictions (N, C): harmonic means of precision and recall.

    CF1 of their means over the classes that have positives, OF1 over all elements at once.
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


def evaluate(
    labels: np.ndarray,
    cosine: np.ndarray,
    logit_scale: float,
    class_names: tuple[str, ...],
    groups: np.ndarray,
    resamples: int = 1000,
) -> dict:
    """The metrics of a run, in percent, under both scorings.

    labels (N, C) and cosine (N, C), the similarity of test images and class prompts. `ci95` are the 2.5 and 97.5
    percentiles over bootstrap resamples of the test images; all runs on the same images share the resamples. A class
    without positives has AP None and is left out of every mean.
    """
    metrics: dict = {"scores": {}}
    for scoring in SCORINGS:
        scores = softmax_scores(cosine, logit_scale) if scoring == "softmax" else cosine
        ap = average_precision(labels, scores)
        means = summarise(ap, groups)
        spread = bootstrap(labels, scores, groups, resamples)
        entry = {name: _percent(value) for name, value in means.items()}
        entry["ci95"] = {
            name: None if np.isnan(means[name]) else [_percent(v) for v in np.nanpercentile(values, [2.5, 97.5])]
            for name, values in spread.items()
        }
        entry["per_class"] = {name: _percent(value) for name, value in zip(class_names, ap)}
        metrics["scores"][scoring] = entry
    metrics["n_pos"] = {name: int(count) for name, count in zip(class_names, labels.sum(0))}
    metrics["n_scored_classes"] = int(labels.any(0).sum())
    return metrics


def _percent(value: float) -> float | None:
    return None if np.isnan(value) else round(100 * float(value), 4)
