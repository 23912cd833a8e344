"""Losses against scalar float64 oracles written apart from them, outside oracles, identities, gradients and edges."""

import math

import pytest
import torch
from torch.testing import assert_close

from lmptlib.losses import LOSSES, PRESETS, CSELoss, loss_settings, make_loss, mean_probabilities

N_IMAGES = 500
COUNTS = torch.tensor([400, 130, 60, 25, 12, 3])  # two head, two medium, two tail classes
EDGE_COUNTS = torch.tensor([500, 100, 99, 20, 19, 1])  # the limits of the groups; a class in every image
C = len(COUNTS)

# ------------------------------------------------------------------------------------------- settings, as published
PR = dict(l1_pos=1, l2_pos=1, l1_neg=1, l2_neg=1, kappa=0.05)
FACTORS = ("l1_pos", "l2_pos", "l1_neg", "l2_neg")
REBALANCED, TOLERANT = dict(alpha=0.1, beta=10, mu=0.3), dict(kappa=0.05, lam=5, bias="paper")
DEFAULTS = {
    "bce": {}, "mls": {}, "rw": {}, "focal": dict(gamma=2, alpha=None),
    "cb": dict(beta=0.9, mode="by_class", scale=1), "cb_focal": dict(beta=0.9, mode="by_class", scale=1, gamma=2),
    "r_bce": REBALANCED, "ntr": TOLERANT, "db": {**REBALANCED, **TOLERANT},
    "r_bce_focal": REBALANCED, "ntr_focal": TOLERANT, "db_focal": {**REBALANCED, **TOLERANT},
    "asl": dict(gamma_neg=4, gamma_pos=0, margin=0.05, detach_weight=True), "ldam": dict(max_margin=0.5, scale=1),
    "pr": PR, "apr": dict(PR, adaptive=("l1_neg",)), "apaf": dict(l0=2),
    "pg": dict(PR, adaptive=("l1_neg",), l0=2, focal="adaptive"),
}  # fmt: skip
GUIDED = ("pr", "apr", "apaf", "pg")
OURS = ("pr", "apr", "pg")  # no paper states the factors of their presets


def settings_of(name: str, preset: str | None, given: dict) -> dict:
    """The defaults, over them what the papers publish for a data set, over that what a test gives."""
    published = {"voc-lt": dict(scale=10), "coco-lt": dict(scale=10, mu=0.2, lam=2)}.get(preset, {})
    if name == "ldam":
        published = {}
    if preset and name in OURS:
        published = PRESETS[preset][LOSSES[name][0]]
    return {**DEFAULTS[name], **{key: value for key, value in published.items() if key in DEFAULTS[name]}, **given}


CASES = [(name, preset, {}) for name in DEFAULTS for preset in (None, "voc-lt", "coco-lt")]
CASES += [
    (name, None, settings)
    for names, settings in {
        "focal": dict(gamma=1.5, alpha=0.25),
        "cb cb_focal": dict(mode="average_n", beta=0.99),
        "cb cb_focal ": dict(mode="average_w", scale=3),  # a blank keeps the keys apart
        "cb cb_focal  ": dict(mode="min_n"),
        "cb_focal": dict(gamma=0.5),
        "r_bce r_bce_focal db": dict(alpha=0.2, beta=5, mu=0.1),
        "ntr ntr_focal db db_focal": dict(kappa=0.2, lam=3, bias="code"),
        "asl": dict(gamma_neg=2, gamma_pos=1.5, margin=0.1),
        "asl ": dict(gamma_neg=2, gamma_pos=1, margin=0, detach_weight=False),
        "asl  ": dict(gamma_neg=0, margin=0.2),
        "ldam": dict(max_margin=0.3, scale=30),
        "pr apr pg": dict(l1_pos=2, l2_pos=(1, 3, 5), l1_neg=(1, 1, 2), l2_neg=(1, 2, 3, 4, 5, 6), kappa=0.3),
        "apr pg": dict(adaptive=FACTORS, l1_pos=2, l2_neg=(1, 2, 3)),
        "apr pg ": dict(adaptive=("l2_pos", "l1_pos"), l2_pos=(1, 2, 3, 4, 5, 6)),
        "apaf pg": dict(l0=1.5),
        "pg": dict(focal="fixed", l0=3),
        "pg ": dict(focal="none", adaptive=()),
    }.items()
    for name in names.split()
]
every_case = pytest.mark.parametrize(
    ("name", "preset", "given"), CASES, ids=["-".join(map(str, [n, p or "", *g.values()])) for n, p, g in CASES]
)

ALL = slice(None)
KINDS = {  # the classes that a batch holds nowhere or everywhere
    "mixed": ([], 0), "yes to all": ([], 0), "no labels": (ALL, 0), "all labels": (ALL, 1),
    "class absent": ([3], 0), "group absent": ([4, 5], 0), "class in all": ([0], 1), "group in all": ([0, 1], 1),
}  # fmt: skip


def batch(kind: str = "mixed", n_images: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Random logits and labels; the first image has no label, the second has all of them."""
    generator = torch.Generator().manual_seed(list(KINDS).index(kind))
    logits = 3 * torch.randn(n_images, C, generator=generator, dtype=torch.float64)
    targets = (torch.rand(n_images, C, generator=generator) < 0.4).double()
    targets[0], targets[1] = 0, 1
    columns, label = KINDS[kind]
    targets[:, columns] = label
    return logits + 6 * (kind == "yes to all"), targets


# ------------------------------------------------------------------------------------------------- scalar oracles
def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def log1pexp(x: float) -> float:
    """log(1 + e^x)."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def mean(values) -> float:
    return sum(values) / len(values)


def shift(n: int, kappa: float) -> float:
    return kappa * math.log(N_IMAGES / min(max(n, 1), N_IMAGES - 1) - 1)


def group(n: int) -> int:
    return 0 if n >= 100 else 1 if n >= 20 else 2


def oracle_means(logits, targets):
    """Per class mean p over its positives and mean 1 - p over its negatives; None where it has none."""
    columns = [list(zip(z, y)) for z, y in zip(zip(*logits), zip(*targets))]
    positive = [[sigmoid(z) for z, y in column if y] for column in columns]
    negative = [[sigmoid(-z) for z, y in column if not y] for column in columns]
    return [mean(p) if p else None for p in positive], [mean(p) if p else None for p in negative]


def oracle_factors(s: dict, counts, logits, targets) -> dict[str, list[float]]:
    pos, neg = oracle_means(logits, targets)
    groups = [group(n) for n in counts]

    def complete(own, other):
        out = []
        for i in range(C):
            present = [own[j] for j in range(C) if groups[j] == groups[i] and own[j] is not None]
            out.append(own[i] if own[i] is not None else mean(present) if present else other[i])
        return out

    pos, neg = complete(pos, neg), complete(neg, pos)
    ratio = [min(max((p + 1e-6) / (q + 1e-6), 1 / 4), 4) for p, q in zip(pos, neg)]
    power = {"l1_neg": -1, "l2_pos": 1, "l1_pos": -1, "l2_neg": 1}
    factors = {}
    for key in FACTORS:
        value = s.get(key, 1)
        if not isinstance(value, tuple | list):
            value = [value] * C
        elif len(value) == 3:
            value = [value[g] for g in groups]
        adapts = key in s.get("adaptive", ())
        factors[key] = [a * r ** power[key] if adapts else a for a, r in zip(value, ratio)]
    focal = s.get("focal", "adaptive" if "l0" in s else "none")
    if focal != "none":
        factors["gamma_pos"] = [s["l0"] * (r if focal == "adaptive" else 1) for r in ratio]
        factors["gamma_neg"] = [s["l0"] / (r if focal == "adaptive" else 1) for r in ratio]
    return factors


def oracle_cb_weight(s: dict, counts, i: int, positives: list[int]) -> float:
    def weight(n):
        return (1 - s["beta"]) / (1 - s["beta"] ** n)

    if s["mode"] == "by_class":
        return s["scale"] * weight(counts[i])
    if not positives:
        return s["scale"] * mean([weight(n) for n in counts])
    own = [counts[j] for j in positives]
    by_mode = {"average_n": weight(mean(own)), "average_w": mean([weight(n) for n in own]), "min_n": weight(min(own))}
    return s["scale"] * by_mode[s["mode"]]


def oracle(name: str, s: dict, counts, logits, targets, frozen=None) -> torch.Tensor:
    """Every element by its formula, in Python floats; detached quantities are taken at the logits `frozen`."""
    counts, logits, targets = counts.tolist(), logits.tolist(), targets.tolist()
    frozen = logits if frozen is None else frozen.tolist()
    factors = oracle_factors(s, counts, frozen, targets)
    out = [[0.0] * C for _ in logits]
    for k, row in enumerate(targets):
        positives = [j for j in range(C) if row[j]]
        for i, n in enumerate(counts):
            z, y = logits[k][i], row[i]
            sign = -1 if y else 1
            wrong = sigmoid(sign * z)  # 1 - p_t
            value = log1pexp(sign * z)  # -log p_t
            if name == "focal":
                value *= wrong ** s["gamma"]
                if s["alpha"] is not None:
                    value *= s["alpha"] if y else 1 - s["alpha"]
            elif name == "rw":
                value *= math.sqrt(N_IMAGES / n)
            elif name in ("cb", "cb_focal"):
                value *= oracle_cb_weight(s, counts, i, positives) * wrong ** s.get("gamma", 0)
            elif name.startswith(("r_bce", "ntr", "db")):
                v, lam = shift(n, s.get("kappa", 0)), s.get("lam", 1)
                v = v / lam if s.get("bias") == "code" else v
                value = log1pexp(-(z - v)) if y else log1pexp(lam * (z - v)) / lam
                if name.endswith("focal"):
                    value *= 2 * (sigmoid(-(z - v)) if y else sigmoid(lam * (z - v))) ** 2
                if "mu" in s and positives:
                    r = (1 / n) / sum(1 / counts[j] for j in positives)
                    value *= s["alpha"] + sigmoid(s["beta"] * (r - s["mu"]))
                elif "mu" in s:
                    value *= s["alpha"] + 1
            elif name == "asl":
                at = frozen[k][i] if s["detach_weight"] else z
                if y:
                    value *= (1 - sigmoid(at)) ** s["gamma_pos"]
                else:
                    value = -(max(sigmoid(at) - s["margin"], 0) ** s["gamma_neg"])
                    value *= math.log(min(sigmoid(-z) + s["margin"], 1))  # 1 - p_m
            elif name == "ldam":
                margin = s["max_margin"] * n**-0.25 / max(m**-0.25 for m in counts)
                value = log1pexp(-s["scale"] * (z - margin)) if y else log1pexp(s["scale"] * z)
            elif name in GUIDED:
                f = {key: values[i] for key, values in factors.items()}
                x = z - shift(n, s.get("kappa", 0))
                if y:
                    value = sigmoid(-x) ** f.get("gamma_pos", 0) * log1pexp(-f["l1_pos"] * x) / f["l2_pos"]
                else:
                    value = sigmoid(x) ** f.get("gamma_neg", 0) * log1pexp(f["l1_neg"] * x) / f["l2_neg"]
            out[k][i] = value
    return torch.tensor(out, dtype=torch.float64)


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
        assert value.item() == pytest.approx(expected.mean().item(), rel=1e-9)


@every_case
def test_gradient_is_that_of_the_formula(name, preset, given):
    """Central differences of the oracle, with what the loss detaches held where it is."""
    for kind in ("mixed", "group absent", "class in all"):
        logits, targets = batch(kind)
        args = name, settings_of(name, preset, given), COUNTS
        rise = oracle(*args, logits + 1e-5, targets, logits) - oracle(*args, logits - 1e-5, targets, logits)
        loss = make_loss(name, COUNTS, N_IMAGES, preset, **given)
        loss(logits.requires_grad_(), targets).backward()
        assert_close(logits.grad * logits.numel(), rise / 2e-5, rtol=1e-6, atol=1e-8)


@every_case
def test_autograd_passes_gradcheck_where_nothing_is_detached(name, preset, given):
    s = settings_of(name, preset, given)
    if s.get("detach_weight") or s.get("adaptive") or s.get("focal") == "adaptive" or name == "apaf":
        pytest.skip("has detached parts")
    logits, targets = batch(n_images=3)
    loss = make_loss(name, COUNTS, N_IMAGES, preset, **given)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


# ---------------------------------------------------------------------------------------- the PG family's factors
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


# ---------------------------------------------------------------------------------------- identities, outside oracles
NEUTRAL = dict(alpha=0.5, beta=0.0)


@pytest.mark.parametrize(
    ("name", "settings", "other", "others"),
    [
        ("mls", {}, "bce", {}), ("focal", dict(gamma=0), "bce", {}), ("cb", dict(beta=0, scale=1), "bce", {}),
        ("cb", dict(beta=0, mode="average_w"), "bce", {}), ("cb_focal", dict(beta=0, scale=1), "focal", {}),
        ("r_bce", NEUTRAL, "bce", {}), ("db", dict(lam=1, kappa=0, **NEUTRAL), "bce", {}),
        ("db_focal", NEUTRAL, "ntr_focal", {}), ("db", dict(bias="code", kappa=0.05), "db", dict(kappa=0.01)),
        ("ntr", dict(lam=3), "pr", dict(l1_neg=3, l2_neg=3)), ("ldam", dict(max_margin=0, scale=1), "bce", {}),
        ("asl", dict(gamma_neg=0, gamma_pos=0, margin=0), "bce", {}),
        ("asl", dict(gamma_neg=2, gamma_pos=2, margin=0), "focal", {}),
        ("pr", dict(kappa=0), "bce", {}), ("apr", dict(adaptive=(), l1_neg=(1, 1, 3)), "pr", dict(l1_neg=(1, 1, 3))),
        ("apaf", dict(l0=0), "bce", {}), ("pg", dict(kappa=0, adaptive=()), "apaf", {}),
        ("pg", dict(focal="none"), "apr", {}), ("pg", dict(focal="none", adaptive=(), l2_pos=2), "pr", dict(l2_pos=2)),
        ("pg", dict(kappa=0, adaptive=(), focal="fixed", l0=3), "focal", dict(gamma=3)),
    ],
)  # fmt: skip
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


# ------------------------------------------------------------------------------------------------------------ edges
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@every_case
def test_extremes_stay_finite(name, preset, given, dtype):
    for counts in (COUNTS, torch.full((C,), N_IMAGES), EDGE_COUNTS):
        loss = make_loss(name, counts, N_IMAGES, preset, **given)
        for kind in ("mixed", "no labels", "all labels"):
            noise, targets = (x.to(dtype) for x in batch(kind))
            for logits in (noise, *(torch.full_like(noise, x) for x in (1e4, -1e4, 0)), 1e4 * noise.sign()):
                value = loss(logits.requires_grad_(), targets)
                (gradient,) = torch.autograd.grad(value, logits)
                assert value.dtype == torch.float32 and value.isfinite()
                assert gradient.isfinite().all(), (kind, logits)
                assert value == loss(logits.float(), targets.float())


@every_case
def test_forward_writes_no_state(name, preset, given):
    loss = make_loss(name, COUNTS, N_IMAGES, preset, **given)
    before, attributes = {key: value.clone() for key, value in loss.state_dict().items()}, set(vars(loss))
    first = loss(*batch())
    loss(*batch("group absent"))
    assert loss(*batch()) == first
    assert set(vars(loss)) == attributes
    assert_close(loss.state_dict(), before, rtol=0, atol=0)


@every_case
def test_classes_without_images(name, preset, given):
    given = {key: value for key, value in given.items() if not (isinstance(value, tuple) and len(value) == C)}
    empty = COUNTS.clone()
    empty[4] = 0
    with pytest.raises(ValueError, match=r"\b4\b"):
        make_loss(name, empty, N_IMAGES, preset, **given)
    logits, targets = batch()
    targets[:, 4] = 0
    kept = [0, 1, 2, 3, 5]
    got = make_loss(name, empty, N_IMAGES, preset, allow_empty=True, **given).elementwise(logits, targets)
    without = make_loss(name, COUNTS[kept], N_IMAGES, preset, **given).elementwise(logits[:, kept], targets[:, kept])
    assert_close(got[:, kept], without)  # the other classes do not see it
    assert got.isfinite().all()
    if name.startswith(("rw", "cb", "r_bce", "db")):  # those with class weights
        assert (got[:, 4] == 0).all()


@pytest.mark.parametrize("name", DEFAULTS)
def test_wrong_shapes(name):
    logits, targets = batch()
    loss = make_loss(name, COUNTS, N_IMAGES)
    wrong = [(logits, targets[:4]), (logits, targets[:, :1]), (logits[:, :5], targets[:, :5]), (logits[0], targets[0])]
    for arguments in wrong:
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            loss(*arguments)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("dbfocal",), {}, "Did you mean 'db_focal'"),
        (("db",), dict(kapa=1.0), "Did you mean 'kappa'"),
        (("pg",), dict(focl="none"), "Did you mean 'focal'"),
        (("db", "voc"), {}, "Did you mean 'voc-lt'"),
        (("ntr",), dict(gamma=1.0), "gamma"),
        (("bce",), dict(alpha=1.0), "alpha"),
        (("db",), dict(bias="x"), "bias"),
        (("cb",), dict(mode="min"), "mode"),
        (("pg",), dict(focal="x"), "focal"),
        (("apr",), dict(adaptive=("l1-",)), "l1-"),
        (("pr",), dict(l1_neg=(1, 2)), "l1_neg"),
    ],
)
def test_wrong_settings_name_the_nearest(arguments, settings, message):
    name, *preset = arguments
    with pytest.raises(ValueError, match=message):
        make_loss(name, COUNTS, N_IMAGES, *preset, **settings)


# -------------------------------------------------------------------------------------------------------------- CSE
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
