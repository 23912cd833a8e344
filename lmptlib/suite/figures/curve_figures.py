"""What moves while training: losses and mean probabilities."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS, SHORT, apply_layout


def probability_curves(curves: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> go.Figure:
    """Mean probabilities of positives (solid) and negatives (dotted) by group while training, one panel a run.

    curves: panel title -> (per iteration, exact per epoch), as `Run.probabilities` gives them. Thin lines are the
    batches (a batch without positives of a group leaves a gap), thick lines the whole training set at each epoch's end.
    """
    figure = make_subplots(
        rows=1, cols=len(curves), shared_yaxes=True, subplot_titles=list(curves), horizontal_spacing=0.03
    )
    for column, (by_iteration, by_epoch) in enumerate(curves.values(), 1):
        n_epochs = int(by_epoch["step"].max())
        stride = (int(by_iteration["step"].max()) + 1) / n_epochs if n_epochs else 1
        for group in GROUPS:
            batch, exact = by_iteration[by_iteration["group"] == group], by_epoch[by_epoch["group"] == group]
            for side, sign, dash in (("positive", "+", "solid"), ("negative", "−", "dot")):
                name = f"{SHORT[group]}{sign}"
                common = {"legendgroup": name, "name": name, "row": 1, "col": column}
                figure.add_scatter(
                    x=batch["step"], y=batch[side].round(4), mode="lines+markers", opacity=0.3, showlegend=False, hoverinfo="skip",
                    line={"color": COLOURS[group], "width": 1, "dash": dash}, marker={"size": 2}, **common,
                )  # fmt: skip
                figure.add_scatter(
                    x=exact["step"] * stride, y=exact[side].round(4), mode="lines", showlegend=column == 1,
                    line={"color": COLOURS[group], "width": 3, "dash": dash}, **common,
                )  # fmt: skip
    figure.update_xaxes(title="iteration")
    figure.update_yaxes(range=[0, 1])
    figure.update_yaxes(title="mean probability of the true label", col=1)
    return apply_layout(
        figure, "How far positives and negatives are believed, by class group", legend_title="class group"
    )


def run_curves(table: pd.DataFrame, title: str) -> go.Figure:
    """What runs did while training, a colour and symbol a run; positives (and losses) solid, negatives dotted.

    table: columns run, panel, side, epoch, value, as `lmptlib.runs.curve_table` gives them.
    """
    panels, names = table["panel"].unique(), table["run"].unique()
    shared = not set(panels) - set(GROUPS)
    figure = make_subplots(cols=len(panels), shared_yaxes=shared, subplot_titles=list(panels), horizontal_spacing=0.05)
    for (run, panel, side), part in table.groupby(["run", "panel", "side"], sort=False):
        i = names.tolist().index(run)
        figure.add_scatter(
            x=part["epoch"], y=part["value"].round(5), mode="lines+markers", name=run, legendgroup=run,
            line={"color": RUN_COLOURS[i % len(RUN_COLOURS)], "width": 2.5, "dash": "dot" if side == "negative" else "solid"},
            marker={"size": 8, "symbol": i, "maxdisplayed": 6}, hovertemplate=f"{side} %{{y:.3f}}",
            showlegend=panel == panels[0] and side != "negative", row=1, col=panels.tolist().index(panel) + 1,
        )  # fmt: skip
    figure.update_xaxes(title="epoch")
    if shared:
        figure.update_yaxes(range=[0, 1]).update_yaxes(title="mean probability of the true label", col=1)
    legend = {"orientation": "h", "y": -0.2, "yanchor": "top"}
    return apply_layout(figure, title, legend=legend)


def training_curves(history: pd.DataFrame) -> go.Figure:
    """Losses over the epochs. history: columns epoch, loss, loss_cls, loss_cse."""
    figure = make_subplots(rows=1, cols=3, subplot_titles=["objective", "classification loss", "CSE loss"])
    for column, name in enumerate(("loss", "loss_cls", "loss_cse"), 1):
        figure.add_scatter(
            x=history["epoch"],
            y=history[name],
            mode="lines+markers",
            line_color="#0072B2",
            showlegend=False,
            row=1,
            col=column,
        )
    figure.update_xaxes(title="epoch")
    return apply_layout(figure, "What training minimises", height=360)


def probability_grid(curves: dict[str, dict[str, pd.DataFrame]]) -> go.Figure:
    """One factor at a time (PG Fig. 3): a column a factor, positives above and negatives below, a line a value and group.

    curves: factor -> value -> exact means per epoch, as `Run.probabilities("epoch")` gives them; solid, dashed and dotted
    are the values in their order.
    """
    figure = make_subplots(
        rows=2, cols=len(curves), shared_xaxes=True, shared_yaxes=True, subplot_titles=list(curves),
        horizontal_spacing=0.02, vertical_spacing=0.06,
    )  # fmt: skip
    for column, values in enumerate(curves.values(), 1):
        for (value, table), dash in zip(values.items(), ("solid", "dash", "dot")):
            for row, side in enumerate(("positive", "negative"), 1):
                for group in GROUPS:
                    part = table[table["group"] == group]
                    figure.add_scatter(
                        x=part["step"], y=part[side].round(4), mode="lines", name=group, legendgroup=group,
                        line={"color": COLOURS[group], "width": 2.5, "dash": dash}, hovertemplate=f"{value}: %{{y:.2f}}",
                        showlegend=(column, row, dash) == (1, 1, "solid"), row=row, col=column,
                    )  # fmt: skip
        key = "<br>".join(f"{line} {value}" for value, line in zip(values, ("———", "– – –", "· · · ·")))
        place = {"x": 0.99, "y": 0.02, "xref": "x domain", "yref": "y domain", "xanchor": "right", "yanchor": "bottom"}
        style = {"showarrow": False, "align": "left", "font_size": 12, "bgcolor": "rgba(255,255,255,0.8)"}
        figure.add_annotation(text=key, row=2, col=column, **place, **style)
    figure.update_xaxes(title="epoch", row=2)
    figure.update_yaxes(range=[0, 1])
    figure.update_yaxes(title="mean p of positives", row=1, col=1)
    figure.update_yaxes(title="mean 1 − p of negatives", row=2, col=1)
    return apply_layout(figure, "One factor at a time", height=680, legend_title="class group")
