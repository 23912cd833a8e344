"""All that `lmpt bench` measures, on one device."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pandas as pd

from lmptlib.benchmark import bars
from lmptlib.benchmark.bars import Row
from lmptlib.benchmark.clock import Spread
from lmptlib.benchmark.growth import growth
from lmptlib.benchmark.judging import evaluation_row
from lmptlib.benchmark.live import live_row
from lmptlib.benchmark.memory import tower_bytes
from lmptlib.benchmark.operations import operation_rows
from lmptlib.benchmark.peers import peer_rows
from lmptlib.benchmark.problems import COCO_LT, VOC_LT, Problem, random_clip, random_problem, real_problem
from lmptlib.benchmark.sweeps import real_sweep_rows, stack_rows
from lmptlib.benchmark.training import FULL, QUICK, QUICKEST, Effort, image_costs, profile, train, training_rows
from lmptlib.clip.loading import load_clip
from lmptlib.clip.model import Clip
from lmptlib.config import Config, resolve

MODELS = ("ViT-B-16", "RN50")
# Prompts at once where memory is measured: as many as the fewer classes.
AT_ONCE = 80
EMOJI = "emoji"


@dataclass
class Measured:
    """rows: of problems. growth: a table of how cost grows. profiles: of an epoch of each problem, where asked for."""

    rows: list[Row] = field(default_factory=list)
    growth: pd.DataFrame = field(default_factory=pd.DataFrame)
    profiles: list[str] = field(default_factory=list)


def bench(
    device: str,
    own: Config | None = None,
    quick: bool = False,
    profiled: bool = False,
    log: Callable[[str], None] = print,
) -> Iterator[Measured]:
    """Measure everything; what is there so far comes after each problem. own: a user's data and CLIP. quick: in a minute or two,
    with few steps. profiled: with profiles.
    """
    found = Measured()
    for problems, effort in _problems(device, own, quick, log):
        log(f"{problems[0].clip.name}: images ...")
        images, one_run = image_costs(problems[0], effort), 0.0
        for problem in problems:
            log(f"{problem.name} ...")
            trained = train(problem, effort)
            one_run = one_run or trained.total().median
            found.rows += training_rows(problem, trained, images, effort)
            found.rows += operation_rows(problem, trained)
            found.profiles += [profile(problem)] if profiled else []
        found.rows += peer_rows(problems[0], images, effort)
        if problems[0].name == EMOJI:
            found.rows.append(live_row(problems[0]))
        if not quick:
            log(f"{problems[0].name}: 7 losses x 3 seeds ...")
            if device == "cuda":
                found.rows += stack_rows(problems[0], one_run)
            elif problems[0].name == EMOJI:
                found.rows += real_sweep_rows(problems[0])
        yield found
    log("AP and intervals ...")
    found.rows.append(evaluation_row(5000, 80, 1 if quick else 3))
    if not quick:
        found.rows.append(evaluation_row(20_000, 1203, 1))
        log("memory ...")
        found.rows += _memory_rows(random_clip(MODELS[0], device))
    yield found
    log("growth ...")
    # on a CPU of the small tower: a step of the large one with 10,000 classes takes minutes
    found.growth = growth(
        load_clip(log=lambda line: None) if device == "cpu" else random_clip(MODELS[0], device), quick
    )
    yield found


def _problems(
    device: str, own: Config | None, quick: bool, log: Callable[[str], None]
) -> Iterator[tuple[list[Problem], Effort]]:
    """Problems of one CLIP after the other, each CLIP opened when its turn comes, and how much is measured of them."""
    small, large = (QUICK, QUICKEST) if quick else (FULL, FULL)
    yield [real_problem(resolve(device=device), EMOJI, log)], small
    if own:
        yield [real_problem(own, log=log)], small
    for model in MODELS[:1] if quick else MODELS:
        clip = random_clip(model, device)
        yield [random_problem(clip, size) for size in ((VOC_LT,) if quick else (VOC_LT, COCO_LT))], large


def _memory_rows(clip: Clip) -> list[Row]:
    few, many = (tower_bytes(clip, n, AT_ONCE) / 1e6 for n in (80, 10_000))
    how = f"measured, {AT_ONCE} prompts at once"
    return [
        Row(clip.name, "memory of activations, 80 classes", Spread.of([few]), "MB", how),
        Row(clip.name, "memory of activations, 10,000 classes", Spread.of([many]), "MB", how),
        Row(clip.name, bars.MEMORY, Spread.of([many / few]), "x", how),
    ]
