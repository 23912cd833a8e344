"""Maps of images and prompts."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS, SYMBOLS, apply_layout


def embedding_map(points: pd.DataFrame, colour: str = "group") -> go.Figure:
    """Image features and class prompts on a map, as `lmptlib.embeddings.map_points` gives it. Symbols are the groups.

    colour: `group`, `class` (an image's rarest; colours are told apart within a group, eight of them, and each class's
    prompts have its colour) or `error` (how badly an image's classes are ranked).
    """
    colours = map_colours(points, colour)
    texts = points["label"] if "error" not in points else [
        label if np.isnan(error) else f"{label}<br>error {error:.2f}" for label, error in zip(points["label"], points["error"])
    ]  # fmt: skip
    points = points.assign(colour=colours, text=texts)
    figure = go.Figure()
    for group in GROUPS:
        part = points[(points["kind"] == "image") & (points["group"] == group)]
        figure.add_scatter(
            x=part["x"], y=part["y"], mode="markers", name=f"images, {group}", text=part["text"], hoverinfo="text",
            marker={"color": part["colour"].tolist(), "coloraxis": "coloraxis", "size": 6, "opacity": 0.7, "symbol": SYMBOLS[group]},
        )  # fmt: skip
    before, after = (points[points["kind"] == kind] for kind in ("before", "after"))
    gap = np.full(len(after), np.nan)
    figure.add_scatter(
        x=np.column_stack([before["x"], after["x"], gap]).ravel(), y=np.column_stack([before["y"], after["y"], gap]).ravel(),
        mode="lines", line={"color": "#999999", "width": 1}, name="before to after", hoverinfo="skip",
    )  # fmt: skip
    for part, name, symbol, size in ((before, "prompts before", "x-thin", 9), (after, "prompts after", "star", 13)):
        line = {"width": 2, "color": part["colour"].tolist()} if part is before else {"width": 1, "color": "white"}
        figure.add_scatter(
            x=part["x"], y=part["y"], name=name, text=part["text"], hoverinfo="text", textposition="top center",
            mode="markers+text" if part is after else "markers",
            marker={"size": size, "symbol": symbol, "color": part["colour"].tolist(), "line": line},
        )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    axis = {"colorscale": "Cividis_r", "cmin": 0, "cmax": 1, "showscale": colour == "error"}
    axis["colorbar"] = {"title": {"text": "ranking error (0: all its classes on top)", "side": "right"}, "len": 0.9}
    legend = {"orientation": "h", "y": 0, "yanchor": "top", "itemsizing": "constant"}
    title = f"Images and prompts before (×) and after (★) training, by {colour}"
    return apply_layout(figure, title, height=760, coloraxis=axis, legend=legend)


def map_colours(points: pd.DataFrame, colour: str) -> list:
    """The colours of `embedding_map`, one a point: names, or an image's error as a number."""
    if colour == "error":
        return [error if kind == "image" else "#000000" for error, kind in zip(points["error"], points["kind"])]
    if colour == "group":
        return [COLOURS[group] for group in points["group"]]
    classes = points[points["kind"] == "after"]
    place = dict(zip(classes["class"], classes.groupby("group").cumcount()))
    return [RUN_COLOURS[place[name] % len(RUN_COLOURS)] for name in points["class"]]
