"""Scores: lines, dots, bars and boxes are the table's; the class that is there is orange, the others grey."""

from itertools import product

import numpy as np
import pandas as pd

from lmptlib.suite.figures import score_figures
from lmptlib.suite.figures.style import COLOURS, run_looks

THERE, NOT_THERE = "#D55E00", "#B0B0B0"


def test_reliability_has_a_line_a_run_beside_the_honest_one():
    rows = list(product(("before", "after"), ("bce", "pg"), (0.1, 0.9)))
    table = pd.DataFrame(rows, columns=["panel", "run", "stated"])
    table = table.assign(observed=np.random.default_rng(0).random(8), count=range(8))
    traces = score_figures.reliability(table).data
    for panel, traces_of_panel in (("before", traces[:3]), ("after", traces[3:])):
        honest, *lines = traces_of_panel
        assert list(honest.x) == list(honest.y) == [0, 1] and honest.line.dash == "dash"
        for line, run in zip(lines, ("bce", "pg")):
            part = table[(table["panel"] == panel) & (table["run"] == run)]
            for drawn, column in ((line.x, "stated"), (line.y, "observed"), (line.customdata, "count")):
                np.testing.assert_array_equal(drawn, part[column])
            assert (
                line.name == run
                and line.line.color == run_looks(table)[run].colour
                and line.showlegend == (panel == "before")
            )


def test_rankings_stand_on_one_scale():
    table = pd.DataFrame(product(("logit", "softmax"), ("clip", "coop")), columns=["ranking", "row"])
    table = table.assign(mean=[40.0, 50, 42, 41], low=[38.0, 49, 40, 35], high=[44.0, 55, 43, 42])
    figure = score_figures.ranking_intervals(table)
    for dots, ranking in zip(figure.data, ("logit", "softmax")):
        part = table[table["ranking"] == ranking].iloc[::-1]
        assert list(dots.y) == ["coop", "clip"]
        np.testing.assert_array_equal(dots.x + dots.error_x.array, part["high"])
        np.testing.assert_array_equal(dots.x - dots.error_x.arrayminus, part["low"])
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range == (34, 56)
    table.loc[3, ["low", "high"]] = np.nan
    figure = score_figures.ranking_intervals(table)
    assert list(figure.data[1].customdata) == ["too few positives", "40.0–43.0"]
    assert figure.layout.title.text.endswith("(none: too few positives)")


def test_clips_own_scale_is_marked_on_the_curve():
    table = pd.DataFrame(product(("total", "tail"), (1.0, 100.0)), columns=["group", "scale"])
    table["mean"] = [40.0, 50.0, 10.0, 30.0]
    levels = pd.DataFrame({"row": ["logit", "logit"], "group": ["total", "tail"], "mean": [45.0, 25.0]})
    figure = score_figures.temperature(table, levels, own=10.0)
    for place, (colour, middle, level) in enumerate([("#222222", 45, 45), (COLOURS["tail"], 20, 25)]):
        curve, star, flat = figure.data[3 * place : 3 * place + 3]
        assert list(curve.y) == [[40, 50], [10, 30]][place] and curve.line.color == colour
        assert list(star.x) == [10] and np.isclose(star.y[0], middle)
        assert list(flat.y) == [level, level] and list(flat.x) == [1, 100]


def test_the_dashed_line_is_where_half_of_the_positives_are_passed():
    points = pd.DataFrame({"score": [0.9, 0.8, 0.7, 0.6, 0.2], "positive": [False, True, False, True, True]})
    points = points.assign(ranking="logit", offset=np.arange(5) / 7)
    figure = score_figures.offset_scatter(points, "owl")
    others, right = figure.data
    assert (others.marker.color, right.marker.color) == (NOT_THERE, THERE)
    np.testing.assert_array_equal(right.x, points.loc[points["positive"], "offset"])
    np.testing.assert_array_equal(others.y, [0.9, 0.7])
    assert figure.layout.shapes[0].y0 == 0.6  # the second of three positives
    assert figure.layout.annotations[0].text == "logit: 2 wrong above half of the right"


def test_histograms_are_shares_of_each_side():
    points = pd.DataFrame({"score": [0.0, 0.1, 0.9, 1.0, 1.0], "positive": [False, False, False, True, True]})
    others, right = score_figures.score_histograms(points.assign(ranking="logit"), "owl", n_bins=2).data
    np.testing.assert_allclose(others.y, [2 / 3, 1 / 3])
    np.testing.assert_allclose(right.y, [0, 1])
    np.testing.assert_allclose(right.x, [0.25, 0.75])
    assert (others.marker.color, right.marker.color) == (NOT_THERE, THERE)


def test_boxes_are_the_quartiles_of_captions():
    table = pd.DataFrame(product(("clip", "lmpt"), ("own", "other")), columns=["row", "side"])
    table[["low", "q1", "median", "q3", "high"]] = np.arange(20.0).reshape(4, 5)
    figure = score_figures.caption_distances(table, margin=0.3)
    for box, side in zip(figure.data, ("own", "other")):
        part = table[table["side"] == side]
        drawn = [box.lowerfence, box.q1, box.median, box.q3, box.upperfence]
        np.testing.assert_array_equal(drawn, part[["low", "q1", "median", "q3", "high"]].to_numpy().T)
        assert list(box.x) == ["clip", "lmpt"]
    assert figure.layout.shapes[0].y0 == 0.3
