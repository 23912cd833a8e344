"""Accuracy of single labels against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import recall_score, top_k_accuracy_score

from lmptlib.evaluation.accuracy import accuracy_intervals, class_accuracy, resampled_accuracy, top_accuracy
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


def test_wilson_by_hand():
    n, right, z = 20, class_accuracy(LABELS, SCORES)[0] * 20, 1.959964
    middle = (right + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(right * (n - right) / n + z**2 / 4)
    np.testing.assert_allclose(accuracy_intervals(LABELS, SCORES)[0], [middle - half, middle + half], atol=1e-6)


def test_draws_of_runs_on_the_same_images_are_paired():
    draws = resampled_accuracy(LABELS, SCORES, GROUPS)
    same = resampled_accuracy(LABELS, 2 * SCORES + 1, GROUPS)
    np.testing.assert_array_equal(draws["total"], same["total"])
    np.testing.assert_allclose(draws["total"], np.mean([draws[g] for g in ("head", "medium", "tail")], axis=0))


def test_metrics_of_single_labels():
    metrics = evaluate(LABELS, SCORES, 7.0, tuple("abcdef"), GROUPS, "single-label")
    logit, softmax = metrics["scores"]["logit"], metrics["scores"]["softmax"]
    assert logit["total"] == softmax["total"] == pytest.approx(100 * class_accuracy(LABELS, SCORES).mean(), abs=1e-3)
    assert metrics["accuracy"]["top1"] == pytest.approx(100 * (SCORES.argmax(1) == TRUE).mean(), abs=1e-3)
    low, high = logit["ci95"]["tail"]
    assert low < logit["tail"] < high
