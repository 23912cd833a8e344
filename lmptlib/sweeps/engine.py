"""Making the runs of a sweep: in stacks that train at once, one after the other or side by side."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lmptlib.clip.progress import duration
from lmptlib.paths import DiskError, check_writable, outputs_folder
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run
from lmptlib.sweeps.cluster import Made, Runner, RunTask, Task, Workers, connected, failed, made, n_workers
from lmptlib.sweeps.grid import Sweep
from lmptlib.training.plan import plan_run
from lmptlib.training.stacks import stacks


def run_sweep(
    sweep: Sweep,
    out: str | Path | None = None,
    workers: int | Workers = 1,
    log: Callable[[str], None] = print,
    force: bool = False,
    runner: Runner | None = None,
    leaves: str = "metrics.json",
    stack: int | None = None,
) -> dict[str, list[Run] | list[Ensemble]]:
    """Make every run that is not finished, and give the runs of each row. `force` makes all anew.

    workers: how many processes of this machine make runs side by side, or which others do. stack: how many runs train at
    once, in one pass of the text tower; None: as `lmptlib.training.stacks` has them, spread over the workers. `runner` makes
    each run by itself, and leaves the file `leaves` in its folder. A run that fails is named and does not stop the others; at
    the end they raise RuntimeError. A disk that takes no more stops them all, and raises DiskError; an interrupt says how to
    go on. What is logged tells no result: a notebook asks for a guess first. Raises ValueError for a stack below 1.
    """
    if stack is not None and stack < 1:
        raise ValueError(f"a stack has at least 1 run, not {stack}")
    workers = Workers(workers) if isinstance(workers, int) else workers
    elsewhere = bool(workers.scheduler or workers.batch)
    memory: dict = {}
    plans = {config: plan_run(config, out, memory, elsewhere) for config in sweep.configs}
    names = {
        plans[config].key: f"{row}, seed {plans[config].config.flat().get('seed', 0)}: {plans[config].path.name}"
        for row, configs in sweep.rows.items()
        for config in configs
    }
    distinct = {plan.key: plan for plan in plans.values()}.values()
    missing = [plan for plan in distinct if force or not plan.folder.finished or not (plan.path / leaves).exists()]
    if missing:
        check_writable(outputs_folder(out))
    log(f"{sweep.name}: {len(distinct)} runs, {len(distinct) - len(missing)} finished, {len(missing)} to make")
    started, runs_made, opened = time.monotonic(), list[Made](), dict[Any, Any]()

    def tasks(n: int) -> list[RunTask]:
        if runner:
            return [RunTask((plan,), force, runner) for plan in missing]
        found = stacks(missing, min(stack or len(missing), -(-len(missing) // n)))
        if sizes := [len(each) for each in found if len(each) > 1]:
            log(f"trained at once: {sum(sizes)} runs, up to {max(sizes)} in a stack")
        return [RunTask(tuple(each), force, opened=opened) for each in found]

    try:
        for done, run in enumerate(attempts(tasks, len(missing), workers, log), 1):
            name, left = names[run.task.key], (time.monotonic() - started) / done * (len(missing) - done)
            told = run.error or f"done in {duration(run.seconds)}{'' if workers.here else f' on {run.where}'}"
            log(f"[{done}/{len(missing)}] {name}  {told}  ({duration(left)} left)")
            runs_made.append(run)
    except KeyboardInterrupt as interrupt:
        others = "; the scheduler's workers end the runs that they have" if workers.scheduler else ""
        there = f"{len(runs_made)} of {len(missing)} runs are made, the same call goes on{others}"
        raise KeyboardInterrupt(f"{str(interrupt) or 'stopped'}; {there}") from interrupt
    if runs_made and not workers.here:
        log(_summary(runs_made))
    failures = [f"{names[run.task.key]}: {run.error}" for run in runs_made if run.error]
    if failures:
        raise RuntimeError(
            "\n".join([f"{len(failures)} of {len(missing)} runs failed, the others are there:", *failures])
        )
    runs = {row: [Run(plans[config].path) for config in configs] for row, configs in sweep.rows.items()}
    return runs | {row: _average(weights, runs) for row, weights in sweep.ensembles.items()}


def attempts(
    tasks: Callable[[int], Sequence[Task]], most: int, workers: Workers, log: Callable[[str], None]
) -> Iterator[Made]:
    """The parts of tasks as they are made, here one task after the other, or by workers, of whom `most` are of use.

    tasks: what there is to do, given how many do it.
    """
    if workers.here or not most:
        for task in tasks(1) if most else ():
            yield from _attempt(task)
        return
    with connected(workers, most) as client:
        log(f"workers: {client.dashboard_link}")
        yield from made(client, tasks(n_workers(client)), log)


def _attempt(task: Task) -> Iterator[Made]:
    started = time.monotonic()
    try:
        results = task.make()
    except DiskError:
        raise
    except Exception as reason:  # whatever stops one task, the others go on; it is named at the end
        results = [reason] * len(task.parts)
    seconds = (time.monotonic() - started) / len(task.parts)
    for part, result in zip(task.parts, results):
        yield Made(part, failed(result) if isinstance(result, Exception) else "", "here", seconds)


def _summary(runs: list[Made]) -> str:
    """A table of the runs that workers made: how each ended, where, and in how many seconds."""
    rows = [
        {
            "run": run.task.name,
            "state": run.state,
            "where": run.where,
            "seconds": round(run.seconds, 1),
        }
        for run in runs
    ]
    return pd.DataFrame(rows, columns=["run", "state", "where", "seconds"]).to_string(index=False, na_rep="")


def _average(weights: dict[str, float], runs: dict[str, list[Run]]) -> list[Ensemble]:
    """An ensemble for each seed; a row with a single run has a part in all of them."""
    n_seeds = max(len(runs[row]) for row in weights)
    return [
        Ensemble(tuple((weight, runs[row][i % len(runs[row])]) for row, weight in weights.items()))
        for i in range(n_seeds)
    ]
