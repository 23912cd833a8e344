"""Explorers for JupyterLab: ipywidgets over the figures of `lmptlib.plots`."""

import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lmptlib.plots import RUN_COLOURS, embedding_map
from lmptlib.runs import Run, labelled


def class_curves(runs: list[Run]) -> ipywidgets.VBox:
    """Mean probabilities of one class over the epochs, a colour a run; the class is chosen from a list."""
    classes = runs[0].classes.sort_values("train", ascending=False)
    figure = go.FigureWidget(layout={"template": "plotly_white", "height": 420, "font_size": 14})
    values = []
    for i, (label, run) in enumerate(labelled(runs)):
        for side, sign, dash in (("positive", "+", "solid"), ("negative", "−", "dot")):
            with np.load(run.folder / "probabilities.npz") as file:
                values.append(file[f"epoch_{side}"])
            line = {"color": RUN_COLOURS[i % len(RUN_COLOURS)], "dash": dash, "width": 3}
            figure.add_scatter(name=f"{label} {sign}", mode="lines+markers", line=line)
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title="mean probability of the true label", range=[0, 1])
    options = [(f"{row['class']} ({row['group']}, {row['train']} images)", index) for index, row in classes.iterrows()]
    chooser = ipywidgets.Dropdown(options=options, description="class")

    def show(change: dict) -> None:
        with figure.batch_update():
            for trace, value in zip(figure.data, values):
                trace.x, trace.y = np.arange(len(value)), value[:, change["new"]]

    chooser.observe(show, names="value")
    show({"new": chooser.value})
    return ipywidgets.VBox([chooser, figure])


def class_on_map(points: pd.DataFrame) -> ipywidgets.VBox:
    """The map of images and prompts with the images of one class drawn larger; the class is chosen from a list."""
    figure = go.FigureWidget(embedding_map(points))
    names = points.loc[points["kind"] == "after", "label"].tolist()
    chooser = ipywidgets.Dropdown(options=["all", *names], description="class")

    def show(change: dict) -> None:
        with figure.batch_update():
            for trace in figure.data[:3]:  # the images of head, medium and tail
                texts = () if trace.text is None else trace.text
                shown = [change["new"] in ("all", *text.split(", ")) for text in texts]
                trace.marker.size = [5 if change["new"] == "all" else 10 if on else 3 for on in shown]

    chooser.observe(show, names="value")
    return ipywidgets.VBox([chooser, figure])


def published_table(table: pd.DataFrame) -> ipywidgets.VBox:
    """Published rows of one data set, sorted by one column; both are chosen from lists. table: `published()`."""
    figure = go.FigureWidget(layout={"template": "plotly_white", "font_size": 13, "margin": {"l": 260}})
    figure.add_scatter(mode="markers", marker={"size": 9, "color": RUN_COLOURS[1]})
    dataset = ipywidgets.Dropdown(options=table["dataset"].unique().tolist(), description="data set")
    column = ipywidgets.Dropdown(options=["total", "head", "medium", "tail"], description="column")

    def show(_: dict | None = None) -> None:
        part = table[table["dataset"] == dataset.value].dropna(subset=column.value).sort_values(column.value)
        with figure.batch_update():
            figure.data[0].x = part[column.value].to_numpy()
            figure.data[0].y = (part["source"] + " " + part["table"] + " " + part["row"]).to_numpy()
            figure.data[0].text = (part["method"] + ", " + part["backbone"]).to_numpy()
            figure.layout.height = 140 + 18 * len(part)
            figure.layout.xaxis.title = f"{column.value} (%)"

    dataset.observe(show, names="value")
    column.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox([dataset, column]), figure])
