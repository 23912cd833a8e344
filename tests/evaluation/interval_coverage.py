"""How often the intervals hold the AP of infinitely many images, on simulated test sets whose AP is known.

`python tests/evaluation/interval_coverage.py` prints the tables of docs/intervals.md (an hour on one core).

Scores of negatives are normal with mean 0 and deviation 1, those of positives with another mean and deviation, so that the AP
of infinitely many images is an integral. Each set has the same number of positives of a class. Classes of one set share
images: their labels come together, and each image has an offset in all scores. Two scorers share most of their noise.

Single labels: an image is right with its class's accuracy. Two classifiers are right in much the same images.
"""

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import optimize, stats
from scipy.sparse import csr_array

from lmptlib.evaluation.accuracy import accuracy_intervals, resampled_accuracy
from lmptlib.evaluation.average_precision import average_precision, summarise
from lmptlib.evaluation.by_class import judge
from lmptlib.evaluation.intervals import class_intervals, half_width, mean_interval, resampled_means

APS = (0.3, 0.6, 0.9)
DEVIATIONS = (1, 2)
# Positives of the classes of a mean.
MEANS = {
    "20 classes, 5-300": np.geomspace(5, 300, 20).astype(int),
    "20 classes, 1-12": np.geomspace(1, 12, 20).astype(int),
    "20 classes, 1 (one has 10)": np.array([10] + [1] * 19),
    "2 classes, 30": np.array([30, 30]),
    "1 class, 10": np.array([10]),
}
ACCURACIES = (0.3, 0.6, 0.9, 0.97)
# Test images of the classes of a mean of accuracies.
IMAGES = {
    "5 classes, 4": np.full(5, 4),
    "5 classes, 4-30": np.geomspace(4, 30, 5).astype(int),
    "18 classes, 1": np.full(18, 1),
    "18 classes, 4": np.full(18, 4),
    "18 classes, 4-30": np.geomspace(4, 30, 18).astype(int),
    "55 classes, 20": np.full(55, 20),
}


def population_ap(mean: float, deviation: float, prevalence: float) -> float:
    """AP of infinitely many images, of which positives score normal(mean, deviation) and negatives normal(0, 1)."""
    scores = mean + deviation * np.linspace(-9, 9, 4001)
    above = prevalence * stats.norm.sf(scores, mean, deviation)
    # the density times the precision, which is 1 where nothing is above
    precision = above / (above + (1 - prevalence) * stats.norm.sf(scores))
    return float(np.trapezoid(stats.norm.pdf(scores, mean, deviation) * precision, scores))


def mean_for(ap: float, deviation: float, prevalence: float) -> float:
    """The mean of positives' scores with which the AP of infinitely many images is `ap`."""
    return optimize.brentq(lambda mean: population_ap(mean, deviation, prevalence) - ap, -8, 15)


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


def class_coverage(
    n_images: int, n_positive: int, ap: float, deviation: float, n_sets: int, seed: int = 0
) -> dict[str, float]:
    """The share of sets whose interval of one class holds its AP, and the interval's median width."""
    rng = np.random.default_rng([seed, n_images, n_positive, int(100 * ap), deviation])
    labels = np.zeros((n_images, n_sets), bool)
    labels[:n_positive] = True
    scores = rng.normal(size=labels.shape)
    scores[:n_positive] = mean_for(ap, deviation, n_positive / n_images) + deviation * scores[:n_positive]
    low, high = class_intervals(labels, scores).T
    return {"covered": np.mean((low <= ap) & (ap <= high)), "width": np.median(high - low)}


def class_percentiles(n_images: int, n_positive: int, ap: float, deviation: float, n_sets: int, seed: int = 0) -> float:
    """The share of sets whose percentiles of resampled AP, as version 0.1 had them, hold the AP of one class."""
    rng = np.random.default_rng([seed, n_images, n_positive, int(100 * ap), deviation])
    labels = np.arange(n_images)[:, None] < n_positive
    weights, held = _weights(n_images), 0
    shift = mean_for(ap, deviation, n_positive / n_images)
    for _ in range(n_sets):
        scores = rng.normal(size=labels.shape)
        scores[:n_positive] = shift + deviation * scores[:n_positive]
        low, high = np.nanpercentile(weighted_average_precision(labels, scores, weights), [2.5, 97.5])
        held += low <= ap <= high
    return held / n_sets


def mean_sets(
    n_images: int, counts: np.ndarray, deviation: float, n_sets: int, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Sets of classes with `counts` positives: labels (N, C), and scores (N, C) by two scorers with the APs of `known_aps`."""
    rng = np.random.default_rng([seed, n_images, *counts, deviation])
    n_classes, prevalence = len(counts), counts / n_images
    ours, theirs = (
        np.array([mean_for(ap, deviation, share) for ap, share in zip(aps, prevalence)]) for aps in known_aps(n_classes)
    )

    def together(share: float) -> np.ndarray:
        """Normal numbers (N, C) of which `share` of the variance is the image's."""
        return np.sqrt(share) * rng.normal(size=(n_images, 1)) + np.sqrt(1 - share) * rng.normal(
            size=(n_images, n_classes)
        )

    for _ in range(n_sets):
        labels = together(0.4).argsort(0).argsort(0) < counts
        noise = together(0.3)
        other = 0.8 * noise + 0.6 * together(0.3)
        yield (
            labels,
            np.where(labels, ours + deviation * noise, noise),
            np.where(labels, theirs + deviation * other, other),
        )


def known_aps(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """AP of each class by either scorer, 0.3 to 0.9, in no order of the counts."""
    ours = np.random.default_rng(5).permutation(np.linspace(0.3, 0.9, n_classes + 2)[1:-1])
    return ours, ours + 0.03


def mean_coverage(
    n_images: int, counts: np.ndarray, deviation: float, n_sets: int, seed: int = 0, percentiles: bool = False
) -> dict[str, float]:
    """Shares of sets whose interval holds the mean AP and the difference of the two scorers."""
    groups = np.full(len(counts), "head")
    true, other = (aps.mean() for aps in known_aps(len(counts)))
    held = []
    for labels, ours, theirs in mean_sets(n_images, counts, deviation, n_sets, seed):
        of_both = [average_precision(labels, scores).mean() for scores in (ours, theirs)]
        gap = of_both[1] - of_both[0]
        if percentiles:
            weights = _weights(n_images)
            first, second = (
                summarise(weighted_average_precision(labels, scores, weights), groups)["total"]
                for scores in (ours, theirs)
            )
            mean, difference = (np.nanpercentile(of, [2.5, 97.5]) for of in (first, second - first))
        else:
            first, second = (resampled_means(labels, scores, groups)["total"] for scores in (ours, theirs))
            mean, difference = mean_interval(first), gap + np.array([-1, 1]) * half_width(second - first)
        held.append([mean[0] <= true <= mean[1], difference[0] <= other - true <= difference[1]])
    return dict(zip(("mean", "difference"), np.mean(held, axis=0)))


def long_tail_coverage(
    n_images: int, n_classes: int, deviation: float, n_sets: int, draws: bool = True, seed: int = 0
) -> pd.DataFrame:
    """By group, and for intervals of influences and of draws: the shares of sets in which they hold the mean AP and the
    difference of the two scorers, and their mean width.

    Classes have 1,000 to 5 positives, head from 100 on, tail below 20. Without `draws`, which take long, influences alone.
    """
    counts = np.geomspace(1000, 5, n_classes).astype(int)
    groups = np.select([counts >= 100, counts >= 20], ["head", "medium"], "tail")
    true, other = (summarise(aps, groups) for aps in known_aps(n_classes))
    rows = []
    for labels, *both in mean_sets(n_images, counts, deviation, n_sets, seed):
        shown = csr_array(labels)
        found = [judge(shown, scores.T.copy(), 1.0, groups).judged["logit"] for scores in both]
        aps = [summarise(judged.by_class, groups) for judged in found]
        ways = {"influences": [judged.spread for judged in found]}
        if draws:
            ways["draws"] = [resampled_means(labels, scores, groups) for scores in both]
        for name in true:
            for way, (first, second) in ways.items():
                low, high = mean_interval(first[name])
                half = half_width(second[name] - first[name])
                gap = other[name] - true[name]
                held = {
                    "mean": low <= true[name] <= high,
                    "difference": abs(aps[1][name] - aps[0][name] - gap) <= half,
                    "width": high - low,
                }
                rows.append({"group": name, "of": way} | held)
    return pd.DataFrame(rows).groupby(["group", "of"], sort=False).mean()


@lru_cache(maxsize=1)
def _weights(n_images: int) -> np.ndarray:
    """200 draws of the images, (R, N); version 0.1 drew 1,000."""
    return np.random.default_rng(0).multinomial(n_images, np.full(n_images, 1 / n_images), size=200)


def class_table() -> list[dict]:
    """A row a cell: 2,000 sets for our intervals, 400 for percentiles."""
    rows = []
    for cell in itertools.product((1000, 5000), (10, 30, 200), (*APS, 0.97), DEVIATIONS):
        found = class_coverage(*cell, n_sets=2000)
        row = dict(zip(("images", "positives", "AP", "deviation of positives"), cell))
        row |= {"covered (%)": 100 * found["covered"], "median width (points)": 100 * found["width"]}
        rows.append(row | {"percentiles (%)": 100 * class_percentiles(*cell, n_sets=400)})
    return rows


def mean_table() -> list[dict]:
    """A row a cell: 500 sets for our intervals, 200 for percentiles (100 of 5,000 images)."""
    rows = []
    cells = [(1000, name) for name in MEANS] + [(5000, next(iter(MEANS)))]
    for (n_images, name), deviation in itertools.product(cells, DEVIATIONS):
        counts = MEANS[name]
        row = {"images": n_images, "classes and positives of each": name, "deviation of positives": deviation}
        found = mean_coverage(n_images, counts, deviation, n_sets=500)
        old = mean_coverage(n_images, counts, deviation, n_sets=200 if n_images == 1000 else 100, percentiles=True)
        row |= {f"{of} (%)": 100 * share for of, share in found.items()}
        rows.append(row | {f"{of}, percentiles (%)": 100 * share for of, share in old.items()})
    return rows


def long_tail_table() -> list[dict]:
    """A row a cell, group and way, with seed 1: 500 sets of 2,000 images, 250 of 5,000, 200 of 20,000."""
    rows = []
    for *cell, n_sets, draws in (
        (2000, 20, 1, 500, True),
        (2000, 20, 2, 500, True),
        (5000, 30, 1, 250, True),
        (5000, 30, 2, 250, True),
        (20000, 50, 1, 200, False),
    ):
        known = dict(zip(("images", "classes", "deviation of positives"), cell))
        found = long_tail_coverage(*cell, n_sets, draws, seed=1).rename(columns={"width": "width (points)"})
        table = (100 * found).rename(columns={of: f"{of} (%)" for of in ("mean", "difference")}).reset_index()
        rows += [known | row for row in table.to_dict("records")]
    return rows


def accuracy_of_class_coverage(n_images: int, accuracy: float) -> float:
    """How often Wilson's interval of a class holds its accuracy, summed over all numbers of right images."""
    right = np.arange(n_images + 1)
    labels = np.tile([True, False], (n_images, 1))
    scores = [np.column_stack([np.full(n_images, 0.5), np.arange(n_images) >= k]) for k in right]
    ends = [accuracy_intervals(labels, of)[0] for of in scores]
    held = [low <= accuracy <= high for low, high in ends]
    return float(stats.binom.pmf(right, n_images, accuracy)[held].sum())


def accuracy_coverage(counts: np.ndarray, accuracy: float, n_sets: int, seed: int = 0) -> dict[str, float]:
    """Shares of sets whose interval holds the mean accuracy of classes with `counts` images, and the difference to another
    classifier, which is 3 points better, or of the errors two thirds."""
    rng = np.random.default_rng([seed, *counts, int(100 * accuracy)])
    other = min(accuracy + 0.03, 1 - 2 / 3 * (1 - accuracy))
    labels, groups = np.repeat(np.eye(len(counts), dtype=bool), counts, axis=0), np.full(len(counts), "head")
    held = []
    for _ in range(n_sets):
        shared, own = rng.normal(size=(2, len(labels)))
        pair = (shared < stats.norm.ppf(accuracy), 0.8 * shared + 0.6 * own < stats.norm.ppf(other))
        # scores that no other set has: what is right stands above them
        scores = [np.where(labels, 2.0 * right[:, None] - 1, rng.random()) for right in pair]
        first, second = (resampled_accuracy(labels, of, groups)["total"] for of in scores)
        ours, theirs = (((labels & right[:, None]).sum(0) / counts).mean() for right in pair)
        low, high = mean_interval(first)
        apart = abs(theirs - ours - (other - accuracy)) <= half_width(second - first)
        held.append([low <= accuracy <= high, apart, high - low])
    return dict(zip(("mean", "difference", "width"), np.mean(held, axis=0)))


def accuracy_class_table() -> list[dict]:
    """A row a number of images: no simulation, all outcomes."""
    return [
        {"images": n} | {f"{of:g} (%)": 100 * accuracy_of_class_coverage(n, of) for of in ACCURACIES}
        for n in (4, 10, 20, 30)
    ]


def accuracy_table() -> list[dict]:
    """A row a cell: 1,000 sets."""
    rows = []
    for (name, counts), accuracy in itertools.product(IMAGES.items(), ACCURACIES):
        found = {of: 100 * value for of, value in accuracy_coverage(counts, accuracy, n_sets=1000).items()}
        row = {"classes and images of each": name, "accuracy": accuracy}
        row |= {"mean (%)": found["mean"], "difference (%)": found["difference"], "mean width (points)": found["width"]}
        rows.append(row)
    return rows


def _markdown(rows: list[dict]) -> str:
    table = pd.DataFrame(rows)
    lines = [table.columns, ["---"] * len(table.columns)]
    lines += [
        [f"{value:.1f}" if name.endswith(("(%)", "(points)")) else f"{value}" for name, value in row.items()]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    for table in (class_table, mean_table, long_tail_table, accuracy_class_table, accuracy_table):
        print(_markdown(table()), flush=True)
