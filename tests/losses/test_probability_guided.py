"""The factors of the probability guided losses."""

import math

import pytest
import torch
from oracles import (
    CASES,
    COUNTS,
    FACTORS,
    GUIDED,
    KINDS,
    N_IMAGES,
    PR,
    C,
    batch,
    oracle_factors,
    oracle_means,
    settings_of,
    shift,
    sigmoid,
)
from torch.testing import assert_close

from lmptlib.losses import LOSSES, loss_settings, make_loss, mean_probabilities


@pytest.mark.parametrize("kind", KINDS)
def test_factors_and_mean_probabilities(kind):
    logits, targets = batch(kind)
    for got, expected in zip(mean_probabilities(logits, targets), oracle_means(logits.tolist(), targets.tolist())):
        nan = [math.nan if p is None else p for p in expected]
        assert_close(got, torch.tensor(nan, dtype=torch.float64), rtol=1e-9, atol=0, equal_nan=True)
    for name, preset, given in (case for case in CASES if case[0] in GUIDED):
        loss = make_loss(name, COUNTS, N_IMAGES, preset, **given)
        factors = loss.factors(logits.requires_grad_(), targets)
        expected = oracle_factors(settings_of(name, preset, given), COUNTS.tolist(), logits.tolist(), targets.tolist())
        assert {key for key, value in factors.items() if value is not None} == set(expected)
        for key, values in expected.items():
            assert not factors[key].requires_grad
            assert_close(factors[key].double(), torch.tensor(values, dtype=torch.float64), rtol=1e-9, atol=0)


def test_ratio_is_clamped():
    logits, targets = torch.full((2, C), 9.0), torch.tensor([[0.0], [1.0]]).repeat(1, C)
    factors = make_loss("pg", COUNTS, N_IMAGES).factors(logits, targets)
    assert factors["gamma_pos"].tolist() == [8] * C
    assert factors["gamma_neg"].tolist() == [0.5] * C
    assert factors["l1_neg"].tolist() == [0.25] * C


def test_presets_raise_the_factors_that_the_paper_raises():
    """VOC-LT raises l1- and l2+ for the tail classes only, COCO-LT l1- and l1+ for all."""
    voc, coco = (make_loss("pr", COUNTS, N_IMAGES, preset).factors(*batch()) for preset in ("voc-lt", "coco-lt"))
    for key in FACTORS:
        assert voc[key][:4].unique().numel() == voc[key][4:].unique().numel() == coco[key].unique().numel() == 1
        assert (voc[key][4] > voc[key][0]) == (key in ("l1_neg", "l2_pos"))
    assert coco["l1_neg"][0] > coco["l2_neg"][0] and coco["l1_pos"][0] > 1


@pytest.mark.parametrize(("factor", "up"), [("l1_pos", True), ("l2_pos", False), ("l1_neg", False), ("l2_neg", True)])
def test_pr_moves_the_logit_as_table_1_says(factor, up):
    """At z = v the pull is l1+ / (2 l2+) up on a positive and l1- / (2 l2-) down on a negative."""
    targets = torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat(1, C)
    v = torch.tensor([shift(n, 0.05) for n in COUNTS.tolist()], dtype=torch.float64)

    def pull(**factors):
        logits = v.repeat(2, 1).requires_grad_()
        make_loss("pr", COUNTS, N_IMAGES, **factors).elementwise(logits, targets).sum().backward()
        s = {**PR, **factors}
        expected = torch.tensor([[-s["l1_neg"] / (2 * s["l2_neg"])], [s["l1_pos"] / (2 * s["l2_pos"])]])
        assert_close(-logits.grad, expected.double().expand(2, C))
        return -logits.grad.sum(0)

    assert pull().allclose(torch.zeros(()).double())
    assert ((pull(**{factor: 5}) > 0) == up).all()


def test_the_data_say_where_the_groups_of_a_guided_loss_meet():
    counts, by_group = torch.tensor([12, 12, 9, 8]), {"l1_neg": (1.0, 2.0, 3.0)}
    assert make_loss("pg", counts, 24, **by_group).l1_neg.tolist() == [3, 3, 3, 3]
    guided = make_loss("pg", counts, 24, cutoffs=(12, 9), **by_group)
    assert guided.l1_neg.tolist() == [1, 1, 2, 3]
    # The first class has no positive: its mean is that of the other head class.
    targets = torch.tensor([[0.0, 1, 1, 0], [0, 0, 0, 1]])
    factors = guided.factors(torch.tensor([[1.0, 2, 3, 4], [1, -2, 3, 1]]), targets)
    assert_close(factors["gamma_pos"][0].item(), 2 * sigmoid(2) / sigmoid(-1), rtol=1e-4, atol=0)


def test_cutoffs_are_no_setting_of_a_loss():
    assert not any("cutoffs" in loss_settings(name) for name in LOSSES)
    assert [type(make_loss(name, COUNTS, N_IMAGES, cutoffs=(12, 9))) for name in LOSSES] == [
        kind for kind, _ in LOSSES.values()
    ]
