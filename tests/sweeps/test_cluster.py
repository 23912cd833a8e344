"""The runs of a sweep by workers: their numbers, workers that die, runs that fail, schedulers and disks of others."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from tiny import make_tiny

from lmptlib.config import resolve
from lmptlib.paths import DiskError
from lmptlib.sweeps import cluster
from lmptlib.sweeps.cluster import RunTask, Workers, connected
from lmptlib.sweeps.engine import run_sweep
from lmptlib.sweeps.grid import read_sweep
from lmptlib.training.plan import Plan, plan_run
from lmptlib.training.training import train

# workers cannot import a module of tests
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def quiet(line: str) -> None:
    pass


def train_quietly(plan: Plan, force: bool) -> None:
    train(plan.config, force=force, log=quiet, plan=plan)


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("cluster") / "tiny").path


@pytest.fixture
def grid(card, tmp_path) -> str:
    path = tmp_path / "grid.yaml"
    rows = "rows: {a: {lr: 0.001}, b: {lr: 0.002}, bad: {lr: 1.0e+30}}"
    path.write_text(f"settings: {{dataset: {card}, epochs: 2, batch_size: 8, method: coop}}\n{rows}\nseeds: [0, 1]")
    return str(path)


def dies(plan: Plan, force: bool) -> None:
    """A run of `a` kills its worker the first time, after an epoch; one of another seed than 0 each time."""
    mark, before = plan.path.parent / f"{plan.path.name}.killed", train_quietly
    seed, lr = plan.config.flat()["seed"], plan.config.flat()["lr"]
    if lr == 0.001 and (seed or not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    before(plan, force)


def test_workers_that_die_and_runs_that_fail(grid, tmp_path):
    """A run whose worker died is made by another, one that kills every worker and one that fails are named; the others are
    there, with the numbers of one process."""
    lines: list[str] = []
    sweep = read_sweep(grid)
    with pytest.raises(RuntimeError, match="3 of 6 runs failed") as error:
        run_sweep(sweep, tmp_path / "out", Workers(2), lines.append, runner=dies)
    told = str(error.value)
    assert told.count("not finite") == 2 and told.count("FAILED: 3 workers died of it") == 1
    assert "a, seed 1: " in told and "bad, seed 0: " in told and "bad, seed 1: " in told
    done = [line for line in lines if " done in " in line]
    assert len(done) == 3 and "/status" in lines[1]
    assert len([line for line in lines if " died, another goes on with it" in line]) == 3
    states = [line.split()[:2] for line in lines[-1].splitlines()[1:]]
    assert (
        sorted(state for _, state in states) == ["done"] * 3 + ["failed"] * 3 and len({run for run, _ in states}) == 6
    )
    rows = {row: configs for row, configs in sweep.rows.items() if row != "bad"}
    for row, seed in (("a", 0), ("b", 0), ("b", 1)):
        config = rows[row][seed]
        there, alone = plan_run(config, tmp_path / "out"), plan_run(config, tmp_path / "alone")
        assert there.folder.finished
        train_quietly(alone, False)
        found, expected = (np.load(plan.path / "scores.npz")["scores"] for plan in (there, alone))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def scheduler_address(file: Path) -> str:
    """As the scheduler writes it, within half a minute."""
    for _ in range(300):
        time.sleep(0.1)
        with suppress(FileNotFoundError, json.JSONDecodeError):
            return json.loads(file.read_text())["address"]
    raise TimeoutError("the scheduler has not started")


def test_a_scheduler_that_runs(grid, tmp_path):
    """Started by the commands that README has, in processes of their own."""
    Path(grid).write_text(Path(grid).read_text().replace(", bad: {lr: 1.0e+30}", ""))
    address = tmp_path / "scheduler.json"
    names = {"DASK_DISTRIBUTED__WORKER__DAEMON": "False", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment = os.environ | names
    command = [Path(sys.executable).parent / "dask"]
    started = [
        subprocess.Popen(
            [*command, *words],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for words in (
            ("scheduler", "--scheduler-file", address, "--port", "0", "--no-dashboard", "--host", "127.0.0.1"),
            (
                "worker",
                "--scheduler-file",
                address,
                "--nworkers",
                "1",
                "--nthreads",
                "1",
                "--memory-limit",
                "0",
                "--no-dashboard",
            ),
        )
    ]
    try:
        host = scheduler_address(address)
        lines: list[str] = []
        runs = run_sweep(read_sweep(grid, {"seeds": [0]}), tmp_path / "out", Workers(scheduler=host), lines.append)
        assert "trained at once: 2 runs, up to 2 in a stack" in lines
        assert all(run.folder.parent == tmp_path / "out" for part in runs.values() for run in part) and len(runs) == 2

        def kill(line: str) -> None:
            if line.startswith("[1/2]"):
                started[0].kill()

        with pytest.raises(RuntimeError, match=r"1 of 2 runs failed(.|\n)*MISSING: its scheduler is out of reach"):
            run_sweep(read_sweep(grid, {"seeds": [1]}), tmp_path / "out", Workers(scheduler=host), kill, stack=1)
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_folders_come_home_from_other_disks(card, tmp_path):
    """Of runs that train together there: one that was begun here, and a new one, beside one that fails."""
    asked = [{"seed": 0}, {"seed": 1}, {"lr": 1e30}]
    configs = [resolve(dataset=str(card), epochs=2, batch_size=8, method="coop", **settings) for settings in asked]
    plans = tuple(plan_run(config, tmp_path / "here") for config in configs)
    task = RunTask(plans)

    # begun here, and not ended
    train(plans[0].config, plan=plans[0], log=quiet, on_epoch_end=lambda state: False)
    assert not plans[0].folder.finished and (plans[0].path / "checkpoint.pt").exists()
    told = cluster._make(task.order(), 3, Path("/no/such/place/.draft"))
    assert not any(plan.folder.finished for plan in plans)
    *good, bad = cluster._come_home(task, Told(told))
    assert "not finite" in bad.error and bad.task.key == plans[2].key and not plans[2].folder.finished
    for run, plan in zip(good, plans):
        assert (run.error, run.task.key, plan.folder.finished) == ("", plan.key, True) and run.seconds > 0
        alone = plan_run(plan.config, tmp_path / "alone")
        train_quietly(alone, False)
        assert {path.name for path in plan.path.iterdir()} == {path.name for path in alone.path.iterdir()}
        found, expected = (np.load(each.path / "scores.npz")["scores"] for each in (plan, alone))
        np.testing.assert_allclose(found, expected, atol=1e-5)


class Told:
    """What a worker tells of a task, an exception or a result; None while it tells nothing."""

    def __init__(self, what: object):
        self.what = what

    def done(self):
        return self.what is not None

    def result(self):
        if isinstance(self.what, Exception):
            raise self.what
        return self.what

    def cancel(self):
        pass

    release = cancel


class Fragile:
    """A client whose one worker dies of several runs at once; another comes."""

    status, cluster, deaths = "running", None, 0

    def nthreads(self):
        return {f"tcp://worker-{self.deaths}": 1}

    def get_versions(self, packages):
        raise TimeoutError

    def submit(self, make, work, n_parts, mark, **_):
        self.deaths += n_parts > 1
        return Told(None if n_parts > 1 else make(work, n_parts, mark))


def test_runs_of_a_stack_whose_worker_dies_are_made_one_by_one(card, tmp_path, monkeypatch):
    monkeypatch.setattr("distributed.wait", lambda *_, **__: None)
    configs = [resolve(dataset=str(card), epochs=1, batch_size=8, method="coop", seed=seed) for seed in (0, 1)]
    plans, lines = tuple(plan_run(config, tmp_path) for config in configs), []
    made = list(cluster.made(Fragile(), [RunTask(plans)], lines.append))
    assert [(run.state, run.task.key) for run in made] == [("done", plan.key) for plan in plans]
    assert lines == [f"the worker of {plan.path.name} died, another goes on with it" for plan in plans]
    assert all(plan.folder.finished for plan in plans)


def test_other_data_on_a_worker_are_refused(card, tmp_path):
    plan = plan_run(resolve(dataset=str(card), epochs=1, method="coop"), tmp_path)
    other = replace(plan, key="another key")
    ((error, _),), *_ = cluster._make(RunTask((other,)).order(), 1, tmp_path / ".draft")
    assert error.startswith("FAILED: data, weights or library on ") and not plan.folder.finished


def test_a_full_disk_of_a_worker_stops_the_sweep(card, tmp_path):
    """Where it is this machine's too; on a worker's own, and where a worker lacks the library, the others go on."""
    plan = plan_run(resolve(dataset=str(card), epochs=1, method="coop"), tmp_path)

    def full(plan, force):
        raise DiskError(f"{plan.path}: the disk is full: make room")

    task, mark = RunTask((plan,), runner=full), tmp_path / ".draft"
    ((error, _),), *_ = cluster._make(task.order(), 1, mark)
    assert error.startswith("FAILED: ") and "the disk is full" in error
    mark.touch()
    with pytest.raises(DiskError, match="the disk is full") as error:
        cluster._make(task.order(), 1, mark)
    with pytest.raises(DiskError, match="the disk is full"):
        cluster._come_home(task, Told(error.value))
    (run,) = cluster._come_home(task, Told(ModuleNotFoundError("No module named 'lmptlib'")))
    assert (run.error, run.missing) == ("FAILED: No module named 'lmptlib'", False)


def test_workers_of_other_versions_are_named():
    lines: list[str] = []
    here = {"lmptlib": "2", "torch": "2.7", "open_clip_torch": "3.3"}

    class Client:
        def get_versions(self, packages):
            workers = {name: {"packages": here | other} for name, other in others.items()}
            return {"client": {"packages": here}, "workers": workers}

    others = {"tcp://a": {}, "tcp://b": {"torch": "2.6"}, "tcp://c": {"lmptlib": None}, "tcp://old": {"torch": "1"}}
    cluster._compare_versions(Client(), {"tcp://a", "tcp://b", "tcp://c", "tcp://gone"}, lines.append)
    assert lines == [
        "note: tcp://b has torch 2.6 (here 2.7): its numbers may differ",
        "note: tcp://c has lmptlib in no version (here 2): its numbers may differ",
    ]


def test_what_is_no_scheduler_and_no_batch_system_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_ANSWERS", "1s")
    with (
        pytest.raises(ValueError, match=r"no scheduler answers at tcp://127.0.0.1:9 "),
        connected(Workers(scheduler="tcp://127.0.0.1:9"), 1),
    ):
        pass
    for text in ("", "system: slurm", "system: oar\nworkers: 2", "no: mapping: here", "system: slurm\nworkers: x"):
        (tmp_path / "batch.yaml").write_text(text)
        with (
            pytest.raises(ValueError, match=r"batch.yaml: not a batch system's file \(.+README has one"),
            connected(Workers(batch=tmp_path / "batch.yaml"), 1),
        ):
            pass


@pytest.mark.parametrize("package", ["distributed", "dask_jobqueue"])
def test_what_workers_need_is_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "batch.yaml").write_text("system: slurm\nworkers: 1")
    with (
        pytest.raises(ValueError, match=r"^several workers need dask: pip install 'lmptlib\[cluster\]'$"),
        connected(Workers(batch=tmp_path / "batch.yaml"), 1),
    ):
        pass


def test_a_batch_system_that_refuses_a_job_is_heard(tmp_path, monkeypatch):
    sbatch = tmp_path / "sbatch"
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: no such partition' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    batch = tmp_path / "batch.yaml"
    batch.write_text("system: slurm\nworkers: 2\ncores: 1\nmemory: 4GB\ninterface: lo\n")
    with (
        pytest.raises(ValueError, match=r"batch.yaml: slurm takes no such job: sbatch: error: no such partition$"),
        connected(Workers(batch=batch), 1),
    ):
        pass
