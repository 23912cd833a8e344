"""Classes by the training images that an image is near to."""

from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lmptlib.methods.base import Batch, Problem
from lmptlib.methods.closed_form import ClosedForm, ClosedFormSettings, rows_of

_CHUNK = 1024  # images at once: with 10,000 keys their affinities take 80 MB


class Prepared(NamedTuple):
    mean: Tensor  # (D,)
    keys: Tensor  # (N, D)
    labels: Tensor  # (N, C), 1 shown, 0 not, -1 unknown


class Kernel(ClosedForm):
    """score_c = log(K Y / n_c) - log(K (1 - Y) / (N - n_c)), K = exp(-beta (1 - cos)) with the N training images.

    The cache of Tip-Adapter (Zhang et al., ECCV 2022, arXiv 2111.03930) for many labels (ours): how near the images of a class
    are, against how near all others are, whatever their numbers. Features are centred by the training images' mean and have
    unit length again; a key is a photograph and its flip together. A class that every image shows, or none, scores 0. Keys
    and labels are kept, in float64. A label that is not known makes its image neither one of the class nor one of the others.

    Of single labels it is log(K Y / n_c) - log(K 1 / N): the Bayes rule of Parzen's densities at equal priors.
    """

    class Settings(ClosedFormSettings):
        # exp(-600) is still far from what float64 rounds to zero.
        beta: float | None = Field(
            None, gt=0, le=300, description="how fast a training image counts less with distance; none: chosen by folds"
        )

    grid: ClassVar = {"beta": (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0)}
    mean: Tensor  # (D,)
    keys: Tensor  # (N, D)
    labels: Tensor  # (N, C)
    beta: Tensor  # ()

    def __init__(self, settings: ClosedFormSettings, problem: Problem):
        super().__init__(settings, problem)
        n_classes, width = self.text.shape
        self.register_buffer("mean", self.text.new_zeros(width))
        self.register_buffer("keys", self.text.new_zeros(problem.n_images, width))
        self.register_buffer("labels", self.text.new_zeros(problem.n_images, n_classes))
        self.register_buffer("beta", self.text.new_ones(()))

    @classmethod
    def masks_unknown(cls, settings: Any) -> bool:
        return True

    def prepare(self, batch: Batch) -> Prepared:
        mean = rows_of(batch)[0].mean(0)
        keys = unit(batch.images.double() + batch.flipped - 2 * mean)
        unknown = 1 - batch.targets - batch.negatives()
        return Prepared(mean, keys, (batch.targets - unknown).double())

    def fit(self, prepared: Prepared, values: dict[str, float]) -> None:
        # A fold's fit holds fewer keys than that to all training images, which is the last one and what is saved.
        self.mean, self.keys, self.labels = prepared
        self.beta.fill_(values["beta"])

    def raw(self, batch: Batch, text: Tensor | None = None) -> Tensor:
        return torch.cat([self._contrast(self._affinities(part)) for part in batch.images.split(_CHUNK)])

    def raw_of_fitted(self, batch: Batch) -> Tensor:
        """A training image does not see itself."""
        parts = []
        for start, part in enumerate(batch.images.split(_CHUNK)):
            affinities = self._affinities(part)
            own = torch.arange(len(part), device=part.device)
            affinities[own, start * _CHUNK + own] = 0
            parts.append(self._contrast(affinities))
        return torch.cat(parts)

    def _affinities(self, images: Tensor) -> Tensor:
        """K (B, N) of image features (B, D)."""
        return torch.exp(self.beta * (unit(images - self.mean) @ self.keys.T - 1))

    def _contrast(self, affinities: Tensor) -> Tensor:
        """Scores (B, C) of affinities (B, N); 0 where no image with the class is seen, or none without it."""
        shown, absent = (self.labels > 0).double(), (self.labels == 0).double()
        others = torch.ones_like(shown) if self.problem.single else absent
        positive, negative = affinities @ shown, affinities @ others
        ratio = (positive / shown.sum(0)).log() - (negative / others.sum(0)).log()
        return torch.where((positive > 0) & (negative > 0), ratio, 0.0)


def unit(features: Tensor) -> Tensor:
    """Features (N, D) at unit length, in float64."""
    return F.normalize(features.double(), dim=-1)
