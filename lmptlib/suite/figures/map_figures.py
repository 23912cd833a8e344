"""Maps: test images and class prompts as points, prompts before and after training joined by lines."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import COLOURS, SYMBOLS, apply_layout, of_groups, run_colour

# Names of more classes than these hide each other on the map.
_NAMED = 30


@of_groups
def embedding_map(points: pd.DataFrame, colour: str = "group") -> go.Figure:
    """Image features and class prompts on a map, as `lmptlib.suite.analysis.embeddings.map_points` gives it.

    Symbols are the groups. colour: `group`, `class` (an image's rarest; colours are told apart within a group, eight of
    them, and each class's prompts have its colour) or `error` (how badly an image's classes are ranked).
    """
    points = points.assign(colour=map_colours(points, colour), text=points["label"])
    if "error" in points:
        errors = points["error"].map("<br>error {:.2f}".format, na_action="ignore").fillna("")
        points["text"] += errors
    images, before, after = (points[points["kind"] == kind] for kind in ("image", "before", "after"))
    figure = go.Figure([_images(images[images["group"] == group], group) for group in GROUPS])
    gap = np.full(len(after), np.nan)
    x, y = (np.column_stack([before[axis], after[axis], gap]).ravel() for axis in ("x", "y"))
    joint = {"mode": "lines", "line": {"color": "#999999", "width": 1}, "hoverinfo": "skip"}
    figure.add_scatter(x=x, y=y, name="before to after", **joint)
    rim = {"width": 2, "color": before["colour"].tolist()}
    figure.add_trace(_points(before, size=9, symbol="x-thin", line=rim).update(name="prompts before"))
    named = {"name": "prompts after", "mode": "markers+text", "textposition": "top center"}
    figure.add_trace(_points(after, size=13, symbol="star", line={"width": 1, "color": "white"}).update(named))
    many = len(after) > _NAMED
    if many:
        figure.data[-1].update(hovertext=after["text"], text=np.arange(1, 1 + len(after)).astype(str))
    figure.update_xaxes(visible=False).update_yaxes(visible=False, scaleanchor="x")
    axis = {"colorscale": "Cividis_r", "cmin": 0, "cmax": 1, "showscale": colour == "error"}
    axis["colorbar"] = {"title": {"text": "ranking error (0: all its classes on top)", "side": "right"}, "len": 0.9}
    title = f"Images and prompts before (×) and after (★) training, by {colour}"
    title += "; classes by number, named by the mouse" if many else ""
    return apply_layout(figure, title, height=540, coloraxis=axis, legend_itemsizing="constant")


def image_map(points: pd.DataFrame, title: str) -> go.Figure:
    """`embedding_map` of images and prompts at one time: of `map_points` whose prompts before and after are the same."""
    figure = embedding_map(points)
    figure.data = [trace for trace in figure.data if trace.name not in ("before to after", "prompts before")]
    figure.data[-1].name = "prompts"
    return figure.update_layout(title_text=title)


def _images(part: pd.DataFrame, group: str) -> go.Scatter:
    """The images of one group; an error, a number, is coloured by the figure's colour axis."""
    points = _points(part, size=6, symbol=SYMBOLS[group], opacity=0.7, coloraxis="coloraxis")
    return points.update(name=f"images, {group}")


def _points(part: pd.DataFrame, **marker: Any) -> go.Scatter:
    """Points that say their text when the mouse is on them. part: columns x, y, text, colour."""
    marker |= {"color": part["colour"].tolist()}
    return go.Scatter(x=part["x"], y=part["y"], mode="markers", text=part["text"], hoverinfo="text", marker=marker)


def map_colours(points: pd.DataFrame, colour: str) -> list:
    """The colours of `embedding_map`, one a point: names, or an image's error as a number."""
    if colour == "error":
        return [error if kind == "image" else "#000000" for error, kind in zip(points["error"], points["kind"])]
    if colour == "group":
        return [COLOURS[group] for group in points["group"]]
    classes = points[points["kind"] == "after"]
    place = dict(zip(classes["class"], classes.groupby("group").cumcount()))
    return [run_colour(place[name]) for name in points["class"]]
