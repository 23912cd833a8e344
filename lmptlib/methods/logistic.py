"""Logistic regression on image features, each class by itself."""

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lmptlib.methods.base import Batch
from lmptlib.methods.closed_form import ClosedFormSettings, LinearForm

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression


class Prepared(NamedTuple):
    mean: Tensor  # (D,)
    scale: float
    images: np.ndarray  # (N, D)
    targets: np.ndarray  # (N, C)
    known: np.ndarray  # (N, C), which targets a class is learned from
    models: list["LogisticRegression"]  # of each class; of single labels one


class Logistic(LinearForm):
    """Minimises |w|^2 / 2 + C sum_i v_i log(1 + exp(-+ (w f_i + b))), v_i = N / (2 n) of the n images of its kind.

    scikit-learn's LogisticRegression, class_weight "balanced" (weights as in King and Zeng, Political Analysis 2001). Features
    are those of the plain images, less their mean and divided by one number, the root of their mean variance. C is taken in
    rising order, each fit from the one before. A class that every image shows, or none, has weight zero. A class is learned
    from the images of which it is known whether they show it.

    Of single labels it is the multinomial regression: |W|^2 / 2 - C sum_i v_i log softmax(W f_i + b) of the image's class,
    v_i = N / (K n) of K classes that have images, n of them the image's.
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
        # scikit-learn takes a second to import, and no other method needs it
        from sklearn.linear_model import LogisticRegression

        x = batch.images.double()
        mean = x.mean(0)
        x = x - mean
        scale = max(x.square().mean().sqrt().item(), 1e-12)
        options = {"class_weight": "balanced", "warm_start": True, "tol": 1e-4, "max_iter": 10_000}
        models = [LogisticRegression(**options) for _ in (self.text[:1] if self.problem.single else self.text)]
        targets, known = (part.bool().cpu().numpy() for part in (batch.targets, batch.targets + batch.negatives()))
        return Prepared(mean, scale, (x / scale).cpu().numpy(), targets, known, models)

    def fit(self, prepared: Prepared, values: dict[str, float]) -> None:
        self.mean.copy_(prepared.mean)
        if self.problem.single:
            weight, bias = multinomial(prepared.models[0].set_params(C=values["C"]), prepared)
            self.bias.copy_(torch.from_numpy(bias))
            self.weight.copy_(torch.from_numpy(weight / prepared.scale))
            return
        weight = np.zeros(self.weight.shape)
        for row, shown, known, model in zip(weight, prepared.targets.T, prepared.known.T, prepared.models):
            images, shown = prepared.images[known], shown[known]
            if shown.any() and not shown.all():
                row[:] = model.set_params(C=values["C"]).fit(images, shown).coef_
        self.weight.copy_(torch.from_numpy(weight / prepared.scale))


def multinomial(model: "LogisticRegression", prepared: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Weights (C, D) and biases (C,) of a model of single labels; zero of classes without images, and of an only one."""
    n_classes, width = prepared.targets.shape[1], prepared.images.shape[1]
    weight, bias = np.zeros((n_classes, width)), np.zeros(n_classes)
    shown = np.flatnonzero(prepared.targets.any(0))
    if len(shown) > 1:
        model.fit(prepared.images, prepared.targets.argmax(1))
        # two classes have one row, for the second against the first
        signs = np.array([[-0.5], [0.5]]) if len(shown) == 2 else np.ones((1, 1))
        weight[shown], bias[shown] = signs * model.coef_, signs[:, 0] * model.intercept_
    return weight, bias
