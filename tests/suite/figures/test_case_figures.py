"""Single images: bars are the scores, filled where the class is a label of the image."""

import pandas as pd
from PIL import Image

from lmptlib.suite.figures.case_figures import case_changes, case_figure, top_probabilities
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS, ZERO_SHOT


def test_best_classes_are_bars_and_labels_are_filled_and_ticked():
    top = pd.DataFrame({"run": "coop", "place": [1, 2], "class": ["dog", "owl"], "group": ["head", "tail"]})
    top = top.assign(score=[0.9, -0.5], said=[False, True], right=[False, True])
    figure = case_figure([Image.new("RGB", (30, 20))], ["a photograph"], [top])
    bars, text = figure.data
    assert list(bars.x) == [0.9, -0.5] and list(bars.y) == [0, 1]
    assert list(bars.marker.color) == ["white", COLOURS["tail"]]
    assert list(bars.marker.line.color) == [COLOURS["head"], COLOURS["tail"]]
    assert list(text.text) == [" 1. ✗ dog (H) 0.90", " <b>2. ✓ owl (T) -0.50</b>"]
    assert [note.text for note in figure.layout.annotations] == ["a photograph", "coop"]
    assert len(figure.layout.images) == 1


def test_changes_are_fixed_to_the_right_and_broken_to_the_left():
    table = pd.DataFrame({"class": ["dog", "owl"], "group": ["head", "tail"], "train": [300, 7], "shown": [9, 4]})
    table = pd.concat(
        [table.assign(run="clip", fixed=0, broke=0), table.assign(run="coop", fixed=[3, 0], broke=[1, 2])]
    )
    figure = case_changes(table, "clip")
    drawn = {bar.name: bar for bar in figure.data}
    assert [note.text for note in figure.layout.annotations] == ["coop"] and len(drawn) == 6
    assert list(drawn["fixed, head"].x) == [3] and list(drawn["broke, head"].x) == [-1]
    assert list(drawn["broke, tail"].x) == [-2] and list(drawn["broke, tail"].y) == ["owl (7)"]
    assert list(drawn["fixed, tail"].text) == [""] and list(drawn["broke, tail"].customdata) == [4]
    assert all(bar.marker.color == COLOURS[name.split(", ")[1]] for name, bar in drawn.items())
    assert drawn["broke, tail"].marker.pattern.shape == "/" and not drawn["fixed, tail"].marker.pattern.shape
    assert list(figure.layout.yaxis.categoryarray) == ["owl (7)", "dog (300)"]


def test_the_most_probable_classes_of_any_run_are_shown():
    table = pd.DataFrame({"class": ["dog", "cow", "owl"], "group": ["head", "medium", "tail"]})
    values = {"clip": [0.5, 0.2, 0.1], "coop": [0.1, 0.2, 0.8]}
    table = pd.concat([table.assign(run=run, probability=p) for run, p in values.items()])
    coop, clip = top_probabilities(table, k=1).data
    assert list(coop.y) == list(clip.y) == ["dog (H)", "owl (T)"]
    assert list(coop.x) == [0.1, 0.8] and list(clip.x) == [0.5, 0.1] and list(clip.text) == ["0.50", "0.10"]
    assert (clip.name, clip.marker.color) == ("clip", ZERO_SHOT) and coop.marker.color in RUN_COLOURS
