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
        found = figures(measure.by_class(labels, ranked), class_names, groups)
        metrics["scores"][ranking] = found | intervals(labels, ranked, class_names, groups, task)
    if task == "single-label":
        metrics["accuracy"] = {f"top{k}": percent(top_accuracy(labels, scores, k)) for k in (1, 5)}
    return metrics | counts(labels.sum(0), class_names)


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
    entry |= figures(ap, class_names, groups)
    named = tuple(name for name, judge in zip(class_names, judged) if judge)
    entry["ci95"] = intervals(labels[:, judged], standard[:, judged], named, groups[judged], task)["ci95"]
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
    means, of_classes = measure.resampled_means(labels, ranked, groups), measure.class_intervals(labels, ranked)
    return stated(means, of_classes, class_names)


def figures(by_class: np.ndarray, class_names: tuple[str, ...], groups: np.ndarray) -> dict:
    """The means of a measure's figures of each class, (C,), and these as `per_class`, in percent."""
    means: dict = {name: percent(float(value)) for name, value in summarise(by_class, groups).items()}
    return means | {"per_class": {name: percent(value) for name, value in zip(class_names, by_class)}}


def counts(n_pos: np.ndarray, class_names: tuple[str, ...]) -> dict:
    """What `evaluate` says of the images of each class, (C,)."""
    return {
        "n_pos": {name: int(count) for name, count in zip(class_names, n_pos)},
        "n_scored_classes": int((n_pos > 0).sum()),
    }


def stated(means: dict[str, np.ndarray], of_classes: np.ndarray, class_names: tuple[str, ...]) -> dict:
    """`ci95` and `per_class_ci95`, from draws (R,) of the means by group and the intervals of the classes, (C, 2)."""
    return {
        "ci95": {name: _interval(mean_interval(values)) for name, values in means.items()},
        "per_class_ci95": {name: _interval(interval) for name, interval in zip(class_names, of_classes)},
    }


def _interval(ends: np.ndarray) -> list[float | None] | None:
    return None if np.isnan(ends).any() else [percent(end) for end in ends]


def percent(value: float) -> float | None:
    return None if np.isnan(value) else round(100 * float(value), 4)
