"""Linear discriminants of each class, with a text prior."""

from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lmptlib.methods.base import Batch
from lmptlib.methods.closed_form import ClosedFormSettings, LinearForm, rows_of
from lmptlib.methods.cosine import centre


class Prepared(NamedTuple):
    mean: Tensor  # (D,)
    counts: Tensor  # (C,), photographs of each class
    differences: Tensor  # (C, D), mean of a class's positives less that of its negatives; single labels: less the mean
    values: Tensor  # (D,), eigenvalues of the covariance of residuals
    vectors: Tensor  # (D, D)


class LDASettings(ClosedFormSettings):
    kappa: float | None = Field(
        None,
        ge=0,
        le=1e9,
        description="photographs that the text counts for in a class's direction; none: chosen by folds",
    )
    rho: float | None = Field(
        None, gt=0, le=1, description="shrinkage of the covariance to a multiple of I; none: chosen by folds"
    )


class LDA(LinearForm):
    """w_c = S^-1 D_c, score (f - m) w_c: Fisher's discriminant of each class, all labels at once (ours).

    D_c = (n_c (mu+ - mu-) + kappa s t_c) / (n_c + kappa), S = (1 - rho) R'R/N + rho tr(R'R/N)/D I

    mu+, mu- are means of a class's positives and negatives, n_c its photographs, t_c its centred text feature at unit length
    and s the mean over classes of |mu+ - mu-|: the text is a prior that a class of few photographs leans on, and all that a
    class of none has. R are the features less what all labels together and an intercept explain of them by least squares, so
    that S is not widened by the other labels of an image. With one class and kappa 0 it is the linear discriminant of two
    groups (scikit-learn's LinearDiscriminantAnalysis). m is the mean of the features, plain and flipped. A label that is not
    known makes its image neither positive nor negative, and R has no images with such labels.

    Of single labels it is the linear discriminant of all classes at equal priors: score (f - m) w_c - D_c w_c / 2, where the
    mean over classes of mu+ stands for every mu- and for m, so that D_c is where the class lies. S is then the covariance
    within classes, and with kappa 0 scikit-learn's the same, but for the classes' frequencies.
    """

    Settings = LDASettings
    grid: ClassVar = {"kappa": (2.0, 8.0), "rho": (0.05, 0.1, 0.2, 0.4, 0.8)}

    @classmethod
    def masks_unknown(cls, settings: Any) -> bool:
        return True

    def prepare(self, batch: Batch) -> Prepared:
        x, y = rows_of(batch)
        negative, whole = torch.cat([batch.negatives()] * 2).double(), batch.is_labelled().repeat(2)
        return statistics(x, y, negative, whole, batch.targets.sum(0).double(), self.problem.single)

    def fit(self, prepared: Prepared, values: dict[str, float]) -> None:
        directions = with_text(prepared.differences, prepared.counts, self.text, values["kappa"])
        shrunk = (1 - values["rho"]) * prepared.values + values["rho"] * prepared.values.mean()
        self.mean.copy_(prepared.mean)
        # Where labels explain all of the features there is no covariance left to divide by.
        weight = directions @ prepared.vectors / shrunk.clamp(min=1e-12) @ prepared.vectors.T
        self.set_weight(weight, directions)


def statistics(x: Tensor, positive: Tensor, negative: Tensor, whole: Tensor, counts: Tensor, single: bool) -> Prepared:
    """What lda takes from rows x (R, D), which are positive and negative for classes (R, C) of `counts` (C,) photographs.

    whole (R,): of which rows all labels are known; the others are no part of the covariance. Rows that are neither for any
    class are left out of it, and of single labels, where a row of one class is a negative of all others and no more, those
    that are no positives.
    """
    if single:
        mean, centres = class_centres(x, positive)
        shown = positive.any(1)
        return Prepared(mean, counts, centres, *eigen(residuals(x[shown] - mean, positive[shown])))
    mean = x.mean(0)
    x = x - mean
    known = (positive + negative).any(1) & whole
    scatter = eigen(residuals(x[known], positive[known]))
    return Prepared(mean, counts, mean_differences(x, positive, negative), *scatter)


def class_centres(x: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (D,) of the classes' means, and these less it, (C, D); zero where a class has no positive (R, C) among x (R, D)."""
    counts = positive.sum(0)[:, None]
    means = positive.T @ x / counts.clamp(min=1)
    mean = means.sum(0) / (counts > 0).sum().clamp(min=1)
    return mean, torch.where(counts > 0, means - mean, 0.0)


def mean_differences(x: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Mean of each class's positives less that of its negatives, (C, D); zero where a class has none of either.

    x (N, D); positive and negative (N, C), 1 where a row is one.
    """
    n_positive, n_negative = positive.sum(0)[:, None], negative.sum(0)[:, None]
    difference = positive.T @ x / n_positive.clamp(min=1) - negative.T @ x / n_negative.clamp(min=1)
    return torch.where((n_positive > 0) & (n_negative > 0), difference, 0.0)


def residuals(x: Tensor, y: Tensor) -> Tensor:
    """Features (N, D) less what labels (N, C) and an intercept explain of them."""
    design = torch.cat([torch.ones_like(y[:, :1]), y], dim=1)
    # By the Gram matrix, (C + 1, C + 1): labels may hold each other, so that it has no inverse.
    return x - design @ (torch.linalg.pinv(design.T @ design, hermitian=True) @ (design.T @ x))


def eigen(x: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (D,) and eigenvectors (D, D) of x'x / N."""
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    return values.clamp(min=0), vectors


def with_text(differences: Tensor, counts: Tensor, text: Tensor, kappa: float) -> Tensor:
    """Directions (C, D) of classes: what their photographs say and, for as much as kappa photographs, what the text says."""
    prior = F.normalize(centre(text), dim=-1)
    lengths = differences.norm(dim=-1)
    scale = lengths.sum() / (lengths > 0).sum().clamp(min=1)
    counts = counts[:, None]
    directions = (counts * differences + kappa * scale * prior) / (counts + kappa).clamp(min=1e-12)
    return torch.where(counts > 0, directions, scale * prior)
