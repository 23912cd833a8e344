"""Colours, symbols, dashes and the layout that all figures share."""

import re
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ParamSpec

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.evaluation.intervals import TOO_FEW
from lmptlib.suite.figures.words import attrs_of, classes_of, put_into_words

COLOURS = {"head": "#23508E", "medium": "#E69F00", "tail": "#CC4678"}

SYMBOLS = {"head": "circle", "medium": "square", "tail": "diamond"}

SHORT = {"head": "H", "medium": "M", "tail": "T"}

# Of runs: far from each other and from the colours of the groups, also for eyes that lack one kind of cone. The last are
# pale. Zero-shot, which nothing was learned in, has a grey of its own.
RUN_COLOURS = (
    "#3283FE", "#FB0D0D", "#228833", "#882255", "#52BCA3", "#511CFB", "#6C4516", "#FB00D1", "#98DF8A", "#DEA0FD",
)  # fmt: skip
ZERO_SHOT = "#6E6E6E"

# Dashes of positives (and of all that has no sides) and negatives, and hatches of bars: the next where colours begin again.
RUN_DASHES = (("solid", "dot"), ("longdash", "dashdot"), ("dash", "longdashdot"))
RUN_HATCHES = ("", "/", "x", ".", "-", "|")

# What was drawn before, by its key: zero-shot or not, and its place among those. The one thing that figures remember.
_DRAWN: dict[str, tuple[bool, int]] = {}

_Tables = ParamSpec("_Tables")

# Side of a label -> its sign in a legend and its dash.
SIDES = {"positive": ("+", "solid"), "negative": ("−", "dot")}

# The end of a title over panels whose axes do not compare.
SCALES_DIFFER = " (scales differ)"

# What plotly is told beside a figure: it follows its box, has no logo and sends nothing anywhere.
CONFIG = {"responsive": True, "displaylogo": False, "showSendToCloud": False}

# In pixels: plotly's buttons at the top; a line of a title, a panel's title and a legend; and the width of a cell, less
# what stands beside the plot.
_BUTTONS, _TITLE_LINE, _PANEL_LINE, _LEGEND_LINE, _WIDTH = 32, 21, 18, 19, 780

# Classes on one line of an axis; more go on in the next.
_CLASSES = 40


@dataclass(frozen=True)
class Look:
    """How a run is drawn; `turn` counts how often its colour was there before, in other looks."""

    colour: str
    symbol: int
    turn: int = 0

    @property
    def dashes(self) -> tuple[str, str]:
        """Of positives and negatives."""
        return RUN_DASHES[self.turn % len(RUN_DASHES)]

    @property
    def hatch(self) -> str:
        """Of bars."""
        return RUN_HATCHES[self.turn % len(RUN_HATCHES)]


def run_looks(table: pd.DataFrame, column: str = "run") -> dict[str, Look]:
    """How each run of a table is drawn, by its name in `column`.

    A run has one colour wherever it is drawn, in any figure, widget or explorer of a notebook, whatever is drawn beside it:
    a configuration takes the next colour when it is first drawn, and keeps it. Seeds have the same. It is known by the
    column `configuration`, which tables of `lmptlib.runs.tables` have; in a table without one, by its name. Zero-shot is
    grey. Where a figure holds several of one colour, dash, symbol and hatch tell them apart.
    """
    keys = table["configuration"] if "configuration" in table else table[column]
    looks: dict[str, Look] = {}
    for name, key in dict(zip(table[column], keys)).items():
        look = _look(str(key))
        while look in looks.values():
            look = replace(look, symbol=look.symbol + len(RUN_COLOURS), turn=look.turn + 1)
        looks[name] = look
    return looks


def _look(key: str) -> Look:
    if key not in _DRAWN:
        grey = re.match(r"zero[-_ ]shot|clip$", key, re.IGNORECASE) is not None
        _DRAWN[key] = (grey, sum(other == grey for other, _ in _DRAWN.values()))
    grey, place = _DRAWN[key]
    if grey:
        return Look(ZERO_SHOT, place, place)
    turn, colour = divmod(place, len(RUN_COLOURS))
    return Look(RUN_COLOURS[colour], place, turn)


def told(part: pd.DataFrame) -> str:
    """What hovering tells of one run's whole configuration, below its numbers; nothing where the table has no `settings`."""
    return "<br>" + part["settings"].iloc[0].replace("; ", "<br>") if "settings" in part else ""


def run_colour(place: int) -> str:
    """A colour by place, of what is no run; after the last colour they begin again."""
    return RUN_COLOURS[place % len(RUN_COLOURS)]


def wrapped(text: str, width: int) -> str:
    """A title or label in lines of at most `width` letters.

    >>> from lmptlib.suite.figures.style import wrapped
    >>> wrapped("two seeds of LMPT", 9)
    'two seeds<br>of LMPT'
    """
    return "<br>".join(line for part in text.split("<br>") for line in textwrap.wrap(part, width) or [""])


def interval(value: pd.Series, low: pd.Series, high: pd.Series, **look: Any) -> dict:
    """Error bars from low to high around values, as plotly's error_x and error_y take them; none where they are NaN."""
    return {"type": "data", "array": high - value, "arrayminus": value - low, **look}


def without(low: pd.Series) -> str:
    """The end of a title over values whose intervals begin at `low`: what it means that one has none."""
    return f" (none: {TOO_FEW})" if low.isna().any() else ""


def of_groups(draw: Callable[_Tables, go.Figure]) -> Callable[_Tables, go.Figure]:
    """For a function that draws class groups: it tells them as its tables' `attrs` say, by `tell_groups`."""

    @wraps(draw)
    def drawn(*args: _Tables.args, **kwargs: _Tables.kwargs) -> go.Figure:
        tables = [*args, *kwargs.values()]
        return tell_groups(draw(*args, **kwargs), attrs_of(tables), classes_of(tables))

    return drawn


def of_task(draw: Callable[_Tables, go.Figure]) -> Callable[_Tables, go.Figure]:
    """For a function that draws what runs are judged by, and no groups: in the words of its tables' task."""

    @wraps(draw)
    def drawn(*args: _Tables.args, **kwargs: _Tables.kwargs) -> go.Figure:
        tables = [*args, *kwargs.values()]
        attrs = {name: of for name, of in attrs_of(tables).items() if name == "task"}
        return tell_groups(draw(*args, **kwargs), attrs, classes_of(tables))

    return drawn


def tell_groups(figure: go.Figure, attrs: Mapping[str, str], classes: Collection[str] = ()) -> go.Figure:
    """A figure in the words of its task, with how its groups came in a line below its title, where that is to be said.

    attrs: as of a task, a run or a table. classes: names that stay. It grows by the line.
    """
    if attrs.get("task") == "single-label":
        put_into_words(figure, attrs["task"], classes)
    if grouping := attrs.get("grouping"):
        figure.update_layout(title_subtitle={"text": grouping, "font_size": 13})
        top = figure.layout.margin.t
        figure.update_layout(height=figure.layout.height + 22, margin_t=(60 if top is None else top) + 22)
    return figure


def letters(n_beside: int, pixels: int = _WIDTH) -> int:
    """How many letters a label may have where `n_beside` stand beside each other."""
    return max(8, int(pixels / n_beside / 7.4))


def row_labels(names: Sequence[str]) -> tuple[dict, int]:
    """An axis with a row a name, long names wrapped, and the pixels that the rows take."""
    texts = [wrapped(name, 36) for name in names]
    axis = {
        "range": [-0.6, len(names) - 0.4],
        "tickvals": list(names),
        "ticktext": texts,
        "tickfont_size": 12,
        "ticklabelstandoff": 6,
    }
    return axis, len(names) * (18 + 16 * max(1 + text.count("<br>") for text in texts))


def room(titles: list[str]) -> int:
    """How many pixels the titles of panels take above them."""
    return 10 + _PANEL_LINE * max((1 + title.count("<br>") for title in titles if title), default=0)


def panels(titles: Sequence[str], each: int, most: int = 3, **axes: Any) -> tuple[go.Figure, int]:
    """Panels of `each` pixels in lines of at most `most`, and their height; `axes` are settings of `make_subplots`."""
    columns = min(len(titles), most)
    lines = -(-len(titles) // columns)
    names = [wrapped(title, letters(columns)) for title in titles]
    gap = room(names) + 40
    height = lines * each + (lines - 1) * gap
    figure = make_subplots(
        rows=lines, cols=columns, subplot_titles=names, vertical_spacing=min(gap / height, 1), **axes
    )
    return figure, height


def folded(figure: go.Figure, n_classes: int) -> go.Figure:
    """A figure over classes whose axis goes on in the next line of panels where one line could not name them all.

    The figure has a panel, with a second axis at most. Every line has all traces, and shows its part of the classes.
    """
    lines = -(-n_classes // _CLASSES)
    here = -(-n_classes // lines)
    look = {"dtick": 1, "tickangle": -45 if here <= 25 else -60, "tickfont_size": 12 if here <= 25 else 11}
    figure.update_xaxes(look)
    if lines == 1:
        return figure
    axes = list(figure.select_yaxes())
    specs = [[{"secondary_y": len(axes) > 1}]] * lines
    whole = make_subplots(rows=lines, specs=specs, vertical_spacing=0.45 / lines)
    for line in range(lines):
        for trace in figure.data:
            part = go.Figure(trace).data[0].update(legendgroup=trace.name)
            part.showlegend = trace.showlegend if line == 0 else False
            whole.add_trace(part, row=line + 1, col=1, secondary_y=trace.yaxis == "y2")
        shown = [here * line - 0.6, here * (line + 1) - 0.4]
        whole.update_xaxes({**_axis_settings(figure.layout.xaxis), "range": shown}, row=line + 1)
    for second, axis in enumerate(axes):
        whole.update_yaxes(_axis_settings(axis), secondary_y=bool(second))
    return whole


def _axis_settings(axis: Any) -> dict:
    """The settings of an axis but for its place."""
    return {
        name: value for name, value in axis.to_plotly_json().items() if name not in ("anchor", "domain", "overlaying")
    }


def titled(text: str) -> dict:
    """A figure's title in as many lines as it needs, below plotly's buttons."""
    text = wrapped(text, letters(1, 720))
    # plotly lifts a title by half of each line beyond the first
    pad = {"t": _BUTTONS + _TITLE_LINE // 2 * text.count("<br>"), "l": 12}
    return {"text": text, "font_size": 17, "x": 0, "xanchor": "left", "y": 1, "yanchor": "top", "pad": pad}


def apply_layout(figure: go.Figure, title: str, height: int = 460, above: int = 0, **axes: Any) -> go.Figure:
    """Title, height in pixels and the look that all figures share; `axes` are further settings of plotly's layout.

    The title stands below plotly's buttons, and `above` pixels over the plot where more than panels' titles comes
    between; the legend stands under the plot, and the figure grows by it. Without a width a figure is as wide as its box.
    """
    of_panels = {"xref": "paper", "yref": "paper", "yanchor": "bottom"}
    above = max(above, room([note.text for note in figure.select_annotations(of_panels)]))
    placed = titled(title)
    top = _BUTTONS + (_TITLE_LINE * (1 + placed["text"].count("<br>")) if title else 0)
    look = {
        "template": "plotly_white",
        "autosize": True,
        "font_size": 14,
        "margin": {"l": 70, "r": 30, "t": top + above, "b": 60},
        "title": placed,
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom", "font_size": 12},
        "height": height + _LEGEND_LINE * _legend_lines(figure),
    }
    return figure.update_annotations(font_size=14, selector=of_panels).update_layout(look).update_layout(axes)


def _legend_lines(figure: go.Figure) -> int:
    """How many lines the legend takes; names that are too long for one are wrapped."""
    shown = [trace for trace in figure.data if trace.name and trace.showlegend is not False]
    if len(shown) < 2:
        return 0
    for trace in shown:
        trace.name = wrapped(trace.name, letters(2))
    parts = [trace.name.split("<br>") for trace in shown]
    columns = max(1, _WIDTH // (44 + 6 * max(len(line) for part in parts for line in part)))
    return max(map(len, parts)) * -(-len(parts) // columns)
