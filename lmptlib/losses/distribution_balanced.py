"""Distribution-balanced loss: re-balanced weights, negative-tolerant regularisation, and their focal forms."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lmptlib.losses.base import ClassificationLoss, Kappa
from lmptlib.losses.focal import Gamma


class DistributionBalancedLoss(ClassificationLoss):
    """Re-balances an image's classes by their frequency and tolerates confident negatives (LMPT Eq. 8-10).

    With n_i of N training images in class i, for image k and class i:

        r_ik = (1/n_i) / sum_{j in pos(k)} 1/n_j,   r^ = alpha + sigmoid(beta * (r - mu)),   v_i = kappa * log(N/n_i - 1)
        y=1: r^ * 2 (1-q)^gamma * log(1 + exp(-(z - v))),             q = sigmoid(z - v)
        y=0: r^ * 2 q^gamma * (1/lam) * log(1 + exp(lam * (z - v))),  q = sigmoid(lam * (z - v))

    The factor 2 belongs to the focal form: with gamma 0 there is no factor in front. R-BCE is kappa 0 and lam 1;
    NTR is without `rebalance`: r^ = 1. An image without positives has r^ = alpha + 1. A class with n_i = 0 has
    r^ = 0: where weights are used, it has no part in the loss. In v, n_i is kept within [1, N-1].

    Source: Wu et al., "Distribution-Balanced Loss", ECCV 2020; LMPT Eq. 8-10, whose sum in Eq. 8 runs over the image's
    positives as here. `bias="code"` takes v/lam for v, as the authors' code does.

    Where both classes are in the image, the frequent one weighs least:

    >>> import torch
    >>> from lmptlib.losses import DistributionBalancedLoss
    >>> loss = DistributionBalancedLoss(class_counts=torch.tensor([60, 4]), n_images=64)
    >>> loss.weights(torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    tensor([[0.1851, 1.0983],
            [1.0991, 1.1000]])
    """

    shift: Tensor  # (C,): v
    inverse: Tensor  # (C,): 1 / n

    def __init__(
        self,
        class_counts: Tensor,
        n_images: int,
        rebalance: Annotated[bool, Field(description="with the weights r^, or without")] = True,
        gamma: Gamma = 2.0,
        alpha: Annotated[float, Field(ge=0, description="least weight r^ of a class with images")] = 0.1,
        beta: Annotated[float, Field(ge=0, description="steepness of r^ over the share r of a class")] = 10.0,
        mu: Annotated[float, Field(ge=0, description="share r at which r^ is halfway up")] = 0.3,
        kappa: Kappa = 0.05,
        lam: Annotated[float, Field(gt=0, description="the larger, the less negatives cost that are right")] = 5.0,
        bias: Annotated[Literal["paper", "code"], Field(description="the shift v: paper, or code: v / lam")] = "paper",
    ):
        super().__init__(class_counts, n_images)
        self.rebalance, self.gamma = rebalance, gamma
        self.alpha, self.beta, self.mu = alpha, beta, mu
        self.lam = lam
        counts = self.class_counts
        shift = kappa * torch.log(n_images / counts.clamp(1, max(n_images - 1, 1)) - 1)
        self.register_buffer("shift", shift / lam if bias == "code" else shift)
        self.register_buffer("inverse", torch.where(counts > 0, 1 / counts.clamp(min=1), 0.0))

    def weights(self, targets: Tensor) -> Tensor:
        """r^ of targets (B, C), in their floating type."""
        inverse = self.inverse.to(targets)
        positive_mass = (targets * inverse).sum(1, keepdim=True)
        ratio = inverse / positive_mass.clamp(min=torch.finfo(targets.dtype).tiny)
        smooth = self.alpha + torch.sigmoid(self.beta * (ratio - self.mu))
        return torch.where(positive_mass > 0, smooth, self.alpha + 1.0) * (inverse > 0)

    def _elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        shifted = logits - self.shift.to(logits)
        wrong = torch.where(targets > 0, -shifted, self.lam * shifted)  # the logit of being wrong: 1 - p_t = sigmoid
        loss = -F.logsigmoid(-wrong) * (targets + (1 - targets) / self.lam)  # F.softplus rounds above 20
        if self.gamma:
            loss = loss * 2 * torch.exp(self.gamma * F.logsigmoid(wrong))
        return loss * self.weights(targets) if self.rebalance else loss
