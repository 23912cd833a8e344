"""What a mAP cost, group by group."""

import ipywidgets
import pandas as pd
import plotly.graph_objects as go

from lmptlib.suite.figures.worth_figures import COSTS, cost


def cost_explorer(table: pd.DataFrame) -> ipywidgets.VBox:
    """mAP of the rows over what it cost; group and cost are chosen. table: as `lmptlib.suite.figures.worth_figures.cost` takes it."""
    group = ipywidgets.Dropdown(options=list(table["group"].unique()), description="group")
    x = ipywidgets.Dropdown(options=[(title, name) for name, title in COSTS.items()], description="cost")

    def drawn() -> go.Figure:
        return cost(table[table["group"] == group.value], x.value)

    figure = go.FigureWidget(drawn())

    def show(_: dict) -> None:
        fresh = drawn()
        with figure.batch_update():
            for trace, new in zip(figure.data, fresh.data):
                trace.x, trace.y, trace.error_y = new.x, new.y, new.error_y
            figure.layout.xaxis.title.text = fresh.layout.xaxis.title.text
            figure.layout.annotations[0].text = fresh.layout.annotations[0].text

    for chooser in (group, x):
        chooser.observe(show, names="value")
    return ipywidgets.VBox([ipywidgets.HBox([group, x]), figure])
