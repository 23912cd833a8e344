"""A figure in the words of its task, once it is drawn: the one place where those of single labels come into figures."""

import re
from collections.abc import Collection
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from lmptlib.data.dataset import GROUPS
from lmptlib.data.words import group_said, said

_LONG = dict(zip("HMT", GROUPS))


def attrs_of(given: Any) -> dict[str, str]:
    """What tables say of their task: the `attrs` of the first that has some."""
    return next(({str(key): of for key, of in table.attrs.items()} for table in _tables(given) if table.attrs), {})


def classes_of(given: Any) -> set[str]:
    """Names of classes in tables, which no task has another word for."""
    return {str(name) for table in _tables(given) if "class" in table for name in table["class"]}


def _tables(given: Any) -> list[pd.DataFrame]:
    if isinstance(given, pd.DataFrame):
        return [given]
    parts = given.values() if isinstance(given, dict) else given if isinstance(given, (list, tuple)) else ()
    return [table for part in parts for table in _tables(part)]


def put_into_words(figure: go.Figure, task: str, classes: Collection[str] = ()) -> None:
    """Titles, notes, what hovering tells, and groups as names of traces or as categories. classes: names that stay."""
    layout = figure.layout
    titles = [layout.title, layout.legend.title, *layout.annotations]
    titles += [axis.title for axis in (*figure.select_xaxes(), *figure.select_yaxes())]
    names = {trace.name for trace in figure.data} | {title.text for title in titles}
    # several groups by name are groups, also where a class is called as one
    kept = set(classes) - set(GROUPS) if len(names & set(GROUPS)) > 1 else classes
    for title in titles:
        if title.text and title.text not in kept:
            title.text = said(title.text, task)
    for trace in figure.data:
        trace.name = name_said(trace.name, task, kept)
        if trace.hovertemplate:
            trace.hovertemplate = said(trace.hovertemplate, task)
        if isinstance(trace, go.Heatmap) and trace.colorbar.title.text:
            trace.colorbar.title.text = said(trace.colorbar.title.text, task)
        for place in {"x", "y", "text"} & set(trace):
            values = trace[place]
            if not isinstance(values, str) and values is not None and any(isinstance(value, str) for value in values):
                trace[place] = [_entry_said(value, values, task, classes) for value in values]
    for axis in figure.select_yaxes():
        if axis.categoryarray is not None:
            axis.categoryarray = [_short_said(str(value), task) for value in axis.categoryarray]


def name_said(name: Any, task: str, classes: Collection[str]) -> Any:
    """A name of a trace: a group, with or without a side; others stay."""
    if not isinstance(name, str) or name in classes:
        return name
    name = re.sub(r"(?<=, )(?:head|medium|tail)$", lambda found: group_said(found[0], task), name)
    return group_said(short_name(name, task), task)


def short_name(name: str, task: str) -> str:
    """`H+` as `many +`."""
    return re.sub(r"^([HMT])(?=[+−]$)", lambda found: f"{group_said(_LONG[found[1]], task)} ", name)


def _entry_said(value: Any, values: Any, task: str, classes: Collection[str]) -> Any:
    if not isinstance(value, str):
        return value
    if set(values) <= {"total", *GROUPS} - set(classes):
        return group_said(value, task)
    return said(value, task) if value.startswith("too few") else _short_said(value, task)


def _short_said(text: str, task: str) -> str:
    """A class with its group's letter behind it, with the group's name."""
    return re.sub(r"(?<= \()[HMT](?=\)(?: |$))", lambda found: group_said(_LONG[found[0]], task), text)
