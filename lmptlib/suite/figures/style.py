"""Colours, symbols, dashes and the layout that all figures share."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import pandas as pd
import plotly.graph_objects as go

from lmptlib.evaluation.intervals import TOO_FEW

COLOURS = {"head": "#23508E", "medium": "#E69F00", "tail": "#CC4678"}

SYMBOLS = {"head": "circle", "medium": "square", "tail": "diamond"}

SHORT = {"head": "H", "medium": "M", "tail": "T"}

_Tables = ParamSpec("_Tables")

RUN_COLOURS = ("#444444", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D1F", "#000000")

# Side of a label -> its sign in a legend and its dash.
SIDES = {"positive": ("+", "solid"), "negative": ("−", "dot")}


def run_colour(place: int) -> str:
    """The colour of the run at a place in a figure; after the last colour they begin again."""
    return RUN_COLOURS[place % len(RUN_COLOURS)]


def interval(value: pd.Series, low: pd.Series, high: pd.Series, **look: Any) -> dict:
    """Error bars from low to high around values, as plotly's error_x and error_y take them; none where they are NaN."""
    return {"type": "data", "array": high - value, "arrayminus": value - low, **look}


def without(low: pd.Series) -> str:
    """The end of a title over values whose intervals begin at `low`: what it means that one has none."""
    return f" (none: {TOO_FEW})" if low.isna().any() else ""


def of_groups(draw: Callable[_Tables, go.Figure]) -> Callable[_Tables, go.Figure]:
    """For a function that draws class groups: where a table's `attrs["grouping"]` says how they came, so does the figure,
    in a line below its title.
    """

    @wraps(draw)
    def drawn(*args: _Tables.args, **kwargs: _Tables.kwargs) -> go.Figure:
        figure = draw(*args, **kwargs)
        told = next(filter(None, map(_grouping, [*args, *kwargs.values()])), None)
        if told:
            figure.update_layout(title_subtitle={"text": told, "font_size": 13})
            figure.update_layout(height=figure.layout.height + 22, margin_t=figure.layout.margin.t + 22)
        return figure

    return drawn


def _grouping(given: Any) -> str | None:
    """What a table says of its groups, or the first that does of several tables."""
    if isinstance(given, pd.DataFrame):
        return given.attrs.get("grouping")
    parts = given.values() if isinstance(given, dict) else given if isinstance(given, (list, tuple)) else ()
    return next(filter(None, map(_grouping, parts)), None)


def apply_layout(figure: go.Figure, title: str, height: int = 460, **axes: Any) -> go.Figure:
    """Title, height in pixels and the look that all figures share; `axes` are further settings of plotly's layout."""
    # without a width: as wide as the page, in a widget too
    look = {
        "template": "plotly_white",
        "autosize": True,
        "font_size": 14,
        "margin": {"l": 70, "r": 30, "t": 70, "b": 60},
    }
    return figure.update_layout(title=title, height=height, **look, **axes)
