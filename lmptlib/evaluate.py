"""Average precision per class and group, with bootstrap intervals over test images."""

import warnings

import numpy as np
from sklearn.metrics import average_precision_score

from lmptlib.data import GROUPS

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
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=resamples)
    metrics: dict = {"scores": {}}
    for scoring in SCORINGS:
        scores = softmax_scores(cosine, logit_scale) if scoring == "softmax" else cosine
        ap = average_precision(labels, scores)
        means = summarise(ap, groups)
        spread = summarise(weighted_average_precision(labels, scores, weights), groups)
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
