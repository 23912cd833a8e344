"""Binary cross-entropy."""

import torch.nn.functional as F
from torch import Tensor, nn


class BCELoss(nn.Module):
    """`-y log p - (1 - y) log(1 - p)`, p = sigmoid(z): every class of every image weighs the same."""

    def __init__(self, class_counts: Tensor, n_images: int):
        super().__init__()

    def elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of every element, (B, C)."""
        return F.binary_cross_entropy_with_logits(logits, targets.to(logits), reduction="none")

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over images and classes of logits and targets (B, C)."""
        return self.elementwise(logits, targets).mean()
