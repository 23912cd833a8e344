"""Maps: points stand where the table says, in the group's symbol and the chosen colour."""

import numpy as np
import pandas as pd
import pytest

from lmptlib.suite.figures.map_figures import embedding_map, map_colours
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS, SYMBOLS

POINTS = pd.DataFrame(
    {
        "kind": ["image", "image", "image", "before", "before", "after", "after"],
        "group": ["head", "tail", "tail", "head", "tail", "head", "tail"],
        "class": ["dog", "owl", "owl", "dog", "owl", "dog", "owl"],
        "label": ["one", "two", "three", "dog", "owl", "dog", "owl"],
        "x": np.arange(7.0),
        "y": np.arange(7.0) ** 2,
        "error": [0.1, 0.25, 0.5, *[np.nan] * 4],
    }
)


def test_images_are_by_group_and_prompts_are_joined():
    head, medium, tail, lines, before, after = embedding_map(POINTS).data
    assert (list(head.x), list(medium.x), list(tail.y)) == ([0], [], [1, 4])
    assert [trace.marker.symbol for trace in (head, medium, tail)] == list(SYMBOLS.values())
    assert list(tail.marker.color) == [COLOURS["tail"]] * 2
    assert list(tail.text) == ["two<br>error 0.25", "three<br>error 0.50"]
    np.testing.assert_array_equal(lines.x, [3, 5, np.nan, 4, 6, np.nan])
    np.testing.assert_array_equal(lines.y, [9, 25, np.nan, 16, 36, np.nan])
    assert list(before.x) == [3, 4] and list(after.x) == [5, 6] and list(after.text) == ["dog", "owl"]
    assert list(before.marker.line.color) == list(after.marker.color) == [COLOURS["head"], COLOURS["tail"]]
    assert list(embedding_map(POINTS.drop(columns="error")).data[0].text) == ["one"]


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ("group", [COLOURS[group] for group in POINTS["group"]]),
        ("class", [RUN_COLOURS[0]] * 7),  # colours are told apart within a group
        ("error", [0.1, 0.25, 0.5, *["#000000"] * 4]),
    ],
)
def test_colours_are_by_group_class_or_error(colour, expected):
    assert map_colours(POINTS, colour) == expected
    assert embedding_map(POINTS, colour).layout.coloraxis.showscale == (colour == "error")
