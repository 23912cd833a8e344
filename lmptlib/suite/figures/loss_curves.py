"""A loss and its gradient over the logit."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import RUN_COLOURS, apply_layout


def loss_landscape(table: pd.DataFrame, rows: tuple[str, ...] = ("value", "gradient")) -> go.Figure:
    """Losses over the logit, a panel for each group and each of `rows`: positives solid, negatives dotted.

    table: columns loss, group, side, z, value, gradient, as `lmptlib.landscape.landscape` gives them.
    """
    groups = [group for group in GROUPS if (table["group"] == group).any()]
    figure = make_subplots(
        rows=len(rows), cols=len(groups), shared_xaxes=True, shared_yaxes=True, horizontal_spacing=0.02,
        vertical_spacing=0.05, subplot_titles=groups,
    )  # fmt: skip
    n_colours = len(RUN_COLOURS)
    for i, (loss, of_loss) in enumerate(table.groupby("loss", sort=False)):
        dashes = (("solid", "dot"), ("longdash", "dashdot"), ("dash", "longdashdot"))[i // n_colours % 3]
        for (group, side), part in of_loss.groupby(["group", "side"], sort=False):
            line = {"color": RUN_COLOURS[i % n_colours], "width": 2.5, "dash": dashes[side == "negative"]}
            for row, quantity in enumerate(rows, 1):
                figure.add_scatter(
                    x=part["z"], y=part[quantity].round(5), mode="lines+markers", line=line, name=loss, legendgroup=loss,
                    marker={"size": 9, "symbol": i % n_colours, "maxdisplayed": 5}, row=row, col=groups.index(group) + 1,
                    showlegend=row == 1 and (group, side) == tuple(of_loss.iloc[0][["group", "side"]]),
                    hovertemplate=f"{loss}, {side}: %{{y:.3f}}<extra></extra>",
                )  # fmt: skip
    figure.update_annotations(font_size=18)
    figure.update_xaxes(title="logit z", row=len(rows))
    for row, quantity in enumerate(rows, 1):
        figure.update_yaxes(title=quantity, row=row, col=1)
    title = "Losses over the logit: positives solid, negatives dotted"
    return apply_layout(figure, title, 120 + 320 * len(rows)).update_layout(font_size=16, hovermode="closest")
