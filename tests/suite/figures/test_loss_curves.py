"""Losses over the logit: positives solid, negatives dotted, other dashes when the colours begin again."""

from itertools import product

import numpy as np
import pandas as pd

from lmptlib.suite.figures.loss_curves import loss_landscape
from lmptlib.suite.figures.style import RUN_COLOURS


def test_each_side_of_each_loss_is_drawn_in_each_panel():
    rows = list(product([f"loss {i}" for i in range(11)], ("head", "tail"), ("positive", "negative"), (-1.0, 0.0, 1.0)))
    table = pd.DataFrame(rows, columns=["loss", "group", "side", "z"])
    table[["value", "gradient"]] = np.random.default_rng(0).random((len(rows), 2))
    figure = loss_landscape(table)
    traces = iter(figure.data)
    for (loss, group, side), part in table.groupby(["loss", "group", "side"], sort=False):
        place = int(loss.split()[1])
        for row, quantity in enumerate(("value", "gradient")):
            trace = next(traces)
            np.testing.assert_array_equal(trace.x, part["z"])
            np.testing.assert_array_equal(trace.y, part[quantity])
            panel = 1 + 2 * row + (group == "tail")
            assert trace.name == loss and trace.xaxis == ("x" if panel == 1 else f"x{panel}")
            dashes = ("solid", "dot") if place < 10 else ("longdash", "dashdot")
            assert trace.line.dash == dashes[side == "negative"] and trace.line.color == RUN_COLOURS[place % 10]
    assert [trace.name for trace in figure.data if trace.showlegend] == [f"loss {i}" for i in range(11)]
    assert len(loss_landscape(table, ("value",)).data) == len(figure.data) / 2
