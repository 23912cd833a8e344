"""Curves while training: what is drawn is the table; positives are solid, negatives dotted, groups have their colours."""

from itertools import product

import numpy as np
import pandas as pd

from lmptlib.suite.figures.curve_figures import probability_curves, probability_grid, training_curves
from lmptlib.suite.figures.style import COLOURS, run_looks

GROUPS, DASHES = ("head", "medium", "tail"), {"positive": "solid", "negative": "dot"}


def probabilities(n_steps: int, seed: int) -> pd.DataFrame:
    rows = list(product(range(n_steps), GROUPS))
    values = np.random.default_rng(seed).random((len(rows), 2))
    return pd.DataFrame(rows, columns=["step", "group"]).assign(positive=values[:, 0], negative=values[:, 1])


def many_runs(panels: tuple[str, ...], sides: tuple[str, ...]) -> pd.DataFrame:
    rows = list(product(("coop", "lmpt"), panels, sides, range(1, 4)))
    table = pd.DataFrame(rows, columns=["run", "panel", "side", "epoch"])
    return table.assign(value=np.random.default_rng(0).random(len(rows)))


def test_probabilities_are_thin_by_batch_and_thick_by_epoch():
    curves = {"one": (probabilities(6, 0), probabilities(3, 1)), "two": (probabilities(6, 2), probabilities(3, 3))}
    figure = probability_curves(curves)
    assert len(figure.data) == 2 * 3 * 2 * 2
    traces = iter(figure.data)
    for batch, exact in curves.values():
        for group, side in product(GROUPS, DASHES):
            thin, thick = next(traces), next(traces)
            for trace, table, stride in ((thin, batch, 1), (thick, exact, 3)):
                part = table[table["group"] == group]
                np.testing.assert_array_equal(trace.y, part[side])
                np.testing.assert_array_equal(trace.x, part["step"] * stride)
                assert (trace.line.color, trace.line.dash) == (COLOURS[group], DASHES[side])
            assert thin.line.width < thick.line.width and not thin.showlegend
    assert [note.text for note in figure.layout.annotations] == ["one", "two"]


def test_probabilities_of_runs_have_a_colour_a_run_and_a_panel_a_group():
    table = many_runs(GROUPS, tuple(DASHES))
    figure = training_curves(table, "a title")
    assert len(figure.data) == 12 and figure.layout.title.text == "a title" and figure.layout.yaxis.range == (0, 1)
    for trace, ((run, panel, side), part) in zip(figure.data, table.groupby(["run", "panel", "side"], sort=False)):
        np.testing.assert_array_equal(trace.y, part["value"])
        np.testing.assert_array_equal(trace.x, part["epoch"])
        assert trace.line.color == run_looks(table)[run].colour and trace.line.dash == DASHES[side]
        assert trace.xaxis == ("x", "x2", "x3")[GROUPS.index(panel)]
    assert [trace.name for trace in figure.data if trace.showlegend] == ["coop", "lmpt"]


def test_losses_have_scales_of_their_own_and_a_run_by_itself_no_legend():
    table = many_runs(("loss", "loss_cls", "own_term"), ("",))
    figure = training_curves(table, "Losses")
    assert {trace.line.dash for trace in figure.data} == {"solid"} and figure.layout.yaxis.range is None
    assert [note.text for note in figure.layout.annotations] == ["objective", "classification loss", "own_term"]
    alone = training_curves(table[table["run"] == "lmpt"], "Losses")
    assert len(alone.data) == 3 and not any(trace.showlegend for trace in alone.data)


def test_a_grid_has_positives_above_and_negatives_below_and_a_dash_a_value():
    curves = {"lam": {"0": probabilities(3, 0), "1": probabilities(3, 1)}, "eta": {"2": probabilities(3, 2)}}
    figure = probability_grid(curves)
    drawn = {(t.xaxis, t.line.dash, t.line.color): t.y for t in figure.data}
    assert len(drawn) == len(figure.data) == 18
    for column, values in enumerate(curves.values(), 1):
        for (table, dash), group in product(zip(values.values(), ("solid", "dash")), GROUPS):
            part = table[table["group"] == group]
            for axis, side in ((column, "positive"), (column + 2, "negative")):
                found = drawn[f"x{axis}" if axis > 1 else "x", dash, COLOURS[group]]
                np.testing.assert_array_equal(found, part[side])
    assert [trace.name for trace in figure.data if trace.showlegend] == list(GROUPS)
    assert figure.layout.annotations[2].text == "——— 0<br>– – – 1"
