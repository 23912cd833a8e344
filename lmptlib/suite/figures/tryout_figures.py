"""A short training beside the one before it: losses, mean probabilities by group, mAP by group."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.live_figures import IMAGES, LOSSES, compact, numbers, widened
from lmptlib.suite.figures.style import COLOURS, SIDES

# What each trace draws: its panel, the entry of a row, and of which group; positives solid, negatives dotted.
_CURVES = [
    *((1, name, "", {"color": "#0072B2", "dash": dash}) for name, dash in zip(LOSSES, ("solid", "dash", "dot"))),
    *((2, side, group, {"color": COLOURS[group], "dash": SIDES[side][1]}) for group, side in product(GROUPS, SIDES)),
    *((3, "map", group, {"color": COLOURS[group]}) for group in GROUPS),
]


def empty_tryouts(height: int) -> go.Figure:
    """The three panels, with a trace for each curve and a faint one for what it was before; `meta` says of what."""
    titles = ["losses", "mean probability (negatives dotted)", "mAP (%)"]
    figure = make_subplots(cols=3, subplot_titles=titles, horizontal_spacing=0.06)
    # what was before lies behind
    for age, (panel, name, group, line) in product(("before", "now"), _CURVES):
        shown = age == "now" and name != "negative" and panel < 3
        look = {"opacity": 0.35, "hoverinfo": "skip"} if age == "before" else {}
        look |= {"name": group or LOSSES[name], "legendgroup": group or name, "showlegend": shown}
        mode = "lines" if age == "before" else "lines+markers"
        figure.add_scatter(mode=mode, marker_size=5, line=line, meta=(age, name, group), **look, row=1, col=panel)
    figure.update_xaxes(title={"text": "epoch", "standoff": 0, "font": {"size": 12}})
    figure.update_yaxes(range=[0, 1.02], col=2).update_annotations(font_size=13)
    figure.update_layout(legend={"orientation": "h", "y": -0.3, "yanchor": "top", "font": {"size": 11}})
    return compact(figure, height).update_layout(margin_b=64)


def draw_tryouts(
    figure: go.Figure, epochs: int, now: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]
) -> None:
    """Put the rows of two short trainings, as `Tryout.rows`, into the panels; the axis of mAP only widens."""
    for trace in figure.data:
        age, name, group = trace.meta
        rows = now if age == "now" else before
        trace.x = [row["epoch"] for row in rows]
        trace.y = numbers(row[name][group] if group else row[name] for row in rows)
    figure.update_xaxes(range=[0.5, epochs + 0.5])
    shown = np.array([value for row in (*now, *before) for value in row["map"].values()], dtype=float)
    if ends := widened(shown, figure.layout.yaxis3.range):
        figure.update_yaxes(range=ends, col=3)
    if now:
        figure.layout.annotations[2].text = f"mAP (%), {IMAGES[now[-1]['split']]} images"
