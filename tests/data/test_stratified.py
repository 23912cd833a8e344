"""Folds: every class spread evenly, the same each time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmptlib.data.stratified import draw_folds


def spread(labels: np.ndarray, folds: np.ndarray, n_folds: int = 5) -> np.ndarray:
    """The largest number of a class's images in a fold less the smallest, (C,)."""
    counts = np.array([labels[folds == fold].sum(0) for fold in range(n_folds)])
    return counts.max(0) - counts.min(0)


def long_tailed(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n, 8)) < 0.6 ** np.arange(1, 9)


@given(seed=st.integers(0, 1000), n=st.integers(1, 120), n_folds=st.integers(2, 7))
def test_every_image_has_one_fold_and_rare_classes_are_spread_first(seed, n, n_folds):
    labels = long_tailed(n, seed)
    folds = draw_folds(labels, [f"{i:04}" for i in range(n)], n_folds)
    assert folds.shape == (n,) and folds.min() >= 0 and folds.max() < n_folds
    # Nothing was dealt out before the rarest.
    assert spread(labels, folds, n_folds)[np.argmin(labels.sum(0))] <= 1


@given(seed=st.integers(0, 1000), n=st.integers(1, 120))
def test_images_of_one_class_each_are_spread_as_evenly_as_can_be(seed, n):
    labels = np.random.default_rng(seed).geometric(0.4, n)[:, None] == np.arange(1, 9)
    folds = draw_folds(labels, [f"{i:04}" for i in range(n)])
    assert spread(labels, folds).max() <= 1


def test_many_labels_are_spread_almost_as_evenly_and_folds_have_alike_sizes():
    for seed in range(5):
        labels = long_tailed(500, seed)
        folds = draw_folds(labels, [f"{i:04}" for i in range(500)])
        drawn = np.random.default_rng(seed).permutation(500) % 5
        assert spread(labels, folds).max() <= 5 < spread(labels, drawn).max()
        sizes = np.bincount(folds)
        assert sizes.max() - sizes.min() <= 5


def test_a_class_of_five_has_one_in_every_fold_though_all_show_another():
    labels = np.ones((50, 2), bool)
    labels[5:, 1] = False
    assert sorted(draw_folds(labels, [f"{i:02}" for i in range(50)])[:5]) == [0, 1, 2, 3, 4]


def test_equal_pictures_share_a_fold_and_the_order_of_images_does_not_count():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 60, 150)
    labels = long_tailed(60, 1)[picture]
    digests = [f"{i:04}" for i in picture]
    folds = draw_folds(labels, digests)
    assert all(len(set(folds[picture == i])) == 1 for i in set(picture))
    assert (draw_folds(labels, digests) == folds).all()
    order = rng.permutation(150)
    assert (draw_folds(labels[order], [digests[i] for i in order]) == folds[order]).all()
