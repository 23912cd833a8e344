"""Probability guided loss: probability re-balancing and adaptive focal factors, apart and together."""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor

from lmptlib.data.dataset import CUTOFFS, GROUPS, class_groups
from lmptlib.losses.base import ClassificationLoss, Kappa, mean_of_known

FactorName = Literal["l1_pos", "l2_pos", "l1_neg", "l2_neg"]
FACTORS: tuple[str, ...] = get_args(FactorName)
# A number, three (head, medium, tail), or one a class.
Factor = PositiveFloat | Sequence[PositiveFloat]


def mean_probabilities(logits: Tensor, targets: Tensor, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Per class, the mean of p over positives and of 1 - p over negatives, (C,) each (PG Eq. 6).

    logits and targets (B, C). NaN for a class without positives (or negatives): gaps stay gaps. A label that is not `known`,
    (B, C) bool, is neither.

    >>> import torch
    >>> from lmptlib.losses import mean_probabilities
    >>> logits, targets = torch.tensor([[2.0, 0.0], [-2.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    >>> mean_probabilities(logits, targets)
    (tensor([0.8808, 0.5000]), tensor([0.8808,    nan]))
    """
    positive, negative = probability_sums(logits, targets, known)
    return positive[0] / positive[1], negative[0] / negative[1]


def probability_sums(logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
    """(2, 2, C): of the positives, then of the negatives, the sum of their probabilities and how many there are."""
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    p, targets = torch.sigmoid(logits), targets.to(logits)
    negatives = 1 - targets if known is None else (1 - targets) * known
    sides = ((p, targets), (1 - p, negatives))
    return torch.stack([torch.stack([(each * of_side).sum(0), of_side.sum(0)]) for each, of_side in sides])


class ProbabilityGuidedLoss(ClassificationLoss):
    """Steers how fast the probabilities of positives and negatives move, and keeps them together (PG Eq. 3-10, corrected).

    y=1: (1 - q)^L+ / l2+ * log(1 + exp(-l1+ (z - v)))      q = sigmoid(z - v)
    y=0:      q^L-  / l2- * log(1 + exp( l1- (z - v)))      v_i = kappa log(N/n_i - 1), n_i kept in [1, N - 1]

    Raising l1 quickens, raising l2 damps. A factor is a number, three (head, medium, tail by the data set's `cutoffs`),
    or one for each of more than three classes. PR has fixed factors and no focal exponents. With the mean confidences
    pbar+ and pbar- of the batch (`mean_probabilities`, on z) and R = (pbar+ + 1e-6) / (pbar- + 1e-6) per class, detached
    and kept in [1/4, 4] (ours):

        focal `adaptive` (APAF): L+ = l0 R, L- = l0 / R        focal `fixed`: L+ = L- = l0
        factors named in `adaptive` (APR; the form is ours): l1- and l1+ are divided by R, l2+ and l2- multiplied by R

    A class without positives (negatives) in the batch takes its group's mean over the classes that have some; a group
    without any takes R = 1.

    Source: Lin, "Probability Guided Loss". Corrected: Eq. 5's positive subscripts are swapped, Eq. 9 lacks its minus
    signs, Eq. 10's exponents have the wrong sign.

    Negatives that are surer than positives: the exponent of positives falls, so that they move faster.

    >>> import torch
    >>> from lmptlib.losses import ProbabilityGuidedLoss
    >>> loss = ProbabilityGuidedLoss(class_counts=torch.tensor([60, 4]), n_images=64)
    >>> logits, targets = torch.tensor([[-1.0, -1.0], [-1.0, -1.0]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    >>> factors = loss.factors(logits, targets)
    >>> factors["gamma_pos"], factors["gamma_neg"]
    (tensor([0.7358, 0.7358]), tensor([5.4366, 5.4366]))
    """

    group: Tensor
    shift: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        n_images: int,
        l1_pos: Annotated[Factor, Field(description="quickens positives; one number, or of head, medium, tail")] = 1.0,
        l2_pos: Annotated[Factor, Field(description="damps positives; one number, or of head, medium, tail")] = 1.0,
        l1_neg: Annotated[Factor, Field(description="quickens negatives; one number, or of head, medium, tail")] = 1.0,
        l2_neg: Annotated[Factor, Field(description="damps negatives; one number, or of head, medium, tail")] = 1.0,
        kappa: Kappa = 0.05,
        adaptive: Annotated[Sequence[FactorName], Field(description="factors that follow the batch")] = ("l1_neg",),
        l0: Annotated[float, Field(ge=0, description="size of the focal exponents")] = 2.0,
        focal: Annotated[
            Literal["none", "fixed", "adaptive"],
            Field(description="focal exponents: none, fixed at l0, or adaptive: l0 by the batch's confidences"),
        ] = "adaptive",
        cutoffs: tuple[int, int] = CUTOFFS,
    ):
        super().__init__(class_counts, n_images)
        self.adaptive, self.l0, self.focal = tuple(adaptive), l0, focal
        counts = self.class_counts
        groups = class_groups(counts.cpu().numpy(), cutoffs)
        self.register_buffer("group", torch.tensor([GROUPS.index(name) for name in groups]))  # (C,)
        self.register_buffer("shift", kappa * torch.log(n_images / counts.clamp(1, max(n_images - 1, 1)) - 1))
        for name, given in zip(FACTORS, (l1_pos, l2_pos, l1_neg, l2_neg)):
            value = torch.as_tensor(given, dtype=torch.float64)
            if value.shape == (3,):
                value = value[self.group]
            if value.shape not in ((), counts.shape) or not (value > 0).all():
                raise ValueError(
                    f"{name} is a positive number, three (head, medium, tail) or one a class, not {value.tolist()}"
                )
            self.register_buffer(name, value.expand_as(counts).clone())

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        if known is None:
            return super().forward(logits, targets)
        means = mean_probabilities(logits.detach(), targets, known)
        return mean_of_known(self.elementwise(logits, targets, means), known)

    def elementwise(self, logits: Tensor, targets: Tensor, means: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """The loss of every element, (B, C). `means` (pbar+, pbar-), (C,) each, stand in for those of this batch."""
        return self._elementwise(*self._prepared(logits, targets), means)

    @torch.no_grad()
    def factors(self, logits: Tensor, targets: Tensor, means: tuple[Tensor, Tensor] | None = None) -> dict[str, Tensor]:
        """The factors of this batch, (C,) each: l1_pos, l2_pos, l1_neg, l2_neg and, with focal, gamma_pos, gamma_neg.

        `means` as in `elementwise`.
        """
        found = {name: getattr(self, name).to(logits) for name in FACTORS}
        ratio = torch.ones_like(found["l1_pos"])
        if self.adaptive or self.focal == "adaptive":
            ratio = self._ratio(*(means or mean_probabilities(logits, targets))).to(logits)
        for name in self.adaptive:
            found[name] = found[name] / ratio if name.startswith("l1") else found[name] * ratio
        if self.focal == "adaptive":
            found |= {"gamma_pos": self.l0 * ratio, "gamma_neg": self.l0 / ratio}
        elif self.focal == "fixed":
            found |= dict.fromkeys(("gamma_pos", "gamma_neg"), torch.full_like(found["l1_pos"], self.l0))
        return found

    def _ratio(self, positive: Tensor, negative: Tensor) -> Tensor:
        positive, negative = self._fill(positive), self._fill(negative)
        ratio = ((positive + 1e-6) / (negative + 1e-6)).clamp(1 / 4, 4)
        # A side that the whole group lacks is NaN.
        return ratio.nan_to_num(nan=1.0)

    def _fill(self, mean: Tensor) -> Tensor:
        """Means (C,) with the NaN ones replaced by their group's mean over the others, NaN where the group has none."""
        present = ~mean.isnan()
        total = mean.new_zeros(len(GROUPS)).index_add(0, self.group, mean.nan_to_num())
        count = mean.new_zeros(len(GROUPS)).index_add(0, self.group, present.to(mean))
        return mean.where(present, (total / count)[self.group])

    def _elementwise(self, logits: Tensor, targets: Tensor, means: tuple[Tensor, Tensor] | None = None) -> Tensor:
        factor = self.factors(logits, targets, means)
        shifted = logits - self.shift.to(logits)
        positive = -F.logsigmoid(factor["l1_pos"] * shifted) / factor["l2_pos"]
        negative = -F.logsigmoid(-factor["l1_neg"] * shifted) / factor["l2_neg"]
        if self.focal != "none":
            positive = positive * torch.exp(factor["gamma_pos"] * F.logsigmoid(-shifted))
            negative = negative * torch.exp(factor["gamma_neg"] * F.logsigmoid(shifted))
        return targets * positive + (1 - targets) * negative
