"""Ctrl-C and its like on `lmpt run`: what there is gets written, and a kernel does not outlive its command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from lmptlib.runs.run import Run


def start(notebook: str | Path, out: Path, *parameters: str | Path) -> subprocess.Popen:
    """`lmpt run` in a process group of its own, as a terminal has it."""
    command = [sys.executable, "-m", "lmptlib.suite.cli.main", "run", notebook, "--out", out, *parameters]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def wait_for(process: subprocess.Popen, text: str) -> str:
    """The first printed line that has the text."""
    return next(line for line in process.stdout if text in line)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def sleeping_notebook(folder: Path, on_interrupt: str) -> Path:
    lines = [
        "import os, time",
        "while True:",
        "    try:",
        "        print('kernel', os.getpid(), flush=True)",
        "        time.sleep(600)",
        "    except KeyboardInterrupt:",
        f"        {on_interrupt}",
    ]
    cells = [nbformat.v4.new_code_cell("\n".join(lines)), nbformat.v4.new_code_cell("print('next cell')")]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / "own.ipynb")
    return folder / "own.ipynb"


def test_an_interrupted_training_is_written_and_goes_on(tiny, tmp_path):
    settings = ("-p", "dataset", tiny.path, "-p", "epochs", "150")
    process = start("train", tmp_path / "out", *settings)
    wait_for(process, "epoch  3/150")
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    half_run = tmp_path / "out" / "failed" / "03_train.ipynb"
    assert errors == f"03_train: stopped; see {half_run}\n" and "KeyboardInterrupt" in half_run.read_text()
    (folder,) = [path.parent for path in (tmp_path / "out").glob("*/metrics.json")]
    epochs = len(Run(folder).history)
    assert 3 <= epochs < 150 and f"stopped after {epochs} of 150 epochs" in printed

    process = start("train", tmp_path / "out", *settings)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and f"going on after epoch {epochs} of 150" in printed
    assert len(Run(folder).history) == 150


@pytest.mark.parametrize("on_interrupt", ["raise", "break"])
def test_a_stopped_notebook_has_no_next_cell(tmp_path, on_interrupt):
    """Whether the cell ends by the interrupt or takes it; SIGTERM counts as Ctrl-C."""
    process = start(sleeping_notebook(tmp_path, on_interrupt), tmp_path / "out")
    wait_for(process, "kernel")
    process.terminate()
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, f"own: stopped; see {tmp_path / 'out' / 'failed' / 'own.ipynb'}\n")
    assert "next cell" not in printed


def test_a_second_interrupt_ends_at_once(tmp_path):
    process = start(sleeping_notebook(tmp_path, "continue"), tmp_path / "out")
    kernel = int(wait_for(process, "kernel").split()[1])
    process.send_signal(signal.SIGINT)
    wait_for(process, "kernel")
    assert process.poll() is None, "the cell goes on"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and errors.startswith("own: stopped; see ") and not alive(kernel)


def test_an_interrupt_while_the_kernel_starts(tiny, tmp_path):
    """`lmpt` says a line before it starts one."""
    process = start("train", tmp_path / "out", "-p", "dataset", tiny.path)
    wait_for(process, "03_train on tiny")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and len(errors.splitlines()) == 1


def test_a_kernel_ends_with_its_command(tmp_path):
    """SIGKILL leaves `lmpt` no time to tell it: the kernel looks for its parent once a second."""
    process = start(sleeping_notebook(tmp_path, "continue"), tmp_path / "out")
    kernel = int(wait_for(process, "kernel").split()[1])
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while alive(kernel) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not alive(kernel)
