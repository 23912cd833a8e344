"""Explorers for JupyterLab: ipywidgets over the figures of `lmptlib.plots`."""

import ipywidgets
import numpy as np
import plotly.graph_objects as go

from lmptlib.plots import RUN_COLOURS
from lmptlib.runs import Run


def class_curves(runs: list[Run]) -> ipywidgets.VBox:
    """Mean probabilities of one class over the epochs, a colour a run; the class is chosen from a list."""
    classes = runs[0].classes.sort_values("train", ascending=False)
    values = []
    for run in runs:
        with np.load(run.folder / "probabilities.npz") as file:
            values.append((file["epoch_positive"], file["epoch_negative"]))
    figure = go.FigureWidget(layout={"template": "plotly_white", "height": 420, "font_size": 14})
    for i, run in enumerate(runs):
        for sign, dash in (("+", "solid"), ("−", "dot")):
            line = {"color": RUN_COLOURS[i % len(RUN_COLOURS)], "dash": dash, "width": 3}
            figure.add_scatter(name=f"{run.label} {sign}", mode="lines", line=line)
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title="mean probability of the true label", range=[0, 1])
    options = [(f"{row['class']} ({row['group']}, {row['train']} images)", index) for index, row in classes.iterrows()]
    chooser = ipywidgets.Dropdown(options=options, description="class")

    def show(change: dict) -> None:
        with figure.batch_update():
            for i, (positive, negative) in enumerate(values):
                for trace, side in zip(figure.data[2 * i : 2 * i + 2], (positive, negative)):
                    trace.x, trace.y = np.arange(len(side)), side[:, change["new"]]

    chooser.observe(show, names="value")
    show({"new": chooser.value})
    return ipywidgets.VBox([chooser, figure])
