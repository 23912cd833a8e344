"""Logistic regression on image features, each class by itself."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from lmptlib.methods.base import Batch
from lmptlib.methods.closed_form import ClosedFormSettings, LinearForm


class Prepared(NamedTuple):
    mean: Tensor  # (D,)
    scale: float
    images: np.ndarray  # (N, D)
    targets: np.ndarray  # (N, C)
    known: np.ndarray  # (N, C), which targets a class is learned from
    models: list[LogisticRegression]  # of each class


class Logistic(LinearForm):
    """Minimises |w|^2 / 2 + C sum_i v_i log(1 + exp(-+ (w f_i + b))), v_i = N / (2 n) of the n images of its kind.

    scikit-learn's LogisticRegression, class_weight "balanced" (weights as in King and Zeng, Political Analysis 2001). Features
    are those of the plain images, less their mean and divided by one number, the root of their mean variance. C is taken in
    rising order, each fit from the one before. A class that every image shows, or none, has weight zero. A class is learned
    from the images of which it is known whether they show it.
    """

    class Settings(ClosedFormSettings):
        C: float | None = Field(
            None, gt=0, le=1e9, description="what the loss counts against |w|^2 / 2; none: chosen by folds"
        )

    grid: ClassVar = {"C": (1e-4, 3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 3e-1)}

    @classmethod
    def masks_unknown(cls, settings: Any) -> bool:
        return True

    def prepare(self, batch: Batch) -> Prepared:
        x = batch.images.double()
        mean = x.mean(0)
        x = x - mean
        scale = max(x.square().mean().sqrt().item(), 1e-12)
        options = {"class_weight": "balanced", "warm_start": True, "tol": 1e-4, "max_iter": 10_000}
        models = [LogisticRegression(**options) for _ in self.text]
        targets, known = (part.bool().cpu().numpy() for part in (batch.targets, batch.targets + batch.negatives()))
        return Prepared(mean, scale, (x / scale).cpu().numpy(), targets, known, models)

    def fit(self, prepared: Prepared, values: dict[str, float]) -> None:
        weight = np.zeros(self.weight.shape)
        for row, shown, known, model in zip(weight, prepared.targets.T, prepared.known.T, prepared.models):
            images, shown = prepared.images[known], shown[known]
            if shown.any() and not shown.all():
                row[:] = model.set_params(C=values["C"]).fit(images, shown).coef_
        self.mean.copy_(prepared.mean)
        self.weight.copy_(torch.from_numpy(weight / prepared.scale))
