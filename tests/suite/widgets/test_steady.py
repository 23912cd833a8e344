"""Explorers hold still: a slider moves no axis, what changes has a height of its own, and figures fill their box."""

from itertools import product

import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from lmptlib.suite.figures.style import CONFIG
from lmptlib.suite.widgets.data import long_tail_sampler
from lmptlib.suite.widgets.landscape import loss_sliders
from lmptlib.suite.widgets.published import published_table
from lmptlib.suite.widgets.worth import cost_explorer
from lmptlib.suite.widgets.zero_shot import zero_shot_explorer

COUNTS = np.array([400, 130, 60, 25, 12, 3])
# Notebook's area of JupyterLab on a screen of 1280 x 720, in pixels.
SCREEN = 575


def tail() -> ipywidgets.VBox:
    labels = np.random.default_rng(0).random((600, 6)) < [0.5, 0.3, 0.2, 0.1, 0.1, 0.05]
    return long_tail_sampler(labels, list("abcdef"))


def zero_shot() -> ipywidgets.VBox:
    rng = np.random.default_rng(0)
    images, text = (
        values / np.linalg.norm(values, axis=1, keepdims=True)
        for values in (rng.normal(size=(80, 8)), rng.normal(size=(4, 8)))
    )
    box = zero_shot_explorer(images, {"a photo": text}, rng.random((80, 4)) < 0.3, tuple("abcd"), 10.0)
    box.children[1].children[0].value = "softmax"
    return box


def landscape() -> ipywidgets.VBox:
    return loss_sliders(COUNTS, 500, "voc-lt")


def cost() -> ipywidgets.VBox:
    table = pd.DataFrame(product(("lda", "lmpt"), ("total", "tail")), columns=["row", "group"])
    table = table.assign(mean=[50.0, 20, 60, 40], low=[48.0, 15, 57, 33], high=[52.0, 25, 64, 44], prompts=False)
    return cost_explorer(
        table.assign(searched=[1.0, 1, 900, 900], seconds=[1.0, 1, 90, 90], learned=[8, 8, 7000, 7000])
    )


def widgets(box: ipywidgets.Widget) -> list:
    return [box, *(inner for child in getattr(box, "children", ()) for inner in widgets(child))]


def axes(figure: go.FigureWidget) -> list:
    return [tuple(axis.range) for axis in (*figure.select_xaxes(), *figure.select_yaxes()) if axis.range]


@pytest.mark.parametrize("explorer", [tail, zero_shot, landscape, cost])
def test_a_slider_moves_no_axis(explorer):
    found = widgets(explorer())
    (figure,) = [widget for widget in found if isinstance(widget, go.FigureWidget)]
    before, drawn = axes(figure), [np.array(trace.y, float) for trace in figure.data]
    assert before
    sliders = [
        w for w in found if isinstance(w, (ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.FloatLogSlider))
    ]
    if explorer is cost:
        sliders = [next(w for w in found if isinstance(w, ipywidgets.Dropdown) and w.description == "group")]
    for slider in sliders:
        base, steps = getattr(slider, "base", None), 3
        values = slider.options if explorer is cost else np.linspace(slider.min, slider.max, steps)
        for value in values:
            slider.value = value if explorer is cost else base**value if base else type(slider.value)(value)
            assert axes(figure) == before, (slider.description, value)
            if explorer in (tail, zero_shot, cost):
                inside(figure)
    assert any(not np.array_equal(old, trace.y, equal_nan=True) for old, trace in zip(drawn, figure.data))


def inside(figure: go.FigureWidget) -> None:
    """All that is drawn lies between the ends of the axes."""
    low, high = (
        10.0 ** np.array(figure.layout.yaxis.range) if figure.layout.yaxis.type == "log" else figure.layout.yaxis.range
    )
    for trace in figure.data:
        values = np.array(trace.y, float)
        assert np.nanmax(values, initial=low) <= high
        assert np.nanmin(np.where(values == 0, np.nan, values), initial=high) >= low


def test_what_leaves_the_axes_of_a_loss_is_said():
    box = landscape()
    top, below = box.children
    chooser, _, beyond = top.children
    panel, plot = below.children
    chooser.value = "ldam"
    figure, scale = plot.children[0], next(w for w in panel.children if w.description == "scale")
    assert not beyond.value
    scale.value = scale.max
    lines = figure.data[len(figure.data) // 2 :]
    most = max(np.max(trace.y) for trace in lines)
    assert most > figure.layout.yaxis.range[1] and f"value goes on to {most:.1f}" in beyond.value
    scale.value = 1
    assert not beyond.value


@pytest.mark.parametrize("explorer", [tail, zero_shot, landscape, cost])
def test_figures_fill_their_box_and_fit_a_screen_with_their_controls(explorer):
    box = explorer()
    (figure,) = [widget for widget in widgets(box) if isinstance(widget, go.FigureWidget)]
    assert figure.layout.width is None and figure._config.items() >= CONFIG.items()
    rows = 32 * sum(isinstance(child, ipywidgets.HBox) for child in box.children)
    sentences = [child for child in box.children if isinstance(child, ipywidgets.HTML)]
    heights = [int(child.layout.height.removesuffix("px")) for child in sentences]
    assert rows + sum(heights) + figure.layout.height <= SCREEN


def test_published_tables_stand_on_one_axis_whatever_is_chosen():
    rows = pd.DataFrame({"dataset": ["voc-lt", "coco-lt"], "total": [90.0, 60.0], "head": [80.0, 70.0]})
    text = dict.fromkeys(("source", "table", "row", "method", "backbone", "metric"), "a")
    choosers, figure = published_table(rows.assign(medium=50.0, tail=40.0, **text)).children
    before = axes(figure)
    for chooser in choosers.children:
        for value in chooser.options:
            chooser.value = value
            assert axes(figure) == before == [(0, 100)] and figure.layout.width is None
