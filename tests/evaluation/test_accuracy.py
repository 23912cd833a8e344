"""Accuracy of single labels against scikit-learn and by hand."""

import numpy as np
import pytest
from interval_coverage import accuracy_coverage
from scipy import stats
from sklearn.metrics import recall_score, top_k_accuracy_score

from lmptlib.evaluation.accuracy import class_accuracy, resampled_accuracy, top_accuracy, wilson_intervals
from lmptlib.evaluation.intervals import mean_interval
from lmptlib.evaluation.metrics import evaluate

RNG = np.random.default_rng(0)
TRUE = np.arange(120) % 6
LABELS = np.eye(6, dtype=bool)[TRUE]
SCORES = RNG.normal(size=(120, 6)) + 1.5 * LABELS
GROUPS = np.array(["head", "head", "medium", "medium", "tail", "tail"])


def test_class_accuracy_is_recall():
    expected = recall_score(TRUE, SCORES.argmax(1), average=None)
    np.testing.assert_allclose(class_accuracy(LABELS, SCORES), expected, atol=1e-12)
    assert np.isnan(class_accuracy(LABELS[:5], SCORES[:5])[5])


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_accuracy(k):
    assert top_accuracy(LABELS, SCORES, k) == pytest.approx(top_k_accuracy_score(TRUE, SCORES, k=k))
    assert top_accuracy(LABELS, np.zeros_like(SCORES), k) == pytest.approx(k / 6), "equal scores stand in class order"


@pytest.mark.parametrize("right", range(10))
def test_wilson_is_scipys(right):
    interval = stats.binomtest(right, 9).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_intervals(np.array([right]), np.array([9]))[0], interval, atol=1e-12)
    assert np.isnan(wilson_intervals(np.zeros(1), np.zeros(1))).all()


def test_draws_of_runs_on_the_same_images_are_paired():
    draws = resampled_accuracy(LABELS, SCORES, GROUPS)["total"]
    np.testing.assert_array_equal(draws, resampled_accuracy(LABELS, SCORES.copy(), GROUPS)["total"])
    other = resampled_accuracy(LABELS, SCORES + 0.5 * RNG.normal(size=SCORES.shape), GROUPS)["total"]
    alone = resampled_accuracy(LABELS, RNG.normal(size=SCORES.shape) + LABELS, GROUPS)["total"]
    assert (other - draws).std() < 0.8 * (alone - draws).std()


def test_a_mean_has_four_images_more_by_hand():
    """Price and Bonett (2004), equation 3: centre and standard error, the latter with n - 1 for n."""
    n, right = LABELS.sum(0), class_accuracy(LABELS, SCORES) * LABELS.sum(0)
    middle = (right + 2 / 6) / (n + 4 / 6)
    error = np.sqrt((middle * (1 - middle) / (n + 4 / 6 - 1)).sum()) / 6
    draws = resampled_accuracy(LABELS, SCORES, GROUPS)["total"]
    assert draws.mean() == pytest.approx(middle.mean()) and draws.std() == pytest.approx(error, rel=0.15)


def test_all_right_is_not_sure_and_few_images_have_no_interval():
    low, high = mean_interval(resampled_accuracy(LABELS, LABELS + 0.0, GROUPS)["tail"])
    assert 0.8 < low < 0.95 and high == 1
    few = np.arange(120) < 24
    draws = resampled_accuracy(LABELS[few], SCORES[few], GROUPS)
    assert np.isnan(draws["tail"]).all() and not np.isnan(draws["total"]).any(), "8 images, and 24"
    metrics = evaluate(LABELS[few], SCORES[few], 1.0, tuple("abcdef"), GROUPS, "single-label")
    assert metrics["scores"]["logit"]["ci95"]["tail"] is None and metrics["scores"]["logit"]["tail"] is not None


@pytest.mark.parametrize("accuracy", [0.6, 0.97])
def test_intervals_of_means_and_differences_cover(accuracy):
    """200 test sets: 95% less three standard errors; the whole table is in docs/intervals.md."""
    found = accuracy_coverage(np.array([4, 4, 7, 12, 30]), accuracy, n_sets=200)
    assert found["mean"] >= 0.904 and found["difference"] >= 0.904


def test_metrics_of_single_labels():
    metrics = evaluate(LABELS, SCORES, 7.0, tuple("abcdef"), GROUPS, "single-label")
    logit, softmax = metrics["scores"]["logit"], metrics["scores"]["softmax"]
    assert logit["total"] == softmax["total"] == pytest.approx(100 * class_accuracy(LABELS, SCORES).mean(), abs=1e-3)
    assert metrics["accuracy"]["top1"] == pytest.approx(100 * (SCORES.argmax(1) == TRUE).mean(), abs=1e-3)
    low, high = logit["ci95"]["tail"]
    assert low < logit["tail"] < high
