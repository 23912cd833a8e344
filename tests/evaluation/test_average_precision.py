"""AP of scores that come from several fits."""

import numpy as np
import pytest

from lmptlib.evaluation.average_precision import average_precision_of_folds


def by_loops(labels, scores, folds) -> float:
    """AP of one class."""
    standard = {}
    for fold in set(folds):
        own = [i for i, f in enumerate(folds) if f == fold]
        mean = sum(scores[i] for i in own) / len(own)
        deviation = (sum((scores[i] - mean) ** 2 for i in own) / len(own)) ** 0.5
        standard |= {i: (scores[i] - mean) / deviation for i in own}
    precisions = []
    for i in np.flatnonzero(labels):
        above = [j for j in standard if standard[j] >= standard[i]]
        precisions.append(sum(labels[j] for j in above) / len(above))
    return sum(precisions) / len(precisions)


def test_folds_are_standardised_then_pooled():
    rng = np.random.default_rng(0)
    folds = rng.integers(0, 4, 50)
    labels = rng.random((50, 3)) < [0.5, 0.2, 0.1]
    labels[:2] = True
    scores = rng.normal(size=(50, 3)) + labels
    expected = [by_loops(labels[:, c], scores[:, c], folds) for c in range(3)]
    np.testing.assert_allclose(average_precision_of_folds(labels, scores, folds), expected, atol=1e-12)
    # A fit's own level and scale do not count.
    scale, level = rng.uniform(0.1, 10, (4, 3)), rng.normal(size=(4, 3))
    moved = scores * scale[folds] + level[folds]
    np.testing.assert_allclose(average_precision_of_folds(labels, moved, folds), expected, atol=1e-12)


def test_classes_of_one_image_have_none_and_equal_scores_share_a_rank():
    labels = np.zeros((20, 3), bool)
    labels[0, 0] = labels[:2, 1] = True
    found = average_precision_of_folds(labels, np.ones((20, 3)), np.arange(20) % 5)
    assert np.isnan(found[[0, 2]]).all() and found[1] == pytest.approx(2 / 20)
