"""Counts: bars and cells are the numbers of the table."""

import json

import numpy as np
import pandas as pd
import pytest

from lmptlib.suite.figures.count_figures import class_counts, co_occurrence, long_tail
from lmptlib.suite.figures.style import COLOURS

CLASSES = pd.DataFrame({"class": ["cow", "dog", "owl"], "group": ["medium", "head", "tail"], "train": [40, 300, 7]})
TOGETHER = pd.DataFrame([[100, 10, 0], [10, 50, 1], [0, 1, 5]], list("abc"), list("abc"))


def test_class_counts_are_bars_in_the_colour_of_the_group_most_frequent_first():
    figure = class_counts(CLASSES)
    assert {bar.name: (list(bar.x), list(bar.y), bar.marker.color) for bar in figure.data} == {
        "head": (["dog"], [300], COLOURS["head"]),
        "medium": (["cow"], [40], COLOURS["medium"]),
        "tail": (["owl"], [7], COLOURS["tail"]),
    }
    assert list(figure.layout.xaxis.categoryarray) == ["dog", "cow", "owl"] and figure.layout.yaxis.type == "log"
    names = [f"class {i}" for i in range(55)]
    folded = class_counts(pd.DataFrame({"class": names, "group": "head", "train": 100}), 300)
    assert class_counts(CLASSES, 300).layout.height == 300 < folded.layout.height, (
        "a line more of panels needs its room"
    )


def test_images_of_two_classes_are_coloured_by_their_logarithm():
    heat = co_occurrence(TOGETHER).data[0]
    np.testing.assert_array_equal(heat.customdata, TOGETHER)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(np.array(heat.z, float), np.where(TOGETHER > 0, np.log10(TOGETHER), np.nan))
    assert [list(line) for line in heat.text] == [["100", "10", ""], ["10", "50", "1"], ["", "1", "5"]]
    assert heat.zmax == 2 and list(heat.colorbar.ticktext)[:3] == ["1", "10", "100"]


@pytest.mark.parametrize(("measure", "low", "high"), [("share", 0, 100), ("difference", -40, 40)])
def test_shares_are_percent_without_the_diagonal(measure, low, high):
    shares = pd.DataFrame([[1.0, 0.25], [-0.4, 1.0]], list("ab"), list("ab"))
    heat = co_occurrence(shares, measure).data[0]
    json.dumps([heat.z.tolist(), heat.customdata.tolist()], allow_nan=False)
    np.testing.assert_allclose(np.array(heat.z, float), [[np.nan, 25], [-40, np.nan]])
    assert (heat.zmin, heat.zmax) == (low, high) and heat.text[1][0] == "-40" and heat.text[0][0] == ""


def test_a_long_tail_has_what_is_wanted_and_what_is_there():
    table = CLASSES.rename(columns={"train": "images"}).assign(wanted=[50, 200, 10])
    wanted, *there = long_tail(table).data
    assert list(wanted.y) == [50, 200, 10]
    assert {bar.marker.color: list(np.nan_to_num(bar.y)) for bar in there} == {
        COLOURS["head"]: [0, 300, 0],
        COLOURS["medium"]: [40, 0, 0],
        COLOURS["tail"]: [0, 0, 7],
    }
    many = pd.concat([table] * 14, ignore_index=True)
    assert "300" in there[0].text and "300" not in long_tail(many).data[1].text
