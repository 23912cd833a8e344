"""Linear classifiers that are learned plainly, then balanced: the second stages of single-label long tails.

Stage 1 is linear_probe's. The features that the sources learn in it are CLIP's here, and frozen.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lmptlib.evaluation.measures import MEASURES
from lmptlib.evaluation.rankings import ranking_scores
from lmptlib.methods.base import Batch, Learning, Phase, Problem, Settings
from lmptlib.methods.linear_probe import LinearProbe

TAUS = tuple(step / 10 for step in range(21))


class StrengthSettings(Learning):
    tau: float | None = Field(
        None,
        ge=0,
        le=10,
        description="strength of the balancing; none: the best of 0 to 2 by 0.1 on validation images, 1 where there are none",
    )


class BalancedByStrength(LinearProbe):
    """A linear probe whose scores are balanced once it is learned, by a strength tau that learning knows nothing of.

    tau is the one whose softmax ranking of the validation images is best, of equals the smallest; it is never chosen on
    test images. Where there is no validation split, `select: folds` with trials of tau chooses it out of fold. Rankings of a
    class by itself are the same for every tau: average precision by `logit` is the probe's own, but for a bias.
    """

    Settings: ClassVar[type[Settings]] = StrengthSettings
    settles = True
    tau: Tensor  # ()

    def __init__(self, settings: StrengthSettings, problem: Problem):
        super().__init__(settings, problem)
        self.register_buffer("tau", torch.tensor(1.0 if settings.tau is None else settings.tau))

    def balanced(self, images: Tensor, tau: Tensor) -> Tensor:
        """Scores (B, C) of image features (B, D), balanced by a strength."""
        raise NotImplementedError

    def scores(self, batch: Batch, text: Tensor | None) -> Tensor:
        return super().scores(batch, text) if self.training else self.balanced(batch.images, self.tau)

    def settle(self, batch: Batch, text: Tensor | None) -> None:
        if self.settings.tau is not None:
            return
        labels = batch.targets.bool().cpu().numpy()
        measure = MEASURES["single-label" if self.problem.single else "multi-label"]
        self.trials = []
        for tau in TAUS:
            self.tau.fill_(tau)
            ranked = ranking_scores(self.ranked(batch, text)[0].cpu().numpy(), "softmax", self.logit_scale)
            self.trials.append({"tau": tau, "total": float(np.nanmean(measure.by_class(labels, ranked)))})
        best = max(self.trials, key=lambda trial: trial["total"])
        self.chosen = {"tau": best["tau"]}
        self.tau.fill_(best["tau"])


class TauNorm(BalancedByStrength):
    """w_c f / |w_c|^tau: frequent classes have long weights, and lose them (Kang et al., ICLR 2020, section 4).

    The bias of stage 1 is dropped. tau 0 leaves the weights as they are, tau 1 gives all the same length.
    """

    def balanced(self, images: Tensor, tau: Tensor) -> Tensor:
        weight = self.probe.weight
        return images @ (weight / weight.norm(dim=1, keepdim=True).clamp(min=1e-12) ** tau).T


class LogitAdjusted(BalancedByStrength):
    """z - tau log pi: what is due to a class's frequency is taken from its score afterwards (Menon et al., ICLR 2021, Eq. 9).

    pi is the share of a class's images, with many labels its odds n / (N - n) (ours); a class of none counts as of one. With
    tau 0 it is the linear probe.
    """

    log_prior: Tensor  # (C,)

    def __init__(self, settings: Any, problem: Problem):
        super().__init__(settings, problem)
        counts = problem.class_counts.float().clamp(min=1)
        others = counts.sum() if problem.single else (problem.n_images - counts).clamp(min=1)
        self.register_buffer("log_prior", (counts / others).log())

    def balanced(self, images: Tensor, tau: Tensor) -> Tensor:
        return self.probe(images) - tau * self.log_prior


class SecondStage(LinearProbe):
    """A linear probe, and behind it a phase of its own with class-aware sampling (three images a class, theirs four)."""

    def moved(self) -> list[nn.Parameter]:
        """What stage 2 learns."""
        raise NotImplementedError

    def begin(self, chunks: Iterable[Batch]) -> None:
        """What is done before stage 2."""

    def phases(self) -> list[Phase]:
        settings = self.settings
        group = {"params": self.moved(), "lr": settings.lr_second, "weight_decay": settings.weight_decay}
        second = Phase([group], "class_aware", settings.epochs_second, begin=self.begin, rate="lr_second")
        return [*super().phases(), second]


class LWS(SecondStage):
    """s_c (w_c f + b_c): stage 2 learns a scale of each class alone, from 1 (Kang et al., ICLR 2020, section 4).

    That the bias is scaled too is the released code's form (not verified). While s_c > 0 a class's own ranking stays.
    """

    class Settings(Learning):
        epochs_second: int = Field(5, ge=1, description="passes of stage 2")
        lr_second: float = Field(1e-2, ge=0, description="learning rate of stage 2's scales, cosine to 0")

        @property
        def all_epochs(self) -> int:
            return self.epochs + self.epochs_second

    def __init__(self, settings: Settings, problem: Problem):
        super().__init__(settings, problem)
        self.scale = nn.Parameter(torch.ones(len(problem.class_names)))

    def moved(self) -> list[nn.Parameter]:
        return [self.scale]

    def scores(self, batch: Batch, text: Tensor | None) -> Tensor:
        return self.scale * super().scores(batch, text)


class CRT(SecondStage):
    """W f + b, learned once more from zero with class-aware sampling (classifier re-training, Kang et al., ICLR 2020).

    On frozen features stage 1 leaves nothing behind: it is there to be compared with.
    """

    class Settings(Learning):
        epochs_second: int = Field(10, ge=1, description="passes of stage 2")
        lr_second: float = Field(1e-2, ge=0, description="learning rate of stage 2's weights, cosine to 0")

        @property
        def all_epochs(self) -> int:
            return self.epochs + self.epochs_second

    def moved(self) -> list[nn.Parameter]:
        return list(self.probe.parameters())

    @torch.no_grad()
    def begin(self, chunks: Iterable[Batch]) -> None:
        for parameter in self.moved():
            parameter.zero_()
