"""The metrics of a run."""

import numpy as np

from lmptlib.evaluation.accuracy import top_accuracy
from lmptlib.evaluation.average_precision import standardised_by_fold, summarise
from lmptlib.evaluation.intervals import mean_interval
from lmptlib.evaluation.measures import MEASURES
from lmptlib.evaluation.rankings import RANKINGS, ranking_scores

OUT_OF_FOLD = "out of fold, at the training list's frequencies"


def evaluate(
    labels: np.ndarray,
    scores: np.ndarray,
    logit_scale: float,
    class_names: tuple[str, ...],
    groups: np.ndarray,
    task: str = "multi-label",
) -> dict:
    """The metrics of a run, in percent, under both rankings, by the measure of its task.

    labels (N, C) and scores (N, C) of the test images; logit_scale times the scores are what softmax takes. `ci95` and
    `per_class_ci95` are 95% intervals for infinitely many test images, `[low, high]`, or None where there are too few
    positives: `lmptlib.evaluation.intervals`. A class without positives has None and is left out of every mean. Single
    labels have the same accuracy under both rankings; `accuracy` has that over images, `top1` and `top5`.
    """
    measure = MEASURES[task]
    metrics: dict = {"scores": {}}
    for ranking in RANKINGS:
        # where all rankings are one, so are their intervals
        one = ranking if ranking in measure.rankings else measure.rankings[0]
        ranked = ranking_scores(scores, one, logit_scale)
        ap = measure.by_class(labels, ranked)
        entry: dict = {name: percent(float(value)) for name, value in summarise(ap, groups).items()}
        entry["per_class"] = {name: percent(value) for name, value in zip(class_names, ap)}
        metrics["scores"][ranking] = entry | intervals(labels, ranked, class_names, groups, task)
    if task == "single-label":
        metrics["accuracy"] = {f"top{k}": percent(top_accuracy(labels, scores, k)) for k in (1, 5)}
    metrics["n_pos"] = {name: int(count) for name, count in zip(class_names, labels.sum(0))}
    metrics["n_scored_classes"] = int(labels.any(0).sum())
    return metrics


def evaluate_folds(
    labels: np.ndarray,
    scores: np.ndarray,
    folds: np.ndarray,
    class_names: tuple[str, ...],
    groups: np.ndarray,
    task: str = "multi-label",
) -> dict:
    """mAP (of single labels accuracy) of training images by fits without their fold, in percent, with intervals.

    labels and scores (N, C), folds (N,). It says what a test would where training and test images were drawn alike, and is
    for choosing where they were not. Classes with fewer than two images are left out of the means, and named.
    """
    judged = labels.sum(0) > 1
    standard = scores if task == "single-label" else standardised_by_fold(scores, folds)
    ap = MEASURES[task].of_folds(labels, scores, folds)
    entry: dict = {"name": OUT_OF_FOLD, "n_folds": len(np.unique(folds))}
    entry |= {name: percent(float(value)) for name, value in summarise(ap, groups).items()}
    named = tuple(name for name, judge in zip(class_names, judged) if judge)
    entry["ci95"] = intervals(labels[:, judged], standard[:, judged], named, groups[judged], task)["ci95"]
    entry["per_class"] = {name: percent(value) for name, value in zip(class_names, ap)}
    return entry | {"left_out": [name for name in class_names if name not in named]}


def intervals(
    labels: np.ndarray,
    ranked: np.ndarray,
    class_names: tuple[str, ...],
    groups: np.ndarray,
    task: str = "multi-label",
) -> dict:
    """`ci95` and `per_class_ci95` of `evaluate`, from labels and the scores of one ranking (N, C)."""
    measure = MEASURES[task]
    of_means = measure.resampled_means(labels, ranked, groups)
    return {
        "ci95": {name: _interval(mean_interval(values)) for name, values in of_means.items()},
        "per_class_ci95": {
            name: _interval(interval) for name, interval in zip(class_names, measure.class_intervals(labels, ranked))
        },
    }


def _interval(ends: np.ndarray) -> list[float | None] | None:
    return None if np.isnan(ends).any() else [percent(end) for end in ends]


def percent(value: float) -> float | None:
    return None if np.isnan(value) else round(100 * float(value), 4)
