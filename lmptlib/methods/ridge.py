"""Ridge regression of the labels on image features."""

from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from lmptlib.methods.base import Batch
from lmptlib.methods.closed_form import ClosedFormSettings, LinearForm, rows_of


class Prepared(NamedTuple):
    mean: Tensor  # (D,)
    values: Tensor  # (D,), eigenvalues of X'X
    vectors: Tensor  # (D, D)
    targets: Tensor  # (D, C), X'(Y - mean Y) in the eigenvectors


class Ridge(LinearForm):
    """W = (X'X + ridge I)^-1 X'(Y - mean Y), score (f - mean X) W (Hoerl and Kennard, Technometrics 1970).

    X are the features of the training images, plain and flipped, less their mean; Y their labels. One eigendecomposition
    of X'X gives it for every ridge.

    Of single labels each row counts (R / K) / n, of R rows and K classes, n of them the row's: all classes weigh alike, in the
    means too.
    """

    class Settings(ClosedFormSettings):
        ridge: float | None = Field(
            None, gt=0, le=1e9, description="what is added to the diagonal of X'X; none: chosen by folds"
        )

    grid: ClassVar = {"ridge": (0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0)}

    def prepare(self, batch: Batch) -> Prepared:
        x, y = rows_of(batch)
        weights = balancing(y) if self.problem.single else torch.ones_like(y[:, :1])
        total = weights.sum()
        mean = (weights * x).sum(0) / total
        x = x - mean
        values, vectors = torch.linalg.eigh(x.T @ (weights * x))
        centred = y - (weights * y).sum(0) / total
        return Prepared(mean, values, vectors, vectors.T @ (x.T @ (weights * centred)))

    def fit(self, prepared: Prepared, values: dict[str, float]) -> None:
        self.mean.copy_(prepared.mean)
        self.weight.copy_((prepared.vectors @ (prepared.targets / (prepared.values + values["ridge"])[:, None])).T)


def balancing(y: Tensor) -> Tensor:
    """Weights (R, 1) of rows with one label each (R, C), of mean 1, under which classes that have rows weigh alike."""
    counts = y.sum(0)
    return y @ (len(y) / (counts > 0).sum() / counts.clamp(min=1))[:, None]
