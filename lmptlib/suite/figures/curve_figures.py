"""What moves while training: losses and mean probabilities, of one run by group, of many runs, by one factor at a time."""

from itertools import product

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import (
    COLOURS,
    SCALES_DIFFER,
    SHORT,
    SIDES,
    apply_layout,
    of_groups,
    panels,
    run_looks,
    told,
    wrapped,
)

_LOSSES = {"loss": "objective", "loss_cls": "classification loss", "loss_cse": "CSE loss"}


@of_groups
def probability_curves(curves: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> go.Figure:
    """Mean probabilities of positives (solid) and negatives (dotted) by group while training, one panel a run.

    curves: panel title -> (per iteration, exact per epoch), as `Run.probabilities` gives them. Thin lines are the
    batches (a batch without positives of a group leaves a gap), thick lines the whole training set at each epoch's end.
    """
    each = 290 if len(curves) <= 3 else 190
    figure, height = panels(list(curves), each, shared_yaxes=True, horizontal_spacing=0.03)
    for place, (by_iteration, by_epoch) in enumerate(curves.values()):
        n_epochs = int(by_epoch["step"].max())
        stride = (int(by_iteration["step"].max()) + 1) / n_epochs if n_epochs else 1
        for group in GROUPS:
            batch, exact = by_iteration[by_iteration["group"] == group], by_epoch[by_epoch["group"] == group]
            for side, (sign, dash) in SIDES.items():
                line, name = {"color": COLOURS[group], "dash": dash}, f"{SHORT[group]}{sign}"
                thin = go.Scatter(x=batch["step"], y=batch[side], mode="lines+markers", line=line | {"width": 1})
                thin.update(opacity=0.3, marker={"size": 2}, hoverinfo="skip", showlegend=False)
                thick = go.Scatter(x=exact["step"] * stride, y=exact[side], mode="lines", line=line | {"width": 3})
                thick.showlegend = place == 0
                for trace in (thin, thick):
                    panel = {"row": place // 3 + 1, "col": place % 3 + 1}
                    figure.add_trace(trace.update(name=name, legendgroup=name), **panel)
    figure.update_xaxes(title="iteration")
    figure.update_yaxes(range=[0, 1])
    figure.update_yaxes(title="mean probability<br>of the true label", col=1)
    title = "How far positives and negatives are believed, by class group"
    return apply_layout(figure, title, height + 150, legend_title="class group")


@of_groups
def training_curves(table: pd.DataFrame, title: str) -> go.Figure:
    """What runs did while training, a panel a group or a loss; positives (and losses) solid, negatives dotted.

    table: columns run, panel, side, epoch, value, as `lmptlib.runs.tables.curve_table` gives them. A colour and symbol a
    run; a run by itself needs no legend.
    """
    parts, names = table["panel"].unique().tolist(), table["run"].unique().tolist()
    looks = run_looks(table)
    shared = not set(parts) - set(GROUPS)
    titles = [_LOSSES.get(part, part) for part in parts]
    figure = make_subplots(cols=len(parts), shared_yaxes=shared, subplot_titles=titles, horizontal_spacing=0.05)
    for (run, panel, side), part in table.groupby(["run", "panel", "side"], sort=False):
        look = looks[str(run)]
        line = {"color": look.colour, "width": 2.5, "dash": look.dashes[side == "negative"]}
        trace = go.Scatter(x=part["epoch"], y=part["value"], mode="lines+markers", line=line, name=run)
        trace.update(marker={"size": 8, "symbol": look.symbol, "maxdisplayed": 6})
        trace.hovertemplate = f"{side} %{{y:.3f}}{told(part)}"
        trace.update(legendgroup=run, showlegend=panel == parts[0] and side != "negative" and len(names) > 1)
        figure.add_trace(trace, row=1, col=parts.index(panel) + 1)
    figure.update_xaxes(title="epoch")
    if shared:
        figure.update_yaxes(range=[0, 1]).update_yaxes(title="mean probability of the true label", col=1)
    title += "" if shared or len(parts) == 1 else SCALES_DIFFER
    return apply_layout(figure, title, height=440 if len(names) > 1 else 380)


@of_groups
def probability_grid(curves: dict[str, dict[str, pd.DataFrame]]) -> go.Figure:
    """One factor at a time (PG Fig. 3): a column a factor, positives above and negatives below, a line a value and group.

    curves: factor -> value -> exact means per epoch, as `Run.probabilities("epoch")` gives them; solid, dashed and dotted
    are the values in their order.
    """
    axes = {"shared_xaxes": True, "shared_yaxes": True, "horizontal_spacing": 0.02, "vertical_spacing": 0.06}
    figure = make_subplots(rows=2, cols=len(curves), subplot_titles=list(curves), **axes)
    for column, values in enumerate(curves.values(), 1):
        for (value, table), dash in zip(values.items(), ("solid", "dash", "dot")):
            for group, (row, side) in product(GROUPS, enumerate(SIDES, 1)):
                part, line = table[table["group"] == group], {"color": COLOURS[group], "width": 2.5, "dash": dash}
                trace = go.Scatter(x=part["step"], y=part[side], mode="lines", line=line, name=group, legendgroup=group)
                trace.update(hovertemplate=f"{value}: %{{y:.2f}}", showlegend=(column, row, dash) == (1, 1, "solid"))
                figure.add_trace(trace, row=row, col=column)
        key = "<br>".join(f"{line} {wrapped(value, 20)}" for value, line in zip(values, ("———", "– – –", "· · · ·")))
        place = {"x": 0.99, "y": 0.02, "xref": "x domain", "yref": "y domain", "xanchor": "right", "yanchor": "bottom"}
        style = {"showarrow": False, "align": "left", "font_size": 12, "bgcolor": "rgba(255,255,255,0.8)"}
        figure.add_annotation(text=key, row=2, col=column, **place, **style)
    figure.update_xaxes(title="epoch", row=2)
    figure.update_yaxes(range=[0, 1])
    figure.update_yaxes(title="mean p of positives", row=1, col=1)
    figure.update_yaxes(title="mean 1 − p of negatives", row=2, col=1)
    return apply_layout(figure, "One factor at a time", height=560, legend_title="class group")
