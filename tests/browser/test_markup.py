"""Class names, captions, file names and names of data sets are other people's: pages and explorers run nothing of them."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import ipywidgets
import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from click.testing import CliRunner
from itables.widget import ITable
from plotly.offline import get_plotlyjs

from lmptlib.config import fitting, resolve
from lmptlib.data.dataset import Dataset
from lmptlib.data.loading import load_dataset
from lmptlib.runs.run import Run
from lmptlib.suite.analysis.embeddings import map_points
from lmptlib.suite.cli.main import main
from lmptlib.suite.figures import count_figures
from lmptlib.suite.widgets import data as data_widgets
from lmptlib.suite.widgets.cases import CaseExplorer
from lmptlib.suite.widgets.classify import ClassifyExplorer
from lmptlib.suite.widgets.comparison import loss_comparison
from lmptlib.suite.widgets.embeddings import EmbeddingExplorer
from lmptlib.suite.widgets.runs import RunExplorer
from lmptlib.suite.widgets.tables import paged_table, table_html
from lmptlib.suite.widgets.zero_shot import zero_shot_explorer
from lmptlib.training.training import train

pytestmark = pytest.mark.xdist_group("browser")  # one worker drives it
CLASSES = (
    "<script>window.owned = 1</script>",
    '"><img src=x onerror="window.owned = 2">',
    '<a href="javascript:window.owned = 3">link</a>',
    "{{7*7}} $x$ </script><svg onload='window.owned = 4'>",
)
FILE = "<img src=x onerror='window.owned = 5'>"  # a file's name has no slash

# Every text of an explorer stands as HTML, every figure is drawn, and the mouse is on the first point of each trace.
SHOW = """([texts, figures]) => Promise.all([
  ...texts.map(text => Object.assign(document.body.appendChild(document.createElement("div")), { innerHTML: text })),
  ...figures.map(async figure => {
    const box = document.body.appendChild(document.createElement("div"));
    await Plotly.newPlot(box, figure.data, figure.layout);
    figure.data.forEach((trace, i) => {
      const point = { curveNumber: i, pointNumber: trace.z ? [0, 0] : 0 };
      if (trace.hoverinfo !== "skip" && box._fullLayout.xaxis) Plotly.Fx.hover(box, [point]);
    });
  }),
]).then(() => undefined)"""


@pytest.fixture
def dataset(tiny) -> Dataset:
    """The tiny data set as a CSV file, each of whose texts is markup that runs where it is not escaped."""
    rows = [["image", "labels", "caption", "split"]]
    for split in ("train", "test"):
        for line in (tiny.folder / f"{split}.txt").read_text().splitlines():
            image, *ids = line.split()
            name = f"{split}-{Path(image).stem} {FILE}.jpg"
            shutil.copy(tiny.folder / image, tiny.folder / name)
            labels = [CLASSES[int(i)] for i in ids]
            rows.append([name, ";".join(labels), " ".join(labels) if split == "train" else "", split])
    path = tiny.folder / f"{FILE}.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return load_dataset(str(path))


@pytest.fixture
def run(dataset, tmp_path, cache) -> Run:
    settings = {"dataset": str(dataset.train.source), "method": "linear_probe", "epochs": 1, "cache": str(cache)}
    settings["model"] = "clip-emoji"  # named: its pictures are emoji, which a CSV file does not say
    return Run(train(resolve(**fitting(settings)), tmp_path / "out", log=lambda line: None))


def test_pages_of_the_report(dataset, run, tab, tmp_path):
    """With the policy that refuses scripts within a page, and by escaping alone, without it."""
    table = dataset.class_table()
    figure = count_figures.class_counts(table)
    shown = [
        {"text/html": paged_table(table).data},
        {"text/html": table_html(table)},
        {"text/html": "".join(CLASSES)},
        {"text/markdown": "\n\n".join(CLASSES)},
        {"text/plain": "\n".join(CLASSES)},
        {"application/vnd.plotly.v1+json": json.loads(figure.to_json())},
    ]
    outputs = [nbformat.v4.new_output("display_data", data) for data in shown]
    cells = [nbformat.v4.new_markdown_cell("# " + " ".join(CLASSES))]
    cells += [nbformat.v4.new_code_cell("show", outputs=outputs, execution_count=1)]
    notebook = tmp_path / f"{FILE}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    site = tmp_path / "site"
    command = ["report", str(notebook), "--out", str(run.folder.parent), "--to", str(site), "--title", CLASSES[1]]
    assert CliRunner().invoke(main, command).exit_code == 0
    pages = sorted(site.glob("*.html"))
    assert len(pages) == 4
    for page in pages:
        for text in (page.read_text(), re.sub("<meta http-equiv[^\n]+", "", page.read_text())):
            page.write_text(text)
            tab.page.goto(page.as_uri())
            tab.page.wait_for_function(
                "[...document.querySelectorAll('.figure')].every(f => f.querySelector('.main-svg'))"
            )
            assert_harmless(tab)


def test_explorers(dataset, run, tab):
    labels, scores = dataset.test.labels, run.scores()["scores"]
    features = np.random.default_rng(0).normal(size=(len(labels) + 8, 6))
    parts = features[:-8], labels, features[-8:-4], features[-4:]
    points = map_points(*parts, dataset, projection="PCA", scores=scores)
    embeddings = EmbeddingExplorer({"PCA": points}, dataset, scores)
    embeddings._show(*embeddings.images[-1][1:], [0])
    photographs = ClassifyExplorer([run])
    photographs.add(FILE, dataset.test.paths[0].read_bytes())
    photographs.add(f"no image {CLASSES[1]}", b"")
    explorers = [
        data_widgets.data_explorer(dataset),
        data_widgets.co_occurrence_explorer(dataset),
        data_widgets.long_tail_sampler(dataset.train.labels, dataset.class_names),
        RunExplorer([run]),
        CaseExplorer({"A": run}, dataset),
        loss_comparison({CLASSES[0]: [run], CLASSES[1]: [run]}),
        zero_shot_explorer(*parts[:1], {CLASSES[3]: parts[2]}, labels, dataset.class_names, 20.0),
        embeddings,
        photographs,
    ]
    widgets = [widget for explorer in explorers for widget in descendants(explorer)]
    texts = [widget.value for widget in widgets if isinstance(widget, ipywidgets.HTML)]
    figures = [json.loads(widget.to_json()) for widget in widgets if isinstance(widget, go.FigureWidget)]
    tables = [json.dumps(widget.get_state(), default=str) for widget in widgets if isinstance(widget, ITable)]
    assert "".join(texts).count("owned = 2") > 1 and "".join(texts).count("owned = 5") > 1 and len(figures) > 8
    assert tables and all("owned = 2" in table and "<img" not in table for table in tables)
    tab.page.set_content(paged_table(dataset.class_table()).data)
    tab.page.add_script_tag(content=get_plotlyjs())
    tab.page.evaluate(SHOW, [texts, figures])
    assert_harmless(tab)


def descendants(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from descendants(child)


def assert_harmless(tab) -> None:
    """Nothing ran, nothing was refused, and no link runs anything when it is clicked."""
    tab.page.wait_for_timeout(100)  # a picture that is not there says so later
    assert tab.page.evaluate("window.owned") is None
    assert not tab.errors
    links = tab.page.evaluate("[...document.querySelectorAll('a')].map(a => [...a.attributes].map(at => at.value))")
    assert "script:" not in str(links)
