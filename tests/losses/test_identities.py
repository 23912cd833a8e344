"""Losses that are one under some settings, and what torch, torchvision and timm compute."""

import pytest
import torch
from oracles import COUNTS, N_IMAGES, C, batch, shift
from torch.testing import assert_close

from lmptlib.losses import make_loss

NEUTRAL = dict(alpha=0.5, beta=0.0)


@pytest.mark.parametrize(
    ("name", "settings", "other", "others"),
    [
        ("mls", {}, "bce", {}),
        ("focal", dict(gamma=0), "bce", {}),
        ("cb", dict(beta=0, scale=1), "bce", {}),
        ("cb", dict(beta=0, mode="average_w"), "bce", {}),
        ("cb_focal", dict(beta=0, scale=1), "focal", {}),
        ("r_bce", NEUTRAL, "bce", {}),
        ("db", dict(lam=1, kappa=0, **NEUTRAL), "bce", {}),
        ("db_focal", NEUTRAL, "ntr_focal", {}),
        ("db", dict(bias="code", kappa=0.05), "db", dict(kappa=0.01)),
        ("ntr", dict(lam=3), "pr", dict(l1_neg=3, l2_neg=3)),
        ("ldam", dict(max_margin=0, scale=1), "bce", {}),
        ("asl", dict(gamma_neg=0, gamma_pos=0, margin=0), "bce", {}),
        ("asl", dict(gamma_neg=2, gamma_pos=2, margin=0), "focal", {}),
        ("pr", dict(kappa=0), "bce", {}),
        ("apr", dict(adaptive=(), l1_neg=(1, 1, 3)), "pr", dict(l1_neg=(1, 1, 3))),
        ("apaf", dict(l0=0), "bce", {}),
        ("pg", dict(kappa=0, adaptive=()), "apaf", {}),
        ("pg", dict(focal="none"), "apr", {}),
        ("pg", dict(focal="none", adaptive=(), l2_pos=2), "pr", dict(l2_pos=2)),
        ("pg", dict(kappa=0, adaptive=(), focal="fixed", l0=3), "focal", dict(gamma=3)),
    ],
)
def test_identities(name, settings, other, others):
    logits, targets = batch()
    logits, targets = (x[targets.any(1)] for x in (logits, targets))  # without positives r^ is alpha + 1 by definition
    one, two = make_loss(name, COUNTS, N_IMAGES, **settings), make_loss(other, COUNTS, N_IMAGES, **others)
    assert_close(one.elementwise(logits, targets), two.elementwise(logits, targets), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("kappa", [0, 0.05])
def test_equal_means_are_plain_focal(kappa):
    confidence = batch()[0]
    targets = torch.ones(16, C, dtype=torch.float64)
    targets[8:] = 0
    logits = torch.cat([confidence, -confidence])  # so that each class has equal means
    v = torch.tensor([shift(n, kappa) for n in COUNTS.tolist()], dtype=torch.float64)
    name, settings = ("pg", dict(kappa=kappa)) if kappa else ("apaf", {})
    focal = make_loss("focal", COUNTS, N_IMAGES, gamma=3)(logits - v, targets)
    assert_close(make_loss(name, COUNTS, N_IMAGES, l0=3, **settings)(logits, targets), focal)


def test_rw_of_equal_counts_is_scaled_bce():
    rw, bce = (make_loss(name, torch.full((C,), 125), N_IMAGES)(*batch()) for name in ("rw", "bce"))
    assert_close(rw, 2 * bce)


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_outside_oracle_torch_and_torchvision(alpha):
    from torchvision.ops import sigmoid_focal_loss

    logits, targets = batch()
    expected = sigmoid_focal_loss(logits, targets, -1 if alpha is None else alpha, 2, "mean")
    assert_close(make_loss("focal", COUNTS, N_IMAGES, alpha=alpha)(logits, targets), expected)
    expected = torch.nn.MultiLabelSoftMarginLoss()(logits, targets)
    assert_close(make_loss("mls", COUNTS, N_IMAGES)(logits, targets), expected)


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize(("gamma_neg", "gamma_pos", "margin"), [(4, 0, 0.05), (4, 1, 0.05), (2, 1, 0.2)])
def test_outside_oracle_timm(gamma_neg, gamma_pos, margin, detach):
    from timm.loss import AsymmetricLossMultiLabel

    timm = AsymmetricLossMultiLabel(gamma_neg, gamma_pos, margin, disable_torch_grad_focal_loss=detach)
    timm.reduction = "sum"  # timm's only way for years; it takes its weight's gradient unless told otherwise
    settings = dict(gamma_neg=gamma_neg, gamma_pos=gamma_pos, margin=margin, detach_weight=detach)
    ours = make_loss("asl", COUNTS, N_IMAGES, **settings)
    logits, targets = batch()
    results = []
    for loss in (lambda z: ours(z, targets) * z.numel(), lambda z: timm(z, targets)):
        z = logits.clone().requires_grad_()
        value = loss(z)
        results.append((value.item(), *torch.autograd.grad(value, z)))
    assert_close(*results, rtol=1e-4, atol=1e-5)  # timm computes in float32
