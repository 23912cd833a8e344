"""What classifiers share that are computed from features at once: settings chosen by folds, and logits that mean something."""

from itertools import product
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from lmptlib.clip.text import template_features
from lmptlib.evaluation.measures import MEASURES
from lmptlib.losses import class_logits
from lmptlib.methods.base import Batch, Method, Problem, Settings, over_views, pooled, view_weights
from lmptlib.methods.logit_map import LogitMap


class ClosedFormSettings(Settings):
    select: Literal["folds"] = Field(
        "folds", description="settings that are none are chosen out of fold, on the training images"
    )


class ClosedForm(Method):
    """A classifier that `prepare` and `fit` give from the features of all training images, without epochs.

    Settings of `grid` that are None are chosen by AP out of fold: each image is scored by a fit to the other folds. The
    logit map is fitted to those scores, and the scores of the whole are its logits. Everything is computed in float64.

    Of single labels accuracy chooses, as a mean over classes. The highest score tells the class, so that raw scores compare
    across classes, whatever their frequencies: all are taken to be equally frequent. The logit map is one temperature.
    """

    Settings: ClassVar[type[Settings]] = ClosedFormSettings
    grid: ClassVar[dict[str, tuple[float, ...]]] = {}  # what folds choose among
    reads = ("images", "flipped", "crops", "folds")
    text: Tensor  # (C, D), of the hand-written prompts
    spread: Tensor  # (C,), deviation of the training images' raw scores, where a softmax over views needs it
    logit_map: LogitMap

    def __init__(self, settings: BaseModel, problem: Problem):
        super().__init__(settings, problem)
        n_classes = len(problem.class_names)
        text = template_features(problem.clip, problem.class_names).double()
        self.register_buffer("text", text, persistent=False)
        self.register_buffer("spread", torch.ones(n_classes, dtype=torch.float64))
        self.logit_map = LogitMap("affine_per_class", 1.0, n_classes).double().requires_grad_(False)

    def prepare(self, batch: Batch) -> Any:
        """What all fits to these training images share, whatever the settings."""
        raise NotImplementedError

    def fit(self, prepared: Any, values: dict[str, float]) -> None:
        """The classifier of these settings, into the buffers."""
        raise NotImplementedError

    def raw(self, batch: Batch, text: Tensor | None = None) -> Tensor:
        """Scores (B, C) of `batch.images`, before the logit map."""
        raise NotImplementedError

    def raw_of_fitted(self, batch: Batch) -> Tensor:
        """Raw scores (N, C) of the training images that it was fitted to, in their order."""
        return self.raw(batch)

    def candidates(self) -> list[dict[str, float]]:
        """The settings that folds choose among: every combination of those in `grid` that are None, with the given ones."""
        given = self.settings.model_dump()
        axes = [choices if given[name] is None else (given[name],) for name, choices in self.grid.items()]
        return [dict(zip(self.grid, values)) for values in product(*axes)]

    def solve(self, batch: Batch) -> None:
        raw = self.select(batch)
        self.fit_to(batch, self.prepare(batch), self.chosen)
        self.finish(raw, batch.judged())

    def finish(self, raw: Tensor, batch: Batch) -> None:
        """Fit the logit map to raw scores (N, C) out of fold, and keep what it makes of them."""
        fit = self.logit_map.fit_over_classes if self.problem.single else self.logit_map.fit
        fit(raw, batch.targets)
        self.out_of_fold = self.logit_map(raw)

    def select(self, batch: Batch) -> Tensor:
        """Choose the settings; the raw scores (N, C) that training images in a fold have out of it under them.

        Where no class has two images nothing can be judged, and the middle of the grid is taken. Raises ValueError where all
        images are in one fold.
        """
        judged = batch.judged()
        if len(judged.folds.unique()) < 2:
            raise ValueError("folds need training images that differ: all are the same picture")
        candidates = self.candidates()
        raw = torch.zeros(len(candidates), *judged.targets.shape, dtype=torch.float64, device=self.text.device)
        for fold in judged.folds.unique():
            held, rest = judged.folds == fold, batch.rows(batch.folds != fold)
            prepared = self.prepare(rest)
            for values, scores in zip(candidates, raw):
                self.fit_to(rest, prepared, values)
                scores[held] = self.raw_of_views(judged.rows(held))
        figures = [mean_of(self.figures_out_of_fold(scores, judged)) for scores in raw]
        self.trials = [{**values, "total": figure} for values, figure in zip(candidates, figures)]
        best = len(candidates) // 2 if None in figures else int(np.argmax(figures))
        self.chosen = candidates[best]
        return raw[best]

    def figures_out_of_fold(self, scores: Tensor, batch: Batch) -> np.ndarray:
        """AP (of single labels accuracy) in [0, 1] of the classes that have one, from scores (N, C) that each fold's images have
        from a fit to the others."""
        targets, folds = batch.targets.bool().cpu().numpy(), batch.folds.cpu().numpy()
        measure = MEASURES["single-label" if self.problem.single else "multi-label"]
        figures = measure.of_folds(targets, scores.cpu().numpy(), folds)
        return figures[~np.isnan(figures)]

    def fit_to(self, batch: Batch, prepared: Any, values: dict[str, float]) -> None:
        """`fit`, and the spread of the scores."""
        self.fit(prepared, values)
        if batch.crops is not None and self.problem.pool == "softmax":
            self.spread.copy_(self.raw_of_fitted(batch).std(0, correction=0).clamp(min=1e-12))

    def raw_of_views(self, batch: Batch) -> Tensor:
        """Raw scores (B, C) of images with their crops, where the batch has any."""
        views = over_views(self.raw, batch, None)
        if batch.crops is None:
            return views[:, 0]
        return pooled(views, view_weights(views[:, 1:] / self.spread, self.problem.pool))

    def directions(self, text: Tensor | None) -> Tensor:
        return self.text.float()

    def scores(self, batch: Batch, text: Tensor | None) -> Tensor:
        return self.logit_map(self.raw(batch))

    def logits(self, batch: Batch, text: Tensor | None) -> Tensor:
        return self.scores(batch, text)

    def ranked(self, batch: Batch, text: Tensor | None) -> tuple[Tensor, Tensor]:
        scores = self.logit_map(self.raw_of_views(batch))
        return scores, class_logits(scores) if self.over_classes else scores


class LinearForm(ClosedForm):
    """A closed form whose raw scores are (images - mean) weight', of single labels + bias."""

    weight: Tensor  # (C, D)
    mean: Tensor  # (D,)
    bias: Tensor  # (C,), where classes compete

    def __init__(self, settings: BaseModel, problem: Problem):
        super().__init__(settings, problem)
        self.register_buffer("weight", torch.zeros_like(self.text))
        self.register_buffer("mean", torch.zeros_like(self.text[0]))
        self.register_buffer("bias", torch.zeros_like(self.text[:, 0]), persistent=problem.single)

    def raw(self, batch: Batch, text: Tensor | None = None) -> Tensor:
        return (batch.images.double() - self.mean) @ self.weight.T + self.bias

    def set_weight(self, weight: Tensor, directions: Tensor) -> None:
        """Take a weight (C, D); of single labels the bias too, at which no class of centres `directions` (C, D) is ahead."""
        self.weight.copy_(weight)
        if self.problem.single:
            self.bias.copy_(-(directions * weight).sum(1) / 2)

    def directions(self, text: Tensor | None) -> Tensor:
        return self.weight.float()


def rows_of(batch: Batch) -> tuple[Tensor, Tensor]:
    """Features (2N, D) of the training images, plain then flipped, with their labels (2N, C), in float64."""
    return torch.cat([batch.images, batch.flipped]).double(), torch.cat([batch.targets] * 2).double()


def mean_of(values: np.ndarray) -> float | None:
    """The mean; None of none."""
    return float(values.mean()) if len(values) else None
