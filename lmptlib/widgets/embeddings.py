"""The map of images and prompts."""

import ipywidgets
import pandas as pd
import plotly.graph_objects as go

from lmptlib.plots import embedding_map


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
