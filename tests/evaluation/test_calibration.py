"""Thresholds, F1 and reliability against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from lmptlib.evaluation.calibration import f1_scores, reliability, thresholds


def example(n_images=200):
    rng = np.random.default_rng(5)
    labels = rng.random((n_images, 4)) < [0.5, 0.3, 0.1, 0.0]
    return labels, rng.normal(size=(n_images, 4)) + labels


def test_f1_is_scikit_learns():
    labels, scores = example()
    predicted = scores > 0.5
    found = f1_scores(labels, predicted)
    assert found["OF1"] == pytest.approx(f1_score(labels[:, :3], predicted[:, :3], average="micro"))
    precision, recall = (
        metric(labels[:, :3], predicted[:, :3], average="macro", zero_division=0)
        for metric in (precision_score, recall_score)
    )
    assert found["CF1"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert f1_scores(labels, np.zeros_like(labels)) == {"CF1": 0, "OF1": 0}


def test_thresholds_give_the_best_f1():
    labels, scores = example()
    cuts = thresholds(labels, scores)
    assert cuts[3] == np.inf
    for c in range(3):
        best = max(f1_score(labels[:, c], scores[:, c] >= cut) for cut in scores[:, c])
        assert f1_score(labels[:, c], scores[:, c] >= cuts[c]) == pytest.approx(best)


def test_reliability_counts_every_element():
    labels, scores = example()
    stated = 1 / (1 + np.exp(-scores))
    table = reliability(labels, stated)
    assert table["count"].sum() == labels.size
    assert (table["stated"] * table["count"]).sum() == pytest.approx(stated.sum())
    assert (table["observed"] * table["count"]).sum() == pytest.approx(labels.sum())
    inside = (stated >= 0.3) & (stated < 0.4)
    assert table.loc[3, "observed"] == pytest.approx(labels[inside].mean())


@pytest.mark.parametrize(
    ("n_bins", "counts", "observed"), [(1, [4], [0.5]), (2, [1, 3], [0, 2 / 3]), (4, [1, 1, 2], [0, 0, 1])]
)
def test_bins_are_of_equal_width_and_empty_ones_left_out(n_bins, counts, observed):
    """0.5 begins the upper half, and 1 belongs to the last bin."""
    labels, stated = np.array([[0, 0], [1, 1]], bool), np.array([[0.1, 0.5], [0.75, 1.0]])
    table = reliability(labels, stated, n_bins)
    assert table["count"].tolist() == counts
    np.testing.assert_allclose(table["observed"], observed)
