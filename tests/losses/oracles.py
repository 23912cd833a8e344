"""What the losses are tested against: published settings, batches, and each formula written out in Python floats."""

import math

import pytest
import torch

from lmptlib.losses import LOSSES, PRESETS

N_IMAGES = 500
COUNTS = torch.tensor([400, 130, 60, 25, 12, 3])  # two head, two medium, two tail classes
EDGE_COUNTS = torch.tensor([500, 100, 99, 20, 19, 1])  # the limits of the groups; a class in every image
C = len(COUNTS)

# ------------------------------------------------------------------------------------------- settings, as published
PR = dict(l1_pos=1, l2_pos=1, l1_neg=1, l2_neg=1, kappa=0.05)
FACTORS = ("l1_pos", "l2_pos", "l1_neg", "l2_neg")
REBALANCED, TOLERANT = dict(alpha=0.1, beta=10, mu=0.3), dict(kappa=0.05, lam=5, bias="paper")
DEFAULTS = {
    "bce": {},
    "mls": {},
    "rw": {},
    "focal": dict(gamma=2, alpha=None),
    "cb": dict(beta=0.9, mode="by_class", scale=1),
    "cb_focal": dict(beta=0.9, mode="by_class", scale=1, gamma=2),
    "r_bce": REBALANCED,
    "ntr": TOLERANT,
    "db": {**REBALANCED, **TOLERANT},
    "r_bce_focal": REBALANCED,
    "ntr_focal": TOLERANT,
    "db_focal": {**REBALANCED, **TOLERANT},
    "asl": dict(gamma_neg=4, gamma_pos=0, margin=0.05, detach_weight=True),
    "ldam": dict(max_margin=0.5, scale=1),
    "pr": PR,
    "apr": dict(PR, adaptive=("l1_neg",)),
    "apaf": dict(l0=2),
    "pg": dict(PR, adaptive=("l1_neg",), l0=2, focal="adaptive"),
    "ce": {},
    "balanced_softmax": {},
    "logit_adjustment": dict(tau=1),
    "ldam_ce": dict(max_margin=0.5, scale=1),
    "focal_ce": dict(gamma=2),
    "cb_ce": dict(beta=0.999),
}
OVER_CLASSES = ("ce", "balanced_softmax", "logit_adjustment", "ldam_ce", "focal_ce", "cb_ce")
GUIDED = ("pr", "apr", "apaf", "pg")
OURS = ("pr", "apr", "pg")  # no paper states the factors of their presets


def settings_of(name: str, preset: str | None, given: dict) -> dict:
    """The defaults, over them what the papers publish for a data set, over that what a test gives."""
    published = {"voc-lt": dict(scale=10), "coco-lt": dict(scale=10, mu=0.2, lam=2)}.get(preset, {})
    if name in ("ldam", *OVER_CLASSES):
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
        "logit_adjustment": dict(tau=0.5),
        "ldam_ce": dict(max_margin=0.3, scale=30),
        "focal_ce": dict(gamma=0.5),
        "cb_ce": dict(beta=0.9),
    }.items()
    for name in names.split()
]
every_case = pytest.mark.parametrize(
    ("name", "preset", "given"), CASES, ids=["-".join(map(str, [n, p or "", *g.values()])) for n, p, g in CASES]
)

ALL = slice(None)
# The classes that a batch holds nowhere or everywhere.
KINDS = {
    "mixed": ([], 0),
    "yes to all": ([], 0),
    "no labels": (ALL, 0),
    "all labels": (ALL, 1),
    "class absent": ([3], 0),
    "group absent": ([4, 5], 0),
    "class in all": ([0], 1),
    "group in all": ([0, 1], 1),
}


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


def oracle_over_classes(name: str, s: dict, counts, logits, targets) -> list[list[float]]:
    """Each label's share of its image's cross-entropy."""
    total, largest = sum(counts), max(n**-0.25 for n in counts)
    effective = [(1 - s.get("beta", 0)) / (1 - s.get("beta", 0) ** n) for n in counts]
    out = []
    for z, y in zip(logits, targets):
        z = list(z)
        if name == "balanced_softmax":
            z = [each + math.log(n) for each, n in zip(z, counts)]
        elif name == "logit_adjustment":
            z = [each + s["tau"] * math.log(n / total) for each, n in zip(z, counts)]
        elif name == "ldam_ce":
            margins = [s["max_margin"] * n**-0.25 / largest for n in counts]
            z = [s["scale"] * (each - m * label) for each, m, label in zip(z, margins, y)]
        top = max(z)
        log_sum = top + math.log(sum(math.exp(each - top) for each in z))
        row = []
        for i, (each, label) in enumerate(zip(z, y)):
            value = label / max(sum(y), 1) * (log_sum - each)
            if name == "focal_ce":
                value *= (-math.expm1(each - log_sum)) ** s["gamma"]
            elif name == "cb_ce":
                value *= effective[i] / mean(effective)
            row.append(value)
        out.append(row)
    return out


def oracle(name: str, s: dict, counts, logits, targets, frozen=None) -> torch.Tensor:
    """Every element by its formula, in Python floats; detached quantities are taken at the logits `frozen`."""
    counts, logits, targets = counts.tolist(), logits.tolist(), targets.tolist()
    frozen = logits if frozen is None else frozen.tolist()
    factors = oracle_factors(s, counts, frozen, targets)
    if name in OVER_CLASSES:
        return torch.tensor(oracle_over_classes(name, s, counts, logits, targets), dtype=torch.float64)
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
