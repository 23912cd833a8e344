"""The notebooks: their form, and each of them run in batch."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from lmptlib import config
from lmptlib.paths import shipped
from lmptlib.suite import notebooks
from lmptlib.suite.cli.demo import DEMO

PATHS = sorted(shipped("notebooks").glob("*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_the_demo_runs_the_first_of_them():
    assert [path.stem for path in PATHS][: len(DEMO)] == list(DEMO)


def test_outputs_are_stripped():
    done = subprocess.run(
        [sys.executable, "-m", "nbstripout", "--verify", *map(str, PATHS)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_form(path):
    cells = read(path).cells
    header = cells[0].source
    assert header.startswith("# ") and "you should see" in header and "| time |" in header and "| data |" in header
    name = re.search(r"`lmpt run (\w+)", header)[1]
    assert notebooks.find_notebook(name) == path
    assert cells[1].metadata.tags == ["parameters"] and "lmptlib.versions()" in cells[2].source
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert len(code) <= 25
    for source in code[1:]:
        lines = [line for line in source.splitlines() if not line.startswith(("from ", "import "))]
        assert len(lines) <= 14
        assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
        assert "interact(" not in source and "widgets.Output" not in source and "tqdm" not in source
    assert read(path).metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_headers_commands_are_accepted(path):
    text = read(path).cells[0].source
    commands = re.findall(r"`(lmpt run [^`]+|-p [^`]+)`", text)
    assert commands
    for command in commands:
        words = shlex.split(command)
        pairs = [(words[i + 1], words[i + 2]) for i, word in enumerate(words) if word == "-p" and "..." not in words]
        notebooks.read_parameters(path, {name: value for name, value in pairs if value != "..."})


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_parameters_are_the_configurations(path):
    declared = notebooks.parameters(path)
    assert "interactive" in declared
    for name, parameter in declared.items():
        assert parameter.help, f"{name} has no comment"
        if name in config.FIELDS:
            hint = str(config.TYPES[name])
            assert parameter.kind in hint and parameter.optional == ("None" in hint), name
            assert ast.literal_eval(parameter.default) == config.FIELDS[name].default, name
    if "force" in declared:  # it trains
        missing = set(config.FIELDS) - set(declared) - {"loss", "method", *VARIED.get(path.stem, ())}
        assert not missing, "a setting that the notebook does not reach"
        assert {"out", "recipe", "dataset", "seed", "device"} <= set(declared)


# What a notebook's sweep varies is no parameter of it.
LMPT_PARTS = ("soft_margin", "reweight", "lam")
VARIED = {"09_probability_control": ("loss_settings",), "11_ablation": LMPT_PARTS, "12_walkthrough": LMPT_PARTS}
SMALL = {
    "05_embeddings": {"n_images": 10}, "06_per_class_ap": {"n_seeds": 2, "compare": "zero_shot, coop, lmpt paper"},
    "10_loss_table": {"n_seeds": 2}, "11_ablation": {"n_seeds": 2}, "12_walkthrough": {"n_seeds": 1},
}  # fmt: skip


@pytest.mark.parametrize("interactive", [False, True])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_runs_through_papermill(path, interactive, tiny, tmp_path):
    executed = tmp_path / "executed.ipynb"
    values = {
        "dataset": str(tiny.path),
        "epochs": 2,
        "batch_size": 8,
        "out": str(tmp_path / "out"),
        "interactive": interactive,
    }
    values = {name: value for name, value in values.items() if name in notebooks.parameters(path)}
    papermill.execute_notebook(
        path,
        executed,
        {**values, **SMALL.get(path.stem, {})},
        kernel_name="python3",
        progress_bar=False,
        execution_timeout=300,
        cwd=tmp_path,
    )
    outputs = [output for cell in read(executed).cells for output in cell.get("outputs", [])]
    assert any("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs)
    widgets = any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs)
    assert widgets == interactive
    assert not [output for output in outputs if output.output_type == "error"]
    if not interactive:
        assert executed.stat().st_size < 2e6


def test_an_unknown_run_is_named(tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match="no run 'nothing'"):
        papermill.execute_notebook(
            notebooks.find_notebook("per_class_ap"), None, {"runs_to_show": "nothing", "out": str(tmp_path)},
            kernel_name="python3", progress_bar=False, execution_timeout=300,
        )  # fmt: skip
