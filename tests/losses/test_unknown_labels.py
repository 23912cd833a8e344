"""Labels that are not known are no negatives: they cost nothing, and nothing is learned from them."""

import pytest
import torch
from oracles import COUNTS, N_IMAGES, C, batch, every_case
from test_cse import cse_batch
from torch.testing import assert_close

from lmptlib.losses import CSELoss, make_loss, mean_probabilities


def with_fetched() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, targets and what is known of them: of the last image class 1 alone."""
    logits, targets = batch()
    logits[-1, 1], targets[-1] = 0.0, torch.eye(C)[1]
    known = torch.ones_like(targets, dtype=torch.bool)
    known[-1] = targets[-1] > 0
    return logits, targets, known


@every_case
def test_masked_classes_get_zero_gradient_and_the_mean_is_over_known_ones(name, preset, given):
    loss = make_loss(name, COUNTS, N_IMAGES, preset, **given)
    logits, targets, known = with_fetched()
    if loss.over_classes:
        with pytest.raises(ValueError, match="compares classes: it needs all labels of an image"):
            loss(logits, targets, known)
        return
    value = loss(logits.requires_grad_(), targets, known)
    (gradient,) = torch.autograd.grad(value, logits)
    assert (gradient[~known] == 0).all() and gradient[-1, 1] != 0
    # class by class, of the images of which it is known: what is unknown might as well not be there
    total = 0.0
    for c in range(C):
        rows = known[:, c]
        total += loss.elementwise(logits[rows], targets[rows])[:, c].sum().item()
    assert value.item() == pytest.approx(total / known.sum().item(), rel=1e-6)
    assert_close(loss(logits, targets, torch.ones_like(known)), loss(logits, targets))


def test_cse_leaves_unknown_classes_out():
    captions, prompts, targets = cse_batch("feature")
    targets[-1], known = torch.eye(C)[1].double(), torch.ones(6, C, dtype=torch.bool)
    known[-1] = targets[-1] > 0
    loss = CSELoss(COUNTS, eta=1.3)
    last = CSELoss(COUNTS, eta=1.3)(captions[-1:], prompts[1:2].expand(C, -1), targets[-1:])
    one = (loss.weight[1] * (1 - torch.cosine_similarity(captions[-1], prompts[1], dim=0))).item()
    rest = loss(captions[:-1], prompts, targets[:-1])
    assert last >= one and loss(captions, prompts, targets, known).item() == pytest.approx((5 * rest.item() + one) / 6)
    captions.requires_grad_(), prompts.requires_grad_()
    loss(captions[-1:], prompts, targets[-1:], known[-1:]).backward()
    assert (prompts.grad[[0, *range(2, C)]] == 0).all() and (prompts.grad[1] != 0).any()
    # one negative pair of two lies inside: the unknown ones are no pairs
    near = loss.inside_margin(captions[:1], captions[:1].expand(C, -1), torch.zeros(1, C), torch.eye(C)[:1].bool())
    assert near == 1


def test_an_unknown_label_is_no_negative_in_the_mean_probabilities():
    logits, targets, known = with_fetched()
    positive, negative = mean_probabilities(logits, targets, known)
    for c in range(C):
        p = torch.sigmoid(logits[:, c])
        assert_close(positive[c], p[targets[:, c] == 1].mean(), check_dtype=False)
        assert_close(negative[c], 1 - p[(targets[:, c] == 0) & known[:, c]].mean(), check_dtype=False)
