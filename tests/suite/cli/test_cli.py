"""The command `lmpt`: parameters, repeats, tables and messages."""

import json
import os
import shutil
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner

from lmptlib.runs.run import Run
from lmptlib.suite import notebooks
from lmptlib.suite.cli.demo import DEMO
from lmptlib.suite.cli.main import main
from lmptlib.suite.parameters import given_settings

pytestmark = pytest.mark.usefixtures("forked_kernels")

TRAIN = notebooks.find_notebook("train")


def lmpt(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code == code, result.output
    return result.output


def test_help_is_everywhere():
    commands = [[name] for name in main.commands]
    for command in ([], *commands, ["data", "list"], ["data", "check"]):
        text = lmpt(*command, "--help")
        assert "Usage:" in text and len(text.splitlines()) > 4
    assert "0.2.0" in lmpt("--version")


def test_help_is_quick():
    """Nothing heavy is imported before a command needs it."""
    code = "import sys, lmptlib.suite.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "click" in loaded and not {"torch", "numpy", "pandas", "yaml", "papermill", "plotly"} & set(loaded)


@pytest.mark.parametrize("name", ["train", "03_train", str(TRAIN)])
def test_a_notebook_has_three_names(name):
    assert notebooks.find_notebook(name).resolve() == TRAIN.resolve()


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("epochs", "12", 12),
        ("epochs", "none", None),
        ("lr", "5e-4", 5e-4),
        ("lr", "3", 3.0),
        ("lr", "NULL", None),
        ("force", "TRUE", True),
        ("force", "false", False),
        ("class_specific", "False", False),
        ("loss", "bce", "bce"),
        ("weights", "none", None),
        ("seed", 3, 3),
        ("lam", "1", 1.0),
        ("force", True, True),
    ],
)
def test_values_are_read_by_the_declared_type(kind, text, value):
    values = notebooks.read_parameters(TRAIN, {kind: text})
    read = {**values, **given_settings(values)}.get(kind)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-p", "epoch", "3"], "03_train has no parameter 'epoch'. Did you mean 'epochs'?"),
        (["-p", "epochs", "many"], "parameter 'epochs' must be a whole number, not 'many'"),
        (["-p", "epochs", "2.5"], "parameter 'epochs' must be a whole number, not '2.5'"),
        (["-p", "lr", "fast"], "parameter 'lr' must be a number, not 'fast'"),
        (["-p", "class_specific", "yes"], "parameter 'class_specific' must be true or false, not 'yes'"),
        (["-p", "seed", "none"], "parameter 'seed' must be a whole number, not 'none'"),
        (["-p", "recipe", "papr"], "unknown recipe 'papr'. Did you mean 'paper'?"),
        (["-p", "loss", "bse"], "setting 'loss' is one of"),
        (["-p", "method", "clip"], "setting 'method' is one of"),
        (["-p", "dataset", "nowhere.yaml"], "nowhere.yaml: no such file or folder"),
        (["-p", "dataset", "voc-tl"], "unknown dataset 'voc-tl'. Did you mean 'voc-lt'?"),
        (["-p", "model", "ViT-B-16"], "model ViT-B-16 needs weights"),
        (["-p", "model", "Vit-B/16", "-p", "weights", "openai"], "unknown model 'Vit-B/16'. Did you mean"),
        (["-p", "weights", "none.safetensors"], "none.safetensors: no such file"),
        (["-p", "device", "gpu"], "setting 'device' is one of auto, cpu, cuda"),
        (["-p", "n_ctx", "0"], "setting 'n_ctx' must be from 1 to 64, not 0"),
        (["-f", "absent.yaml"], "no parameter file absent.yaml"),
        (["-f", "{list}"], "a parameter file is a list of 'name: value' lines"),
        (["-f", "{broken}"], "not a YAML file"),
        (["-f", "{nested}"], "parameter 'epochs' must be a whole number, not '[1, 2]'"),
    ],
)
@pytest.mark.usefixtures("no_kernel")
def test_wrong_parameters_are_refused_before_a_cell_runs(tmp_path, monkeypatch, args, message):
    for name, text in (("list", "- 1"), ("broken", "a: [1"), ("nested", "epochs: [1, 2]")):
        (tmp_path / f"{name}.yaml").write_text(text)
    args = [arg.format(**{name: tmp_path / f"{name}.yaml" for name in ("list", "broken", "nested")}) for arg in args]
    monkeypatch.setattr(notebooks, "execute", lambda *_, **__: pytest.fail("a cell was run"))
    output = lmpt("run", "train", "--out", tmp_path / "out", *args, code=1)
    assert output.startswith("Error: ") and message in output and len(output.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_kernel")
def test_unknown_and_broken_notebooks(tmp_path):
    assert "no notebook 'trian'. Did you mean 'train'?" in lmpt("run", "trian", code=1)
    assert "no notebook x.ipynb" in lmpt("run", "x.ipynb", code=1)
    (tmp_path / "x.ipynb").write_text("{}")
    assert "x.ipynb: not a notebook" in lmpt("run", tmp_path / "x.ipynb", code=1)


def own_notebook(folder: Path, *cells: str) -> Path:
    parameters = nbformat.v4.new_code_cell('count: int = 1  # how often\nout: "Optional[str]" = None')
    parameters.metadata.tags = ["parameters"]
    imports = nbformat.v4.new_code_cell("from typing import Optional")
    notebook = nbformat.v4.new_notebook(cells=[imports, parameters, *map(nbformat.v4.new_code_cell, cells)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "own.ipynb")
    return folder / "own.ipynb"


def test_a_failing_cell_is_named_and_kept(tmp_path):
    path = own_notebook(tmp_path, "print('so far')", "raise ValueError('too many\\nlines')")
    output = lmpt("run", path, "--out", tmp_path / "out", code=1)
    kept = tmp_path / "out" / "failed" / "own.ipynb"
    assert f"Error: own: cell 5 failed: ValueError: too many; see {kept}" in output
    assert "so far" in kept.read_text() and not (tmp_path / "out" / "notebooks").exists()


def test_a_cell_that_takes_too_long(tmp_path):
    path = own_notebook(tmp_path, "import time; time.sleep(60)")
    assert "a cell took longer than 3 s" in lmpt("run", path, "--timeout", 3, "--out", tmp_path / "out", code=1)


def test_a_kernel_that_dies(tmp_path):
    path = own_notebook(tmp_path, "import os; os._exit(1)")
    assert "its kernel died" in lmpt("run", path, "--out", tmp_path / "out", code=1)


def test_own_notebooks_run_signed_and_from_the_callers_folder(tmp_path, monkeypatch):
    path = own_notebook(tmp_path, "import os\nprint(count, os.getcwd(), out)")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    output = lmpt("run", "../own.ipynb", "-p", "count", "7", "--out", "results")
    assert f"7 {tmp_path / 'below'} {tmp_path / 'below' / 'results'}" in output
    executed = nbformat.read(tmp_path / "below" / "results" / "notebooks" / "own.ipynb", as_version=4)
    from nbformat.sign import NotebookNotary

    assert NotebookNotary().check_signature(executed) and path.exists()


def test_paths_are_the_callers(tiny, monkeypatch):
    monkeypatch.chdir(tiny.folder.parent)
    values = notebooks.read_parameters(
        TRAIN, {"dataset": "tiny/card.yaml", "out": "o", "model": "ViT-B-16", "weights": "openai"}
    )
    assert values["dataset"] == str(tiny.path) and values["out"] == str(tiny.folder.parent / "o")
    assert (values["model"], values["weights"]) == ("ViT-B-16", "openai")
    for name in ("voc-lt", "RN50", "openai"):
        (tiny.folder.parent / name).mkdir()
    names = {"dataset": "voc-lt", "model": "RN50", "weights": "openai"}
    assert notebooks.read_parameters(TRAIN, names) == names, "names stay names beside folders called the same"


def test_train_once_then_results(tiny, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "settings.yaml").write_text("epochs: 3\nlr: 5e-4\nseed: 1\n")
    args = (
        "run",
        "03_train",
        "-f",
        tmp_path / "settings.yaml",
        "-p",
        "epochs",
        "2",
        "-p",
        "dataset",
        tiny.path,
        "--out",
        out,
    )
    output = lmpt(*args)
    (folder,) = [path.parent for path in out.glob("*/metrics.json")]
    assert f"notebook: {folder / 'notebook.ipynb'}" in output and "epoch  2/2" in output
    settings = json.loads((folder / "config.json").read_text())["settings"]
    assert (settings["epochs"], settings["lr"], settings["seed"]) == (2, 5e-4, 1)
    assert sorted(path.name for path in out.iterdir()) == ["cache", folder.name]

    assert f"finished already: {folder}" in lmpt(*args)
    (folder / "notebook.ipynb").unlink()
    assert "notebook: " in lmpt(*args), "a run without its notebook gets one, and is not trained again"
    stamp = (folder / "metrics.json").stat().st_mtime_ns
    lmpt(*args, "--force")
    assert (folder / "metrics.json").stat().st_mtime_ns > stamp

    table = pd.read_csv(StringIO(lmpt("results", "--csv", "--out", out)))
    assert table["run"].tolist() == ["LMPT"] and table["folder"].tolist() == [folder.name]
    total = json.loads((folder / "metrics.json").read_text())["scores"]["softmax"]["total"]
    assert table["softmax total"].tolist() == [total]
    assert folder.name in lmpt("results", "--out", out)


SPINNING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({}, "1000 None"),
        ({"GOMP_SPINCOUNT": "7"}, "7 None"),
        ({"OMP_WAIT_POLICY": "passive"}, "None passive"),
    ],
)
def test_threads_wait_briefly_unless_the_user_says_otherwise(tmp_path, given, seen):
    """A kernel of `lmpt run` inherits it."""
    path = own_notebook(tmp_path, f"import os\nprint(*map(os.environ.get, {SPINNING}))")
    environment = {name: value for name, value in os.environ.items() if name not in SPINNING} | given
    command = [sys.executable, "-m", "lmptlib.suite.cli.main"]
    assert seen in subprocess.check_output([*command, "run", path, "--out", tmp_path], text=True, env=environment)


def test_info_says_how_threads_wait(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert "threads     wait by GOMP_SPINCOUNT=7\n" in lmpt("info")


def test_results_of_nothing(tmp_path):
    assert "no finished runs in" in lmpt("results", "--out", tmp_path, code=1)


def test_results_count_what_was_begun_and_not_finished(make_run, tmp_path):
    """A run whose process was killed: `Run` refuses it and says what to do."""
    out = tmp_path / "outputs"
    kept, *begun = (make_run(method="coop", seed=seed) for seed in range(3))
    assert "begun" not in lmpt("results", "--out", out)
    for run in begun:
        (run.folder / "metrics.json").unlink()
    for options in ([], ["--csv"]):
        done = CliRunner().invoke(main, ["results", "--out", str(out), *options])
        assert done.stderr == "2 begun and not finished: train them again to go on\n"
        assert kept.folder.name in done.stdout and not [run for run in begun if run.folder.name in done.stdout]
    with pytest.raises(ValueError, match=r"a run begun and not finished: train it again to go on$"):
        Run(begun[0].folder)
    assert make_run(method="coop", seed=1).folder == begun[0].folder
    assert "1 begun and not finished" in lmpt("results", "--out", out)


def test_a_run_is_called_as_the_user_likes(make_run, tmp_path):
    out = tmp_path / "outputs"
    runs = [make_run(method="coop", seed=seed) for seed in (0, 1)] + [make_run(method="zero_shot")]
    names = [run.folder.name for run in runs]
    stamp = runs[0].config["key"]
    assert lmpt("label", names[1], "my base", "--out", out).splitlines() == [
        f"{names[1]}: my base",
        f"{names[0]}: my base",
    ]
    assert pd.read_csv(StringIO(lmpt("results", "--csv", "--out", out)))["run"].tolist() == ["my base", "zero-shot"]
    listed = lmpt("results", "--runs", "--out", out)
    assert all(name in listed for name in (*names, "my base, seed 0", "my base, seed 1"))
    assert make_run(method="coop", seed=1).own_label == "my base" and runs[0].config["key"] == stamp
    lmpt("label", names[0], "", "--out", out)
    assert pd.read_csv(StringIO(lmpt("results", "--csv", "--out", out)))["run"].tolist() == ["CoOp", "zero-shot"]
    # a run whose recipe was a user's own file, which is no more
    record = json.loads((runs[1].folder / "config.json").read_text())
    record["settings"]["recipe"] = "my_own"
    (runs[1].folder / "config.json").write_text(json.dumps(record))
    assert pd.read_csv(StringIO(lmpt("results", "--csv", "--out", out)))["n"].tolist() == [2, 1]
    assert "no run 'absent'" in lmpt("label", "absent", "x", "--out", out, code=1)
    assert "at most 80 letters" in lmpt("label", names[0], "x" * 81, "--out", out, code=1)


def test_data_commands(tiny):
    assert all(name in lmpt("data", "list") for name in ("emoji-lt", "voc-lt", "coco-lt"))
    assert "tiny: in order. 24 train, 12 test images, 4 classes" in lmpt("data", "check", tiny.path)
    (tiny.folder / "train" / "5.jpg").write_bytes(b"junk")
    output = lmpt("data", "check", tiny.path, code=1)
    assert "train.txt line 6" in output and len(output.splitlines()) == 1
    output = lmpt("data", "check", "voc-lt", "--root", tiny.folder, code=1)
    assert "voc_lt_train.txt is missing; looked in" in output and len(output.splitlines()) == 4


def test_data_check_verifies_the_bytes_of_images(tiny, tmp_path):
    check = ("data", "check", tiny.path, "--verify", "--cache", tmp_path / "cache")
    nothing = "verified: no image differs from what the manifest says of it"
    # The manifest takes no image that is as new as the reading.
    time.sleep(0.05)
    assert lmpt(*check).splitlines()[-1] == nothing
    shutil.copy(tiny.folder / "test" / "3.jpg", tiny.folder / "train" / "5.jpg")
    time.sleep(0.05)
    found = [line for line in lmpt(*check, code=1).splitlines() if "have changed" in line]
    assert found == [f"{tiny.folder / 'train' / '5.jpg'}: its bytes have changed since it was read"]
    assert lmpt(*check).splitlines()[-1] == nothing, "the manifest was put right"


def test_the_command_exits_as_a_program_should(tmp_path):
    command = [sys.executable, "-m", "lmptlib.suite.cli.main", "run", "train", "-p", "epoch", "3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ})
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.strip() == "Error: 03_train has no parameter 'epoch'. Did you mean 'epochs'?"


def test_the_demo_makes_every_notebook_and_its_page(tmp_path):
    """The main job, whole, on the embedded default."""
    output = lmpt("demo", "--out", tmp_path)
    folder = tmp_path / "demo"
    made = sorted(path.name for path in folder.iterdir())
    pages = [f"{name}.{kind}" for name in DEMO for kind in ("ipynb", "html")]
    assert made == sorted([*pages, "draw.js", "glossary.html", "index.html", "plotly.min.js", "site.json", "style.css"])
    assert f"{folder / 'index.html'}" in output and "Done in" in output
    assert all(f'href="{name}.html"' in (folder / "index.html").read_text() for name in DEMO)
    assert sum(path.read_text().count('class="paper figure"') for path in folder.glob("*.html")) >= 10
    table = pd.read_csv(StringIO(lmpt("results", "--csv", "--out", tmp_path)))
    assert {label.split(",")[0] for label in table["run"]} == {"zero-shot", "CoOp", "LMPT"}
    zero_shot = table.loc[table["method"] == "zero_shot", "softmax total"].item()
    assert 40 <= zero_shot <= 75, "clip-emoji must be neither at chance nor perfect"


def test_zero_shot_has_no_seed_and_needs_none(tiny, tmp_path):
    output = lmpt("run", "train", "-p", "dataset", tiny.path, "-p", "method", "zero_shot", "--out", tmp_path / "out")
    assert "written to" in output and len(list((tmp_path / "out").glob("tiny-zero_shot-*/notebook.ipynb"))) == 1


@pytest.mark.usefixtures("no_kernel")
def test_an_old_name_is_told_its_new_one(tiny, tmp_path):
    args = ("run", "train", "-p", "dataset", tiny.path, "-p", "head", "raw", "--out", tmp_path / "out")
    assert "setting 'head' is called 'logit_map' now" in lmpt(*args, code=1)
