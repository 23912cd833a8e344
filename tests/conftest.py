"""Shared fixtures: small data sets in the real formats, and the reference material where it lies beside the project."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: tests run side by side, a core each

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import hypothesis
import pytest
from tiny import TinyCard, make_tiny

from lmptlib.config import fitting, resolve
from lmptlib.runs.run import Run
from lmptlib.training.training import train

# The same examples each time; `HYPOTHESIS_PROFILE=default pytest` looks for others.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("LMPT_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Official lists, photographs and a small CLIP for trials; tests that need them skip where they are not."""
    if not (SHARED / "lists").is_dir():
        pytest.skip("no reference material beside the project (LMPT_SHARED names it)")
    return SHARED


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where the tests keep computed features, from one time to the next and apart from those of the project."""
    return ROOT / ".pytest_cache" / "features"


@pytest.fixture
def make_run(tiny, tmp_path, cache) -> Callable[..., Run]:
    """Train on the tiny card, for two epochs unless told otherwise; what the method does not have falls away."""

    def make(out: Path | None = None, **settings) -> Run:
        given = {"dataset": str(tiny.path), "cache": str(cache), "epochs": 2, "batch_size": 8}
        config = resolve(
            **{**fitting({**given, "method": settings.get("method"), "recipe": settings.get("recipe")}), **settings}
        )
        return Run(train(config, out or tmp_path / "outputs", log=lambda line: None))

    return make


@pytest.fixture
def tiny(tmp_path: Path) -> TinyCard:
    return make_tiny(tmp_path / "tiny")


@pytest.fixture(scope="session")
def kernel_server(tmp_path_factory) -> Iterator[Path]:
    """A folder of Jupyter's, whose kernel `python3` is forked from a process that has made its imports."""
    folder, program = tmp_path_factory.mktemp("jupyter"), str(ROOT / "tests" / "kernels.py")
    address = str(folder / "socket")
    argv = [sys.executable, program, "start", address, "-f", "{connection_file}"]
    (folder / "kernels" / "python3").mkdir(parents=True)
    specification = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(specification))
    with subprocess.Popen([sys.executable, program, "serve", address]) as server:
        yield folder
        server.kill()


@pytest.fixture
def forked_kernels(kernel_server, monkeypatch) -> None:
    """Notebooks run in kernels that need no time to start."""
    monkeypatch.setenv("JUPYTER_PATH", str(kernel_server))


@pytest.fixture
def no_kernel(monkeypatch) -> None:
    """For commands that are refused before a cell runs: none is started meanwhile."""
    monkeypatch.setattr("lmptlib.suite.kernel.started_kernel", nullcontext)
