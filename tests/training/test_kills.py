"""A run's life with other processes: killed, interrupted, or two at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lmptlib.config import resolve
from lmptlib.runs.run import Run
from lmptlib.training.plan import plan_run
from lmptlib.training.training import train

silent = lambda line: None  # noqa: E731
ROOT = Path(__file__).parents[1]


def start_training(card: Path, out: Path, epochs: int) -> subprocess.Popen:
    """A plain Python process that trains, as README shows."""
    lines = [
        "from lmptlib import resolve, train",
        f"config = resolve(dataset={str(card)!r}, epochs={epochs}, batch_size=8)",
        f"print(train(config, {str(out)!r}, log=lambda line: print(line, flush=True)))",
    ]
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=pipe, stderr=pipe, text=True)


def wait_for(process: subprocess.Popen, text: str) -> str:
    """The first printed line that has the text."""
    return next(line for line in process.stdout if text in line)


@pytest.mark.parametrize(("what", "kills"), [("runs", 3), ("towers", 2), ("commands", 1)])
def test_a_killed_run_goes_on_to_the_same_bits(what, kills, tiny, tmp_path):
    command = [sys.executable, ROOT / "kills.py", what, tiny.path, tmp_path, kills]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.stdout.endswith("all whole\n"), done.stdout + done.stderr


def test_two_processes_on_one_run(tiny, tmp_path):
    """One trains; the other waits, says so, and returns the finished run."""
    first = start_training(tiny.path, tmp_path, 20)
    wait_for(first, "epoch  1/20")
    os.kill(first.pid, signal.SIGSTOP)  # until the other has come
    second = start_training(tiny.path, tmp_path, 20)
    assert (waiting := wait_for(second, "")).startswith("waiting for another process that works on ")
    os.kill(first.pid, signal.SIGCONT)
    (printed, errors), (others, other_errors) = first.communicate(timeout=120), second.communicate(timeout=120)
    assert first.returncode == second.returncode == 0, errors + other_errors
    folder = Path(printed.splitlines()[-1])
    assert waiting.strip().endswith(str(folder))
    assert others.splitlines() == [f"finished already: {folder}", str(folder)]
    assert len(Run(folder).history) == 20


def test_an_interrupted_process_writes_its_run(tiny, tmp_path):
    process = start_training(tiny.path, tmp_path / "broken", 1000)
    wait_for(process, "epoch  3/1000")
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT and errors.splitlines()[-1] == "KeyboardInterrupt"
    (folder,) = (tmp_path / "broken").glob("tiny-*")
    epochs = Run(folder).stopped
    assert 3 <= epochs < 1000 and f"stopped after {epochs} of 1000 epochs; written to {folder}" in printed


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def replace_by_text(path: Path) -> None:
    path.write_text("not a checkpoint")


@pytest.mark.parametrize("damage", [truncate, empty, fill_with_zeros, replace_by_text])
def test_a_run_whose_checkpoint_is_damaged_begins_anew(tiny, tmp_path, damage):
    config = resolve(dataset=str(tiny.path), epochs=3, batch_size=8)
    folder = train(config, tmp_path, log=silent, on_epoch_end=lambda state: state.epoch < 2)
    damage(folder / "checkpoint.pt")
    said: list[str] = []
    train(config, tmp_path, log=said.append)
    (line,) = [line for line in said if "damaged" in line]
    assert line.startswith(f"{folder / 'checkpoint.pt'}: damaged (") and line.endswith("); the run begins anew")
    assert "\n" not in line and [line[:11] for line in said if line.startswith("epoch")] == [
        "epoch  1/3 ", "epoch  2/3 ", "epoch  3/3 ",
    ]  # fmt: skip
    assert Run(folder).stopped is None


def test_what_a_killed_process_left_is_taken_away(tiny, tmp_path):
    """Drafts; and the checkpoint of a run that was killed after its metrics were written."""
    config = resolve(dataset=str(tiny.path), epochs=2, batch_size=8)
    kept = {}

    def keep_checkpoint(state) -> None:
        kept["state"] = state.state_dict()

    folder = train(config, tmp_path, log=silent, on_epoch_end=keep_checkpoint)
    metrics = (folder / "metrics.json").read_bytes()
    torch.save(kept["state"], folder / "checkpoint.pt")
    (folder / ".scores.npz.0123.draft").write_bytes(b"half")
    assert not plan_run(config, tmp_path).folder.finished
    train(config, tmp_path, log=silent)
    assert plan_run(config, tmp_path).folder.finished
    left = {path.name for path in folder.iterdir()}
    assert not {"checkpoint.pt", ".scores.npz.0123.draft"} & left
    assert (folder / "metrics.json").read_bytes() == metrics
