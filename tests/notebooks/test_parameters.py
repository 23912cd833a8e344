"""What a notebook is given: through `lmpt run`, through plain papermill, and by hand in a cell."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

from lmptlib.config import resolve
from lmptlib.suite import notebooks
from lmptlib.suite.parameters import ParameterError, begin, given_settings, read_text, write_text

TRAIN = notebooks.find_notebook("train")
OWN_DATA = notebooks.find_notebook("own_data")
DECLARED = """from typing import Optional

seed: int = 0  # of the draw
method: "Optional[str]" = None  # what is learned
share: float = 0.5  # a number of its own
settings: "Optional[str]" = None  # any other setting
interactive: bool = True  # explorers
"""


class Notebook:
    """Cells run in IPython as JupyterLab runs them, with a history."""

    def __init__(self, folder: Path):
        self.shell = InteractiveShell(ipython_dir=str(folder))
        self.run("from lmptlib.suite.parameters import begin")

    def run(self, *cells: str):
        for cell in cells:
            done = self.shell.run_cell(cell, store_history=True, silent=False)
            done.raise_error()
        return self.shell.user_ns

    def begin(self, *cells: str, sets=()) -> dict:
        return self.run(*cells, f"given = begin(globals(), sets={sets!r})")["given"]


@pytest.fixture
def notebook(tmp_path):
    return Notebook(tmp_path)


def injected(line: str) -> str:
    return "# Parameters\n" + line.replace("; ", "\n")


def test_defaults_give_what_is_not_none(notebook, capsys):
    assert notebook.begin(DECLARED) == {}
    assert "lmptlib" in capsys.readouterr().out, "the versions"


def test_injected_values_get_the_declared_types(notebook):
    line = 'interactive = "false"; share = "1e-3"; seed = "4"; method = "None"'
    assert notebook.begin(DECLARED, injected(line)) == {"seed": 4}
    names = notebook.shell.user_ns
    assert names["interactive"] is False and names["share"] == 1e-3 and names["method"] is None


def test_a_default_is_given_where_it_is_assigned_as_well(notebook):
    """So that a model by default and the same model by hand are not one thing."""
    declared = DECLARED + 'model: str = "clip-emoji"  # an open_clip model name\n'
    assert "model" not in resolve(**notebook.begin(declared)).model_fields_set
    by_hand = notebook.begin(declared, injected('model = "clip-emoji"'))
    assert by_hand == {"model": "clip-emoji"} and "model" in resolve(**by_hand).model_fields_set


def test_settings_that_are_not_declared_are_taken(notebook):
    given = notebook.begin(DECLARED, injected('lr = "1e-3"; n_ctx = 16; settings = "lr: 5, epochs: 3, lam: none"'))
    assert given == {"lr": 1e-3, "n_ctx": 16, "epochs": 3}, "by name goes over the text"
    assert resolve(**given).settings.n_ctx == 16


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("n_ctxx = 16", "this notebook has no parameter 'n_ctxx'. Did you mean 'n_ctx'?"),
        ("shore = 16", "this notebook has no parameter 'shore'. Did you mean 'share'?"),
        ("settings = 'epoch: 3'", "this notebook has no parameter 'epoch'. Did you mean 'epochs'?"),
        ("settings = 'seed: 3'", "'seed' is a parameter of this notebook: give it by itself, not in settings"),
        ("settings = 'lr'", "settings must be like 'lr: 1e-3, n_ctx: 16', not 'lr'"),
        ("settings = 'lr: [1'", "settings must be like 'lr: 1e-3, n_ctx: 16', not 'lr: [1'"),
        ("settings = 'lr: fast'", "parameter 'lr' must be a number, not 'fast'"),
        ("loss = 'bce'", "this notebook sets 'loss' itself"),
        ("settings = 'loss: bce'", "this notebook sets 'loss' itself"),
        ("seed = 'many'", "parameter 'seed' must be a whole number, not 'many'"),
        ("seed = [1, 2]", "parameter 'seed' must be a whole number, not '[1, 2]'"),
    ],
)
def test_what_cannot_be_taken_is_named_in_one_line(notebook, line, message, capsys):
    with pytest.raises(ParameterError) as error:
        notebook.begin(DECLARED, injected(line), sets=["loss"])
    assert str(error.value) == message
    shown = capsys.readouterr().out
    assert shown == f"ParameterError: {message}\n", "no traceback"


def test_a_notebook_without_settings_takes_its_own_parameters_alone(notebook):
    with pytest.raises(ParameterError, match=r"this notebook has no parameter 'lr'\. Known: largest\."):
        notebook.begin("largest: int = 3", injected("lr = 1"))


def test_cells_are_edited_and_run_again(notebook):
    assert notebook.begin(DECLARED, injected("n_ctx = 16")) == {"n_ctx": 16}
    assert notebook.begin(DECLARED.replace("= 0 ", "= 7 ")) == {"seed": 7}, "what was injected before counts no more"
    assert notebook.begin(injected("lr = 1"), injected("epochs = 2")) == {"seed": 7, "epochs": 2}, "the last one counts"
    with pytest.raises(ParameterError, match="no parameter 'sed'"):
        notebook.begin(DECLARED + "sed = 3\n")
    assert notebook.begin(DECLARED + "n_ctx = 4\n") == {"n_ctx": 4}
    with pytest.raises(SyntaxError):
        notebook.run("seed: int = ")
    assert notebook.begin(DECLARED, "later = []", "n_ctxx = 3") == {}


def test_a_name_that_a_later_cell_took_is_told(notebook):
    notebook.begin(DECLARED)
    with pytest.raises(ParameterError, match="'method' holds a set now: run the cell with the parameters again"):
        notebook.begin("method = {1}")
    assert notebook.begin(DECLARED) == {}


def test_without_a_history_what_is_called_as_a_setting_is_one():
    names = {"seed": 2, "n_ctx": "4", "method": None, "share": 1, "settings": "lr: 1e-3"}
    assert begin(names) == {"seed": 2, "n_ctx": 4, "lr": 1e-3}


def test_the_text_is_read_as_it_was_written():
    settings = {
        "lr": 1e-5,
        "loss_settings": "l1_neg: 5, l2_pos: [1, 1, 2]",
        "loss": "bce",
        "ctx_init": "a “photo” of a",
    }
    settings |= {"soft_margin": False, "n_ctx": 4, "data_root": "/a: b, c"}
    text = write_text(settings | {"weights": None})
    assert read_text(text) == settings and "\n" not in text
    assert write_text({"weights": None}) is None


def test_the_runner_puts_other_settings_into_the_text():
    given = {"seed": "1", "lr": "1e-3", "settings": "lr: 5, n_ctx: 16"}
    values = notebooks.read_parameters(TRAIN, given)
    assert values == {"seed": 1, "settings": "lr: 0.001, n_ctx: 16"}
    assert given_settings(values) == {"seed": 1, "lr": 1e-3, "n_ctx": 16}
    for name, other, message in (
        ("train", {"n_ctxx": 3}, "03_train has no parameter 'n_ctxx'. Did you mean 'n_ctx'?"),
        ("train", {"settings": "n_ctxx: 3"}, "03_train has no parameter 'n_ctxx'. Did you mean 'n_ctx'?"),
        ("probability_curves", {"loss": "bce"}, "04_probability_curves sets 'loss' itself"),
        ("paper_audit", {"lr": 1}, "13_paper_audit has no parameter 'lr'. Known: out, interactive."),
    ):
        with pytest.raises(ParameterError) as error:
            notebooks.read_parameters(notebooks.find_notebook(name), other)
        assert str(error.value) == message


def test_a_default_of_its_own_is_a_setting():
    own = {path: notebooks.own_defaults(notebooks.parameters(path)) for path in (OWN_DATA, TRAIN)}
    assert own == {OWN_DATA: {"recipe": "best"}, TRAIN: {}}


def plain_papermill(executed, *pairs: str) -> subprocess.CompletedProcess:
    words = [word for pair in pairs for word in ("-p", *pair.split(" ", 1))]
    command = [sys.executable, "-m", "papermill", TRAIN, executed, "-k", "python3", "--no-progress-bar", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_plain_papermill(tiny, tmp_path):
    executed, out = tmp_path / "executed.ipynb", tmp_path / "out"
    pairs = [f"dataset {tiny.path}", f"out {out}", "epochs 2", "batch_size 8", "lr 1e-3", "settings n_ctx: 3"]
    done = plain_papermill(executed, *pairs, "interactive false")
    assert done.returncode == 0, done.stderr
    (file,) = out.glob("*/config.json")
    settings = json.loads(file.read_text())["settings"]
    assert [settings[name] for name in ("epochs", "batch_size", "lr", "n_ctx")] == [2, 8, 1e-3, 3]
    assert "application/vnd.jupyter.widget-view+json" not in executed.read_text(), "not interactive"

    done = plain_papermill(executed, *pairs, "n_ctxx 3")
    assert (
        done.returncode
        and "ParameterError: this notebook has no parameter 'n_ctxx'. Did you mean 'n_ctx'?" in done.stderr
    )
    outputs = [output for cell in nbformat.read(executed, as_version=4).cells for output in cell.get("outputs", [])]
    (error,) = [output for output in outputs if output.output_type == "error"]
    assert error.traceback == ["ParameterError: this notebook has no parameter 'n_ctxx'. Did you mean 'n_ctx'?"]
