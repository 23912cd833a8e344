"""How the cost of training grows: with classes, training images, context tokens, and runs that train at once."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from lmptlib.benchmark.clock import Spread, now
from lmptlib.benchmark.problems import Problem, Size, random_problem, some_names
from lmptlib.clip.model import Clip
from lmptlib.training.loop import fit
from lmptlib.training.state import TrainState

CLASSES, IMAGES, CONTEXT, RUNS = (20, 80, 365, 1203, 10_000), (1000, 10_000, 100_000), (4, 16, 32), (1, 3, 7, 21)
# Seconds that a point is measured for, after an epoch that is not counted.
BUDGET = 2.0


def growth(clip: Clip, quick: bool = False) -> pd.DataFrame:
    """Seconds a step (of training images: an epoch) by what grows, the rest as with VOC-LT: 20 classes, 4 context tokens.

    Columns: grows, value, per (step or epoch), median, low, high, n.
    """
    n_images, few = 512, 2 if quick else None
    points = []

    def point(grows: str, value: int, problem: Problem, *settings: dict[str, Any]) -> None:
        taken = epoch_seconds(problem, settings or ({},), 1.0 if quick else BUDGET)
        per = "epoch" if grows == "training images" else "step"
        taken = taken if per == "epoch" else taken * (1 / problem.n_steps)
        points.append({"grows": grows, "value": value, "per": per, **vars(taken)})

    for n_classes in CLASSES[:few]:
        point("classes", n_classes, _problem(clip, n_classes, n_images))
    for n in IMAGES[:1] if quick else IMAGES:
        point("training images", n, _problem(clip, 20, n))
    problem = _problem(clip, 20, n_images)
    for n_ctx in CONTEXT[:few]:
        point("context tokens", n_ctx, problem, {"n_ctx": n_ctx})
    for n_runs in RUNS[:few]:
        point("runs at once", n_runs, problem, *({"seed": seed} for seed in range(n_runs)))
    table = pd.DataFrame(points)
    table.attrs["of"] = f"{clip.name} on {clip.device}"
    return table


def _problem(clip: Clip, n_classes: int, n_images: int) -> Problem:
    return random_problem(clip, Size("", some_names(n_classes), n_images, 8))


def epoch_seconds(problem: Problem, settings: Sequence[dict[str, Any]], budget: float, least: int = 1) -> Spread:
    """Seconds an epoch of runs with these settings that train at once, without their first."""
    config, device = problem.config.with_settings(epochs=1000), problem.clip.device
    states = [TrainState(config.with_settings(**given), problem.inputs) for given in settings]
    ends: list[float] = []
    goes_on = True

    def after(state: TrainState) -> bool:
        nonlocal goes_on
        if state is states[0]:
            ends.append(now(device))
            goes_on = len(ends) <= least or ends[-1] - ends[0] < budget
        return goes_on

    fit(states, after)
    return Spread.of([end - start for start, end in pairwise(ends)])
