"""Where runs, and parts of features, are made: by processes of this machine, of a running scheduler, or of a batch system.

All of it is dask.distributed's (extra `cluster`): tasks of a worker that dies go to another, at most twice more.
"""

import io
import logging
import os
import socket
import tarfile
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import uuid4

import torch

from lmptlib.config import Config
from lmptlib.errors import DataError, first_line, read_yaml
from lmptlib.paths import DiskError, writing
from lmptlib.training.plan import Plan, plan_run
from lmptlib.training.training import train_together

if TYPE_CHECKING:
    from distributed import Client

Runner = Callable[[Plan, bool], object]  # makes the run of a plan, anew where the flag says so
# Makes things on a worker, in a folder, for a job of this name: the path of each, or what it failed by.
Work = Callable[[Path, str], Sequence[Path | Exception]]

_SYSTEMS = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}
_SETTINGS = {
    # pictures are read by processes of a worker's own
    "distributed.worker.daemon": False,
    # a worker takes its time to start again
    "distributed.deploy.lost-worker-timeout": "60s",
    # a training may hold the interpreter's lock for long: no warning
    "distributed.admin.tick.limit": "1h",
}
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# How long a scheduler may take to answer.
_ANSWERS = "10s"
# Seconds after which it is seen which workers have come or gone.
_LOOKS = 1
# What numbers depend on beside data and weights.
_ALIKE = ("lmptlib", "torch", "open_clip_torch")
_NEEDED = "several workers need dask: pip install 'lmptlib[cluster]'"
_LOST = "MISSING: its scheduler is out of reach"
# How often a run is begun whose workers die.
_TIMES = 3


@dataclass(frozen=True)
class Workers:
    """Who makes runs: `n` processes of this machine that share its cores and GPUs, those of the `scheduler` at an address, or
    those that a batch system starts, as the YAML file `batch` says (README, "Many runs")."""

    n: int = 1
    scheduler: str | None = None
    batch: Path | None = None

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"workers must be at least 1, not {self.n}")

    @property
    def here(self) -> bool:
        """Whether runs are made by this process, one after the other."""
        return self.n == 1 and not self.scheduler and not self.batch


class Task(Protocol):
    """What is to be made: runs that train together, or one, or a part of features."""

    @property
    def key(self) -> str:
        """What tells it from others."""

    @property
    def name(self) -> str:
        """What it is called where it is told of."""

    @property
    def home(self) -> Path:
        """The folder that is to hold what is made."""

    @property
    def parts(self) -> Sequence["Task"]:
        """Tasks of one thing each."""

    def make(self) -> Sequence[Path | Exception]:
        """Make it in this process: the path of each part, or what it failed by."""

    def order(self) -> Work:
        """How a worker makes it: in its home, or, where that is not on the worker's disks, in another folder."""

    def unpack(self, content: bytes) -> None:
        """Write what came from such a folder to its home: the bytes of a file, or the packed files of a folder; of one part."""


class Made(NamedTuple):
    """What became of a task of one thing: what went wrong, or nothing; on which machine it was made, in how many seconds,
    of a run its share of those of its stack.

    missing: nobody knows, as those that made it are out of reach.
    """

    task: Task
    error: str
    where: str = ""
    seconds: float = float("nan")
    missing: bool = False

    @property
    def state(self) -> str:
        return "missing" if self.missing else "failed" if self.error else "done"


@dataclass(frozen=True)
class RunTask:
    """The runs of plans, which train together; by a runner, where there is one, one run. Anew where `force` says so.

    opened: the CLIP and the inputs of the run that this process made last.
    """

    plans: tuple[Plan, ...]
    force: bool = False
    runner: Runner | None = None
    opened: dict = field(default_factory=dict, compare=False)

    @property
    def key(self) -> str:
        return self.plans[0].key

    @property
    def name(self) -> str:
        others = len(self.plans) - 1
        return self.plans[0].path.name + (f" and {others} that train with it" if others else "")

    @property
    def home(self) -> Path:
        return self.plans[0].path.parent

    @property
    def parts(self) -> list["RunTask"]:
        return [replace(self, plans=(plan,)) for plan in self.plans]

    def make(self) -> list[Path | Exception]:
        if not self.runner:
            return _train(self.plans, self.force, self.opened)
        self.runner(self.plans[0], self.force)
        return [self.plans[0].path]

    def order(self) -> Work:
        configs = [plan.config.model_copy(update={"cache": str(plan.cache.absolute())}) for plan in self.plans]
        return partial(_make_runs, configs, [plan.key for plan in self.plans], self.runner, self.force)

    def unpack(self, content: bytes) -> None:
        (plan,) = self.plans
        if self.force or not plan.folder.finished:
            _unpack(content, plan)


def _train(plans: Sequence[Plan], force: bool, opened: dict) -> list[Path | Exception]:
    """Train runs together; one by one where something else than a loss stops them all: memory, a fault in a method."""
    try:
        return train_together(plans, force, lambda line: None, opened=opened)
    except DiskError:
        raise
    except Exception as error:
        if len(plans) == 1:
            return [error]
    # here the error is gone, and what the stack held with it
    return [made for plan in plans for made in _train([plan], force, opened)]


@contextmanager
def connected(workers: Workers, most: int) -> Iterator["Client"]:
    """A client of the workers, of whom `most` are of use; they end with it where they were started for it.

    Raises ValueError, one line.
    """
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise ValueError(_NEEDED) from None
    # what a user has to know is said in a line
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(_SETTINGS))
        if workers.scheduler:
            try:
                client = Client(workers.scheduler, timeout=_ANSWERS)
            except OSError as error:
                raise ValueError(f"no scheduler answers at {workers.scheduler} ({first_line(error)})") from None
        else:
            cluster = _batch(workers.batch) if workers.batch else _local(min(workers.n, most))
            client = Client(stack.enter_context(cluster))
        yield stack.enter_context(client)


def _local(n: int) -> Any:
    """A cluster of n processes of this machine: its cores are shared out, and its GPUs, one a process."""
    from distributed import Nanny, Scheduler, SpecCluster

    threads = dict.fromkeys(_THREADS, str(max(1, (os.cpu_count() or 1) // n)))
    gpus = [str(i) for i in range(torch.cuda.device_count())]
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        gpus = visible.split(",")[: len(gpus)]
    specs = {}
    for i in range(n):
        gpu = {"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} if gpus else {}
        options = {"host": "127.0.0.1", "nthreads": 1, "memory_limit": 0, "env": threads | gpu, "silence_logs": 50}
        specs[i] = {"cls": Nanny, "options": options}
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}}
    return SpecCluster(specs, scheduler, silence_logs=50)


def _batch(path: Path) -> Any:
    """The cluster of a file: `system` slurm or pbs, `workers`, and arguments of dask-jobqueue's cluster of that system."""
    try:
        import dask_jobqueue
    except ImportError:
        raise ValueError(_NEEDED) from None
    from distributed import Status

    cores = " ".join(f"{name}=${{SLURM_CPUS_PER_TASK:-${{NCPUS:-1}}}}" for name in _THREADS)
    prologue = [f"export DASK_DISTRIBUTED__WORKER__DAEMON=False {cores}"]
    try:
        given = read_yaml(path.read_text(encoding="utf-8"))
        system, n = given.pop("system"), int(given.pop("workers"))
        own = given.pop("job_script_prologue", [])
        prologue += [own] if isinstance(own, str) else own
        cluster = getattr(dask_jobqueue, _SYSTEMS[system])(**{"processes": 1, "job_script_prologue": prologue} | given)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"{path}: not a batch system's file ({first_line(error)}); README has one") from None
    # as `scale` does, but that what the system refuses is heard of
    for _ in range(n):
        cluster.worker_spec.update(cluster.new_worker_spec())
    try:
        cluster.sync(_submitted, cluster)
    except (RuntimeError, OSError) as error:
        refused = [name for name, job in cluster.workers.items() if job.status == Status.created]
        for name in refused:  # which are there to be closed otherwise
            cluster.workers.pop(name).status = Status.failed
        cluster.close()
        said = [line for line in str(error).splitlines() if line.strip()]
        raise ValueError(f"{path}: {system} takes no such job: {said[-1]}") from None
    # jobs whose time is over are sent again
    cluster.adapt(minimum=n, maximum=n)
    return cluster


async def _submitted(cluster: Any) -> None:
    """Wait until a batch system has taken the jobs, which may start much later."""
    await cluster


def made(client: "Client", missing: Sequence[Task], log: Callable[[str], None]) -> Iterator[Made]:
    """The parts of tasks, which have one home, as they come from the workers; what they made is there then. Where the workers
    write to other disks, it comes with the result.

    A worker has one task at a time, which alone is to blame where it dies; of several parts each is a task then.
    """
    from distributed import CancelledError, wait

    home = missing[0].home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    mark = home / f".{uuid4().hex}.draft"
    mark.touch()
    left, waiting, deaths, told = deque(missing), dict[Any, tuple[Task, str]](), Counter[str](), False
    known = set[str]()
    try:
        while left or waiting:
            if client.status != "running":
                lost = [*(task for task, _ in waiting.values()), *left]
                yield from (Made(part, _LOST, missing=True) for task in lost for part in task.parts)
                return
            there = _workers(client)
            if not there and not told:
                log("waiting for workers: none is there")
            told = not there
            if new := set(there) - known:
                _compare_versions(client, new, log)
                known |= new
            for future, (task, worker) in list(waiting.items()):
                if future.done():
                    yield from _come_home(task, future)
                elif worker not in there:
                    future.cancel()
                    for part in task.parts:
                        deaths[part.key] += 1
                        if deaths[part.key] == _TIMES:
                            yield Made(part, f"FAILED: {_TIMES} workers died of it (out of memory?)")
                        else:
                            log(f"the worker of {part.name} died, another goes on with it")
                            left.append(part)
                else:
                    continue
                del waiting[future]
            busy = {worker for _, worker in waiting.values()}
            for worker in [worker for worker in there if worker not in busy][: len(left)]:
                task = left.popleft()
                future = client.submit(_make, task.order(), len(task.parts), mark, workers=[worker], pure=False)
                waiting[future] = task, worker
            if waiting:
                # cancelled where the scheduler is out of reach
                with suppress(TimeoutError, CancelledError):
                    wait(list(waiting), timeout=_LOOKS, return_when="FIRST_COMPLETED")
            elif left:
                time.sleep(_LOOKS)
    finally:
        mark.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _memory(sweep: str) -> tuple[dict, dict]:
    """Data sets and hashes of weights that this process has read for a sweep, and what the last run had open."""
    return {}, {}


def n_workers(client: "Client") -> int:
    """How many workers a client has, those that are to come included."""
    return max(len(_workers(client)), len(client.cluster.worker_spec) if client.cluster else 1)


def _workers(client: "Client") -> list[str]:
    """The addresses of the workers that are there: none where the scheduler is out of reach."""
    try:
        return list(client.nthreads())
    except (OSError, TimeoutError):
        return []


def _compare_versions(client: "Client", workers: set[str], log: Callable[[str], None]) -> None:
    """A line for each of the workers whose versions are not those of this process."""
    # a worker may be gone before it answers
    with suppress(OSError, TimeoutError):
        found: Any = client.get_versions(packages=_ALIKE)
        here = found["client"]["packages"]
        for worker in sorted(workers & found["workers"].keys()):
            theirs = found["workers"][worker]["packages"]
            differing = {name: theirs[name] or "in no version" for name in _ALIKE if theirs[name] != here[name]}
            if others := ", ".join(f"{name} {version} (here {here[name]})" for name, version in differing.items()):
                log(f"note: {worker} has {others}: its numbers may differ")


def _make(work: Work, n_parts: int, mark: Path) -> tuple[list[tuple[str, bytes | None]], str, float]:
    """Make things on a worker: what went wrong with each, and what was made where the folder of `mark` is not on its disks;
    its machine, and the seconds."""
    started, where = time.monotonic(), socket.gethostname()
    with ExitStack() as stack:
        shared = mark.exists()
        folder = mark.parent if shared else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lmptlib-")))
        try:
            told = [
                (failed(one), None) if isinstance(one, Exception) else ("", None if shared else _packed(one))
                for one in work(folder, mark.name)
            ]
        except Exception as reason:  # whatever stops one task, the others go on; it is named at the end
            # but where their disk is full
            if shared and isinstance(reason, DiskError):
                raise
            told = [(failed(reason), None)] * n_parts
    return told, where, time.monotonic() - started


def failed(reason: Exception) -> str:
    """What a task failed by: in a line, or one for each thing that is wrong with its data."""
    return f"FAILED: {reason if isinstance(reason, DataError) else first_line(reason)}"


def _make_runs(
    configs: Sequence[Config], keys: Sequence[str], runner: Runner | None, force: bool, out: Path, sweep: str
) -> list[Path | Exception]:
    read, opened = _memory(sweep)
    plans = [plan_run(config, out, read) for config in configs]
    if [plan.key for plan in plans] != keys:
        raise ValueError(f"data, weights or library on {socket.gethostname()} are not those of the machine that asks")
    return RunTask(tuple(plans), force, runner, opened).make()


def _packed(path: Path) -> bytes:
    """A file's bytes; of a folder its files in an archive."""
    if path.is_file():
        return path.read_bytes()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for file in sorted(path.glob("[!.]*")):
            archive.add(file, file.name)
    return content.getvalue()


def _come_home(task: Task, future: Any) -> list[Made]:
    """What a worker tells of a task's parts; what it made is written here where it comes with it. Raises DiskError."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm import CommClosedError

    try:
        told, where, seconds = future.result()
        for part, (_, content) in zip(task.parts, told):
            if content:
                part.unpack(content)
    except (CancelledError, CommClosedError):
        return [Made(part, _LOST, missing=True) for part in task.parts]
    except KilledWorker:
        return [Made(part, "FAILED: its workers died (out of memory?)") for part in task.parts]
    except DiskError:
        raise
    except Exception as reason:  # what a worker cannot tell or do, as where lmptlib is missing there
        return [Made(part, f"FAILED: {first_line(reason)}") for part in task.parts]
    finally:
        future.release()
    return [Made(part, error, where, seconds / len(told)) for part, (error, _) in zip(task.parts, told)]


def _unpack(content: bytes, plan: Plan) -> None:
    with (
        plan.folder.lock(lambda line: None),
        writing(plan.path),
        tempfile.TemporaryDirectory(prefix=".", suffix=".draft", dir=plan.path.parent) as draft,
        tarfile.open(fileobj=io.BytesIO(content)) as archive,
    ):
        archive.extractall(draft, filter="data")
        # without its metrics a run is none, and with a checkpoint it is not finished
        for name in ("metrics.json", "checkpoint.pt"):
            (plan.path / name).unlink(missing_ok=True)
        for path in sorted(Path(draft).iterdir(), key=lambda path: path.name == "metrics.json"):
            path.replace(plan.path / path.name)
