"""What every classification loss shares."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

Kappa = Annotated[float, Field(ge=0, description="size of the shift v of a class's logits by its frequency; 0: none")]


class ClassificationLoss(nn.Module):
    """A loss on logits and targets (B, C), element by element; subclasses give `_elementwise`.

    class_counts (C,): training images of each class, out of n_images. A class with n_i = 0 has no class weight.
    Further arguments of a subclass are its settings: type, bounds, meaning and default stand there alone, and `make_loss`
    checks by them.
    Half-precision logits are raised to float32, float64 stays float64. over_classes: whether its probabilities are a softmax
    over the classes, and not a sigmoid of each.
    """

    over_classes: ClassVar[bool] = False
    class_counts: Tensor

    def __init__(self, class_counts: Tensor, n_images: int):
        super().__init__()
        self.register_buffer("class_counts", torch.as_tensor(class_counts, dtype=torch.float64))
        self.n_images = n_images

    def elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of every element, (B, C). Raises ValueError on shapes that do not fit."""
        return self._elementwise(*self._prepared(logits, targets))

    def forward(self, logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """The mean over images and classes of logits and targets (B, C); over those that are `known`, (B, C) bool."""
        each = self.elementwise(logits, targets)
        return each.mean() if known is None else mean_of_known(each, known)

    def _prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if logits.shape != targets.shape or logits.dim() != 2 or logits.shape[1] != len(self.class_counts):
            raise ValueError(
                f"{type(self).__name__}: logits {tuple(logits.shape)} and targets {tuple(targets.shape)} must both be "
                f"(B, {len(self.class_counts)})"
            )
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        return logits, targets.to(logits)

    def _elementwise(self, logits: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError


def mean_of_known(values: Tensor, known: Tensor) -> Tensor:
    """The mean of the values (B, C) that are known, (B, C) bool: of the others no gradient comes, whatever they are."""
    return values.where(known, 0.0).sum() / known.sum().clamp(min=1)
