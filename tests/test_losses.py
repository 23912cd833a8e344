"""Losses against scalar float64 oracles written apart from them, identities and finite differences."""

import math

import pytest
import torch

from lmptlib.losses import LOSSES, PRESETS, CSELoss, make_loss

COUNTS = torch.tensor([40, 12, 3, 1, 60])
N_IMAGES = 60


def batch(seed: int = 0, n_images: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(n_images, 5, generator=generator, dtype=torch.float64)
    targets = (torch.rand(n_images, 5, generator=generator) < 0.4).double()
    targets[0] = 0  # an image without labels
    targets[1] = 1
    return logits, targets


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def oracle(name: str, logits, targets, preset: str) -> float:
    """The formulas of the papers, one element at a time."""
    p = PRESETS[preset]
    tolerant, rebalanced = name.startswith(("ntr", "db")), name.startswith(("r_bce", "db"))
    total = 0.0
    for z_row, y_row in zip(logits.tolist(), targets.tolist()):
        positives = [j for j, y in enumerate(y_row) if y]
        for i, (z, y) in enumerate(zip(z_row, y_row)):
            n = min(max(COUNTS[i].item(), 1), N_IMAGES - 1)
            v = p["kappa"] * math.log(N_IMAGES / n - 1) if tolerant else 0.0
            lam = p["lam"] if tolerant else 1.0
            if y:
                q = sigmoid(z - v)
                value = -math.log(q)
                wrong = 1 - q
            else:
                q = sigmoid(lam * (z - v))
                value = -math.log(sigmoid(-lam * (z - v))) / lam  # log(1 - q)
                wrong = q
            if name.endswith("focal"):
                value *= 2 * wrong**2
            if rebalanced:
                if positives:
                    r = (1 / COUNTS[i].item()) / sum(1 / COUNTS[j].item() for j in positives)
                    value *= p["alpha"] + sigmoid(p["beta"] * (r - p["mu"]))
                else:
                    value *= p["alpha"] + 1
            total += value
    return total / logits.numel()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_its_formula(name, preset):
    logits, targets = batch()
    loss = make_loss(name, COUNTS, N_IMAGES, preset)
    value = loss(logits, targets)
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(oracle(name, logits, targets, preset), rel=1e-10)
    assert loss.elementwise(logits, targets).mean() == value


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_matches_finite_differences(name):
    logits, targets = batch(1, 3)
    loss = make_loss(name, COUNTS, N_IMAGES)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


def test_db_is_bce_when_everything_is_neutral():
    logits, targets = batch()
    db = make_loss("db", COUNTS, N_IMAGES, lam=1.0, kappa=0.0, alpha=0.5, beta=0.0)
    labelled = targets.any(1)  # without positives r^ is alpha + 1 by definition
    assert torch.allclose(
        db(logits[labelled], targets[labelled]), make_loss("bce", COUNTS, N_IMAGES)(logits[labelled], targets[labelled])
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_stay_finite(name, dtype):
    targets = batch()[1].to(dtype)
    for value in (1e4, -1e4, 0.0):
        logits = torch.full((8, 5), value, dtype=dtype, requires_grad=True)
        loss = make_loss(name, COUNTS, N_IMAGES)(logits, targets)
        loss.backward()
        assert logits.grad.isfinite().all()
        assert loss.isfinite()


def test_code_bias_divides_the_shift():
    logits, targets = batch()
    loss = make_loss("db", COUNTS, N_IMAGES, bias="code", lam=5.0, kappa=0.05)
    same = make_loss("db", COUNTS, N_IMAGES, lam=5.0, kappa=0.01)
    assert torch.allclose(loss(logits, targets), same(logits, targets))


def test_classes_without_images():
    empty = torch.tensor([40, 0, 3, 1, 60])
    with pytest.raises(ValueError, match=r"classes \[1\] have no training image"):
        make_loss("db_focal", empty, N_IMAGES)
    logits, targets = batch()
    targets[:, 1] = 0
    assert make_loss("db_focal", empty, N_IMAGES, allow_empty=True)(logits, targets).isfinite()
    cse = CSELoss(empty)
    assert cse.weight[1] == 0 and cse.weight.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_loss("dbfocal", COUNTS, N_IMAGES), "Did you mean 'db_focal'"),
        (lambda: make_loss("db", COUNTS, N_IMAGES, kapa=1.0), "Did you mean 'kappa'"),
        (lambda: make_loss("ntr", COUNTS, N_IMAGES, gamma=1.0), "no setting 'gamma'"),
        (lambda: make_loss("db", COUNTS, N_IMAGES, "voc"), "Did you mean 'voc-lt'"),
        (lambda: make_loss("db", COUNTS, N_IMAGES, bias="x"), "bias is"),
        (lambda: CSELoss(COUNTS, reweight="x"), "reweight is"),
    ],
)
def test_wrong_settings_name_the_nearest(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("soft_margin", [True, False])
@pytest.mark.parametrize("reweight", [True, False, "ones"])
def test_cse_is_its_formula(soft_margin, reweight):
    generator = torch.Generator().manual_seed(2)
    captions = torch.randn(6, 7, generator=generator, dtype=torch.float64)
    prompts = captions[:5] + 0.3 * torch.randn(5, 7, generator=generator, dtype=torch.float64)
    targets = (torch.rand(6, 5, generator=generator) < 0.4).double()
    eta, gamma = 1.3, 0.7
    margins = [eta * n**-0.25 for n in COUNTS.tolist()]
    if not soft_margin:
        margins = [sum(margins) / 5] * 5
    total = sum(n**-gamma for n in COUNTS.tolist())
    weights = {True: [n**-gamma / total for n in COUNTS.tolist()], False: [0.2] * 5, "ones": [1.0] * 5}[reweight]
    expected, inside = 0.0, 0
    for k in range(6):
        for i in range(5):
            t, o = captions[k].tolist(), prompts[i].tolist()
            dot = sum(a * b for a, b in zip(t, o))
            distance = 1 - dot / math.sqrt(sum(a * a for a in t) * sum(b * b for b in o))
            if targets[k, i]:
                expected += weights[i] * distance
            else:
                expected += max(0.0, weights[i] * (margins[i] - distance))
                inside += distance < margins[i]
    loss = CSELoss(COUNTS, eta, gamma, soft_margin, reweight)
    assert loss(captions, prompts, targets).item() == pytest.approx(expected / 6, rel=1e-10)
    assert loss.inside_margin(captions, prompts, targets) == pytest.approx(inside / (targets == 0).sum().item())
    assert torch.autograd.gradcheck(lambda o: loss(captions, o, targets), prompts.requires_grad_())
