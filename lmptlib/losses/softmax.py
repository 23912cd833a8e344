"""Cross-entropy over the classes, for single labels, plain and for long tails.

z are logits (B, C), y targets (B, C). An image of one class has one y of 1; where it has several labels each counts y / |y|,
|y| being their number, and an image without a label costs nothing. A class without training images is no part of the softmax.
The loss is the mean over images of the sum over classes.
"""

from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lmptlib.losses.base import ClassificationLoss
from lmptlib.losses.ldam import frequency_margins


def class_logits(logits: Tensor) -> Tensor:
    """Logits (..., C) whose sigmoid is the softmax of `logits` (..., C) over the classes: z_c - log sum_(j != c) exp(z_j).

    A single class has no others to be compared with: its logit stays.

    >>> import torch
    >>> from lmptlib.losses import class_logits
    >>> class_logits(torch.tensor([2.0, 0.0, 0.0]).log_softmax(-1)).sigmoid()
    tensor([0.7870, 0.1065, 0.1065])
    """
    if logits.shape[-1] == 1:
        return logits
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    # of all but the highest no probability is above a half, so that 1 - p is no difference of equals
    top = logits.argmax(-1, keepdim=True)
    total = logits.logsumexp(-1, keepdim=True)
    others = total + torch.log1p(-(logits - total).exp().clamp(max=0.5))
    return logits - others.scatter(-1, top, logits.scatter(-1, top, -torch.inf).logsumexp(-1, keepdim=True))


class CrossEntropyLoss(ClassificationLoss):
    """Every class weighs the same: the baseline of single labels.

    -(y / |y|) log p,   p = softmax(z)

    >>> import torch
    >>> from lmptlib.losses import CrossEntropyLoss
    >>> loss = CrossEntropyLoss(class_counts=torch.tensor([60, 4]), n_images=64)
    >>> loss(logits=torch.tensor([[2.0, -1.0]]), targets=torch.tensor([[1.0, 0.0]]))
    tensor(0.0486)
    """

    over_classes: ClassVar[bool] = True
    shift: Tensor  # (C,), added to the logits

    def __init__(self, class_counts: Tensor, n_images: int):
        super().__init__(class_counts, n_images)
        absent = self.class_counts == 0
        self.register_buffer("shift", torch.zeros_like(self.class_counts).masked_fill(absent, -torch.inf))

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """The mean over images of the sum over classes, of logits and targets (B, C).

        Raises ValueError where some labels are unknown: a class that an image may show is no rival of one that it does.
        """
        if known is not None:
            raise ValueError(f"{type(self).__name__} compares classes: it needs all labels of an image")
        return self.elementwise(logits, targets).sum(1).mean()

    def _elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        shares = targets / targets.sum(1, keepdim=True).clamp(min=1)
        return -shares * self._shifted(logits, targets).log_softmax(1).masked_fill(self.class_counts == 0, 0.0)

    def _shifted(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The logits (B, C) that the softmax takes."""
        return logits + self.shift.to(logits)


class BalancedSoftmaxLoss(CrossEntropyLoss):
    """The softmax of balanced classes, learned on unbalanced ones: rare classes need not make up for being rare.

    CE on z + log n   (Ren et al., NeurIPS 2020, Eq. 3-4)

    Scores are z: the shift is the training's alone.
    """

    def __init__(self, class_counts: Tensor, n_images: int):
        super().__init__(class_counts, n_images)
        self.shift += self.class_counts.clamp(min=1).log()


class LogitAdjustmentLoss(CrossEntropyLoss):
    """Balanced Softmax with a strength: tau 1 is it, tau 0 plain cross-entropy.

    CE on z + tau log pi,   pi = n / sum n   (Menon et al., ICLR 2021, Eq. 10)
    """

    def __init__(
        self,
        class_counts: Tensor,
        n_images: int,
        tau: Annotated[float, Field(ge=0, description="strength of the shift by the classes' frequencies")] = 1.0,
    ):
        super().__init__(class_counts, n_images)
        self.shift += tau * (self.class_counts / self.class_counts.sum()).clamp(min=1e-12).log()


class LDAMCrossEntropyLoss(CrossEntropyLoss):
    """Asks rare classes for a larger margin (Cao et al., NeurIPS 2019, Eq. 11-13).

    CE on scale * (z - m_i y),   m_i = max_margin * n_i^(-1/4) / max_j n_j^(-1/4)

    scale 1 on logits, 30 on cosines.
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

    def _shifted(self, logits: Tensor, targets: Tensor) -> Tensor:
        return super()._shifted(self.scale * (logits - self.margin.to(logits) * targets), targets)


class FocalCrossEntropyLoss(CrossEntropyLoss):
    """Images that are right with confidence count less (Lin et al., ICCV 2017, over classes).

    -(y / |y|) (1 - p)^gamma log p,   p = softmax(z)
    """

    def __init__(
        self,
        class_counts: Tensor,
        n_images: int,
        gamma: Annotated[float, Field(ge=0, description="how much less what is right already counts; 0 is CE")] = 2.0,
    ):
        super().__init__(class_counts, n_images)
        self.gamma = gamma
        self.alone = int((self.class_counts > 0).sum()) < 2

    def _elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.alone:
            # p is 1, and its loss 0, whatever is said
            return super()._elementwise(logits, targets)
        # the power by its logarithm, whose gradient is finite where p is 1
        easy = F.logsigmoid(-class_logits(self._shifted(logits, targets)))
        return (self.gamma * easy).exp() * super()._elementwise(logits, targets)


class ClassBalancedCrossEntropyLoss(CrossEntropyLoss):
    """Weighs classes by their effective numbers of images (Cui et al., CVPR 2019, Eq. 2, 9).

    w_i CE,   w_i = (1 - beta) / (1 - beta^n_i), scaled to a mean of 1; a class with n_i = 0 has weight 0
    """

    weight: Tensor  # (C,)

    def __init__(
        self,
        class_counts: Tensor,
        n_images: int,
        beta: Annotated[float, Field(ge=0, lt=1, description="how fast more images stop to count; 0 is CE")] = 0.999,
    ):
        super().__init__(class_counts, n_images)
        counts = self.class_counts
        weight = (counts > 0) * (1 - beta) / (1 - beta ** counts.clamp(min=1))
        self.register_buffer("weight", weight * (counts > 0).sum() / weight.sum())

    def _elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self.weight.to(logits) * super()._elementwise(logits, targets)
