"""Views of an image, put together."""

import math

import pytest
import torch

from lmptlib.methods.base import Batch, over_views, pooled, view_weights


def by_loops(views: list[float], pool: str) -> float:
    whole, crops = views[0], views[1:]
    if pool == "max":
        best = max(crops)
    elif pool == "mean":
        best = sum(crops) / len(crops)
    else:
        mass = [math.exp(value) for value in crops]
        best = sum(m * value for m, value in zip(mass, crops)) / sum(mass)
    return (whole + best) / 2


@pytest.mark.parametrize("pool", ["max", "mean", "softmax"])
def test_pooled_is_what_loops_give(pool):
    views = torch.randn(7, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = pooled(views, view_weights(views[:, 1:], pool))
    for b in range(7):
        for c in range(3):
            assert found[b, c].item() == pytest.approx(by_loops(views[b, :, c].tolist(), pool), abs=1e-12)


@pytest.mark.parametrize("pool", ["max", "mean", "softmax"])
def test_views_that_are_all_alike_change_nothing(pool):
    views = torch.randn(7, 1, 3, generator=torch.Generator().manual_seed(0)).expand(7, 5, 3)
    torch.testing.assert_close(pooled(views, view_weights(views[:, 1:], pool)), views[:, 0])


def test_views_are_the_whole_then_its_crops():
    images, crops = torch.rand(5, 2), torch.rand(5, 3, 2)
    views = over_views(lambda batch, text: batch.images, Batch(torch.zeros(5, 1), images=images, crops=crops), None)
    assert (views[:, 0] == images).all() and (views[:, 1:] == crops).all()
    assert over_views(lambda batch, text: batch.images, Batch(torch.zeros(5, 1), images=images), None).shape == (
        5,
        1,
        2,
    )
