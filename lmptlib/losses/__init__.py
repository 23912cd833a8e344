"""Losses for long-tailed multi-label recognition, by name.

A classification loss takes `(logits, targets)`, both (B, C), and gives the mean over all elements; its `elementwise`
gives the (B, C) values. Adding a loss is a file, a line in `LOSSES` and a test: CONTRIBUTING.md shows it in full.
"""

import inspect
from functools import cache
from typing import Any

import torch
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from torch import Tensor

from lmptlib.data.dataset import CUTOFFS
from lmptlib.errors import limits, literals, nearest, type_words
from lmptlib.losses.asymmetric import AsymmetricLoss
from lmptlib.losses.base import ClassificationLoss
from lmptlib.losses.bce import BCELoss, MultiLabelSoftMarginLoss, ReweightedBCELoss
from lmptlib.losses.class_balanced import ClassBalancedLoss
from lmptlib.losses.cse import CSELoss
from lmptlib.losses.distribution_balanced import DistributionBalancedLoss
from lmptlib.losses.focal import FocalLoss
from lmptlib.losses.ldam import LDAMLoss
from lmptlib.losses.probability_guided import ProbabilityGuidedLoss, mean_probabilities, probability_sums
from lmptlib.losses.softmax import (
    BalancedSoftmaxLoss,
    ClassBalancedCrossEntropyLoss,
    CrossEntropyLoss,
    FocalCrossEntropyLoss,
    LDAMCrossEntropyLoss,
    LogitAdjustmentLoss,
    class_logits,
)

# Parts of names that are words; the others are initials.
_WORDS = {"focal", "balanced", "softmax", "logit", "adjustment"}
# Arguments of a loss that the data give, and no user.
_OF_THE_DATA = ("class_counts", "n_images", "cutoffs")
_DB, _PG = DistributionBalancedLoss, ProbabilityGuidedLoss
# What a name fixes is no setting of it.
_REBALANCED = {"rebalance": True}
_EVEN = {"rebalance": False, "alpha": 0.0, "beta": 0.0, "mu": 0.0}
_INTOLERANT = {"kappa": 0.0, "lam": 1.0, "bias": "paper"}
_UNGUIDED = {"l1_pos": 1.0, "l2_pos": 1.0, "l1_neg": 1.0, "l2_neg": 1.0, "kappa": 0.0, "adaptive": ()}
LOSSES: dict[str, tuple[type[ClassificationLoss], dict]] = {
    "bce": (BCELoss, {}),
    "mls": (MultiLabelSoftMarginLoss, {}),
    "focal": (FocalLoss, {}),
    "rw": (ReweightedBCELoss, {}),
    "cb": (ClassBalancedLoss, {"gamma": 0.0}),
    "cb_focal": (ClassBalancedLoss, {}),
    "r_bce": (_DB, {**_REBALANCED, **_INTOLERANT, "gamma": 0.0}),
    "r_bce_focal": (_DB, {**_REBALANCED, **_INTOLERANT, "gamma": 2.0}),
    "ntr": (_DB, {**_EVEN, "gamma": 0.0}),
    "ntr_focal": (_DB, {**_EVEN, "gamma": 2.0}),
    "db": (_DB, {**_REBALANCED, "gamma": 0.0}),
    "db_focal": (_DB, {**_REBALANCED, "gamma": 2.0}),
    "asl": (AsymmetricLoss, {}),
    "ldam": (LDAMLoss, {}),
    "pr": (_PG, {"adaptive": (), "focal": "none", "l0": 0.0}),
    "apr": (_PG, {"focal": "none", "l0": 0.0}),
    "apaf": (_PG, {**_UNGUIDED, "focal": "adaptive"}),
    "pg": (_PG, {}),
    # of single labels: softmax over the classes
    "ce": (CrossEntropyLoss, {}),
    "balanced_softmax": (BalancedSoftmaxLoss, {}),
    "logit_adjustment": (LogitAdjustmentLoss, {}),
    "ldam_ce": (LDAMCrossEntropyLoss, {}),
    "focal_ce": (FocalCrossEntropyLoss, {}),
    "cb_ce": (ClassBalancedCrossEntropyLoss, {}),
}
# Settings by data set: a loss takes those of its class that it leaves free. Without a comment they are published.
PRESETS: dict[str, dict[type[ClassificationLoss], dict]] = {
    "voc-lt": {
        FocalLoss: {"gamma": 2.0},  # PG, Table 5
        ClassBalancedLoss: {"gamma": 2.0, "beta": 0.9, "mode": "by_class", "scale": 10.0},  # LMPT's code, Table 2
        _DB: {"alpha": 0.1, "beta": 10.0, "mu": 0.3, "kappa": 0.05, "lam": 5.0},  # Wu et al., ECCV 2020
        AsymmetricLoss: {"gamma_neg": 4.0, "gamma_pos": 0.0, "margin": 0.05, "detach_weight": True},  # LMPT's code
        LDAMLoss: {"max_margin": 0.5, "scale": 1.0},  # scale 1, for logits: ours
        # PG raises l1- and l2+ of the tail from DB's l1- = l2- = 5 and l1+ = l2+ = 1; how far is not published: 2 is ours
        _PG: {"l1_neg": (5.0, 5.0, 10.0), "l2_neg": 5.0, "l2_pos": (1.0, 1.0, 2.0), "kappa": 0.05, "l0": 2.0},
    },
    "coco-lt": {
        FocalLoss: {"gamma": 2.0},
        ClassBalancedLoss: {"gamma": 2.0, "beta": 0.9, "mode": "by_class", "scale": 10.0},
        _DB: {"alpha": 0.1, "beta": 10.0, "mu": 0.2, "kappa": 0.05, "lam": 2.0},
        AsymmetricLoss: {"gamma_neg": 4.0, "gamma_pos": 0.0, "margin": 0.05, "detach_weight": True},
        LDAMLoss: {"max_margin": 0.5, "scale": 1.0},  # scale 1: ours
        # PG raises l1- and l1+ of all classes from DB's l1- = l2- = 2 and l1+ = l2+ = 1; how far is not published: 2 is ours
        _PG: {"l1_neg": 4.0, "l2_neg": 2.0, "l1_pos": 2.0, "kappa": 0.05, "l0": 2.0},
    },
}


def loss_title(name: str) -> str:
    """A loss's name for reading: `DB-Focal`, `Balanced Softmax`."""
    parts = name.split("_")
    if all(part in _WORDS for part in parts):
        return " ".join(parts).title()
    return "-".join(part.title() if part in _WORDS else part.upper() for part in parts)


@cache
def settings_model(name: str) -> type[BaseModel]:
    """The settings that a loss leaves free, each with its type, bounds, default and meaning: a pydantic model.

    It is made of the arguments of the loss's class. Raises ValueError on an unknown name.
    """
    if name not in LOSSES:
        raise ValueError(f"unknown loss '{name}'.{nearest(name, LOSSES)}")
    kind, fixed = LOSSES[name]
    arguments = inspect.signature(kind).parameters.values()
    free: dict[str, Any] = {
        argument.name: (argument.annotation, argument.default)
        for argument in arguments
        if argument.name not in (*_OF_THE_DATA, *fixed)
    }
    return create_model(name, __config__=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False), **free)


def loss_settings(name: str) -> dict:
    """The settings that a loss leaves free, with their defaults. Raises ValueError on an unknown name."""
    return dict(settings_model(name)())


def preset_settings(name: str, preset: str | None) -> dict:
    """The settings of a preset that a loss by name takes: those that it leaves free."""
    published = PRESETS.get(preset, {}).get(LOSSES[name][0], {}) if preset else {}
    return {key: value for key, value in published.items() if key in settings_model(name).model_fields}


def effective_settings(name: str, preset: str | None = None, settings: dict | None = None) -> dict:
    """All settings that a loss by name works with: its defaults, over them the preset's and `settings`, and what it fixes.

    Raises ValueError, one line, on an unknown name or setting, and on a value that it cannot have.
    """
    given = preset_settings(name, preset) | (settings or {})
    try:
        return {**dict(settings_model(name)(**given)), **LOSSES[name][1]}
    except ValidationError as error:
        wrong = str(error.errors()[0]["loc"][0])
        problems = {problem["type"] for problem in error.errors() if problem["loc"][0] == wrong}
        raise ValueError(_complaint(name, wrong, given[wrong], problems)) from None


def _complaint(name: str, setting: str, value: Any, problems: set[str]) -> str:
    """What is wrong with a value, in our words, from the types of pydantic's errors."""
    fields = settings_model(name).model_fields
    if setting not in fields:
        hint = nearest(setting, fields) if fields else " It has none."
        return f"loss '{name}' has no setting '{setting}'.{hint}"
    field = fields[setting]
    expected = type_words(field.annotation)
    if choices := ", ".join(literals(field.annotation)):
        expected = f"one of {choices}" if expected == "text" else f"{expected} of {choices}"
    elif problems & {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"}:
        bounds = limits(field)
        expected = bounds if "below" in bounds or " to " in bounds else f"{bounds} and finite"
    return f"loss '{name}': {setting} is {expected}, not {value!r}"


def make_loss(
    name: str,
    class_counts: Tensor | ArrayLike,
    n_images: int,
    preset: str | None = None,
    allow_empty: bool = False,
    cutoffs: tuple[int, int] = CUTOFFS,
    **settings: Any,
) -> ClassificationLoss:
    """A loss by name.

    class_counts (C,): training images of each class, out of n_images. `preset` (voc-lt, coco-lt) gives the settings
    published for a data set, `settings` go over them. A class without training images is refused unless `allow_empty`;
    it then has no class weight. `cutoffs`: the data set's, for a loss that knows head, medium and tail classes. Raises
    ValueError on an unknown name, preset or setting.

    >>> import torch
    >>> from lmptlib.losses import make_loss
    >>> loss = make_loss("db_focal", class_counts=torch.tensor([60, 4]), n_images=64, preset="voc-lt", gamma=1.0)
    Traceback (most recent call last):
    ValueError: loss 'db_focal' has no setting 'gamma'. Did you mean 'lam'?
    >>> loss = make_loss("db_focal", class_counts=torch.tensor([60, 4]), n_images=64, preset="voc-lt", mu=0.2)
    >>> loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).shape
    torch.Size([])
    """
    all_settings = effective_settings(name, preset, settings)
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"unknown preset '{preset}'.{nearest(preset, PRESETS)}")
    class_counts = torch.as_tensor(class_counts)
    if not allow_empty and (class_counts <= 0).any():
        empty = (class_counts <= 0).nonzero().flatten().tolist()
        raise ValueError(f"{name}: classes {empty} have no training image; leave them out or pass allow_empty=True")
    kind = LOSSES[name][0]
    of_the_data = {"cutoffs": cutoffs} if "cutoffs" in inspect.signature(kind).parameters else {}
    return kind(class_counts, n_images, **all_settings, **of_the_data)


__all__ = [
    "LOSSES",
    "PRESETS",
    "AsymmetricLoss",
    "BCELoss",
    "BalancedSoftmaxLoss",
    "CSELoss",
    "ClassBalancedCrossEntropyLoss",
    "ClassBalancedLoss",
    "ClassificationLoss",
    "CrossEntropyLoss",
    "DistributionBalancedLoss",
    "FocalCrossEntropyLoss",
    "FocalLoss",
    "LDAMCrossEntropyLoss",
    "LDAMLoss",
    "LogitAdjustmentLoss",
    "MultiLabelSoftMarginLoss",
    "ProbabilityGuidedLoss",
    "ReweightedBCELoss",
    "class_logits",
    "effective_settings",
    "loss_settings",
    "loss_title",
    "make_loss",
    "mean_probabilities",
    "preset_settings",
    "probability_sums",
    "settings_model",
]
