"""Losses for long-tailed multi-label recognition, by name.

A classification loss takes `(logits, targets)`, both (B, C), and gives the mean over all elements; its `elementwise`
gives the (B, C) values. Adding a loss is a class and a line in `LOSSES`.
"""

import inspect

import torch
from torch import Tensor, nn

from lmptlib.data import nearest
from lmptlib.losses.bce import BCELoss
from lmptlib.losses.cse import CSELoss
from lmptlib.losses.distribution_balanced import DistributionBalancedLoss

_DB = DistributionBalancedLoss
LOSSES: dict[str, tuple[type[nn.Module], dict]] = {
    "bce": (BCELoss, {}),
    "r_bce": (_DB, {"tolerant": False, "gamma": 0.0}),
    "r_bce_focal": (_DB, {"tolerant": False, "gamma": 2.0}),
    "ntr": (_DB, {"rebalance": False, "gamma": 0.0}),
    "ntr_focal": (_DB, {"rebalance": False, "gamma": 2.0}),
    "db": (_DB, {"gamma": 0.0}),
    "db_focal": (_DB, {"gamma": 2.0}),
}
# Published hyper-parameters (Wu et al., ECCV 2020, as LMPT takes them over). A loss reads those it has.
PRESETS = {
    "voc-lt": {"alpha": 0.1, "beta": 10.0, "mu": 0.3, "kappa": 0.05, "lam": 5.0},
    "coco-lt": {"alpha": 0.1, "beta": 10.0, "mu": 0.2, "kappa": 0.05, "lam": 2.0},
}


def make_loss(
    name: str, class_counts: Tensor, n_images: int, preset: str = "voc-lt", allow_empty: bool = False, **settings
) -> nn.Module:
    """A loss by name.

    class_counts (C,): training images of each class, out of n_images. `preset` gives the published hyper-parameters,
    `settings` go over them. A class without training images is refused unless `allow_empty`; it then has no class
    weight. Raises ValueError on an unknown name, preset or setting.
    """
    if name not in LOSSES:
        raise ValueError(f"unknown loss '{name}'.{nearest(name, LOSSES)}")
    if preset not in PRESETS:
        raise ValueError(f"unknown preset '{preset}'.{nearest(preset, PRESETS)}")
    class_counts = torch.as_tensor(class_counts)
    if not allow_empty and (class_counts <= 0).any():
        empty = (class_counts <= 0).nonzero().flatten().tolist()
        raise ValueError(f"{name}: classes {empty} have no training image; leave them out or pass allow_empty=True")
    kind, fixed = LOSSES[name]
    free = [key for key in inspect.signature(kind).parameters if key not in ("class_counts", "n_images", *fixed)]
    for key in settings:
        if key not in free:
            raise ValueError(f"loss '{name}' has no setting '{key}'.{nearest(key, free) if free else ' It has none.'}")
    published = {key: value for key, value in PRESETS[preset].items() if key in free}
    return kind(class_counts, n_images, **{**published, **fixed, **settings})


__all__ = ["LOSSES", "PRESETS", "BCELoss", "CSELoss", "DistributionBalancedLoss", "make_loss"]
