"""LMPT's class-specific embedding loss."""

import math

import pytest
import torch
from oracles import COUNTS, C, mean
from torch.testing import assert_close

from lmptlib.losses import CSELoss


def cse_batch(level: str):
    """Six captions and C prompts near the first five; token captions end in padding and the last has no token."""
    generator = torch.Generator().manual_seed(2)
    shape = (5,) if level == "feature" else (5, 4)
    captions = torch.randn(6, *shape, generator=generator, dtype=torch.float64)
    prompts = captions + 0.3 * torch.randn(C, *shape, generator=generator, dtype=torch.float64)
    if level == "token":
        for k, length in enumerate([5, 3, 4, 1, 2, 0]):
            captions[k, length:] = 0
    return captions, prompts, (torch.rand(6, C, generator=generator) < 0.4).double()


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))


@pytest.mark.parametrize("level", ["feature", "token"])
@pytest.mark.parametrize("soft_margin", [True, False])
@pytest.mark.parametrize("reweight", [True, False, "ones"])
def test_cse_is_its_formula(reweight, soft_margin, level):
    captions, prompts, targets = cse_batch(level)
    counts, eta, gamma = COUNTS.tolist(), 1.3, 0.7
    margins = [eta * n**-0.25 for n in counts]
    if not soft_margin:
        margins = [mean(margins)] * C
    total = sum(n**-gamma for n in counts)
    weights = {True: [n**-gamma / total for n in counts], False: [1 / C] * C, "ones": [1.0] * C}[reweight]
    expected, inside = 0.0, 0
    for k, caption in enumerate(captions.tolist()):
        for i, prompt in enumerate(prompts.tolist()):
            pairs = [(caption, prompt)] if level == "feature" else [(t, o) for t, o in zip(caption, prompt) if any(t)]
            distance = 1 - (mean([cosine(t, o) for t, o in pairs]) if pairs else 0)
            if targets[k, i]:
                expected += weights[i] * distance
            else:
                expected += max(0.0, weights[i] * (margins[i] - distance))
                inside += distance < margins[i]
    assert inside
    loss = CSELoss(COUNTS, eta=eta, gamma=gamma, soft_margin=soft_margin, reweight=reweight, level=level)
    assert loss(captions, prompts, targets).item() == pytest.approx(expected / 6, rel=1e-9)
    assert loss.inside_margin(captions, prompts, targets) == pytest.approx(inside / (targets == 0).sum().item())
    assert torch.autograd.gradcheck(lambda o: loss(captions, o, targets), prompts.requires_grad_())


def test_cse_defaults():
    stated = CSELoss(COUNTS, eta=1, gamma=1, soft_margin=True, reweight=True, level="feature")
    assert CSELoss(COUNTS)(*cse_batch("feature")) == stated(*cse_batch("feature"))


def test_cse_padding_has_no_effect():
    captions, prompts, targets = cse_batch("token")
    longer = torch.cat([captions, torch.zeros(6, 3, 4)], 1), torch.cat([prompts, torch.randn(C, 3, 4)], 1)
    loss = CSELoss(COUNTS, level="token")
    assert_close(loss(*longer, targets), loss(captions, prompts, targets))


@pytest.mark.parametrize("level", ["feature", "token"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cse_in_half_precision(dtype, level):
    captions, prompts, targets = cse_batch(level)
    expected = CSELoss(COUNTS, level=level)(captions, prompts, targets)
    value = CSELoss(COUNTS, level=level)(captions.to(dtype), prompts.to(dtype).requires_grad_(), targets.to(dtype))
    assert value.item() == pytest.approx(expected.item(), rel=0.02)  # not NaN for padding


@pytest.mark.parametrize("settings", [{}, dict(soft_margin=False), dict(reweight=False), dict(reweight="ones")])
def test_cse_leaves_a_class_without_images_out(settings):
    captions, prompts, targets = cse_batch("feature")
    empty, kept = COUNTS.clone(), [0, 1, 2, 3, 5]
    empty[4] = 0
    expected = CSELoss(COUNTS[kept], **settings)(captions, prompts[kept], targets[:, kept])
    assert_close(CSELoss(empty, **settings)(captions, prompts, targets), expected)


@pytest.mark.parametrize("settings", [dict(reweight="x"), dict(level="word")])
def test_cse_wrong_settings(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        CSELoss(COUNTS, **settings)
