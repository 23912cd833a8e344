"""Colours of runs: for all eyes, and one a configuration everywhere; and what is said of how class groups came."""

from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from matplotlib.colors import to_rgb

from lmptlib.suite.figures.class_ap import ap_dumbbells, per_class_ap
from lmptlib.suite.figures.count_figures import class_counts
from lmptlib.suite.figures.curve_figures import probability_curves, training_curves
from lmptlib.suite.figures.group_ap import group_map
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS, ZERO_SHOT, run_looks, tell_groups

# Full lack of one kind of cone, on linear RGB: Machado, Oliveira and Fernandes (IEEE TVCG 2009), severity 1.
EYES = {
    "all cones": np.eye(3),
    "no long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no medium": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, eyes: str) -> np.ndarray:
    """CIELAB of a colour as some eyes see it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(np.array(EYES[eyes]) @ linear, 0, 1) / XYZ.sum(1)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(("eyes", "apart"), [("all cones", 20), ("no long", 9), ("no medium", 9), ("no short", 9)])
def test_colours_of_runs_are_like_no_other(eyes, apart):
    """A difference of 2 is just seen, side by side."""
    assert len({*RUN_COLOURS, ZERO_SHOT, *COLOURS.values()}) == 14
    for one, other in combinations((*RUN_COLOURS, ZERO_SHOT, *COLOURS.values()), 2):
        if not {one, other} <= {*COLOURS.values()}:
            assert np.linalg.norm(lab(one, eyes) - lab(other, eyes)) > apart, f"{one} and {other}"


def runs(*names: str, **configurations: str) -> pd.DataFrame:
    """A table of each kind in one: mAP by group, AP by class, curves."""
    keys = {name: name for name in names} | configurations
    rows = [(run, key, side) for run, key in keys.items() for side in ("positive", "negative")]
    table = pd.DataFrame(rows, columns=["run", "configuration", "side"])
    numbers = {"value": 50.0, "ap": 50.0, "low": 45.0, "high": 55.0, "epoch": 1, "train": 9}
    settings = [f"{run}; lr 1e-3" for run in table["run"]]
    return table.assign(name="total", panel="head", group="head", settings=settings, **{"class": "dog"}, **numbers)


def drawn(table: pd.DataFrame) -> list[dict[str, str]]:
    """The colours of the runs in three figures."""
    bars, lines, curves = group_map(table), per_class_ap(table), training_curves(table, "curves")
    return [
        {trace.name: trace.marker.color for trace in bars.data},
        {trace.name: trace.line.color for trace in lines.data[1:]},
        {trace.name: trace.line.color for trace in curves.data},
    ]


def test_a_configuration_keeps_its_colour_whatever_it_is_called_and_drawn_beside():
    first = drawn(runs(CLIP="zero_shot-1", CoOp="coop-1", LMPT="lmpt-1"))
    assert first[0] == first[1] == first[2] and first[0]["CLIP"] == ZERO_SHOT and len({*first[0].values()}) == 3
    again = drawn(runs(**{"LMPT, ASL": "lmpt-2", "LMPT, BCE": "lmpt-1", "soft prompt": "coop-1"}))
    for colours in again:
        assert colours["LMPT, BCE"] == first[0]["LMPT"] and colours["soft prompt"] == first[0]["CoOp"]
        assert colours["LMPT, ASL"] not in first[0].values()


def test_seeds_have_one_colour_and_are_told_apart():
    one, two = run_looks(runs(**{"CoOp, seed 0": "coop-1", "CoOp, seed 1": "coop-1"})).values()
    assert one.colour == two.colour and one.symbol != two.symbol
    assert one.dashes != two.dashes and one.hatch != two.hatch


def test_twelve_runs_and_two_zero_shots_are_told_apart():
    names = [*(f"run {i}" for i in range(12)), "zero-shot", "zero-shot, centred"]
    table = runs(*names)
    bars = [(bar.marker.color, bar.marker.pattern.shape) for bar in group_map(table).data]
    lines = [(line.line.color, line.line.dash) for line in per_class_ap(table).data[1:]]
    symbols = [line.marker.symbol for line in per_class_ap(table).data[1:]]
    curves = [(line.line.color, line.line.dash) for line in training_curves(table, "curves").data]
    assert len({*bars}) == len({*lines}) == len({*zip(lines, symbols)}) == 14 and len({*curves}) == 28


def test_hovering_tells_the_whole_configuration():
    table = runs("CoOp", "LMPT")
    for figure in (group_map(table), per_class_ap(table), training_curves(table, "curves")):
        told = [trace.hovertemplate for trace in figure.data if trace.name == "LMPT"]
        assert told and all("<br>LMPT<br>lr 1e-3" in text for text in told)


CLASSES = pd.DataFrame({"class": ["dog", "cow", "owl"], "group": ["head", "medium", "tail"], "train": [9, 6, 2]})


def test_a_figure_says_how_its_groups_came():
    plain, told = class_counts(CLASSES), CLASSES.copy()
    told.attrs["grouping"] = "thirds"
    figure = class_counts(told.sort_values("train"))
    assert plain.layout.title.subtitle.text is None and figure.layout.title.subtitle.text == "thirds"
    bare = tell_groups(go.Figure(layout={"height": 300}), {"grouping": "thirds"})
    assert bare.layout.title.subtitle.text == "thirds" and bare.layout.height > 300
    assert tell_groups(go.Figure(), {}).layout.title.subtitle.text is None
    assert figure.layout.title.text == plain.layout.title.text and figure.layout.height > plain.layout.height

    rows = [told.assign(row=row, ap=ap, low=ap, high=ap) for row, ap in (("clip", 20.0), ("coop", 50.0))]
    assert ap_dumbbells(pd.concat(rows), "clip").layout.title.subtitle.text == "thirds"
    curve = pd.DataFrame({"step": [0, 1], "group": "tail", "positive": [0.1, 0.2], "negative": [0.9, 0.8]})
    curve.attrs["grouping"] = "thirds"
    assert probability_curves({"run": (curve, curve)}).layout.title.subtitle.text == "thirds"
