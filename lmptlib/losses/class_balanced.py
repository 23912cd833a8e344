"""Class-balanced loss: weights by the effective number of samples."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from lmptlib.losses.focal import FocalLoss, Gamma


class ClassBalancedLoss(FocalLoss):
    """Weighs by the effective number of samples, which grows slower than their number (Cui et al., CVPR 2019).

    scale * (1 - beta) / (1 - beta^n) * focal loss;   gamma 0 weighs BCE

    mode: `by_class` takes n = n_i for class i. The others give an image one weight from its positives: `average_n` from
    their mean n, `average_w` the mean of their weights, `min_n` from their smallest n. An image without positives takes
    the mean weight over classes (ours), a class with n_i = 0 has weight 0.
    Published: beta 0.9 by_class times 10 (LMPT Table 2), beta 0.9 average_w (Wu et al., ECCV 2020).

    With beta 0.9 a class of 60 images counts as one of about 10, and a class of 4 as one of 3.4:

    >>> import torch
    >>> from lmptlib.losses import ClassBalancedLoss
    >>> 1 / ClassBalancedLoss(class_counts=torch.tensor([60, 4]), n_images=64).weights(torch.zeros(1, 2))
    tensor([9.9820, 3.4390])
    """

    weight: Tensor  # (C,)
    mean_weight: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        n_images: int,
        gamma: Gamma = 2.0,
        beta: Annotated[
            float,
            Field(ge=0, lt=1, description="the nearer to 1, the more images count; 0 weighs all classes the same"),
        ] = 0.9,
        mode: Annotated[
            Literal["by_class", "average_n", "average_w", "min_n"],
            Field(description="whose n weighs: the class's, or one weight an image, from its positives"),
        ] = "by_class",
        scale: Annotated[float, Field(gt=0, description="factor on the whole loss")] = 1.0,
    ):
        super().__init__(class_counts, n_images, gamma)
        self.beta, self.mode, self.scale = beta, mode, scale
        present = self.class_counts > 0
        self.register_buffer("weight", self._effective(self.class_counts.clamp(min=1)) * present)
        self.register_buffer("mean_weight", self.weight[present].mean())

    def _effective(self, n: Tensor) -> Tensor:
        return (1 - self.beta) / (1 - torch.exp(n * torch.tensor(self.beta, dtype=n.dtype).log()))

    def weights(self, targets: Tensor) -> Tensor:
        """The weights of targets (B, C): (C,) by class, else (B, C)."""
        weight, counts = self.weight.to(targets), self.class_counts.to(targets)
        if self.mode == "by_class":
            return self.scale * weight
        n_positive = targets.sum(1, keepdim=True)
        if self.mode == "average_w":
            of_image = (targets * weight).sum(1, keepdim=True) / n_positive.clamp(min=1)
        elif self.mode == "average_n":
            of_image = self._effective(((targets * counts).sum(1, keepdim=True) / n_positive.clamp(min=1)).clamp(min=1))
        else:
            smallest = counts.expand_as(targets).masked_fill(targets == 0, torch.inf).amin(1, keepdim=True)
            of_image = self._effective(smallest.clamp(min=1))
        of_image = of_image.where(n_positive > 0, self.mean_weight.to(targets))
        return self.scale * of_image * (counts > 0)

    def _elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self.weights(targets) * super()._elementwise(logits, targets)
