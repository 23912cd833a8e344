"""Intervals against slow loops, scikit-learn and simulated test sets whose AP is known."""

import numpy as np
import pytest
from interval_coverage import class_coverage, known_aps, mean_coverage, mean_sets
from scipy import stats
from sklearn.metrics import average_precision_score

from lmptlib.evaluation.average_precision import average_precision, summarise
from lmptlib.evaluation.intervals import (
    class_intervals,
    mean_interval,
    resampled_average_precision,
    resampled_means,
)
from lmptlib.evaluation.places import Places

GROUPS = np.array(["head", "head", "medium", "tail"])


def example(ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """120 images of classes with 50, 35, 15 and 4 positives."""
    rng = np.random.default_rng(3)
    labels = np.arange(120)[:, None] < [50, 35, 15, 4]
    scores = rng.normal(size=labels.shape) + labels
    return labels, scores.round(1) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
def test_influences_are_the_derivatives_of_the_weighted_ap(ties):
    """The infinitesimal jackknife, by scikit-learn's AP with weights."""
    labels, scores = example(ties)
    positive, scores = labels[:, 1], scores[:, 1]
    expected = np.empty(120)
    for i in range(120):
        step = 1e-4 * (np.arange(120) == i)
        more, less = (average_precision_score(positive, scores, sample_weight=1 + by) for by in (step, -step))
        expected[i] = (more - less) / 2e-4
    found = Places(np.flatnonzero(positive), scores).influences()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.sum() == pytest.approx(0, abs=1e-12)


def test_a_class_with_many_positives_has_the_jackknifes_interval():
    """On the logit, positives and negatives left out one by one."""
    labels, scores = example()
    y, s = labels[:, 0], scores[:, 0]
    without = np.array([average_precision_score(np.delete(y, i), np.delete(s, i)) for i in range(120)])
    variance = sum(without[side].var() * (side.sum() - 1) for side in (y, ~y))
    ap = average_precision_score(y, s)
    half = stats.t.ppf(0.975, 49) * np.sqrt(variance) / (ap * (1 - ap))
    expected = 1 / (1 + np.exp(-(np.log(ap / (1 - ap)) + np.array([-half, half]))))
    np.testing.assert_allclose(class_intervals(labels, scores)[0], expected, atol=0.01)


def test_few_positives_have_a_wide_interval_or_none():
    labels, scores = example()
    few, none = class_intervals(labels, scores)[2:]
    ap = average_precision_score(labels[:, 2], scores[:, 2])
    half = stats.t.ppf(0.975, 14) / np.sqrt(15 * ap * (1 - ap))
    np.testing.assert_allclose(np.log(few / (1 - few)), np.log(ap / (1 - ap)) + np.array([-half, half]))
    assert np.isnan(none).all()


@pytest.mark.parametrize("n_positive", [10, 30, 100])
def test_a_perfect_ranking_is_not_sure_to_be_one(n_positive):
    labels, scores = np.arange(120)[:, None] < n_positive, -np.arange(120.0)[:, None]
    low, high = class_intervals(labels, scores)[0]
    # n positives are all in their place one time in 40 where each is 0.025^(1/n) of the time: no narrower than that
    assert high == 1 and low < 0.025 ** (1 / n_positive)
    scores[[n_positive - 1, n_positive]] = scores[[n_positive, n_positive - 1]]
    near_low, near_high = class_intervals(labels, scores)[0]
    assert near_low <= low and average_precision(labels, scores)[0] <= near_high <= 1


def test_images_that_are_all_positive_have_an_interval():
    low, high = class_intervals(np.ones((40, 1), bool), np.arange(40.0)[:, None])[0]
    assert 0.5 < low < 0.95 and high == 1


@pytest.mark.parametrize("ties", [False, True])
def test_a_positive_counts_once_in_its_own_precision(ties):
    """Copy by copy, in loops over images."""
    labels, scores = example(ties)
    weights = np.random.default_rng(1).multinomial(120, np.full(120, 1 / 120), size=5)
    draws, source = resampled_average_precision(labels, scores, weights)
    for c in range(4):
        for r, w in enumerate(weights):
            precisions = []
            for i in np.flatnonzero(labels[:, c]):
                above = [j for j in range(120) if j != i and scores[j, c] >= scores[i, c]]
                positives = sum(w[j] for j in above if labels[j, c])
                negatives = sum(w[j] for j in above if not labels[j, c])
                precisions += [(positives + k) / (positives + k + negatives) for k in range(1, w[i] + 1)]
            assert draws[r, c] == pytest.approx(np.mean(precisions) if precisions else np.nan, nan_ok=True)
    # what is drawn from: an image is very many, in any order among themselves
    many = resampled_average_precision(labels, scores, np.full((1, 120), 300))[0][0]
    np.testing.assert_allclose(source, many, atol=1e-4)


@pytest.mark.parametrize("digits", [1, 9])
def test_draws_of_many_images_are_those_of_cumulative_sums_over_all(digits):
    rng = np.random.default_rng(digits)
    labels = rng.permuted(np.arange(3000)[:, None] < [1, 40, 900, 3000], axis=0)
    scores = (rng.normal(size=labels.shape) + labels).round(digits)
    weights = rng.multinomial(3000, np.full(3000, 1 / 3000), size=7)
    draws, source = resampled_average_precision(labels, scores, weights)
    harmonic = np.append(0, np.cumsum(1 / np.arange(1, 3001)))
    for c in range(4):
        order = np.argsort(-scores[:, c])
        positive = labels[order, c]
        last = np.searchsorted(-scores[order, c], -scores[order, c][positive], side="right") - 1
        ranked, own = weights[:, order], weights[:, order][:, positive]
        seen, hits = (np.cumsum(of, axis=1)[:, last] for of in (ranked, ranked * positive))
        lost = (seen - hits) * (harmonic[seen] - harmonic[seen - own])
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(draws[:, c], 1 - lost.sum(1) / own.sum(1), rtol=0, atol=1e-12)
        negatives = (1 + last) - positive.cumsum()[last]
        assert source[c] == pytest.approx(np.mean(1 - negatives * np.log1p(1 / np.maximum(last, 1))), abs=1e-12)


def test_copies_that_stand_behind_each_other_have_scikit_learns_ap():
    labels, scores = example()
    w = np.random.default_rng(2).multinomial(120, np.full(120, 1 / 120))
    drawn = np.repeat(np.arange(120), w)
    copy = np.concatenate([np.arange(n) for n in w])
    expected = [average_precision_score(labels[drawn, c], scores[drawn, c] - 1e-9 * copy) for c in range(3)]
    found, _ = resampled_average_precision(labels, scores, np.stack([w, np.ones(120, int)]))
    np.testing.assert_allclose(found[0, :3], expected)
    np.testing.assert_allclose(found[1], average_precision(labels, scores))


def test_draws_depend_on_the_number_of_images_alone():
    """So that runs on the same images are paired: what ranks alike has the same mAP in each draw."""
    labels, scores = example()
    first, same = resampled_means(labels, scores, GROUPS), resampled_means(labels, 2 * scores + 1, GROUPS)
    for name in ("total", "head", "medium"):
        assert first[name].shape == (200,) and first[name].std() > 0.01
        np.testing.assert_array_equal(first[name], same[name])
    assert np.isnan(first["tail"]).all() and np.isnan(mean_interval(first["tail"])).all()
    less = resampled_means(labels[:, :2], scores[:, :2], GROUPS[:2])
    np.testing.assert_allclose(less["head"], first["head"])
    np.testing.assert_allclose(less["total"], first["head"])
    assert np.isnan(less["medium"]).all()
    nothing = resampled_means(np.zeros((9, 2), bool), np.zeros((9, 2)), GROUPS[:2])
    assert all(np.isnan(values).all() for values in nothing.values())


@pytest.mark.parametrize(("counts", "degrees"), [([10], 9), ([10, 3], 11), ([40, 1], None)])
def test_deviations_are_those_of_the_draws_and_stretched_as_t_is_for_few_positives(counts, degrees):
    """By hand from APs in the draws, which are as many multinomial ones with seed 0."""
    labels = np.arange(120)[:, None] < counts
    scores = np.random.default_rng(0).normal(size=labels.shape) + labels
    weights = np.random.default_rng(0).multinomial(120, np.full(120, 1 / 120), size=200)
    draws, source = resampled_average_precision(labels, scores, weights)
    middle = average_precision(labels, scores) - np.nanmean(draws, 0) + source
    scale = [np.sqrt(n / (n - 1)) if n > 1 else np.sqrt(2) for n in counts]
    means = np.nanmean(middle + scale * (draws - np.nanmean(draws, 0)), 1)
    half = (stats.t.ppf(0.975, degrees) if degrees else 2.1) * np.nanstd(means, ddof=1)
    found = mean_interval(resampled_means(labels, scores, np.full(len(counts), "tail"))["tail"])
    np.testing.assert_allclose(found, np.clip(middle.mean() + np.array([-half, half]), 0, 1), atol=1e-3)


def test_the_bias_of_few_positives_is_taken_off():
    """Over many sets: the measured mean is too high, the centre of the draws is not."""
    counts, groups = np.full(6, 12), np.full(6, "head")
    found = np.array(
        [
            [average_precision(labels, scores).mean(), resampled_means(labels, scores, groups)["total"].mean()]
            for labels, scores, _ in mean_sets(300, counts, 1, n_sets=150)
        ]
    )
    error = found.std(0) / np.sqrt(len(found))
    measured, unbiased = found.mean(0) - known_aps(6)[0].mean()
    assert measured > 3 * error[0] and abs(unbiased) < 2.5 * error[1]


@pytest.mark.parametrize(
    ("cell", "least"), [((1000, 10, 0.3, 1), 0.95), ((1000, 30, 0.9, 2), 0.912), ((1000, 200, 0.3, 1), 0.912)]
)
def test_intervals_of_classes_cover(cell, least):
    """300 test sets: 95% less three standard errors; the whole table is in docs/intervals.md."""
    assert class_coverage(*cell, n_sets=300)["covered"] >= least


def test_intervals_of_means_and_differences_cover():
    """100 test sets: 95% less three standard errors."""
    found = mean_coverage(1000, np.array([5, 8, 14, 30, 80, 300]), 1, n_sets=100)
    assert found["mean"] >= 0.885 and found["difference"] >= 0.885


def test_a_mean_is_that_of_its_classes_and_an_interval_stays_within_bounds():
    labels, scores = example()
    draws = resampled_means(labels, scores, GROUPS)
    ap, groups = average_precision(labels, scores), summarise(average_precision(labels, scores), GROUPS)
    low, high = mean_interval(draws["head"])
    assert low < groups["head"] < high and (draws["head"].mean() - groups["head"]) == pytest.approx(0, abs=0.02)
    assert groups["head"] == pytest.approx(ap[:2].mean())
    perfect = mean_interval(resampled_means(labels, labels + 0.0, GROUPS)["head"])
    assert 0.9 < perfect[0] < 0.99 and perfect[1] == 1
