"""The library without the suite's packages: it trains, sweeps, classifies and shows results."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

# Runs `lmpt` with the notebooks' and the paper's packages out of reach, as they are where they are not installed.
ALONE = """
import importlib.abc, sys

BLOCKED = {
    "papermill", "nbclient", "nbformat", "ipykernel", "IPython", "ipywidgets", "anywidget", "itables", "plotly",
    "seaborn", "matplotlib", "mistune", "nh3", "latex2mathml",
}

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        if package in BLOCKED or package.startswith("jupyter"):
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)

sys.meta_path.insert(0, Blocker())
"""
COMMAND = "from lmptlib.suite.cli.main import main; main()"
CLASSIFY = """
from pathlib import Path
from lmptlib.config import resolve
from lmptlib.runs.classifier import Classifier
from lmptlib.training.training import train

card, out, picture = map(Path, sys.argv[1:])
folder = train(resolve(dataset=str(card), epochs=1), out)
print("probabilities", Classifier(folder)([picture]).shape)
"""


def alone(code: str, *arguments: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", ALONE + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_it_trains_classifies_and_shows_results(tiny, tmp_path):
    out = tmp_path / "out"
    done = alone(CLASSIFY, tiny.path, out, tiny.folder / "test" / "0.jpg")
    assert done.returncode == 0 and "probabilities (1, 4)" in done.stdout, done.stderr
    shown = alone(COMMAND, "results", "--out", out)
    assert shown.returncode == 0 and "lmpt" in shown.stdout, shown.stderr


def test_it_sweeps(tiny, tmp_path):
    grid = tmp_path / "grid.yaml"
    rows = {"soft": {"method": "coop"}, "both": {"method": "lmpt"}}
    grid.write_text(yaml.safe_dump({"settings": {"epochs": 1, "dataset": str(tiny.path)}, "rows": rows, "seeds": [0]}))
    done = alone(COMMAND, "sweep", grid, "--out", tmp_path / "out")
    assert done.returncode == 0 and "2 to make" in done.stdout and "both" in done.stdout, done.stderr


@pytest.mark.parametrize("command", [["recipes"], ["settings", "lmpt"], ["data", "list"], ["info"]])
def test_its_commands_say_what_is_here(command):
    done = alone(COMMAND, *command)
    assert done.returncode == 0 and done.stdout, done.stderr


def test_a_command_that_needs_more_says_so():
    done = alone(COMMAND, "run", "train")
    assert done.returncode == 1
    assert done.stderr == "Error: jupyter_client is not installed: 'lmpt info' says what to install\n"
