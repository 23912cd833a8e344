"""`python tests/kills.py WHAT CARD FOLDER KILLS`: SIGKILL at random moments; whatever it leaves must load, or go on.

WHAT is `caches` (a process that writes them), `runs` (one that trains), `towers` (one that tunes them, killed in a step of
each phase) or `commands` (`lmpt run train` alone, whose kernel outlives it for a moment). A run is started again until it is
finished, and compared, to the last bit, with one that was never killed. A program of its own, because it forks, and
pytest's workers have threads.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: OpenMP's threads do not survive a fork

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from lmptlib.clip.features import extract
from lmptlib.clip.loading import load_clip
from lmptlib.clip.parts import load_part, store_part
from lmptlib.config import Config, resolve
from lmptlib.data.digests import MANIFEST, verify_digests
from lmptlib.data.loading import load_dataset
from lmptlib.methods.base import Batch
from lmptlib.training.state import TrainState
from lmptlib.training.training import train

draw = random.Random()


def fork(work: Callable[..., object], *arguments: object) -> BaseProcess:
    process = get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def kill(process: BaseProcess | subprocess.Popen) -> bool:
    """Whether it struck: the process had not ended by itself, which it does well or not at all."""
    process.kill()
    process.join() if isinstance(process, BaseProcess) else process.wait()
    status = process.exitcode if isinstance(process, BaseProcess) else process.returncode
    assert status in (0, -signal.SIGKILL), status
    return status != 0


# ------------------------------------------------------------------------------------------------------------- caches


def write_for_ever(cache: Path, paths: list[Path]) -> None:
    tensors = {path: load_file(path) for path in cache.glob("*.safetensors")}
    # One that takes its time to write.
    tensors[cache / "large.safetensors"] = {"plain": torch.rand(20_000, 128)}
    while True:
        for path, content in tensors.items():
            store_part(content, path)
        (cache / MANIFEST).unlink(missing_ok=True)
        verify_digests(paths, cache)


def kill_writers_of_caches(card: Path, folder: Path, kills: int) -> None:
    silent, said = (lambda line: None), []
    clip = load_clip(log=silent)
    expected = extract(clip, load_dataset(str(card)), cache=folder, log=silent)
    paths = list(load_dataset(str(card)).train.paths)
    for _ in range(kills):
        writer = fork(write_for_ever, folder, paths)
        writer.join(draw.uniform(0.02, 0.3))
        assert kill(writer)
        found = extract(clip, load_dataset(str(card)), cache=folder, log=said.append)
        for name in ("train", "train_flipped", "test", "captions"):
            assert torch.equal(getattr(found, name), getattr(expected, name)), name
        large = folder / "large.safetensors"
        assert not large.exists() or load_part(large, ("plain",), 20_000, said.append)
    assert said == [], said


# --------------------------------------------------------------------------------------------------------------- runs


def result(out: Path) -> dict[str, Any]:
    """What the one run of an outputs folder left, file by file, but for the seconds and the notebook."""
    (folder,) = out.glob("tiny-*")
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".ipynb"}
    config = json.loads(files.pop("config.json"))
    rows = [json.loads(line) for line in files.pop("history.jsonl").splitlines()]
    for entry in (config, *rows):
        del entry["seconds"]
    return {**files, "config": config, "history": rows}


def place(out: Path) -> str:
    """Where in a run's life it stands, by its files."""
    names = {path.name for path in out.glob("*/*")}
    if any(name.endswith(".draft") for name in names):
        return "while a file was written"
    if "metrics.json" in names:
        return "after the end"
    if "scores.npz" in names:
        return "while the end was written"
    return "in an epoch" if "config.json" in names else "before the first epoch"


def train_until(config: Config, out: Path, access: int) -> None:
    """Train; the process kills itself before its access number `access` to the files of the outputs; 0: never."""

    def count(event: str, arguments: tuple) -> None:
        nonlocal access
        if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(str(out)):
            access -= 1
            if access == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    train(config, out, log=lambda line: None)


def train_whole(config: Config, folder: Path) -> float:
    """Train without a kill, below the folder `whole`; give the seconds that it took."""
    started = time.monotonic()
    fork(train_until, config, folder / "whole", 0).join()
    return time.monotonic() - started


def kill_trainings(card: Path, folder: Path, kills: int) -> None:
    """By the clock, and, where little time is spent and much could break, between two accesses to files."""
    config = resolve(dataset=str(card), epochs=6, batch_size=8, ema=0.9)
    seconds = train_whole(config, folder)
    life, struck = 0, Counter()
    while struck.total() < kills:
        life += 1
        out = folder / str(life)
        while True:
            last, by_clock = struck.total() == kills, draw.random() < 0.5
            training = fork(train_until, config, out, 0 if last or by_clock else draw.randint(1, 80))
            training.join(draw.uniform(0, seconds) if by_clock and not last else None)
            if not kill(training):
                break
            struck[place(out)] += 1
        assert result(out) == result(folder / "whole"), out
    print(dict(struck))


def train_until_step(config: Config, out: Path, at: tuple[int, int] | None) -> None:
    """Train; the process kills itself before a step of an epoch."""
    batch = TrainState.batch

    def or_kill(state: TrainState, size: int) -> Batch:
        if (state.epoch, int(state.cursor) // state.learning.batch_size) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch(state, size)

    TrainState.batch = or_kill
    train(config, out, log=lambda line: None)


def kill_tunings(card: Path, folder: Path, kills: int) -> None:
    settings = {"tune_epochs": 2, "lr_tune": 1e-3, "epochs": 1, "ema": 0.5}
    config = resolve(dataset=str(card), cache=str(folder / "cache"), method="ballad", batch_size=8, **settings)
    fork(train_until_step, config, folder / "whole", None).join()
    for at in [*[(1, 2), (2, 1)][:kills], None]:
        training = fork(train_until_step, config, folder / "broken", at)
        training.join()
        assert kill(training) is (at is not None)
        assert place(folder / "broken") == ("in an epoch" if at else "after the end")
    assert result(folder / "broken") == result(folder / "whole")


# ----------------------------------------------------------------------------------------------------------- commands


def start_command(card: Path, out: Path, epochs: int) -> subprocess.Popen:
    """`lmpt run train`; what it prints goes to a file, because its kernel would hold a pipe open."""
    settings = ("-p", "dataset", card, "-p", "settings", f"epochs: {epochs}, batch_size: 8")
    command = [sys.executable, "-m", "lmptlib.suite.cli.main", "run", "train", "--out", out, *settings]
    with out.with_suffix(".txt").open("a") as said:
        return subprocess.Popen(command, stdout=said, stderr=said)


def kill_commands(card: Path, folder: Path, kills: int) -> None:
    """The next command starts at once, or beside the first, so that one waits for the other."""
    epochs, struck = 100, Counter()
    seconds = train_whole(resolve(dataset=str(card), epochs=epochs, batch_size=8), folder)
    life = waited = 0
    while struck.total() < kills:
        life += 1
        out = folder / str(life)
        command = start_command(card, out, epochs)
        beside = start_command(card, out, epochs) if draw.random() < 0.5 else None
        while not any(out.glob("*/config.json")):
            time.sleep(0.05)
        time.sleep(draw.uniform(0, seconds))
        where = place(out)
        if kill(command):
            struck[where] += 1
        following = beside or start_command(card, out, epochs)
        following.wait()
        assert not kill(following)
        waited += "waiting for another process that works on" in out.with_suffix(".txt").read_text()
        assert result(out) == result(folder / "whole"), out
    print(dict(struck), f"{waited} of {life} waited for the lock")


if __name__ == "__main__":
    what, card, folder, kills = sys.argv[1:]
    work = {
        "caches": kill_writers_of_caches,
        "runs": kill_trainings,
        "towers": kill_tunings,
        "commands": kill_commands,
    }[what]
    work(Path(card), Path(folder), int(kills))
    print("all whole")
