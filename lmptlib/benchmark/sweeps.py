"""What a sweep of seven losses and three seeds costs, stacked, one by one, and beside one run."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lmptlib.benchmark import bars
from lmptlib.benchmark.bars import Row
from lmptlib.benchmark.clock import Spread, now
from lmptlib.benchmark.problems import Problem
from lmptlib.sweeps.engine import run_sweep
from lmptlib.sweeps.grid import read_sweep
from lmptlib.training.loop import fit
from lmptlib.training.state import TrainState
from lmptlib.training.training import train


def real_sweep_rows(problem: Problem, **given: Any) -> list[Row]:
    """Whole runs, from reading the data to writing what they gave: as a sweep, and each by itself, `given` settings over theirs."""
    places = ("dataset", "data_root", "cache", "model", "weights", "preprocess", "device")
    flat = problem.config.flat()
    chosen = read_sweep("losses", {name: flat[name] for name in places if flat[name] is not None} | given)
    with TemporaryDirectory() as folder:
        started = now(problem.clip.device)
        run_sweep(chosen, Path(folder) / "together", log=lambda line: None)
        together = now(problem.clip.device) - started
        for config in chosen.configs:
            train(config, Path(folder) / "alone", log=lambda line: None)
        alone = now(problem.clip.device) - started - together
    return _rows(problem, together, alone, alone / len(chosen.configs), "measured, once")


def stack_rows(problem: Problem, one_run: float, **given: Any) -> list[Row]:
    """Training alone, from cached features, all runs at once; one by one as many times one run of so many seconds."""
    chosen = read_sweep("losses", {"device": problem.clip.device} | given)
    started = now(problem.clip.device)
    states = [TrainState(config, problem.inputs) for config in chosen.configs]
    fit(states, lambda state: None)
    together = now(problem.clip.device) - started
    return _rows(problem, together, one_run * len(states), one_run, "measured, once; one run many times")


def _rows(problem: Problem, together: float, alone: float, one: float, how: str) -> list[Row]:
    def row(what: str, value: float, unit: str) -> Row:
        return Row(problem.name, what, Spread.of([value]), unit, how)

    return [
        row(bars.STACKED, together, "s"),
        row(bars.ALONE, alone, "s"),
        row(bars.STACK_RATIO, alone / together, "x"),
        row(bars.STACK_COST, together / one, "x"),
    ]
