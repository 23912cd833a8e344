"""A linear classifier on frozen image features."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lmptlib.methods.base import Batch, Learning, Method, Phase, Problem, Settings


class Probe(nn.Module):
    """`W f + b` of image features f (B, D), W (C, D) and b starting at zero. Calling it gives (B, C)."""

    def __init__(self, n_classes: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_classes, width))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, images: Tensor) -> Tensor:
        return images @ self.weight.T + self.bias


class LinearProbe(Method):
    """The probe alone: its scores are logits already (LMPT Fig. 4's FC; PG's setting on frozen features)."""

    Settings: ClassVar[type[Settings]] = Learning

    def __init__(self, settings: Learning, problem: Problem):
        super().__init__(settings, problem)
        self.probe = Probe(len(problem.class_names), problem.width)

    @classmethod
    def masks_unknown(cls, settings: Any) -> bool:
        return True

    def phases(self) -> list[Phase]:
        settings = self.settings
        weights = {"params": list(self.probe.parameters()), "lr": settings.lr, "weight_decay": settings.weight_decay}
        return [Phase([weights], settings.sampler, settings.epochs)]

    def scores(self, batch: Batch, text: Tensor | None) -> Tensor:
        return self.probe(batch.images)

    def directions(self, text: Tensor | None) -> Tensor:
        return self.probe.weight
