"""Focal loss."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lmptlib.losses.base import ClassificationLoss

Gamma = Annotated[float, Field(ge=0, description="how far elements that are right are turned down; 0: not at all")]


class FocalLoss(ClassificationLoss):
    """Turns down what is already right, so that hard elements lead (Lin et al., ICCV 2017; PG Eq. 4).

    -(1 - p_t)^gamma log p_t,   p_t = p where y = 1, 1 - p where y = 0

    With `alpha`, positives weigh alpha and negatives 1 - alpha. gamma 0 is BCE.

    A positive that is right counts for next to nothing, one that is wrong for nearly as much as under BCE (0.13 and 2.13):

    >>> import torch
    >>> from lmptlib.losses import FocalLoss
    >>> loss = FocalLoss(class_counts=torch.tensor([60, 4]), n_images=64)
    >>> loss.elementwise(logits=torch.tensor([[2.0, -2.0]]), targets=torch.tensor([[1.0, 1.0]]))
    tensor([[0.0018, 1.6501]])
    """

    def __init__(
        self,
        class_counts: Tensor,
        n_images: int,
        gamma: Gamma = 2.0,
        alpha: Annotated[
            float | None, Field(ge=0, le=1, description="weight of positives, negatives have the rest; none: both 1")
        ] = None,
    ):
        super().__init__(class_counts, n_images)
        self.gamma, self.alpha = gamma, alpha

    def _elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        right = (2 * targets - 1) * logits  # the logit of p_t
        loss = -F.logsigmoid(right) * torch.exp(self.gamma * F.logsigmoid(-right))
        return loss if self.alpha is None else loss * (self.alpha * targets + (1 - self.alpha) * (1 - targets))
