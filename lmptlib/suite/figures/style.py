"""Colours, symbols, dashes and the layout that all figures share."""

import re
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from lmptlib.evaluation.intervals import TOO_FEW

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

# Side of a label -> its sign in a legend and its dash.
SIDES = {"positive": ("+", "solid"), "negative": ("−", "dot")}


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


def interval(value: pd.Series, low: pd.Series, high: pd.Series, **look: Any) -> dict:
    """Error bars from low to high around values, as plotly's error_x and error_y take them; none where they are NaN."""
    return {"type": "data", "array": high - value, "arrayminus": value - low, **look}


def without(low: pd.Series) -> str:
    """The end of a title over values whose intervals begin at `low`: what it means that one has none."""
    return f" (none: {TOO_FEW})" if low.isna().any() else ""


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
