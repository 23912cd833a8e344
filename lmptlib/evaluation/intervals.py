"""How sure an average precision is: 95% intervals for the AP of infinitely many test images of the same class frequencies.

They hold what the choice of test images does, and neither seeds nor another way to find images. `docs/intervals.md` says how
they were found, and how often they cover.
"""

from functools import lru_cache

import numpy as np
import torch
from scipy.special import expit, logit, stdtrit

from lmptlib.evaluation.average_precision import average_precision, summarise
from lmptlib.evaluation.places import Places, places_by_class

# Positives below which a class has no interval, and a group without a class of so many has none either.
FEWEST = 10
# What is shown in the place of an interval that is not there.
TOO_FEW = "too few positives"

_MANY = 30
_MISPLACED = 5
_DRAWS = 200
_WIDTH = 2.1


def class_intervals(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """95% interval of each class's AP, (C, 2) in [0, 1], from labels and scores (N, C); NaN with fewer than 10 positives.

    On the logit of AP, with t of n - 1 degrees for n positives. From 30 positives on its variance is that of the images'
    influences, positives and negatives apart, since their numbers are fixed. With fewer positives, influences are not known
    well enough, and it is 1 / (n AP (1 - AP)), as if each positive were wholly in its place or not: wide and never short.
    Where fewer than five positives are out of place, n (1 - AP) < 5, it is the larger of the two. An AP of 1 counts as half
    a positive short of it, and the interval ends at 1.
    """
    found = np.full((labels.shape[1], 2), np.nan)
    for c, places in places_by_class(labels, scores):
        found[c] = class_interval(places, places.influences())
    return found


def class_interval(places: Places, influences: np.ndarray) -> np.ndarray:
    """The interval of one class, (2,), as `class_intervals` says, from its `places` and their influences (N,)."""
    n, ap = len(places.rows), places.average_precision
    if n < FEWEST:
        return np.full(2, np.nan)
    middle = min(ap, 1 - 0.5 / n)
    variance = 1 / (n * middle * (1 - middle))
    if n >= _MANY:
        sides = (influences[places.rows], np.delete(influences, places.rows))
        of_images = sum(len(side) * side.var(ddof=1) for side in sides if len(side) > 1) / (middle * (1 - middle)) ** 2
        variance = max(of_images, variance) if n * (1 - ap) < _MISPLACED else of_images
    half = stdtrit(n - 1, 0.975) * np.sqrt(variance)
    return np.array([expit(logit(middle) - half), max(expit(logit(middle) + half), ap)])


def resampled_means(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """mAP total and by group over 200 bootstrap draws of the images, (R,) each, around mAP less its bias.

    labels and scores (N, C), groups (C,). The draws depend on the number of images alone, so that those of runs on the same
    images are paired: their differences are those of the runs. NaN for what has no class of at least 10 positives.

    A draw takes images with all their labels, so that classes move together. The bias is that of the draws:
    `resampled_average_precision`. Of n positives a bootstrap spreads by sqrt((n - 1) / n) too little, so a class's
    deviations are multiplied by the inverse, one positive as two. A class without a positive in a draw is left out of it.
    A class with an AP of 1 would not deviate at all: it does as if its last positive stood last of all images.
    """
    tested = labels.any(0)
    labels, scores, groups = labels[:, tested], scores[:, tested], groups[tested]
    ap, n = average_precision(labels, scores), np.maximum(labels.sum(0), 2)
    last_of_perfect = (np.where(labels, scores, np.inf).argmin(0) == np.arange(len(labels))[:, None]) & (ap == 1)
    draws, source = resampled_average_precision(
        labels, np.where(last_of_perfect, -np.inf, scores), draws_of(len(labels))
    )
    centre = np.nanmean(draws, axis=0)
    unbiased = ap - (centre - source)
    means = summarise(unbiased, groups)
    around = summarise(unbiased + np.sqrt(n / (n - 1)) * (draws - centre), groups)
    members = {name: (groups == name) | (name == "total") for name in means}
    return {name: means[name] + _deviations(values, labels[:, members[name]].sum(0)) for name, values in around.items()}


def _deviations(means: np.ndarray, n_positive: np.ndarray) -> np.ndarray:
    """Deviations of a mean of classes over draws (R,), stretched; NaN without a class of positives enough."""
    wider = stretch(n_positive)
    # a draw in which nothing could be said does not deviate
    return np.full(len(means), np.nan) if np.isnan(wider) else wider * np.nan_to_num(means - np.nanmean(means))


def stretch(n_positive: np.ndarray) -> float:
    """What deviations of a mean are multiplied by, from its classes' positives (C,): NaN without a class of positives enough.

    2.1 deviations are what t has with 18 degrees: with fewer positives beyond one a class, as many as t has with these.
    """
    if n_positive.max(initial=0) < FEWEST:
        return np.nan
    return max(stdtrit((n_positive - 1).sum(), 0.975) / _WIDTH, 1)


def resampled_average_precision(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """AP of each class in R draws of images, (R, C), and in what they are drawn from, (C,). NaN without positives.

    weights (R, N): how often an image is in a draw. Copies of a positive stand one behind the other, so that each counts
    once in its own precision: the k-th has (A + k) / (A + B + k), with A other positives and B negatives that rank no
    lower. Counted together, as weights are, each copy would stand behind all others, and AP would be too high.

    What is drawn from has infinitely many images at each place: a positive's precision is the mean of (A + v) / (A + B + v)
    over v from 0 to 1, which is 1 - B log(1 + 1 / (A + B)). The mean of the draws less it is the bias of AP.
    """
    draws, source = np.full((len(weights), labels.shape[1]), np.nan), np.full(labels.shape[1], np.nan)
    # sums of 1 / 1 to 1 / n
    harmonic = np.append(0, np.cumsum(1 / np.arange(1, weights.sum(1).max(initial=0) + 1)))
    drawn = torch.from_numpy(weights.T.astype(np.float32, order="C"))
    for c, places in places_by_class(labels, scores):
        # a positive and what ranks no lower, (n, R) each
        own = weights[:, places.rows].T
        place = places.reach[places.rows] - 1
        positives, negatives = (
            places.weights_no_lower(drawn, np.flatnonzero(of))[place] for of in (labels[:, c], ~labels[:, c])
        )
        seen = positives + negatives
        lost = (negatives * (harmonic[seen] - harmonic[seen - own])).sum(0)
        n = own.sum(0, dtype=np.int32)
        draws[:, c] = 1 - np.divide(lost, n, out=np.full(len(n), np.nan), where=n > 0)
        source[c] = np.mean(1 - (places.images - places.positives) * np.log1p(1 / np.maximum(places.images - 1, 1)))
    return draws, source


@lru_cache(maxsize=1)
def draws_of(n_images: int) -> np.ndarray:
    """How often each image is in each draw of as many images, (R, N). Kept, since every run on the images asks for it."""
    even = np.full(n_images, 1 / n_images)
    draws = np.random.default_rng(0).multinomial(n_images, even, size=_DRAWS).astype(np.uint16)
    draws.setflags(write=False)
    return draws


def mean_interval(resampled: np.ndarray) -> np.ndarray:
    """95% interval of an mAP, (2,) in [0, 1], from its `resampled_means`, (R,): their mean and 2.1 of their deviations.

    It is not around the measured mAP but around that less its bias: few positives rank too well by chance. NaN where they are.
    """
    return np.clip(resampled.mean() + np.array([-1, 1]) * half_width(resampled), 0, 1)


def half_width(resampled: np.ndarray) -> float:
    """Half the 95% interval of a value with draws (R,), as of the difference of two `resampled_means`: 2.1 deviations."""
    return _WIDTH * resampled.std(ddof=1)
