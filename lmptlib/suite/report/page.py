"""A page of the site, and the templates that pages are written with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.io.json import to_json_plotly

from lmptlib.data.words import said
from lmptlib.runs.tables import interval_text


@dataclass(frozen=True)
class Page:
    """A page of the site, not yet written."""

    name: str  # of its file, without .html
    title: str
    question: str
    about: str  # when it was made and what is in it
    template: str
    content: dict[str, Any]  # what its template shows
    source: Path | None = None  # the notebook it shows


def render(template: str, **values: Any) -> str:
    """HTML from a template: values are escaped, but for those that the template calls safe."""
    return _TEMPLATES.get_template(template).render(values)


def _figure_json(figure: dict[str, Any]) -> str:
    """A plotly figure as JSON that a script element can hold: `<`, `>` and `/` are escaped."""
    return to_json_plotly({key: figure[key] for key in ("data", "layout", "frames") if key in figure})


def _percent(value: float | None) -> str:
    return "–" if pd.isna(value) else f"{value:.1f}"


def _interval_below(value: float | None, interval: tuple[float, float] | None) -> str:
    """What stands below a value: its interval, or why it has none; nothing below a value that is not there."""
    return "" if pd.isna(value) else interval_text(*interval or (np.nan, np.nan))


_TEMPLATES = Environment(
    loader=PackageLoader("lmptlib.suite.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "figure_json": _figure_json,
    "percent": _percent,
    "interval_below": _interval_below,
    "said": said,
}
