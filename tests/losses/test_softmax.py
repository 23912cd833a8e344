"""Identities of the losses over classes, and logits whose sigmoid is a softmax."""

import pytest
import torch
import torch.nn.functional as F
from oracles import COUNTS, N_IMAGES, OVER_CLASSES, C
from torch.testing import assert_close

from lmptlib.losses import class_logits, loss_title, make_loss

LOGITS = 3 * torch.randn(20, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
CLASSES = torch.arange(20) % C
ONE_HOT = F.one_hot(CLASSES, C).double()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_the_sigmoid_of_class_logits_is_the_softmax(scale):
    logits = scale * LOGITS
    assert_close(class_logits(logits).sigmoid(), logits.softmax(1), rtol=1e-9, atol=1e-12)
    # log p and log (1 - p) by themselves, where p is one to the last digit
    others = torch.stack([logits[:, [j for j in range(C) if j != c]].logsumexp(1) for c in range(C)], 1)
    assert_close(class_logits(logits), logits - others, rtol=1e-9, atol=1e-9)
    single = torch.zeros(2, 1)
    assert class_logits(single) is single


def test_cross_entropy_is_torchs():
    assert_close(make_loss("ce", COUNTS, N_IMAGES)(LOGITS, ONE_HOT), F.cross_entropy(LOGITS, CLASSES))
    several = ONE_HOT + F.one_hot((CLASSES + 1) % C, C)
    assert_close(make_loss("ce", COUNTS, N_IMAGES)(LOGITS, several), F.cross_entropy(LOGITS, several / 2))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("logit_adjustment", {"tau": 1.0}), ("balanced_softmax", {})),
        (("logit_adjustment", {"tau": 0.0}), ("ce", {})),
        (("focal_ce", {"gamma": 0.0}), ("ce", {})),
        (("cb_ce", {"beta": 0.0}), ("ce", {})),
        (("ldam_ce", {"max_margin": 0.0}), ("ce", {})),
    ],
    ids=lambda loss: f"{loss[0]} {loss[1]}",
)
def test_settings_that_make_one_loss_another(first, second):
    values = [make_loss(name, COUNTS, N_IMAGES, **given)(LOGITS, ONE_HOT) for name, given in (first, second)]
    assert_close(*values)


@pytest.mark.parametrize("name", OVER_CLASSES)
def test_alike_for_all_logits_of_an_image_and_for_balanced_classes(name):
    loss = make_loss(name, COUNTS, N_IMAGES)
    assert_close(loss(LOGITS + 5, ONE_HOT), loss(LOGITS, ONE_HOT))
    if name in ("balanced_softmax", "logit_adjustment", "cb_ce"):
        even = make_loss(name, torch.full((C,), 50), N_IMAGES)
        assert_close(even(LOGITS, ONE_HOT), F.cross_entropy(LOGITS, CLASSES))


def test_a_class_that_is_alone_is_sure_and_has_no_gradient():
    for name in OVER_CLASSES:
        loss = make_loss(name, torch.tensor([5, 0]), 5, allow_empty=True)
        logits = torch.tensor([[1.0, 2.0]], requires_grad=True)
        value = loss(logits, torch.tensor([[1.0, 0.0]]))
        (gradient,) = torch.autograd.grad(value, logits)
        assert value == 0 and (gradient == 0).all(), name


def test_words_are_written_as_words_and_initials_as_initials():
    names = ("ce", "balanced_softmax", "logit_adjustment", "ldam_ce", "focal_ce", "db_focal", "focal")
    told = ["CE", "Balanced Softmax", "Logit Adjustment", "LDAM-CE", "Focal-CE", "DB-Focal", "Focal"]
    assert list(map(loss_title, names)) == told
