"""What trainings cost and give, learning curves, and what a text prior adds."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import (
    COLOURS,
    SCALES_DIFFER,
    SYMBOLS,
    apply_layout,
    interval,
    of_groups,
    panels,
    run_colour,
    run_looks,
)

# Column of the costs -> title of its axis.
COSTS = {
    "searched": "seconds, with the choice of settings",
    "seconds": "seconds of a training",
    "learned": "numbers learned",
}


@of_groups
def cost(table: pd.DataFrame, x: str = "searched") -> go.Figure:
    """mAP with intervals over what it cost, a panel a group, a colour a row; diamonds tune prompts.

    table: columns row, group, mean, low, high (percent), prompts and those of COSTS. x: one of COSTS.
    """
    groups, names = table["group"].unique().tolist(), table["row"].unique()
    columns = min(len(groups), 2)
    figure, height = panels(groups, 260 if len(groups) <= 2 else 160, most=2, horizontal_spacing=0.07)
    looks = run_looks(table, "row")
    for name in names:
        for place, group in enumerate(groups):
            part = table[(table["row"] == name) & (table["group"] == group)]
            symbol = "diamond" if table.loc[table["row"] == name, "prompts"].any() else "circle"
            symbol += "-open" if looks[name].turn % 2 else ""  # where colours begin again
            spread = interval(part["mean"], part["low"], part["high"], thickness=1.5, width=4)
            dots = go.Scatter(x=part[x], y=part["mean"], error_y=spread, mode="markers", name=name, legendgroup=name)
            dots.update(marker={"color": looks[name].colour, "symbol": symbol, "size": 12}, showlegend=place == 0)
            dots.update(hovertemplate=f"{name}: %{{y:.1f}}, {x} %{{x:.3g}}<extra></extra>")
            figure.add_trace(dots, row=place // columns + 1, col=place % columns + 1)
    figure.update_xaxes(type="log", dtick=1).update_xaxes(title=COSTS[x], row=-(-len(groups) // columns))
    figure.update_yaxes(title="mAP (%)", col=1)
    title = "mAP and what it cost, with 95% intervals over test images; diamonds tune prompts"
    return apply_layout(figure, title + (SCALES_DIFFER if len(groups) > 1 else ""), height + 150)


@of_groups
def learning_curves(table: pd.DataFrame) -> go.Figure:
    """mAP over the number of images of each class, a panel a group, a line a row.

    table: columns row, shots, group, mean, low, high (percent), shots in their order.
    """
    groups, names, shots = table["group"].unique().tolist(), table["row"].unique(), table["shots"].unique()
    columns = min(len(groups), 2)
    figure, height = panels(groups, 300 if len(groups) <= 2 else 160, most=2, horizontal_spacing=0.07)
    looks = run_looks(table, "row")
    for name in names:
        look = looks[name]
        for place, group in enumerate(groups):
            part = table[(table["row"] == name) & (table["group"] == group)]
            spread = interval(part["mean"], part["low"], part["high"], thickness=1, width=4)
            line = go.Scatter(x=part["shots"], y=part["mean"], error_y=spread, mode="lines+markers", name=name)
            line.update(line_color=look.colour, line_dash=look.dashes[0], marker={"symbol": look.symbol, "size": 9})
            line.update(legendgroup=name, showlegend=place == 0)
            line.update(hovertemplate=f"{name}: %{{y:.1f}}<extra></extra>")
            figure.add_trace(line, row=place // columns + 1, col=place % columns + 1)
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(shots))
    figure.update_xaxes(title="images of each class", row=-(-len(groups) // columns))
    figure.update_yaxes(title="mAP (%)", col=1)
    title = "mAP by images of each class, with 95% intervals over draws"
    return apply_layout(figure, title + (SCALES_DIFFER if len(groups) > 1 else ""), height + 150)


@of_groups
def prior_gain(by_count: pd.DataFrame, by_class: pd.DataFrame) -> go.Figure:
    """What the text prior adds to AP: by the images that a class has in a draw (left), and to each class of the list (right).

    by_count: columns images, mean, low, high; by_class: columns class, group, train, gain.
    """
    titles = ["few images, mean over classes", "the whole list, class by class"]
    figure = make_subplots(rows=1, cols=2, subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.03)
    spread = interval(by_count["mean"], by_count["low"], by_count["high"], thickness=1.5, width=5)
    dots = go.Scatter(x=by_count["images"], y=by_count["mean"], error_y=spread, mode="markers", showlegend=False)
    dots.update(marker={"size": 11, "color": run_colour(1)}, hovertemplate="%{x}: %{y:+.1f}<extra></extra>")
    figure.add_trace(dots, row=1, col=1)
    for group in GROUPS:
        part = by_class[by_class["group"] == group]
        marker = {"color": COLOURS[group], "symbol": SYMBOLS[group], "size": 10}
        points = go.Scatter(
            x=part["train"], y=part["gain"], text=part["class"], mode="markers", name=group, marker=marker
        )
        figure.add_trace(points.update(hovertemplate="%{text} (%{x}): %{y:+.1f}<extra></extra>"), row=1, col=2)
    figure.add_hline(y=0, line={"color": "black", "width": 1, "dash": "dash"})
    figure.update_xaxes(title="images of the class in a draw", type="category", col=1)
    figure.update_xaxes(title="training images of the class (log)", type="log", dtick=1, col=2)
    figure.update_yaxes(title="AP with the prior − without", col=1)
    return apply_layout(figure, "What a text prior adds to the AP of a class", 460)
