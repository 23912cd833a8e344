"""The figure of how cost grows."""

import pandas as pd

from lmptlib.suite.figures.growth_figures import growth_figure


def test_measured_seconds_stand_beside_what_grew_in_proportion():
    rows = [("classes", 20, 0.1), ("classes", 80, 0.3), ("runs at once", 1, 0.2)]
    table = pd.DataFrame([{"grows": g, "value": v, "median": s, "per": "step"} for g, v, s in rows])
    table["low"], table["high"] = table["median"] / 2, table["median"] * 2
    table.attrs["of"] = "clip-emoji on cpu"
    straight, measured, *_ = growth_figure(table).data
    assert list(measured.y) == [0.1, 0.3] and list(straight.y) == [0.1, 0.4] and list(measured.x) == [20, 80]
    assert list(measured.error_y.array) == [0.1, 0.3]
