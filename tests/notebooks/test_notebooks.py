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
from tiny import make_pool

from lmptlib import config
from lmptlib.paths import shipped
from lmptlib.suite import notebooks
from lmptlib.suite.cli.demo import DEMO

pytestmark = pytest.mark.usefixtures("forked_kernels")

PATHS = sorted(shipped("notebooks").glob("[0-9]*.ipynb"))
ALL = [*PATHS, PATHS[0].with_name("glossary.ipynb")]


def read(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_the_demo_runs_the_first_of_them():
    assert [path.stem for path in PATHS][: len(DEMO)] == list(DEMO)


def test_outputs_are_stripped():
    done = subprocess.run(
        [sys.executable, "-m", "nbstripout", "--verify", *map(str, ALL)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_form(path):
    cells = read(path).cells
    header = cells[0].source
    assert header.startswith("# ") and "you should see" in header and "| time |" in header and "| data |" in header
    name = re.search(r"`lmpt run (\w+)", header)[1]
    assert notebooks.find_notebook(name) == path
    assert cells[1].metadata.tags == ["parameters"] and len(cells[1].source.splitlines()) <= 14
    assert len(cells[2].source.splitlines()) <= 18
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert len(code) <= 25
    for source in code[1:]:
        lines = [line for line in source.splitlines() if not line.startswith(("from ", "import "))]
        assert len(lines) <= 14
        assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
        assert "interact(" not in source and "widgets.Output" not in source and "tqdm" not in source
    assert read(path).metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_opens_with_its_question_a_figure_and_a_sentence(path):
    """The lesson view: what only sets up is folded, and the first screen holds the figure."""
    header, *code = read(path).cells[:4]
    lead = header.source.split("\n\n")[1]
    assert header.source.split("\n")[0].endswith("?") and len(lead) < 260 and not lead.startswith(("|", "<"))
    assert "<details>" in header.source and "glossary.ipynb" in header.source
    for cell in code:
        assert cell.cell_type == "code" and cell.metadata.jupyter.source_hidden, "set-up and opening are folded"
    for cell in read(path).cells:
        assert "outputs_hidden" not in cell.metadata.get("jupyter", {}), "JupyterLab opens them when the cell runs"
    assert re.search(r"\.show\(\)|lesson\.show", code[-1].source) and "lesson.say(" in code[-1].source


def folded(cell) -> bool:
    return cell.metadata.get("jupyter", {}).get("source_hidden", False)


@pytest.mark.parametrize("path", [path for path in PATHS if path.stem < "13"], ids=lambda path: path.stem)
def test_it_asks_before_it_tells(path):
    """At least one guess before a result, one exercise that checks itself, three quiz questions and a box at the end."""
    source = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")
    assert f'Lesson("{path.stem}", out, interactive)' in source
    assert "lesson.predict(" in source and re.search(r"lesson\.ask\((?!\*\w+\.quiz)", source)
    assert re.search(r"lesson\.ask\(\*", source) and "lesson.take_away(" in source
    hiding = [cell for cell in read(path).cells if re.search(r"lesson\.(predict|ask|work_out|take_away)", cell.source)]
    assert all(folded(cell) for cell in hiding)


# What is no result: settings and rules that hold whatever the data, as they stand in the text.
FIXED = (
    r"95 ?%", r"0,81", r"\bEqs?\. ?\(?\d+\)?", r"\b(Table|Figure|Section|Quiz|Exercise|Part|PG|LMPT)s? \d+", r"VOC ?\d{4}",
    r"COCO ?\d{4}", r"ViT-[BL]/\d+", r"ResNet-\d+", r"\bF1\b", r"at least 100, 20 to 99,( and)? fewer than 20",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_result_number_stands_in_markdown(path):
    """A number with a point, in percent, signed, or above a dozen, outside of code, formulas and the header's time."""
    for cell in read(path).cells:
        if cell.cell_type != "markdown":
            continue
        text = re.sub(r"`[^`]*`|\$\$?[^$]+\$\$?|\]\([^)]*\)|^\| time \|.*$|\d\d_\w+", " ", cell.source, flags=re.M)
        for rule in FIXED:
            text = re.sub(rule, " ", text)
        numbers = re.findall(r"(?<![\w.])[+−-]?\d[\d,]*(?:\.\d+)?(?: ?%)?", text)
        results = [n for n in numbers if re.search(r"[.%+−-]", n) or float(n.replace(",", "")) > 12]
        assert not results, f"cell {cell.id}: {results}: let code say it, of the run at hand"


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_notebooks_are_named_by_links_that_lead_somewhere(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            links = re.findall(r"\[[^]]*\]\((\w+\.ipynb)\)", cell.source)
            assert all((path.parent / link).is_file() for link in links)
            bare = re.sub(r"\[[^]]*\]\([^)]*\)|`lmpt[^`]*`", " ", cell.source)
            assert not re.findall(r"\b\d\d_[a-z]\w+", bare), "a notebook's name is a link"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_headers_commands_are_accepted(path):
    text = read(path).cells[0].source
    commands = re.findall(r"`(lmpt run [^`]+|-p [^`]+)`", text)
    assert commands
    for command in commands:
        words = shlex.split(command)
        pairs = [(words[i + 1], words[i + 2]) for i, word in enumerate(words) if word == "-p" and "..." not in words]
        notebooks.read_parameters(path, {name: value for name, value in pairs if value != "..."})


OTHER_DEFAULTS = {
    ("15_own_data", "recipe"): "best",
    ("17_ballad_tackle", "dataset"): "emoji-single-lt",
    ("17_ballad_tackle", "tackle"): "emoji",
    ("17_ballad_tackle", "tune_epochs"): 5,
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_dozen_parameters_and_any_other_setting(path):
    declared = notebooks.parameters(path)
    assert len(declared) <= 12 and "interactive" in declared
    for name, parameter in declared.items():
        assert parameter.help, f"{name} has no comment"
        if name in config.known_settings():
            field = config.known_settings()[name]
            assert parameter.kind == config.type_of(field)[0], name
            # None: the recipe decides.
            other = OTHER_DEFAULTS.get((path.stem, name), field.default)
            assert ast.literal_eval(parameter.default) in (None, other), name
    if notebooks.notebook_kind(path) != "view":
        assert {"dataset", "model", "weights", "seed", "settings", "out", "force"} <= set(declared)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_metadata_say_what_a_notebook_is(path):
    notebook = read(path)
    about = notebook.metadata.lmptlib
    assert about.kind in notebooks.KINDS
    (call,) = re.findall(r"^given = begin\(globals\(\)(?:, sets=(.*))?\)$", notebook.cells[2].source, re.MULTILINE)
    assert ast.literal_eval(call or "[]") == about.get("sets", []) and set(about.get("sets", [])) <= set(
        config.known_settings()
    )
    annotated = [
        cell.source for cell in notebook.cells if cell.cell_type == "code" and re.search(r"^\w+: ", cell.source, re.M)
    ]
    assert annotated == [notebook.cells[1].source], "`begin` knows the parameters by their annotations"


SMALL = {
    "05_embeddings": {"n_images": 10},
    "06_per_class_ap": {"n_seeds": 2, "compare": "zero_shot, coop, lmpt paper"},
    "10_loss_table": {"n_seeds": 2},
    "11_ablation": {"n_seeds": 2},
    "12_walkthrough": {"n_seeds": 1},
    "16_worth_it": {"n_seeds": 1, "shots": "2"},
    "17_ballad_tackle": {"tune_epochs": 1},
}
WITHOUT_STEPS = ("15_own_data",)  # its recipe has no epochs
QUIET = {"kernel_name": "python3", "progress_bar": False, "execution_timeout": 300}
IN_BATCH = ("14_compare_runs",)  # those of the demo run so in its test


@pytest.mark.parametrize(
    ("path", "interactive"),
    [pytest.param(path, True, id=path.stem) for path in PATHS]
    + [pytest.param(path, False, id=f"{path.stem}-batch") for path in PATHS if path.stem in IN_BATCH],
)
def test_runs_through_papermill(path, interactive, tiny, tmp_path):
    executed, declared = tmp_path / "executed.ipynb", notebooks.parameters(path)
    given = {"dataset": str(tiny.path), "out": tmp_path / "out", "interactive": interactive, **SMALL.get(path.stem, {})}
    given |= {"tackle": make_pool(tmp_path / "pool")} if "tackle" in declared else {}
    given = {name: value for name, value in given.items() if name in declared}
    few = {"epochs": 2, "batch_size": 8} if "settings" in declared and path.stem not in WITHOUT_STEPS else {}
    papermill.execute_notebook(path, executed, notebooks.read_parameters(path, given | few), cwd=tmp_path, **QUIET)
    outputs = [output for cell in read(executed).cells for output in cell.get("outputs", [])]
    assert any("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs)
    widgets = any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs)
    assert widgets == interactive
    assert not [output for output in outputs if output.output_type == "error"]
    if not interactive:
        assert executed.stat().st_size < 2e6


def shown_of(path: Path) -> str:
    """What an executed notebook shows: texts, tables, and what figures are made of."""
    outputs = [output for cell in read(path).cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    return " ".join(str(content) for output in outputs for content in output.get("data", {}).values())


def test_single_labels_have_their_words(tiny, tmp_path):
    tiny.single()
    path = notebooks.find_notebook("start_here")
    given = {"dataset": str(tiny.path), "out": tmp_path / "out", "interactive": False, "epochs": 1, "method": "coop"}
    values = notebooks.read_parameters(path, given)
    shown = shown_of(
        notebooks.execute(path, values, tmp_path / "made.ipynb", tmp_path / "failed.ipynb", 300, echo=False)
    )
    assert "single labels" in shown and "accuracy by group" in shown and "top-5" in shown and "'few'" in shown
    _, shown = shown.split("Quiz 1", 1)[0].split("stands the **accuracy**", 1)
    shown = shown.replace("in the place of mAP the mean over classes", "")
    assert not re.search(
        r"mAP|\bAP\b|softmax|logit ranking|(?<!'legendgroup': )'(head|tail)'|<td>(head|tail)",
        shown.replace("a softmax keeps", ""),
    )


def test_a_notebook_that_is_not_for_single_labels_ends_with_a_line(tiny, tmp_path, capsys):
    tiny.single()
    path, failed = notebooks.find_notebook("zero_shot"), tmp_path / "failed.ipynb"
    values = notebooks.read_parameters(path, {"dataset": str(tiny.path), "out": tmp_path / "out", "interactive": False})
    made = notebooks.execute(path, values, tmp_path / "made.ipynb", failed, 300, echo=False)
    assert not failed.exists() and "02_zero_shot is not for single labels: " in shown_of(made)
    assert capsys.readouterr().out.startswith("02_zero_shot is not for single labels: ")


def test_an_unknown_run_is_named(tmp_path):
    path, given = notebooks.find_notebook("per_class_ap"), {"runs_to_show": "nothing", "out": str(tmp_path)}
    with pytest.raises(papermill.PapermillExecutionError, match="no run 'nothing'"):
        papermill.execute_notebook(path, None, given, **QUIET)
