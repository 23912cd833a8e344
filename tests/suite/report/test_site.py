"""The report: a site that is read without a network."""

import base64
import json
import re
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from click.testing import CliRunner
from tiny import make_tiny

from lmptlib.config import fitting, resolve
from lmptlib.evaluation.metrics import OUT_OF_FOLD
from lmptlib.runs.run import Run
from lmptlib.suite.cli.main import main
from lmptlib.suite.report.executed import find_executed
from lmptlib.suite.report.site import write_site
from lmptlib.training.training import train

EVIL = "</script><script>alert('x')</script>"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def lmpt(*args, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code == code, result.output
    return result.output


class Read(HTMLParser):
    """What a page holds, read as a browser does: tags with attributes, scripts, and the text outside of them."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.scripts: list[str] = []
        self.text, self.inside = "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts.append(data)
        else:
            self.text += data

    def figures(self) -> list[dict]:
        return [json.loads(script) for script in self.scripts if script.startswith("{")]


def code(source: str, *outputs) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=1)


def shows(kind: str, content, **more) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("display_data", {kind: content, **more})


def write(path: Path, *cells) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)
    return path


@pytest.fixture
def notebook(tmp_path) -> Path:
    """An executed notebook with every kind of output, and with class names that are scripts."""
    figure = go.Figure(go.Bar(x=["dog", EVIL], y=[1.5, float("nan")]), {"title": EVIL, "height": 400})
    table = pd.DataFrame({"class": ["dog", EVIL], "AP": [12.5, 34.0]})
    opening = nbformat.v4.new_markdown_cell(
        "# What <i>moved</i>?\n\n**The `bold` line,\ngoing on.**\n\n| a | b |\n|--:|---|\n| 1 | $p_t < x_1$ |\n\n"
        f"See [the paper](https://arxiv.org/abs/2305.04536), [bad](javascript:alert(1)), ![far](https://example.org/a.png), "
        f"![near](attachment:a.png) and {EVIL}."
    )
    opening.attachments = {"a.png": {"image/png": PNG}}
    streams = [nbformat.v4.new_output("stream", text=text) for text in ("10%\r", "100%\n\x1b[31mred\x1b[0m <b>\n")]
    view = shows("application/vnd.jupyter.widget-view+json", {"model_id": "x"}, **{"text/plain": "VBox()"})
    trace = {"ename": "ZeroDivisionError", "evalue": EVIL, "traceback": ["\x1b[31mline 1", EVIL]}
    return write(
        tmp_path / "out" / "notebooks" / "10_moved-tiny.ipynb",
        opening,
        code("print('<b>')", *streams),
        code("table", shows("text/html", table._repr_html_(), **{"text/plain": "plain table"})),
        code("figure", shows("application/vnd.plotly.v1+json", json.loads(figure.to_json()))),
        code("widget", view),
        code("png", shows("image/png", PNG, **{"text/plain": "<Figure>"})),
        code("1 / 0", nbformat.v4.new_output("error", **trace)),
    )


@pytest.fixture
def runs(tmp_path) -> list[Run]:
    """A zero-shot and a trained run with a class name that is a script, in out/."""
    common = {"dataset": str(make_tiny(tmp_path / "tiny").path), "epochs": 2, "batch_size": 8}
    made = []
    for method in ("zero_shot", "coop"):
        folder = train(resolve(**fitting({**common, "method": method})), tmp_path / "out", log=lambda *_: None)
        for file in (folder / "config.json", folder / "metrics.json"):  # clip-emoji has no token for the name
            file.write_text(file.read_text().replace("potted_plant", "<script>x"))
        made.append(Run(folder))
    return made


def test_a_notebooks_page_holds_all_that_it_showed(notebook, tmp_path):
    write_site([notebook], [], tmp_path / "site", "A & <b>")
    page = Read((tmp_path / "site" / "10_moved-tiny.html").read_text())
    (figure,) = page.figures()
    assert figure["data"][0]["x"] == ["dog", EVIL] and figure["data"][0]["y"][1] is None
    assert figure["layout"]["title"]["text"] == EVIL
    assert len(page.scripts) == 1, "the figure, and no script of a class name"
    for text in ("100%\nred <b>", "12.5", EVIL, "it lives in JupyterLab", "line 1", "1 / 0"):
        assert text in page.text
    for text in ("VBox", "plain table", "<Figure>", "\x1b", "10%\r"):
        assert text not in page.text
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    near = f"data:image/png;base64,{PNG}"
    assert pictures == [{"alt": "far"}, {"src": near, "alt": "near"}, {"src": near, "alt": "figure"}]
    for tag in (("details", {}), ("h1", {}), ("math", {"display": "inline"})):
        assert tag in page.tags
    index = Read((tmp_path / "site" / "index.html").read_text())
    for text in ("What <i>moved</i>?\nThe bold line, going on.", "2 figures", "A & <b>"):
        assert text in index.text


def test_what_is_spoilt_in_a_notebook_gives_way(tmp_path):
    """A figure that is none to its text, papermill's time to the file's."""
    spoilt = ("x", ["x"], {"data": [], "layout": [1]})
    outputs = [shows("application/vnd.plotly.v1+json", figure, **{"text/plain": "Figure()"}) for figure in spoilt]
    path = tmp_path / "spoilt.ipynb"
    for metadata in ({"papermill": {"end_time": "soon"}}, {"papermill": {"end_time": None}}, {"papermill": []}):
        nbformat.write(nbformat.v4.new_notebook(cells=[code("figure", *outputs)], metadata=metadata), path)
        page = Read((write_site([path], [], tmp_path / "site", "All").parent / "spoilt.html").read_text())
        assert page.text.count("Figure()") == 3 and not page.figures() and f"{datetime.now():%Y-%m-%d}" in page.text


def test_nothing_is_fetched_and_every_address_is_there(notebook, runs, tmp_path):
    twin = write(tmp_path / "elsewhere" / "10_moved-tiny.ipynb", nbformat.v4.new_markdown_cell("only words"))
    site = write_site([notebook, twin], runs, tmp_path / "site", "All").parent
    assert len(list(site.glob("*.html"))) == 6 and len(list(site.glob("*.ipynb"))) == 2
    web = []
    for path in site.glob("*.html"):
        for tag, attributes in Read(path.read_text()).tags:
            for address in (attributes.get("src"), attributes.get("href")):
                if address and re.match(r"\w+:|//", address) and not address.startswith("data:image/"):
                    web.append((tag, address))
                elif address and not address.startswith("data:"):
                    assert (site / address).is_file(), f"{path.name} refers to {address}"
        assert "default-src 'none'" in path.read_text()
    assert web == [("a", "https://arxiv.org/abs/2305.04536")]
    assert not re.search(r"url\(|@import", (site / "style.css").read_text())

    seen, name = [], "10_moved-tiny.html"
    while name:
        seen.append(name)
        tags = Read((site / name).read_text()).tags
        name = next((a["href"] for _, a in tags if a.get("rel") == "next"), None)
    assert len(seen) == 5 and seen[0] == "10_moved-tiny.html" and seen[1] == "10_moved-tiny-2.html"


def test_a_runs_page_and_row_are_its_numbers(runs, tmp_path):
    site = write_site([], runs, tmp_path / "site", "Runs").parent
    index = Read((site / "index.html").read_text())
    for run in runs:
        page = Read((site / f"run-{run.folder.name}.html").read_text())
        metrics = json.loads((run.folder / "metrics.json").read_text())["scores"]["logit"]
        # twelve test images
        assert metrics["ci95"]["total"] is None
        for text in (f"{metrics['total']:.1f}too few positives", run.folder.name):
            assert text in page.text and text in index.text
        assert f"{metrics['per_class']['dog']:.1f}too few positives" in page.text
        for text in ("<script>x", f"{metrics['per_class']['dog']:.1f}", "clip-emoji"):
            assert text in page.text
        trained = run.config["settings"]["method"] == "coop"
        assert len(page.figures()) == (3 if trained else 1)
        assert len(page.scripts) == len(page.figures())
    losses = [json.loads(line)["loss"] for line in (runs[1].folder / "history.jsonl").read_text().splitlines()]
    drawn = Read((site / f"run-{runs[1].folder.name}.html").read_text()).figures()[1]["data"][0]["y"]
    assert np.frombuffer(base64.b64decode(drawn["bdata"]), drawn["dtype"]) == pytest.approx(losses)


def test_the_index_has_a_row_a_configuration(make_run, tmp_path):
    runs = [make_run(method="coop", seed=seed) for seed in (0, 1)] + [make_run(method="coop", loss="asl")]
    index = Read((write_site([], runs, tmp_path / "site", "Runs").parent / "index.html").read_text())
    totals = [run.metrics["scores"]["logit"]["total"] for run in runs[:2]]
    assert f"{np.mean(totals):.1f} ± {np.std(totals, ddof=1):.1f}" in index.text
    told = [attributes["title"] for tag, attributes in index.tags if tag == "td" and "title" in attributes]
    assert told == ["CoOp; ASL; epochs 2; batch size 8", "CoOp; BCE; epochs 2; batch size 8"]
    assert "CoOp, ASL" in index.text and "CoOp, BCE" in index.text
    assert {f"run-{run.folder.name}.html" for run in runs} <= {a.get("href") for _, a in index.tags}


def test_a_figure_out_of_fold_stands_apart_from_those_of_the_test(make_run, tmp_path):
    run = make_run(method="lda")
    site = write_site([], [run], tmp_path / "site", "Runs").parent
    total = f"{run.metrics['out_of_fold']['total']:.1f}"
    page, index = (Read((site / name).read_text()).text for name in (f"run-{run.folder.name}.html", "index.html"))
    assert OUT_OF_FOLD in page and total in page and "chose among 10 settings" in page
    assert "out of fold" in index and total in index


def test_a_failure_leaves_the_earlier_site(notebook, tmp_path):
    out, site = tmp_path / "out", tmp_path / "out" / "report"
    assert f"report: {site / 'index.html'}   (notebooks: 1, runs: 0; " in lmpt("report", "--out", out)
    before = {path.name: path.read_bytes() for path in site.iterdir()}
    fresh = write(tmp_path / "fresh.ipynb", nbformat.v4.new_code_cell("1 + 1"))
    (tmp_path / "broken.ipynb").write_text("{}")
    mine = tmp_path / "mine" / "index.html"
    mine.parent.mkdir()
    mine.write_text("mine")
    for args, message in (
        ([fresh], "fresh.ipynb: was never executed"),
        ([tmp_path / "broken.ipynb"], "broken.ipynb: not a notebook"),
        ([tmp_path / "absent.ipynb"], "no notebook "),
        (["absent"], "no executed notebook 'absent'"),
        (["moved", "--runs", "absent"], "no run 'absent'"),
        (["--to", tmp_path], "holds other folders"),
        (["--to", notebook], "is a file: name a folder"),
        (["--to", mine.parent], "index.html: is of no earlier report"),
    ):
        output = lmpt("report", "--out", out, *args, code=1)
        assert output.startswith("Error: ") and message in output and len(output.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in site.iterdir()} == before and notebook.is_file()
    assert sorted(path.name for path in out.iterdir()) == ["notebooks", "report"]
    lmpt("report", "--out", out)
    kept = (site / "notes.txt", site / "own.ipynb", site / ".ipynb_checkpoints" / "x.ipynb")
    for file in kept:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    second = write(tmp_path / "second.ipynb", code("1"))
    for given in ([second], [notebook]):
        lmpt("report", "--out", out, *given)
        assert all(file.read_text() == "mine" for file in kept)
    assert not (site / "second.html").exists() and (site / "10_moved-tiny.html").exists()
    for _ in range(2):  # among the notebooks themselves
        lmpt("report", "--out", out, "--to", notebook.parent)
    lmpt("report", "--out", out, second, "--to", notebook.parent)
    assert notebook.is_file() and not (notebook.parent / "10_moved-tiny.html").exists()
    assert "nothing to report" in lmpt("report", "--out", tmp_path / "empty", code=1)


def test_executed_notebooks_are_found_by_name(notebook, runs, tmp_path):
    out = tmp_path / "out"
    other = write(notebook.with_name("10_moved-photos.ipynb"), nbformat.v4.new_markdown_cell("words"))
    own = write(runs[0].folder / "notebook.ipynb", nbformat.v4.new_markdown_cell("words"))
    demo = write(out / "demo" / "00_start.ipynb", nbformat.v4.new_markdown_cell("words"))
    expected = {"moved": [other, notebook], "10_moved": [other, notebook], "10_moved-tiny": [notebook]}
    expected |= {"start": [demo], runs[0].folder.name: [own], str(demo): [demo]}
    for name, found in expected.items():
        assert find_executed(name, out) == found
    with pytest.raises(ValueError, match="no executed notebook 'mov'"):
        find_executed("mov", out)
    output = lmpt(
        "report", "moved", runs[0].folder.name, "--runs", runs[1].folder.name, "--out", out, "--to", tmp_path / "site"
    )
    assert "notebooks: 3, runs: 1" in output
    assert (tmp_path / "site" / f"{runs[0].folder.name}.html").is_file()


@pytest.mark.parametrize("name", ["../../x", ".x", "a" * 300, '<img src=x onerror="x">'])
def test_the_name_of_a_data_set_leads_nowhere(tiny, make_run, tmp_path, name):
    """Its run lies in the folder of the runs, is listed there, and has its page."""
    tiny.edit(name=name)
    before = sorted(tmp_path.rglob("*"))
    run = make_run(tmp_path / "deep" / "down" / "out", method="linear_probe", epochs=1)
    out = tmp_path / "deep" / "down" / "out"
    lmpt("report", "--out", out)
    assert run.folder.parent == out and run.folder.name in lmpt("results", "--out", out)
    assert {path.name for path in (out / "report").glob("*.html")} == {"index.html", f"run-{run.folder.name}.html"}
    assert [path for path in sorted(tmp_path.rglob("*")) if tmp_path / "deep" not in (path, *path.parents)] == before
