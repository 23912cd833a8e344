"""Gaussian discriminants of each class, with a text prior."""

from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from lmptlib.methods.base import Batch
from lmptlib.methods.closed_form import ClosedFormSettings, LinearForm, rows_of
from lmptlib.methods.cosine import centre
from lmptlib.methods.lda import eigen, statistics


class Prepared(NamedTuple):
    mean: Tensor  # (D,)
    counts: Tensor  # (C,), photographs of each class
    n_images: int
    shares: Tensor  # (C,), of rows that are positive
    positives: Tensor  # (C, D), mean of a class's positives, in the eigenvectors
    negatives: Tensor  # (C, D), mean of its negatives, likewise
    values: Tensor  # (D,), eigenvalues of the covariance of all rows
    vectors: Tensor  # (D, D)


class GDA(LinearForm):
    """w_c = (S_c + ridge tr(S_c) / (N - 1) I)^-1 (mu+ - mu-), score (f - m) w_c, each class by itself.

    mu+ <- (n_c mu+ + kappa (t_c + m - mean t)) / (n_c + kappa)

    The training-free classifier of Wang et al., "A hard-to-beat baseline for training-free CLIP-based adaptation" (ICLR
    2024), for many labels (ours). S_c is the scatter within the two groups of rows that show class c and that do not, over
    the rows; N and n_c count photographs; ridge 1 is the source's ridge (Kubokawa and Srivastava, J. Multivariate Analysis
    2008). t_c is the text feature, moved to where images are: to the mean m of their features, plain and flipped. With
    kappa 0 the direction is that of ridge regression on the class's labels.

    S_c is the covariance of all rows less share (1 - share) d d', d = mu+ - mu- before the text: one eigendecomposition
    serves all classes, by Sherman and Morrison.

    Of single labels it is the source's own: score (f - m) w_c - mu_c w_c / 2 at equal priors, S the scatter within classes
    for all of them, m the mean of the classes' means, and mu_c, the class's less it, in place of mu+ - mu-.
    """

    class Settings(ClosedFormSettings):
        kappa: float | None = Field(
            None,
            ge=0,
            le=1e9,
            description="photographs that the text counts for in a class's mean; none: chosen by folds",
        )
        ridge: float | None = Field(
            None, gt=0, le=1e9, description="ridge on a class's scatter, in tr / (N - 1); none: chosen by folds"
        )

    grid: ClassVar = {"kappa": (1.0, 3.0), "ridge": (0.1, 0.3, 1.0, 3.0, 10.0)}

    def prepare(self, batch: Batch) -> Prepared:
        x, y = rows_of(batch)
        counts, n_images = batch.targets.sum(0).double(), len(batch.targets)
        if self.problem.single:
            of_all = statistics(x, y, 1 - y, batch.is_labelled().repeat(2), counts, True)
            centres, nothing = of_all.differences @ of_all.vectors, torch.zeros_like(of_all.differences)
            return Prepared(
                of_all.mean, counts, n_images, nothing[:, 0], centres, nothing, of_all.values, of_all.vectors
            )
        mean = x.mean(0)
        x = x - mean
        values, vectors = eigen(x)
        x = x @ vectors
        positives = y.T @ x / y.sum(0).clamp(min=1)[:, None]
        negatives = (1 - y).T @ x / (1 - y).sum(0).clamp(min=1)[:, None]
        return Prepared(mean, counts, n_images, y.mean(0), positives, negatives, values, vectors)

    def fit(self, prepared: Prepared, values: dict[str, float]) -> None:
        counts, kappa, vectors = prepared.counts[:, None], values["kappa"], prepared.vectors
        text = centre(self.text) @ vectors
        positives = (counts * prepared.positives + kappa * text) / (counts + kappa).clamp(min=1e-12)
        directions = torch.where(counts > 0, positives, text) - prepared.negatives

        between = prepared.positives - prepared.negatives
        share = (prepared.shares * (1 - prepared.shares))[:, None]
        trace = prepared.values.sum() - share * between.square().sum(1, keepdim=True)
        ridge = values["ridge"] * trace / max(prepared.n_images - 1, 1)
        # At least so much that a class whose two groups are a point each has a finite weight.
        total = prepared.values + ridge.clamp(min=1e-10)
        along = between / total
        lift = share * (along * directions).sum(1, keepdim=True) / (1 - share * (along * between).sum(1, keepdim=True))
        self.mean.copy_(prepared.mean)
        weight = (directions / total + lift * along) @ vectors.T
        self.set_weight(weight, directions @ vectors.T)
