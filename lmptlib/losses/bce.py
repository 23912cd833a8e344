"""Binary cross-entropy, plain, under its second name, and weighted by class frequency."""

import torch.nn.functional as F
from torch import Tensor

from lmptlib.losses.base import ClassificationLoss


class BCELoss(ClassificationLoss):
    """Every class of every image weighs the same: the baseline of all tables (PG Eq. 2).

    -y log p - (1 - y) log(1 - p),   p = sigmoid(z)

    >>> import torch
    >>> from lmptlib.losses import BCELoss
    >>> loss = BCELoss(class_counts=torch.tensor([60, 4]), n_images=64)
    >>> loss(logits=torch.tensor([[2.0, -1.0]]), targets=torch.tensor([[1.0, 0.0]]))
    tensor(0.2201)
    """

    def _elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")


class MultiLabelSoftMarginLoss(BCELoss):
    """BCE under another name: LMPT's Table 2 lists both, and their difference there is noise.

    The value is torch.nn.functional.multilabel_soft_margin_loss, the mean of BCE over classes and images.
    """

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        if known is not None:
            return super().forward(logits, targets, known)
        return F.multilabel_soft_margin_loss(*self._prepared(logits, targets))


class ReweightedBCELoss(BCELoss):
    """Rare classes weigh more, by the inverse square root of their frequency (ERM's rival RW in LMPT Table 1).

    sqrt(N / n_i) * BCE;   a class with n_i = 0 has weight 0

    >>> import torch
    >>> from lmptlib.losses import ReweightedBCELoss
    >>> ReweightedBCELoss(class_counts=torch.tensor([64, 4]), n_images=64).weight.tolist()
    [1.0, 4.0]
    """

    weight: Tensor  # (C,)

    def __init__(self, class_counts: Tensor, n_images: int):
        super().__init__(class_counts, n_images)
        counts = self.class_counts
        self.register_buffer("weight", (n_images / counts.clamp(min=1)).sqrt() * (counts > 0))

    def _elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self.weight.to(logits) * super()._elementwise(logits, targets)
