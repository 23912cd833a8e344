"""Multi-label LDAM."""

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lmptlib.losses.base import ClassificationLoss


class LDAMLoss(ClassificationLoss):
    """Asks rare classes for a larger margin before their positives count as right (Cao et al., NeurIPS 2019).

    BCE on scale * (z - m_i y),   m_i = max_margin * n_i^(-1/4) / max_j n_j^(-1/4)

    scale 1 on logits, 30 on cosines. A class with n_i = 0 has no margin.

    >>> import torch
    >>> from lmptlib.losses import LDAMLoss
    >>> LDAMLoss(class_counts=torch.tensor([16, 1]), n_images=64, max_margin=0.5).margin.tolist()
    [0.25, 0.5]
    """

    margin: Tensor  # (C,)

    def __init__(
        self,
        class_counts: Tensor,
        n_images: int,
        max_margin: Annotated[float, Field(ge=0, description="margin of the rarest class, before the scale")] = 0.5,
        scale: Annotated[float, Field(gt=0, description="factor on the logits: 1 for logits, 30 for cosines")] = 1.0,
    ):
        super().__init__(class_counts, n_images)
        self.scale = scale
        self.register_buffer("margin", frequency_margins(self.class_counts, max_margin))

    def _elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        z = self.scale * (logits - self.margin.to(logits) * targets)
        return F.binary_cross_entropy_with_logits(z, targets, reduction="none")


def frequency_margins(class_counts: Tensor, max_margin: float) -> Tensor:
    """Margins (C,) of classes with n images (C,), m = max_margin * n^(-1/4) / max_j n_j^(-1/4); 0 for a class of none."""
    quarter = class_counts.clamp(min=1) ** -0.25 * (class_counts > 0)
    return max_margin * quarter / quarter.max()
