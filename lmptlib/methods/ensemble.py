"""Closed forms averaged, each with a share of the hand-written prompts."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import combinations_with_replacement
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from lmptlib.methods.base import Batch, Problem, over_views, pooled, view_weights
from lmptlib.methods.closed_form import ClosedForm, ClosedFormSettings, mean_of
from lmptlib.methods.cosine import centre
from lmptlib.methods.gda import GDA
from lmptlib.methods.kernel import Kernel
from lmptlib.methods.lda import LDA
from lmptlib.methods.logistic import Logistic
from lmptlib.methods.mil_lda import MilLDA
from lmptlib.methods.ridge import Ridge

MEMBERS: dict[str, type[ClosedForm]] = {
    "ridge": Ridge,
    "lda": LDA,
    "gda": GDA,
    "logistic": Logistic,
    "kernel": Kernel,
    "mil_lda": MilLDA,
}
TEXT_SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0)
QUARTERS = 4  # a member's weight is so many of them


class Standard(nn.Module):
    """Scores (N, C) less a class's mean, in its deviations: those of the scores that it was fitted to.

    Of single labels, whose scores compare across classes, in one deviation for all: that from the mean of an image.
    """

    mean: Tensor  # (C,)
    deviation: Tensor  # (C,)

    def __init__(self, n_classes: int, single: bool):
        super().__init__()
        self.single = single
        self.register_buffer("mean", torch.zeros(n_classes, dtype=torch.float64))
        self.register_buffer("deviation", torch.ones(n_classes, dtype=torch.float64))

    def fit(self, scores: Tensor) -> Tensor:
        """The scores that it is fitted to, standardised."""
        if self.single:
            self.deviation.fill_((scores - scores.mean(1, keepdim=True)).std().clamp(min=1e-12))
        else:
            self.mean.copy_(scores.mean(0))
            self.deviation.copy_(scores.std(0).clamp(min=1e-12))
        return self(scores)

    def forward(self, scores: Tensor) -> Tensor:
        return (scores - self.mean) / self.deviation


class Member(nn.Module):
    """A closed form in an ensemble: z(z(its scores) + share * z(cosines with centred text)), z by class out of fold."""

    share: Tensor  # ()

    def __init__(self, method: ClosedForm):
        super().__init__()
        self.method = method
        n_classes, single = len(method.problem.class_names), method.problem.single
        self.own, self.mixed = Standard(n_classes, single), Standard(n_classes, single)
        self.register_buffer("share", torch.zeros((), dtype=torch.float64))

    def forward(self, batch: Batch, text: Tensor) -> Tensor:
        """Scores (B, C) of images with their crops; text (B, C) are the standardised cosines."""
        return self.mixed(self.own(self.method.ranked(batch, None)[0]) + self.share * text)


def _check_members(members: str) -> str:
    for name in _names(members):
        if name not in MEMBERS:
            raise ValueError(f"names closed forms, some of {', '.join(MEMBERS)}, not '{name}'")
    return ", ".join(_names(members))


def _names(members: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in members.split(",")))


class EnsembleSettings(ClosedFormSettings):
    members: Annotated[str, AfterValidator(_check_members)] = Field(
        "ridge, lda", description=f"closed forms, with commas between them: {', '.join(MEMBERS)}"
    )


class Ensemble(ClosedForm):
    """score = sum over members m of w_m z(z(s_m) + a_m z(cosine with centred text)) (ours).

    z takes a class's mean and deviation over the training images, out of fold, after the view maximum; of single labels it
    divides by one deviation, so that scores still compare across classes. Each member chooses
    its settings by folds; then folds choose its share of the text a_m, and the weights w_m in quarters. Where several are
    as good as the best, within the standard error over classes, it is the largest share and the most even weights that are
    taken (the one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984).
    """

    Settings = EnsembleSettings
    weights: Tensor  # (M,)

    def __init__(self, settings: Any, problem: Problem):
        super().__init__(settings, problem)
        self.names = _names(settings.members)
        made = [MEMBERS[name](MEMBERS[name].Settings(), problem) for name in self.names]
        self.members = nn.ModuleList([Member(method) for method in made])
        self.parts: list[tuple[str, Any]] = list(zip(self.names, self.members))
        self.standard_text = Standard(len(problem.class_names), problem.single)
        self.register_buffer("weights", torch.full((len(made),), 1 / len(made), dtype=torch.float64))

    @classmethod
    def needs_crops(cls, settings: Any) -> bool:
        return any(MEMBERS[name].needs_crops(settings) for name in _names(settings.members))

    @classmethod
    def masks_unknown(cls, settings: Any) -> bool:
        return all(MEMBERS[name].masks_unknown(settings) for name in _names(settings.members))

    def solve(self, batch: Batch) -> None:
        self.trials, judged = [], batch.judged()
        text = self.standard_text.fit(self.cosines(judged))
        mixed = [self.solve_member(name, member, batch, text) for name, member in self.parts]
        weights, trials = most_sober(
            [dict(zip(self.names, weights)) for weights in even_first(len(mixed))],
            lambda weights: weighted(weights.values(), mixed),
            partial(self.figures_out_of_fold, batch=judged),
        )
        self.trials += [{"of": "weights", **trial} for trial in trials]
        self.weights.copy_(torch.tensor(list(weights.values())))
        self.chosen["weights"] = weights
        self.finish(weighted(weights.values(), mixed), judged)

    def solve_member(self, name: str, member: Member, batch: Batch, text: Tensor) -> Tensor:
        """Solve a member and choose its share of the text; its scores (N, C) out of fold, standardised."""
        member.method.solve(batch)
        own = member.own.fit(member.method.out_of_fold)
        shares = [{"text": share} for share in sorted(TEXT_SHARES, reverse=True)]
        figures = partial(self.figures_out_of_fold, batch=batch.judged())
        share, trials = most_sober(shares, lambda share: own + share["text"] * text, figures)
        self.trials += [{"of": name, **trial} for trial in (*member.method.trials, *trials)]
        member.share.fill_(share["text"])
        self.chosen[name] = member.method.chosen | share
        return member.mixed.fit(own + member.share * text)

    def cosines(self, batch: Batch) -> Tensor:
        """Cosines (B, C) of images and their crops with the centred text."""
        text, scale = centre(self.text), self.problem.clip.logit_scale
        views = over_views(lambda batch, _: batch.images.double() @ text.T, batch, None)
        return (
            pooled(views, view_weights(scale * views[:, 1:], self.problem.pool)) if views.shape[1] > 1 else views[:, 0]
        )

    def raw_of_views(self, batch: Batch) -> Tensor:
        text = self.standard_text(self.cosines(batch))
        return weighted(self.weights, [member(batch, text) for _, member in self.parts])

    def raw(self, batch: Batch, text: Tensor | None = None) -> Tensor:
        return self.raw_of_views(replace(batch, crops=None))


def weighted(weights: Iterable[float] | Tensor, scores: list[Tensor]) -> Tensor:
    """The weighted sum (N, C) of scores (N, C)."""
    return torch.stack([weight * each for weight, each in zip(weights, scores)]).sum(0)


def most_sober(
    options: list[dict[str, float]],
    scores: Callable[[dict[str, float]], Tensor],
    figures: Callable[[Tensor], np.ndarray],
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """The first option that is as good as the best out of fold, within a standard error over classes; all with their mean.

    figures: of scores (N, C) out of fold, each class's.
    """
    ap = np.array([figures(scores(option)) for option in options])
    trials = [{**option, "total": mean_of(of_option)} for option, of_option in zip(options, ap)]
    if not ap.size:
        return options[0], trials
    gaps = ap[ap.mean(1).argmax()] - ap
    errors = gaps.std(1) / np.sqrt(max(gaps.shape[1] - 1, 1))
    return options[int((gaps.mean(1) <= errors).argmax())], trials


def even_first(n: int) -> list[tuple[float, ...]]:
    """Weights of n members in quarters, each set summing to 1, the most even first."""
    drawn = combinations_with_replacement(range(n), QUARTERS)
    weights = [tuple(which.count(member) / QUARTERS for member in range(n)) for which in drawn]
    return sorted(weights, key=lambda each: sum(weight**2 for weight in each))
