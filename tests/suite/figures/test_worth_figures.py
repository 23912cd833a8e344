"""Costs, learning curves and the gain of a text prior: points and error bars are the tables' numbers."""

import numpy as np
import pandas as pd

from lmptlib.suite.figures.style import COLOURS
from lmptlib.suite.figures.worth_figures import COSTS, cost, learning_curves, prior_gain
from lmptlib.suite.widgets.worth import cost_explorer

NUMBERS = {"mean": [50.0, 30.0, 60.0, 45.0], "low": [48.0, 25.0, 57.0, np.nan], "high": [53.0, 34.0, 62.0, np.nan]}
TABLE = pd.DataFrame({"row": ["coop", "coop", "lda", "lda"], "group": ["total", "tail"] * 2, **NUMBERS})
COST = TABLE.assign(
    prompts=[True, True, False, False], seconds=[9.0, 9, 1, 1], searched=[90.0, 90, 1, 1], learned=[7, 7, 5, 5]
)


def test_costs_have_a_panel_a_group_and_diamonds_that_tune_prompts():
    figure = cost(COST, "learned")
    assert [note.text for note in figure.layout.annotations] == ["total", "tail"]
    coop, _, lda, _ = figure.data
    assert list(coop.x) == [7] and list(coop.y) == [50] and list(lda.x) == [5]
    assert list(coop.error_y.array) == [3] and list(coop.error_y.arrayminus) == [2]
    assert coop.marker.symbol == "diamond" and lda.marker.symbol == "circle" and figure.layout.xaxis.type == "log"


def test_curves_keep_the_order_of_shots():
    table = pd.concat([TABLE.assign(shots=shots) for shots in ("1", "16", "all")])
    figure = learning_curves(table)
    assert list(figure.data[0].x) == ["1", "16", "all"] and list(figure.layout.xaxis.categoryarray) == [
        "1",
        "16",
        "all",
    ]
    assert list(figure.data[0].y) == [50] * 3 and list(figure.data[1].y) == [30] * 3


def test_the_prior_by_count_and_by_class():
    by_count = pd.DataFrame({"images": ["1", "2"], "mean": [4.0, 1.0], "low": [2.0, -1.0], "high": [6.0, 3.0]})
    by_class = pd.DataFrame(
        {"class": ["owl", "dog"], "group": ["tail", "head"], "train": [4, 200], "gain": [9.0, -1.0]}
    )
    figure = prior_gain(by_count, by_class)
    dots, *groups = figure.data
    assert list(dots.y) == [4, 1] and list(dots.error_y.array) == [2, 2]
    shown = {trace.name: (list(trace.x), list(trace.y), trace.marker.color) for trace in groups}
    assert shown["tail"] == ([4], [9], COLOURS["tail"]) and shown["head"][:2] == ([200], [-1])


def test_the_explorer_follows_group_and_cost():
    explorer = cost_explorer(COST)
    (group, x), figure = explorer.children[0].children, explorer.children[1]
    assert list(figure.data[0].x) == [90] and list(figure.data[0].y) == [50]
    group.value, x.value = "tail", "learned"
    assert list(figure.data[0].x) == [7] and list(figure.data[0].y) == [30]
    assert figure.layout.xaxis.title.text == COSTS["learned"] and figure.layout.annotations[0].text == "tail"
