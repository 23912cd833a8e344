"""The metrics of a run."""

import numpy as np

from lmptlib.evaluation.average_precision import average_precision, average_precision_of_folds, summarise
from lmptlib.evaluation.intervals import bootstrap
from lmptlib.evaluation.rankings import RANKINGS, ranking_scores

OUT_OF_FOLD = "out of fold, at the training list's frequencies"


def evaluate(
    labels: np.ndarray,
    scores: np.ndarray,
    logit_scale: float,
    class_names: tuple[str, ...],
    groups: np.ndarray,
    resamples: int = 1000,
) -> dict:
    """The metrics of a run, in percent, under both rankings.

    labels (N, C) and scores (N, C) of the test images; logit_scale times the scores are what softmax takes. `ci95` are the
    2.5 and 97.5 percentiles over bootstrap resamples of the test images; all runs on the same images share the resamples.
    A class without positives has AP None and is left out of every mean.
    """
    metrics: dict = {"scores": {}}
    for ranking in RANKINGS:
        ranked = ranking_scores(scores, ranking, logit_scale)
        ap = average_precision(labels, ranked)
        means = summarise(ap, groups)
        spread = bootstrap(labels, ranked, groups, resamples)
        entry: dict = {name: percent(float(value)) for name, value in means.items()}
        entry["ci95"] = {
            name: None if np.isnan(means[name]) else [percent(v) for v in np.nanpercentile(values, [2.5, 97.5])]
            for name, values in spread.items()
        }
        entry["per_class"] = {name: percent(value) for name, value in zip(class_names, ap)}
        metrics["scores"][ranking] = entry
    metrics["n_pos"] = {name: int(count) for name, count in zip(class_names, labels.sum(0))}
    metrics["n_scored_classes"] = int(labels.any(0).sum())
    return metrics


def evaluate_folds(
    labels: np.ndarray, scores: np.ndarray, folds: np.ndarray, class_names: tuple[str, ...], groups: np.ndarray
) -> dict:
    """mAP of training images by fits without their fold, in percent: labels and scores (N, C), folds (N,).

    It says what a test would where training and test images were drawn alike, and is for choosing where they were not.
    Classes with fewer than two images are left out of the means, and named.
    """
    ap = average_precision_of_folds(labels, scores, folds)
    entry: dict = {"name": OUT_OF_FOLD, "n_folds": len(np.unique(folds))}
    entry |= {name: percent(float(value)) for name, value in summarise(ap, groups).items()}
    entry["per_class"] = {name: percent(value) for name, value in zip(class_names, ap)}
    return entry | {"left_out": [name for name, value in zip(class_names, ap) if np.isnan(value)]}


def percent(value: float) -> float | None:
    return None if np.isnan(value) else round(100 * float(value), 4)
