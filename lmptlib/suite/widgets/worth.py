"""What a mAP cost, group by group."""

import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lmptlib.suite.figures.worth_figures import COSTS, cost
from lmptlib.suite.widgets.figures import figure_widget


def cost_explorer(table: pd.DataFrame) -> ipywidgets.VBox:
    """mAP of the rows over what it cost; group and cost are chosen, and the axes hold all groups.

    table: as `lmptlib.suite.figures.worth_figures.cost` takes it.
    """
    group = ipywidgets.Dropdown(options=list(table["group"].unique()), description="group")
    x = ipywidgets.Dropdown(options=[(title, name) for name, title in COSTS.items()], description="cost")

    of_map = table[["mean", "low", "high"]].to_numpy(float)
    least, most = np.nanmin(of_map) - 2, np.nanmax(of_map) + 2

    def drawn() -> go.Figure:
        costs = table.loc[table[x.value] > 0, x.value]
        ends = np.log10([costs.min() / 1.5, costs.max() * 1.5])
        figure = cost(table[table["group"] == group.value], x.value)
        return figure.update_xaxes(range=ends).update_yaxes(range=[least, most])

    figure = figure_widget(drawn())

    def show(_: dict) -> None:
        fresh = drawn()
        with figure.batch_update():
            for trace, new in zip(figure.data, fresh.data):
                trace.x, trace.y, trace.error_y = new.x, new.y, new.error_y
            figure.layout.xaxis.title.text = fresh.layout.xaxis.title.text
            figure.layout.xaxis.range = fresh.layout.xaxis.range
            figure.layout.annotations[0].text = fresh.layout.annotations[0].text

    for chooser in (group, x):
        chooser.observe(show, names="value")
    return ipywidgets.VBox([ipywidgets.HBox([group, x]), figure])
