"""The metrics of a run whose scores outgrow memory: class by class, and without draws of the images.

An image has an influence on a mean of classes, the sum of its influences on theirs: (N,) numbers, whose squares add up to the
mean's variance (the infinitesimal jackknife). It is that of the bootstrap, to first order. Influences stand where the draws of
a bootstrap do: those of runs on the same images are paired, and their difference is that of the runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from scipy.sparse import csr_array

from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.accuracy import moving_parts, wilson_intervals
from lmptlib.evaluation.average_precision import summarise
from lmptlib.evaluation.intervals import FEWEST, class_interval, stretch
from lmptlib.evaluation.metrics import counts, figures, percent, stated
from lmptlib.evaluation.places import Places
from lmptlib.evaluation.rankings import RANKINGS, softmax_rows

# Numbers that say which way the four images more of `lmptlib.evaluation.accuracy` move a run's accuracy.
_WAYS = 200


@dataclass(frozen=True)
class Judged:
    """What scores are worth under one ranking: by_class (C,) and class_intervals (C, 2), in [0, 1], NaN as in a `Measure`.

    spread: of the means, `total` and by group, what `mean_interval` and `half_width` take instead of draws: (N,), for single
    labels (N + 200,). Its mean is the mean's, less the bias; its deviation that of the mean; and its difference to the spread of
    another run on the same images deviates as the difference of the runs does.
    """

    by_class: np.ndarray
    class_intervals: np.ndarray
    spread: dict[str, np.ndarray]


@dataclass(frozen=True)
class ByClass:
    """What scores are worth: n_pos and groups (C,), what was judged by ranking, and the top-k accuracy of single labels."""

    n_pos: np.ndarray
    groups: np.ndarray
    judged: dict[str, Judged]
    top: dict[str, dict]

    def metrics(self, class_names: tuple[str, ...]) -> dict[str, Any]:
        """What `lmptlib.evaluation.metrics.evaluate` says of them."""
        entries = {
            ranking: figures(of.by_class, class_names, self.groups) | stated(of.spread, of.class_intervals, class_names)
            for ranking, of in self.judged.items()
        }
        return {"scores": entries} | self.top | counts(self.n_pos, class_names)


def evaluate_by_class(
    shown: csr_array,
    scores: np.ndarray,
    logit_scale: float,
    class_names: tuple[str, ...],
    groups: np.ndarray,
    task: str = "multi-label",
) -> dict[str, Any]:
    """What `lmptlib.evaluation.metrics.evaluate` says, in the memory of some arrays (N,), however many classes there are.

    shown (N, C) sparse, without stored zeros; scores (C, N) float32, a row a class, which may be memory-mapped: rows are read
    from first to last, once for each ranking and once for the softmax over classes. What is said of a class is the same, and
    so are the means; their intervals are those of influences. Raises ValueError where shapes do not match.
    """
    return judge(shown, scores, logit_scale, groups, task).metrics(class_names)


def judge(
    shown: csr_array, scores: np.ndarray, logit_scale: float, groups: np.ndarray, task: str = "multi-label"
) -> ByClass:
    """`evaluate_by_class` before it is put in words, and with what differences of runs need."""
    if shown.shape != scores.shape[::-1]:
        raise ValueError(
            f"labels {shown.shape} are (images, classes), so that scores {scores.shape} are not (classes, images)"
        )
    if task == "single-label":
        return _single_labels(shown, scores, groups)
    # a single class has no others to be relative to, as in `ranking_scores`
    softmax = softmax_rows(scores, logit_scale) if len(scores) > 1 else scores.__getitem__
    judged = {
        ranking: _multi_labels(shown, row, groups)
        for ranking, row in {"softmax": softmax, "logit": scores.__getitem__}.items()
    }
    return ByClass(np.bincount(shown.indices, minlength=len(groups)), groups, judged, {})


def _multi_labels(shown: csr_array, row: Callable[[int], np.ndarray], groups: np.ndarray) -> Judged:
    """By the scores (N,) that `row` has of a class.

    As `lmptlib.evaluation.intervals.resampled_means`: what it does for few positives is done to influences.
    """
    n_images, n_classes = shown.shape
    of_class = shown.tocsc()
    n_positive = np.diff(of_class.indptr)
    ap, unbiased, ends = np.full(n_classes, np.nan), np.full(n_classes, np.nan), np.full((n_classes, 2), np.nan)
    moves = {group: np.zeros(n_images) for group in GROUPS}
    for c in np.flatnonzero(n_positive):
        scores, shows = row(int(c)), slice(*of_class.indptr[c : c + 2])
        places = Places(of_class.indices[shows], scores)
        influences = places.influences()
        ap[c], unbiased[c], ends[c] = places.average_precision, places.unbiased, class_interval(places, influences)
        if ap[c] == 1:
            # no image would move it: it does as if its last positive stood last of all
            influences = places.without_the_last(scores).influences()
        # of n positives influences spread by sqrt((n - 1) / n) too little
        n = max(int(n_positive[c]), 2)
        moves[groups[c]] += np.sqrt(n / (n - 1)) * influences
    moves["total"] = np.sum([moves[group] for group in GROUPS], axis=0)
    means, spread = summarise(unbiased, groups), {}
    for name, of in _members(n_positive, groups).items():
        # so that their deviation is the root of the sum of squares
        scale = stretch(n_positive[of]) * np.sqrt(n_images - 1) / max(of.sum(), 1)
        spread[name] = means[name] + scale * moves[name]
    return Judged(ap, ends, spread)


def _members(n_pos: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """The classes (C,) of each mean: those that have images."""
    return {"total": n_pos > 0} | {group: (n_pos > 0) & (groups == group) for group in GROUPS}


def _single_labels(shown: csr_array, scores: np.ndarray, groups: np.ndarray) -> ByClass:
    """An image is right where no class is ahead of its own."""
    if (np.diff(shown.indptr) != 1).any():
        raise ValueError("an image without a label, or with several: single-label scores have one label an image")
    label = shown.indices
    own, ahead = np.empty(len(label), scores.dtype), np.zeros(len(label), np.int32)
    for c, row in enumerate(scores):
        own[label == c] = row[label == c]
    for c, row in enumerate(scores):
        # of equal scores the first counts
        ahead += (row > own) | ((row == own) & (c < label))
    right = ahead == 0
    n, n_right = (np.bincount(each, minlength=len(groups)) for each in (label, label[right]))
    with np.errstate(invalid="ignore"):
        accuracy = n_right / n
    spread = {name: _accuracy_spread(label, right, of, own) for name, of in _members(n, groups).items()}
    judged = Judged(accuracy, wilson_intervals(n_right, n), spread)
    top = {f"top{k}": percent(float((ahead < k).mean())) for k in (1, 5)}
    return ByClass(n, groups, dict.fromkeys(RANKINGS, judged), {"accuracy": top})


def _accuracy_spread(label: np.ndarray, right: np.ndarray, of: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The spread (N + 200,) of the mean accuracy of the classes `of` (C,), from labels, what is right, and
    the labels' own scores, (N,) each.

    As `lmptlib.evaluation.accuracy.resampled_accuracy`. The four images more have 200 numbers, whose direction is a run's own.
    """
    ours = of[label]
    if ours.sum() < FEWEST:
        return np.full(len(label) + _WAYS, np.nan)
    n, n_right = (np.bincount(each, minlength=len(of))[of] for each in (label, label[right]))
    mean, around, moves, of_more = moving_parts(n_right, n)
    place = (of.cumsum() - 1)[label]
    images = np.where(ours, (right - around[place]) * moves[place], 0)
    way = np.random.default_rng(crc32(own.tobytes())).normal(size=_WAYS)
    way -= way.mean()
    more = way * np.linalg.norm(of_more - of_more.mean()) / np.linalg.norm(way)
    return mean + np.sqrt(len(label) + _WAYS - 1) * np.concatenate([images - images.mean(), more])
