"""mAP by group: bars and dots are the values, error bars end where the intervals do."""

import numpy as np
import pandas as pd
import pytest

from lmptlib.suite.figures.group_ap import group_map, intervals
from lmptlib.suite.figures.style import COLOURS, ZERO_SHOT, run_looks


def test_bars_are_the_runs_values_with_their_intervals():
    names = ("total", "head", "medium", "tail")
    table = pd.DataFrame([(run, name) for run in ("clip", "coop") for name in names], columns=["run", "name"])
    table = table.assign(value=np.arange(40.0, 48), low=np.arange(38.0, 46), high=np.arange(43.0, 51))
    figure = group_map(table, "logit")
    for i, (bar, run) in enumerate(zip(figure.data, ("clip", "coop"))):
        part = table[table["run"] == run]
        assert (
            bar.name == run
            and list(bar.x) == list(names)
            and bar.marker.color == (ZERO_SHOT, run_looks(table)["coop"].colour)[i]
        )
        np.testing.assert_array_equal(bar.y, part["value"])
        np.testing.assert_array_equal(bar.y + bar.error_y.array, part["high"])
        np.testing.assert_array_equal(bar.y - bar.error_y.arrayminus, part["low"])
    assert figure.layout.yaxis.title.text == "mAP, logit ranking (%)"
    np.testing.assert_allclose(figure.layout.yaxis.range, (0, 1.1 * 50))
    assert "few" not in figure.layout.title.text and next(iter(figure.data[0].customdata)) == "38.0–43.0"
    none = group_map(table.assign(low=np.nan, high=np.nan), "logit")
    np.testing.assert_allclose(none.layout.yaxis.range, (0, 1.1 * 47))
    assert none.layout.title.text.endswith("(none: too few positives)")
    assert set(none.data[0].customdata) == {"too few positives"}


@pytest.mark.parametrize("of", ["difference", "mean"])
def test_intervals_have_a_panel_a_group_that_is_there(of):
    low, high = ("low", "high") if of == "mean" else ("difference_low", "difference_high")
    rows = [("coop", "total", 2.0), ("lmpt", "total", -1.0), ("coop", "tail", 4.0), ("lmpt", "tail", np.nan)]
    table = pd.DataFrame(rows, columns=["row", "group", of])
    table = table.assign(**{low: table[of] - 1, high: table[of] + 3})
    table.loc[len(table)] = {"row": "coop", "group": "head", of: 1.0}
    figure = intervals(table, of)
    total, head, tail = figure.data
    assert [note.text for note in figure.layout.annotations] == ["total", "head", "tail"]
    assert list(head.marker.symbol) == ["circle-open"] and list(tail.marker.symbol) == ["diamond"]
    if of == "difference":
        assert list(head.text) == ["too few<br>positives"] and list(tail.text) == [""]
        assert list(head.customdata) == ["+1.0 (too few positives)"] and list(tail.customdata) == ["+4.0 [+3.0, +7.0]"]
    assert list(total.y) == ["lmpt", "coop"] and list(total.x) == [-1, 2] and list(tail.x) == [4]
    assert list(total.error_x.array) == [3, 3] and list(total.error_x.arrayminus) == [1, 1]
    assert tail.marker.color == COLOURS["tail"]
    assert len(figure.layout.shapes) == (3 if of == "difference" else 0)
