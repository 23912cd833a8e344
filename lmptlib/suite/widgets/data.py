"""The images of a data set, which classes come with which, and what a long tail cut out of it would be."""

import html
from collections.abc import Sequence
from pathlib import Path

import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.callbacks import InputDeviceState, Points

from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.data.images import open_image
from lmptlib.data.longtail import conditional, pareto_counts, sample_long_tail, sample_table
from lmptlib.suite.figures.count_figures import co_occurrence, long_tail
from lmptlib.suite.figures.pictures import jpeg_uri
from lmptlib.suite.widgets.figures import figure_widget


def _picture(path: Path, labels: str, caption: str, width: int = 160) -> str:
    """An image with its labels and caption under it, as HTML."""
    source = jpeg_uri(open_image(path), width)
    image = f'<img src="{source}" title="{html.escape(path.name)}" style="width: 100%; margin: 0">'
    text = f"{image}<b>{html.escape(labels)}</b><br>{html.escape(caption)}"
    return f'<figure style="width: {width}px; margin: 0; font-size: 13px; line-height: 1.3">{text}</figure>'


def data_explorer(dataset: Dataset, per_page: int = 12) -> ipywidgets.VBox:
    """The images of a split page by page, with labels and captions; classes filter them (Ctrl-click takes several).

    A class has its training images in brackets.
    """
    names, counts = np.array(dataset.class_names), dataset.class_counts
    options = [(f"{names[i]} ({counts[i]})", int(i)) for i in np.argsort(-counts, kind="stable")]
    classes = ipywidgets.SelectMultiple(options=options, rows=8, description="classes")
    split = ipywidgets.Dropdown(options=list(dataset.splits), description="split")
    matches = ipywidgets.Dropdown(options=["any of them", "all of them", "these alone"], description="images with")
    page = ipywidgets.IntSlider(1, min=1, max=1, description="page", continuous_update=False)
    found, grid = ipywidgets.HTML(), ipywidgets.HTML()

    def matching() -> np.ndarray:
        labels, chosen = dataset.splits[split.value].labels, list(classes.value)
        if not chosen:
            return np.arange(len(labels))
        if matches.value == "any of them":
            return np.flatnonzero(labels[:, chosen].any(1))
        alone = labels.sum(1) == len(chosen) if matches.value == "these alone" else True
        return np.flatnonzero(labels[:, chosen].all(1) & alone)

    def show(_: dict | None = None) -> None:
        part, rows, first = dataset.splits[split.value], matching(), (page.value - 1) * per_page
        captions = part.captions or ("",) * len(part)
        pictures = [
            _picture(part.paths[row], ", ".join(names[part.labels[row]]) or "no label", captions[row])
            for row in rows[first : first + per_page]
        ]
        grid.value = f'<div style="display: flex; flex-wrap: wrap; gap: 14px">{"".join(pictures)}</div>'

    def search(_: dict | None = None) -> None:
        count = len(matching())
        found.value = f"{count:,} of {len(dataset.splits[split.value]):,} images"
        if page.value > 1:
            # shows it
            page.value = 1
        else:
            show()
        page.max = max(1, -(-count // per_page))
        # with one page there is nothing to turn
        page.layout.visibility = "visible" if page.max > 1 else "hidden"

    for chooser in (classes, split, matches):
        chooser.observe(search, names="value")
    page.observe(show, names="value")
    search()
    return ipywidgets.VBox([ipywidgets.HBox([classes, ipywidgets.VBox([split, matches, page, found])]), grid])


def co_occurrence_explorer(dataset: Dataset) -> ipywidgets.VBox:
    """Which classes come with which, in three measures; a class, clicked or chosen from a list, is framed and spelled out."""
    order = np.argsort(-dataset.class_counts, kind="stable")
    names = [dataset.class_names[i] for i in order]
    train, test = (split.labels[:, order] for split in (dataset.train, dataset.test))
    together = train.T.astype(int) @ train
    share = conditional(train).T
    measures = {"images": together, "share": share, "difference": share - conditional(test).T}
    tables = {measure: pd.DataFrame(values, names, names) for measure, values in measures.items()}
    first = co_occurrence(tables["images"])
    figure = figure_widget(first, height=460 if len(names) <= 25 else first.layout.height)
    options = [("training images with both", "images"), ("p(row | column), training", "share")]
    options += [("p(row | column), training − test", "difference")]
    measure = ipywidgets.Dropdown(options=options, description="show")
    classes = [("none", None), *((name, i) for i, name in enumerate(names))]
    chooser = ipywidgets.Dropdown(options=classes, description="class")
    sentence = ipywidgets.HTML(layout={"height": "44px", "overflow": "auto"})

    def draw(_: dict | None = None) -> None:
        new = co_occurrence(tables[measure.value], measure.value)
        with figure.batch_update():
            figure.data[0].update(new.data[0].to_plotly_json(), overwrite=True)
            figure.layout.title.text = new.layout.title.text

    def mark(_: dict | None = None) -> None:
        at = chooser.value
        if at is None:
            figure.layout.shapes, sentence.value = (), ""
            return
        here, all_classes = (at - 0.5, at + 0.5), (-0.5, len(names) - 0.5)
        line = {"color": "black", "width": 3}
        figure.layout.shapes = [
            {"type": "rect", "line": line, "x0": x[0], "x1": x[1], "y0": y[0], "y1": y[1]}
            for x, y in ((all_classes, here), (here, all_classes))
        ]
        others = [(int(together[at, i]), names[i]) for i in range(len(names)) if i != at and together[at, i]]
        listed = ", ".join(f"{name} {count}" for count, name in sorted(others, reverse=True)) or "no other class"
        alone = (train[:, at] & (train.sum(1) == 1)).sum()
        text = f"{names[at]}: {together[at, at]:,} training images, {alone:,} of them alone; with {listed}"
        sentence.value = html.escape(text)

    def choose(_: go.Heatmap, points: Points, __: InputDeviceState) -> None:
        chooser.value = names.index(points.xs[0])

    measure.observe(draw, names="value")
    chooser.observe(mark, names="value")
    figure.data[0].on_click(choose)
    return ipywidgets.VBox([ipywidgets.HBox([measure, chooser]), sentence, figure])


def long_tail_sampler(labels: np.ndarray, class_names: Sequence[str]) -> ipywidgets.VBox:
    """A long tail cut out of labels (N, C) bool by the Pareto rule: counts wanted, and counts that the sample has."""
    most = int(labels.sum(0).max())
    low = max(1, min(50, most // 2))
    b = ipywidgets.FloatSlider(6, min=0.5, max=12, step=0.5, description="b", continuous_update=False)
    largest = ipywidgets.IntSlider(min(800, most), min=low, max=most, description="largest", continuous_update=False)
    smallest = ipywidgets.IntSlider(1, min=1, max=low, description="smallest", continuous_update=False)
    sentence = ipywidgets.HTML(layout={"height": "28px"})
    reach = np.log10([0.7, 1.6 * most])

    def sampled() -> tuple[go.Figure, str]:
        counts = pareto_counts(labels.shape[1], b.value, largest.value, smallest.value)
        rows = sample_long_tail(labels, counts)
        table = sample_table(labels, class_names, counts, rows)
        sizes = ":".join(str((table["group"] == group).sum()) for group in GROUPS)
        labelled = f"{labels[rows].sum() / max(1, len(rows)):.2f} labels an image"
        told = f"head:medium:tail {sizes}{' in thirds' if table.attrs['grouping'] else ''}"
        return long_tail(table), f"{told}, {len(rows):,} of {len(labels):,} images, {labelled}"

    drawn, sentence.value = sampled()
    figure = figure_widget(drawn.update_layout(height=drawn.layout.height - 30).update_yaxes(range=reach))

    def show(_: dict | None = None) -> None:
        new, sentence.value = sampled()
        with figure.batch_update():
            for trace, fresh in zip(figure.data, new.data):
                trace.y, trace.text = fresh.y, fresh.text

    for slider in (b, largest, smallest):
        slider.observe(show, names="value")
    sliders = ipywidgets.HBox([b, largest, smallest], layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([sliders, sentence, figure])
