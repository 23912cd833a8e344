"""Making the runs of a sweep, one after the other or side by side."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch

from lmptlib.errors import first_line
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.run import Ensemble, Run
from lmptlib.suite import notebooks
from lmptlib.sweeps.grid import Sweep
from lmptlib.training.training import Plan, plan, train


def run_sweep(
    sweep: Sweep,
    out: str | Path | None = None,
    jobs: int = 1,
    notebook: Path | None = None,
    log: Callable[[str], None] = print,
    force: bool = False,
) -> dict[str, list[Run | Ensemble]]:
    """Make every run that is not finished, `jobs` at a time, and give the runs of each row. `force` makes all anew.

    With `notebook` each run is that notebook, executed, in the run's folder. A run that fails is named and does not stop
    the others; at the end they raise RuntimeError.
    """
    known: dict = {}
    plans = {config: plan(config, out, known) for config in dict.fromkeys(sweep.configs)}
    missing = [
        planned for planned in plans.values()
        if force or not planned.finished or (notebook and not (planned.folder / "notebook.ipynb").exists())
    ]  # fmt: skip
    log(f"{sweep.name}: {len(plans)} runs, {len(plans) - len(missing)} finished, {len(missing)} to make")
    names = {
        planned.config: f"{row}, seed {planned.config.seed}: {planned.folder.name}"
        for row, part in sweep.rows.items() for planned in (plans[config] for config in part)
    }  # fmt: skip
    started, failed = time.monotonic(), []
    for done, (planned, result, error) in enumerate(_attempts(missing, out, notebook, force, jobs), 1):
        name, left = names[planned.config], (time.monotonic() - started) / done * (len(missing) - done)
        log(f"[{done}/{len(missing)}] {name}  {error or result}  ({_time(left)} left)")
        failed += [f"{name}: {error}"] if error else []
    if failed:
        raise RuntimeError("\n".join([f"{len(failed)} of {len(missing)} runs failed, the others are there:", *failed]))
    made = {label: [Run(plans[config].folder) for config in configs] for label, configs in sweep.rows.items()}
    return made | {label: _average(weights, made) for label, weights in sweep.ensembles.items()}


def _attempts(
    missing: list[Plan], out, notebook: Path | None, force: bool, jobs: int
) -> Iterator[tuple[Plan, str, str]]:
    """Make runs, here or in `jobs` processes that share the cores: each plan with its mAP or what went wrong, in a line."""
    if jobs == 1 or len(missing) < 2:
        for planned in missing:
            yield planned, *_caught(_make, planned, out, notebook, force)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        waiting = {pool.submit(_make, planned, out, notebook, force): planned for planned in missing}
        for future in as_completed(waiting):
            yield waiting[future], *_caught(future.result)


def _caught(function: Callable[..., str], *arguments) -> tuple[str, str]:
    try:
        return function(*arguments), ""
    except Exception as error:  # whatever stops one run, the others go on; it is named at the end
        return "", f"FAILED: {first_line(error)}"


def _make(planned: Plan, out: str | Path | None, notebook: Path | None, force: bool) -> str:
    """Make one run: its mAP in a line."""
    quiet: Callable[[str], None] = lambda line: None  # noqa: E731
    config = planned.config
    folder = notebooks.run_training(notebook, config, out) if notebook else train(config, out, force, quiet, planned)
    totals = {ranking: Run(folder).metrics["scores"][ranking]["total"] for ranking in RANKINGS}
    return ", ".join(f"{ranking} {'none' if value is None else f'{value:.2f}'}" for ranking, value in totals.items())


def _average(weights: dict[str, float], made: dict[str, list[Run]]) -> list[Ensemble]:
    """An ensemble for each seed; a row with a single run has a part in all of them."""
    n_seeds = max(len(made[row]) for row in weights)
    return [
        Ensemble(tuple((weight, made[row][i % len(made[row])]) for row, weight in weights.items()))
        for i in range(n_seeds)
    ]


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
