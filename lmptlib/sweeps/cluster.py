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
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import uuid4

import torch

from lmptlib.config import Config
from lmptlib.errors import DataError, first_line, read_yaml
from lmptlib.paths import DiskError, writing
from lmptlib.training.plan import Plan, plan_run

if TYPE_CHECKING:
    from distributed import Client

Runner = Callable[[Plan, bool], object]  # makes the run of a plan, anew where the flag says so
# Makes something on a worker, in a folder, for a job of this name: the path of what it made.
Work = Callable[[Path, str], Path]

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
    """What is to be made: a run, or a part of features."""

    @property
    def key(self) -> str:
        """What tells it from others."""

    @property
    def name(self) -> str:
        """What it is called where it is told of."""

    @property
    def home(self) -> Path:
        """The folder that is to hold what is made."""

    def make(self) -> object:
        """Make it in this process."""

    def order(self) -> Work:
        """How a worker makes it: in its home, or, where that is not on the worker's disks, in another folder."""

    def unpack(self, content: bytes) -> None:
        """Write what came from such a folder to its home: the bytes of a file, or the packed files of a folder."""


class Made(NamedTuple):
    """What became of a task: what went wrong, or nothing; on which machine it was made, in how many seconds.

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
    """The run of a plan, by a runner; anew where `force` says so."""

    plan: Plan
    runner: Runner
    force: bool

    @property
    def key(self) -> str:
        return self.plan.key

    @property
    def name(self) -> str:
        return self.plan.path.name

    @property
    def home(self) -> Path:
        return self.plan.path.parent

    def make(self) -> object:
        return self.runner(self.plan, self.force)

    def order(self) -> Work:
        config = self.plan.config.model_copy(update={"cache": str(self.plan.cache.absolute())})
        return partial(_make_run, config, self.plan.key, self.runner, self.force)

    def unpack(self, content: bytes) -> None:
        if self.force or not self.plan.folder.finished:
            _unpack(content, self.plan)


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
    """Tasks, which have one home, as they come from the workers; what they made is there then. Where the workers write to
    other disks, it comes with the result.

    A worker has one task at a time, which alone is to blame where it dies.
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
                yield from (
                    Made(task, _LOST, missing=True) for task in [*(task for task, _ in waiting.values()), *left]
                )
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
                    yield _come_home(task, future)
                elif worker not in there:
                    future.cancel()
                    deaths[task.key] += 1
                    if deaths[task.key] == _TIMES:
                        yield Made(task, f"FAILED: {_TIMES} workers died of it (out of memory?)")
                    else:
                        log(f"the worker of {task.name} died, another goes on with it")
                        left.append(task)
                else:
                    continue
                del waiting[future]
            busy = {worker for _, worker in waiting.values()}
            for worker in [worker for worker in there if worker not in busy][: len(left)]:
                task = left.popleft()
                waiting[client.submit(_make, task.order(), mark, workers=[worker], pure=False)] = task, worker
            if waiting:
                # cancelled where the scheduler is out of reach
                with suppress(TimeoutError, CancelledError):
                    wait(list(waiting), timeout=_LOOKS, return_when="FIRST_COMPLETED")
            elif left:
                time.sleep(_LOOKS)
    finally:
        mark.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _memory(sweep: str) -> dict:
    """Data sets and hashes of weights that this process has read for a sweep."""
    return {}


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


def _make(work: Work, mark: Path) -> tuple[str, str, float, bytes | None]:
    """Make something on a worker: what went wrong, its machine, the seconds, and what was made where the folder of `mark` is not
    on its disks."""
    started, where, error, content = time.monotonic(), socket.gethostname(), "", None
    with ExitStack() as stack:
        shared = mark.exists()
        folder = mark.parent if shared else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lmptlib-")))
        try:
            there = work(folder, mark.name)
            content = None if shared else _packed(there)
        except Exception as reason:  # whatever stops one task, the others go on; it is named at the end
            # but where their disk is full
            if shared and isinstance(reason, DiskError):
                raise
            error = failed(reason)
    return error, where, time.monotonic() - started, content


def failed(reason: Exception) -> str:
    """What a task failed by: in a line, or one for each thing that is wrong with its data."""
    return f"FAILED: {reason if isinstance(reason, DataError) else first_line(reason)}"


def _make_run(config: Config, key: str, runner: Runner, force: bool, out: Path, sweep: str) -> Path:
    plan = plan_run(config, out, _memory(sweep))
    if plan.key != key:
        raise ValueError(f"data, weights or library on {socket.gethostname()} are not those of the machine that asks")
    runner(plan, force)
    return plan.path


def _packed(path: Path) -> bytes:
    """A file's bytes; of a folder its files in an archive."""
    if path.is_file():
        return path.read_bytes()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for file in sorted(path.glob("[!.]*")):
            archive.add(file, file.name)
    return content.getvalue()


def _come_home(task: Task, future: Any) -> Made:
    """What a worker tells of a task; what it made is written here where it comes with it. Raises DiskError."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm import CommClosedError

    try:
        error, where, seconds, content = future.result()
        if content:
            task.unpack(content)
    except (CancelledError, CommClosedError):
        return Made(task, _LOST, missing=True)
    except KilledWorker:
        return Made(task, "FAILED: its workers died (out of memory?)")
    except DiskError:
        raise
    except Exception as reason:  # what a worker cannot tell or do, as where lmptlib is missing there
        return Made(task, f"FAILED: {first_line(reason)}")
    finally:
        future.release()
    return Made(task, error, where, seconds)


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
