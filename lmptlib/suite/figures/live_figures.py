"""A run while it trains: curves that grow, runs before it as faint lines behind them, AP of each class."""

from collections.abc import Collection, Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS, SIDES
from lmptlib.suite.figures.words import put_into_words
from lmptlib.training.events import Event, event_change

GHOSTS = 3  # runs behind the current one at most
LOSSES = {"loss": "objective", "loss_cls": "classification", "loss_cse": "CSE"}
_DASHES = ("solid", "dash", "dot")
IMAGES = {"val": "validation", "train": "training"}
# More names under the bars of classes hide each other; hovering tells them.
_NAMED = 40


def empty_curves() -> go.Figure:
    """Panels for losses, mean probabilities by group and mAP, with a trace for each curve; `meta` says of what."""
    titles = ["losses", "mean probability (negatives dotted)", "mAP (%)"]
    figure = make_subplots(cols=3, subplot_titles=titles, horizontal_spacing=0.06)
    # first, so that they lie behind
    for ghost, dash in enumerate(_DASHES):
        for column, name in ((1, "loss"), (2, "positive"), (3, "logit")):
            for group in GROUPS if name == "positive" else ("",):
                line = {"color": COLOURS.get(group, "#888888"), "dash": dash, "width": 1.5}
                look = {"legendgroup": f"ghost {ghost}", "opacity": 0.4, "showlegend": False, "hoverinfo": "skip"}
                meta = ("ghost", ghost, name, group)
                figure.add_scatter(mode="lines", line=line, meta=meta, **look, row=1, col=column)
    current: dict[str, Any] = {"mode": "lines+markers", "marker_size": 5}
    for (name, label), dash in zip(LOSSES.items(), _DASHES):
        line = {"color": "#0072B2", "dash": dash}
        figure.add_scatter(name=label, line=line, meta=name, **current, row=1, col=1)
    for group, (side, (_, dash)) in product(GROUPS, SIDES.items()):
        line, shown = {"color": COLOURS[group], "dash": dash}, side == "positive"
        look = current | {"legendgroup": group, "showlegend": shown}
        figure.add_scatter(name=group, line=line, meta=(side, group), **look, row=1, col=2)
    for i, ranking in enumerate(RANKINGS):
        line = {"color": RUN_COLOURS[i + 2], "dash": _DASHES[i]}
        figure.add_scatter(name=ranking, line=line, meta=ranking, **current, row=1, col=3)
    figure.update_xaxes(title={"text": "epoch", "standoff": 0, "font": {"size": 12}})
    figure.update_yaxes(range=[0, 1.02], col=2).update_annotations(font_size=13)
    # room for two lines, so that nothing moves when an earlier run comes into it
    figure.update_layout(legend={"orientation": "h", "y": -0.25, "yanchor": "top", "font": {"size": 11}})
    return compact(figure, 260).update_layout(margin_b=80)


def empty_classes() -> go.Figure:
    """A panel for bars of AP by class."""
    figure = go.Figure(go.Bar(hovertemplate="%{x}: %{y:.1f}<extra></extra>"))
    figure.update_yaxes(range=[0, 101], type="linear").update_xaxes(tickangle=-45, tickfont_size=10)
    return compact(figure.update_layout(title={"text": "AP of each class (%)", "font_size": 13}), 200)


def compact(figure: go.Figure, height: int) -> go.Figure:
    """A fixed height, and as wide as there is room."""
    margin = {"l": 40, "r": 10, "t": 28, "b": 30}
    return figure.update_layout(template="plotly_white", autosize=True, height=height, font_size=12, margin=margin)


def numbers(values: Iterable[float]) -> list[float | None]:
    """Values as a page takes them: without NaN, which it reads as a text."""
    return [None if np.isnan(value) else value for value in values]


def draw_rows(figure: go.Figure, rows: list[dict[str, Any]], epochs: int) -> None:
    """Put the epochs of a run, as `LiveRun.rows`, into the curves; the axis has room for all that are to come."""
    x = [row["epoch"] for row in rows]
    for trace in figure.data:
        if not isinstance(trace.meta, str) and trace.meta[0] == "ghost":
            continue
        name = trace.meta if isinstance(trace.meta, str) else tuple(trace.meta)
        trace.x = x
        trace.y = numbers(row[name] if isinstance(name, str) else row[name[0]][name[1]] for row in rows)
    figure.update_xaxes(range=[0.5 if epochs > 1 else 0, epochs + 0.5])
    images = f", {IMAGES[rows[-1]['split']]} images" if rows else ""
    figure.layout.annotations[2].text = f"mAP (%){images}"


def draw_ghosts(figure: go.Figure, ghosts: dict[str, list[dict[str, Any]]]) -> None:
    """Put the epochs of earlier runs, by name, three at most, behind the curves."""
    names = list(ghosts)
    for trace in figure.data:
        if isinstance(trace.meta, str) or trace.meta[0] != "ghost":
            continue
        _, number, name, group = trace.meta
        rows = ghosts[names[number]] if number < len(names) else []
        trace.x = [row["epoch"] for row in rows]
        trace.y = numbers(row[name][group] if group else row[name] for row in rows)
        trace.name = names[number] if rows else ""
        trace.showlegend = bool(rows) and name == "loss"


def draw_events(figure: go.Figure, events: list[Event]) -> None:
    """A line in every panel where settings changed, with what changed."""
    texts: dict[float, list[str]] = {}
    for event in events:
        texts.setdefault(event["epoch"] + 0.5, []).append(event_change(event))
    if [shape.x0 for shape in figure.layout.shapes[::3]] == list(texts):
        return
    line = {"type": "line", "y0": 0, "y1": 1, "line": {"color": "#777777", "width": 1.2, "dash": "dash"}}
    panels = [{"xref": f"x{i}", "yref": f"y{i} domain"} for i in ("", 2, 3)]
    figure.layout.shapes = [line | panel | {"x0": x, "x1": x} for x in texts for panel in panels]
    look = {"showarrow": False, "textangle": -90, "xanchor": "left", "yanchor": "top", "y": 1, "font": {"size": 10}}
    notes = [look | panels[0] | {"x": x, "text": ", ".join(text)} for x, text in texts.items()]
    figure.layout.annotations = [*figure.layout.annotations[:3], *notes]


def map_range(rows: list[dict[str, Any]], before: tuple[float, float] | None = None) -> tuple[float, float] | None:
    """The range of the mAP axis: what is there with some room, in steps of 5, and at least what it was; None without any."""
    return widened(np.array([row[ranking] for row in rows for ranking in RANKINGS], dtype=float), before)


def widened(values: np.ndarray, before: Sequence[float] | None = None) -> tuple[float, float] | None:
    """The ends of an axis of percents: finite values with some room, in steps of 5, and at least what they were."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None if before is None else (before[0], before[1])
    low, high = 5 * np.floor((values.min() - 1) / 5), 5 * np.ceil((values.max() + 1) / 5)
    low, high = (min(low, before[0]), max(high, before[1])) if before else (low, high)
    return max(float(low), 0), min(float(high), 100)


def put_live_into_words(figure: go.Figure, task: str, classes: Collection[str] = ()) -> None:
    """Put the curves, or the bars of classes, into the words of the task, and leave out its second ranking.

    classes: names that stay.
    """
    if task == "single-label":
        put_into_words(figure, task, classes)
        figure.for_each_trace(lambda trace: trace.update(visible=False), {"meta": "softmax"})


def draw_classes(figure: go.Figure, classes: pd.DataFrame, row: dict[str, Any], ranking: str) -> None:
    """AP of each class after an epoch, from frequent to rare. classes: columns class, group, train."""
    ap = row["ap"].get(ranking)
    table = classes.assign(ap=np.nan if ap is None else ap).sort_values("train", ascending=False, kind="stable")
    bars = figure.data[0]
    bars.x, bars.y = table["class"].tolist(), numbers(table["ap"])
    bars.marker.color = table["group"].map(COLOURS).tolist()
    figure.layout.xaxis.showticklabels = len(table) <= _NAMED
    told = "none yet" if ap is None else f"{IMAGES[row['split']]} images, {ranking} ranking, epoch {row['epoch']}"
    figure.layout.title.text = f"AP of each class (%), frequent to rare: {told}"
    if grouping := classes.attrs.get("grouping"):
        figure.update_layout(title_subtitle={"text": grouping, "font_size": 11}, margin_t=44)
