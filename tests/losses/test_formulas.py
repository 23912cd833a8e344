"""Every loss is its formula, and so is its gradient."""

import pytest
import torch
from oracles import (
    COUNTS,
    DEFAULTS,
    EDGE_COUNTS,
    KINDS,
    N_IMAGES,
    OVER_CLASSES,
    C,
    batch,
    every_case,
    oracle,
    settings_of,
)
from torch.testing import assert_close

from lmptlib.losses import LOSSES, PRESETS, make_loss


def test_every_loss_has_an_oracle():
    assert set(LOSSES) == set(DEFAULTS)
    assert set(PRESETS) == {"voc-lt", "coco-lt"}


@pytest.mark.parametrize("kind", KINDS)
@every_case
def test_loss_is_its_formula(name, preset, given, kind):
    logits, targets = batch(kind)
    for counts in (COUNTS, EDGE_COUNTS):
        loss = make_loss(name, counts, N_IMAGES, preset, **given)
        expected = oracle(name, settings_of(name, preset, given), counts, logits, targets)
        assert_close(loss.elementwise(logits, targets), expected, rtol=1e-9, atol=1e-13)
        value = loss(logits, targets)
        assert value.dtype == torch.float64 and value.shape == ()
        expected = expected.sum(1) if name in OVER_CLASSES else expected
        assert value.item() == pytest.approx(expected.mean().item(), rel=1e-9)


@every_case
def test_gradient_is_that_of_the_formula(name, preset, given):
    """Central differences of the oracle, with what the loss detaches held where it is."""
    for kind in ("mixed", "group absent", "class in all"):
        logits, targets = batch(kind)
        args = name, settings_of(name, preset, given), COUNTS
        # a logit moves the elements of its image: its own alone, or all of a softmax
        rise = torch.zeros_like(logits)
        for columns in torch.eye(C).split(1) if name in OVER_CLASSES else [torch.ones(1, C)]:
            step = 1e-5 * columns.double()
            moved = oracle(*args, logits + step, targets, logits) - oracle(*args, logits - step, targets, logits)
            rise += moved.sum(1, keepdim=True) * columns if name in OVER_CLASSES else moved
        loss = make_loss(name, COUNTS, N_IMAGES, preset, **given)
        loss(logits.requires_grad_(), targets).backward()
        n = len(logits) if name in OVER_CLASSES else logits.numel()
        assert_close(logits.grad * n, rise / 2e-5, rtol=1e-6, atol=1e-8)


# Without their detached parts; `apr` is then `pr`, and `apaf` is nothing without them.
ATTACHED = {"asl": dict(detach_weight=False), "pg": dict(adaptive=(), focal="fixed")}


@pytest.mark.parametrize("name", [name for name in DEFAULTS if name not in ("apr", "apaf")])
def test_autograd_passes_gradcheck(name):
    logits, targets = batch(n_images=3)
    loss = make_loss(name, COUNTS, N_IMAGES, **ATTACHED.get(name, {}))
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())
