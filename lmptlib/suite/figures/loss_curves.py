"""A loss and its gradient over the logit, a panel a group."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import RUN_COLOURS, RUN_DASHES, apply_layout, of_groups


@of_groups
def loss_landscape(table: pd.DataFrame, rows: tuple[str, ...] = ("value", "gradient")) -> go.Figure:
    """Losses over the logit, a panel for each group and each of `rows`: positives solid, negatives dotted.

    table: columns loss, group, side, z, value, gradient, as `lmptlib.suite.analysis.landscape.landscape` gives them.
    """
    groups = [group for group in GROUPS if (table["group"] == group).any()]
    gaps = {"horizontal_spacing": 0.02, "vertical_spacing": 0.05}
    axes = {"shared_xaxes": True, "shared_yaxes": True, "subplot_titles": groups if len(groups) > 1 else None}
    figure = make_subplots(rows=len(rows), cols=len(groups), **axes, **gaps)
    for i, (loss, of_loss) in enumerate(table.groupby("loss", sort=False)):
        first = tuple(of_loss.iloc[0][["group", "side"]])
        for (group, side), part in of_loss.groupby(["group", "side"], sort=False):
            for row, quantity in enumerate(rows, 1):
                line = _line(part["z"], part[quantity], i, str(side))
                line.update(name=loss, legendgroup=loss, showlegend=row == 1 and (group, side) == first)
                line.hovertemplate = f"{loss}, {side}: %{{y:.3f}}<extra></extra>"
                figure.add_trace(line, row=row, col=groups.index(str(group)) + 1)
    figure.update_xaxes(title="logit z", row=len(rows))
    for row, quantity in enumerate(rows, 1):
        figure.update_yaxes(title=quantity, row=row, col=1)
    title = "Losses over the logit: positives solid, negatives dotted"
    return apply_layout(figure, title, 150 + 200 * len(rows)).update_layout(hovermode="closest")


def _line(x: pd.Series, y: pd.Series, place: int, side: str) -> go.Scatter:
    """One side of the loss at a place in the figure, which gives it colour, symbol and dash."""
    turn, colour = divmod(place, len(RUN_COLOURS))
    line = {"color": RUN_COLOURS[colour], "width": 2.5, "dash": RUN_DASHES[turn % 3][side == "negative"]}
    marker = {"size": 9, "symbol": colour, "maxdisplayed": 5}
    return go.Scatter(x=x, y=y, mode="lines+markers", line=line, marker=marker)
