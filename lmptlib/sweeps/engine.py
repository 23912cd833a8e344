"""Making the runs of a sweep, one after the other or side by side."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch

from lmptlib.errors import first_line
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run
from lmptlib.sweeps.grid import Sweep
from lmptlib.training.plan import Plan, plan_run
from lmptlib.training.training import train

Runner = Callable[[Plan, bool], object]  # makes the run of a plan, anew where the flag says so


def train_quietly(plan: Plan, force: bool) -> None:
    """The runner of a sweep that needs no notebook."""
    train(plan.config, force=force, log=lambda line: None, plan=plan)


def run_sweep(
    sweep: Sweep,
    out: str | Path | None = None,
    jobs: int = 1,
    log: Callable[[str], None] = print,
    force: bool = False,
    runner: Runner = train_quietly,
    leaves: str = "metrics.json",
) -> dict[str, list[Run] | list[Ensemble]]:
    """Make every run that is not finished, `jobs` at a time, and give the runs of each row. `force` makes all anew.

    `runner` makes each run, in a process of its own where jobs are more than one, and leaves the file `leaves` in its
    folder. A run that fails is named and does not stop the others; at the end they raise RuntimeError. What is logged
    tells no result: a notebook asks for a guess first.
    """
    memory: dict = {}
    plans = {config: plan_run(config, out, memory) for config in sweep.configs}
    names = {
        plans[config].key: f"{row}, seed {plans[config].config.flat().get('seed', 0)}: {plans[config].path.name}"
        for row, configs in sweep.rows.items()
        for config in configs
    }
    distinct = {plan.key: plan for plan in plans.values()}.values()
    missing = [plan for plan in distinct if force or not plan.folder.finished or not (plan.path / leaves).exists()]
    log(f"{sweep.name}: {len(distinct)} runs, {len(distinct) - len(missing)} finished, {len(missing)} to make")
    started, failures = time.monotonic(), []
    for done, (plan, error) in enumerate(_attempts(missing, runner, force, jobs), 1):
        name, left = names[plan.key], (time.monotonic() - started) / done * (len(missing) - done)
        log(f"[{done}/{len(missing)}] {name}  {error or 'done'}  ({_time(left)} left)")
        failures += [f"{name}: {error}"] if error else []
    if failures:
        raise RuntimeError(
            "\n".join([f"{len(failures)} of {len(missing)} runs failed, the others are there:", *failures])
        )
    runs = {row: [Run(plans[config].path) for config in configs] for row, configs in sweep.rows.items()}
    return runs | {row: _average(weights, runs) for row, weights in sweep.ensembles.items()}


def _attempts(missing: list[Plan], runner: Runner, force: bool, jobs: int) -> Iterator[tuple[Plan, str]]:
    """Make runs, here or in `jobs` processes that share the cores: each plan with what went wrong, in a line."""
    if jobs == 1 or len(missing) < 2:
        for plan in missing:
            yield plan, _attempt(runner, plan, force)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        waiting = {pool.submit(runner, plan, force): plan for plan in missing}
        for future in as_completed(waiting):
            yield waiting[future], _attempt(future.result)


def _attempt(function: Callable[..., object], *arguments: object) -> str:
    """What went wrong with a function, in a line."""
    try:
        function(*arguments)
    except Exception as error:  # whatever stops one run, the others go on; it is named at the end
        return f"FAILED: {first_line(error)}"
    return ""


def _average(weights: dict[str, float], runs: dict[str, list[Run]]) -> list[Ensemble]:
    """An ensemble for each seed; a row with a single run has a part in all of them."""
    n_seeds = max(len(runs[row]) for row in weights)
    return [
        Ensemble(tuple((weight, runs[row][i % len(runs[row])]) for row, weight in weights.items()))
        for i in range(n_seeds)
    ]


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
