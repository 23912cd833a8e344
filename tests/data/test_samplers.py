"""Samplers: what they draw, counted."""

import numpy as np
import pytest
import torch

from lmptlib.data.samplers import SAMPLERS, epoch_order

COUNTS = (400, 60, 9)


def targets() -> torch.Tensor:
    """One label an image, 31 images without any, and one class without images."""
    labels = torch.zeros(500, 4)
    labels[torch.arange(469), torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS))] = 1
    return labels


def drawn(kind: str, epochs: int = 40) -> np.ndarray:
    """The share of each class among the draws."""
    generator = torch.Generator().manual_seed(0)
    order = torch.cat([epoch_order(kind, targets(), generator) for _ in range(epochs)])
    return (targets()[order].sum(0) / len(order)).numpy()


@pytest.mark.parametrize("kind", SAMPLERS)
def test_an_epoch_has_as_many_draws_as_images_and_follows_the_seed(kind):
    first, again, other = (epoch_order(kind, targets(), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert len(first) == 500 and torch.equal(first, again) and not torch.equal(first, other)


def test_shuffle_shows_every_image_once():
    assert epoch_order("shuffle", targets(), torch.Generator()).sort().values.tolist() == list(range(500))


def test_class_aware_takes_classes_in_turn_three_images_each():
    order = epoch_order("class_aware", targets(), torch.Generator().manual_seed(0))
    classes = targets()[order].argmax(1)
    assert targets()[order].any(1).all(), "an image without labels is never drawn"
    turns = classes[:495].reshape(-1, 3)
    assert (turns == turns[:, :1]).all()
    assert all(sorted(part.tolist()) == [0, 1, 2] for part in turns[:, 0].reshape(-1, 3))
    np.testing.assert_allclose(drawn("class_aware")[:3], 1 / 3, atol=0.01)


@pytest.mark.parametrize(
    ("kind", "mass"),
    [("square_root", [n**0.5 for n in COUNTS]), ("effective_number", [(1 - 0.999**n) / (1 - 0.999) for n in COUNTS])],
)
def test_classes_are_drawn_in_proportion(kind, mass):
    np.testing.assert_allclose(drawn(kind)[:3], np.array(mass) / sum(mass), atol=0.01)
    assert drawn(kind)[3] == 0


def test_images_of_a_class_are_drawn_evenly():
    generator = torch.Generator().manual_seed(0)
    order = torch.cat([epoch_order("class_aware", targets(), generator) for _ in range(60)])
    tail = torch.bincount(order[(order >= 460) & (order < 469)] - 460, minlength=9).float()
    assert tail.min() > 0.85 * tail.mean()
