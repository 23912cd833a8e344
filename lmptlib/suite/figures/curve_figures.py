"""What moves while training: losses and mean probabilities, of one run by group, of many runs, by one factor at a time."""

from itertools import product

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import COLOURS, SHORT, SIDES, apply_layout, of_groups, run_colour

_LOSSES = {"loss": "objective", "loss_cls": "classification loss", "loss_cse": "CSE loss"}


@of_groups
def probability_curves(curves: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> go.Figure:
    """Mean probabilities of positives (solid) and negatives (dotted) by group while training, one panel a run.

    curves: panel title -> (per iteration, exact per epoch), as `Run.probabilities` gives them. Thin lines are the
    batches (a batch without positives of a group leaves a gap), thick lines the whole training set at each epoch's end.
    """
    panels = {"shared_yaxes": True, "subplot_titles": list(curves), "horizontal_spacing": 0.03}
    figure = make_subplots(rows=1, cols=len(curves), **panels)
    for column, (by_iteration, by_epoch) in enumerate(curves.values(), 1):
        n_epochs = int(by_epoch["step"].max())
        stride = (int(by_iteration["step"].max()) + 1) / n_epochs if n_epochs else 1
        for group in GROUPS:
            batch, exact = by_iteration[by_iteration["group"] == group], by_epoch[by_epoch["group"] == group]
            for side, (sign, dash) in SIDES.items():
                line, name = {"color": COLOURS[group], "dash": dash}, f"{SHORT[group]}{sign}"
                thin = go.Scatter(x=batch["step"], y=batch[side], mode="lines+markers", line=line | {"width": 1})
                thin.update(opacity=0.3, marker={"size": 2}, hoverinfo="skip", showlegend=False)
                thick = go.Scatter(x=exact["step"] * stride, y=exact[side], mode="lines", line=line | {"width": 3})
                thick.showlegend = column == 1
                for trace in (thin, thick):
                    figure.add_trace(trace.update(name=name, legendgroup=name), row=1, col=column)
    figure.update_xaxes(title="iteration")
    figure.update_yaxes(range=[0, 1])
    figure.update_yaxes(title="mean probability of the true label", col=1)
    title = "How far positives and negatives are believed, by class group"
    return apply_layout(figure, title, legend_title="class group")


@of_groups
def training_curves(table: pd.DataFrame, title: str) -> go.Figure:
    """What runs did while training, a panel a group or a loss; positives (and losses) solid, negatives dotted.

    table: columns run, panel, side, epoch, value, as `lmptlib.runs.tables.curve_table` gives them. A colour and symbol a
    run; a run by itself needs no legend.
    """
    panels, names = table["panel"].unique().tolist(), table["run"].unique().tolist()
    shared = not set(panels) - set(GROUPS)
    titles = [_LOSSES.get(panel, panel) for panel in panels]
    figure = make_subplots(cols=len(panels), shared_yaxes=shared, subplot_titles=titles, horizontal_spacing=0.05)
    for (run, panel, side), part in table.groupby(["run", "panel", "side"], sort=False):
        place = names.index(run)
        line = {"color": run_colour(place), "width": 2.5, "dash": "dot" if side == "negative" else "solid"}
        trace = go.Scatter(x=part["epoch"], y=part["value"], mode="lines+markers", line=line, name=run)
        trace.update(marker={"size": 8, "symbol": place, "maxdisplayed": 6}, hovertemplate=f"{side} %{{y:.3f}}")
        trace.update(legendgroup=run, showlegend=panel == panels[0] and side != "negative" and len(names) > 1)
        figure.add_trace(trace, row=1, col=panels.index(panel) + 1)
    figure.update_xaxes(title="epoch")
    if shared:
        figure.update_yaxes(range=[0, 1]).update_yaxes(title="mean probability of the true label", col=1)
    legend = {"orientation": "h", "y": -0.2, "yanchor": "top"}
    return apply_layout(figure, title, height=460 if len(names) > 1 else 360, legend=legend)


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
        key = "<br>".join(f"{line} {value}" for value, line in zip(values, ("———", "– – –", "· · · ·")))
        place = {"x": 0.99, "y": 0.02, "xref": "x domain", "yref": "y domain", "xanchor": "right", "yanchor": "bottom"}
        style = {"showarrow": False, "align": "left", "font_size": 12, "bgcolor": "rgba(255,255,255,0.8)"}
        figure.add_annotation(text=key, row=2, col=column, **place, **style)
    figure.update_xaxes(title="epoch", row=2)
    figure.update_yaxes(range=[0, 1])
    figure.update_yaxes(title="mean p of positives", row=1, col=1)
    figure.update_yaxes(title="mean 1 − p of negatives", row=2, col=1)
    return apply_layout(figure, "One factor at a time", height=680, legend_title="class group")
