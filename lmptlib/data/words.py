"""The words that single labels are shown in: many, medium and few; accuracy; one figure in the place of two rankings.

Inside, groups are head, medium and tail for either kind of task, and tables have the same columns. What is shown is put into
its task's words here, at the edge: a text by `said`, a table by `shown`. A table carries its kind of task as `attrs["task"]`.
"""

import re
from collections.abc import Callable, Hashable
from typing import Any

import pandas as pd

from lmptlib.data.dataset import GROUPS, MANY_TO_FEW

_GAP = r"(?: |<br>)"
_RANKING = rf"(?:the{_GAP})?[`*]*(?:logit|softmax)[`*]*(?:{_GAP}ranking)?"
_SHOT = {group: f"{word}-shot" for group, word in MANY_TO_FEW.items()}
# What is said of single labels in the place of what, in this order. A long tail stays one.
_OTHERWISE: list[tuple[str, str | Callable[[re.Match], str]]] = [
    (r"^m?AP(?= (?:of|by|over|and)\b)", "Accuracy"),
    (r"\bm?APs\b", "accuracies"),
    (r"\bm?AP\b", "accuracy"),
    (rf"(?:(?<=[.>:] )|^)Under{_GAP}{_RANKING}[:,]?{_GAP}(\w)", lambda found: found[1].upper()),
    (rf",?{_GAP}under{_GAP}{_RANKING}", ""),
    (rf"(?<=; )(?:logit|softmax){_GAP}ranking,{_GAP}|, (?:and under which|under this) ranking", ""),
    (", this model and this ranking,", " and this model,"),
    (rf",?{_GAP}(?:(?:logit|softmax){_GAP}ranking|\((?:logit|softmax)(?:{_GAP}ranking)?\))", ""),
    (rf"[;,:]{_GAP}H{_GAP}head, M{_GAP}medium, T{_GAP}tail", ""),
    (rf"\b(head|medium|tail){_GAP}(class(?:es)?)\b", lambda found: f"{_SHOT[found[1]]} {found[2]}"),
    (r"(?<!long )(?<!long-)\b(head|tail)\b", lambda found: MANY_TO_FEW[found[1]]),
    (r"(?<!Long )(?<!Long-)\b(Head|Tail)\b", lambda found: MANY_TO_FEW[found[1].lower()].title()),
    (rf"\b(too{_GAP}few|ten|six){_GAP}positives\b", r"\1 test images"),
    (r"\bToo few positives\b", "Too few test images"),
    (r"\b(same|their) rarest class\b", r"\1 class"),
]
_RULES = [(re.compile(pattern), words) for pattern, words in _OTHERWISE]


def said(text: str, task: str) -> str:
    """A text in the words of a kind of task.

    >>> from lmptlib.data.words import said
    >>> said("mAP of the tail (%), logit ranking", "single-label")
    'Accuracy of the few (%)'
    """
    if task == "single-label":
        for pattern, words in _RULES:
            text = pattern.sub(words, text)
    return text


def group_said(name: Any, task: str) -> Any:
    """The name of a group in the words of a kind of task; anything else as it is.

    >>> from lmptlib.data.words import group_said
    >>> [group_said(name, "single-label") for name in ("total", "tail")]
    ['total', 'few']
    """
    return MANY_TO_FEW.get(name, name) if task == "single-label" and isinstance(name, str) else name


def shown(table: pd.DataFrame, task: str | None = None) -> pd.DataFrame:
    """A table in the words of its kind of task, for reading: names of columns, and of groups; those of classes stay.

    Of single labels, columns that tell rankings apart, and those of the second, are left out. task: where the table does not
    carry it.
    """
    task = task or table.attrs.get("task", "multi-label")
    if task != "single-label":
        return table
    table = table.loc[:, [not _of_ranking(name) for name in table]]
    for place, name in enumerate(table):
        if name != "class" and set(table.iloc[:, place].dropna()) <= {"total", *GROUPS}:
            table = table.assign(**{str(name): table.iloc[:, place].map(lambda group: group_said(group, task))})
    if "ranking" in table.index.names:
        table = table.droplevel("ranking") if table.index.nlevels > 1 else table.reset_index(drop=True)
    return table.set_axis(_axis(table.index, group_said), axis=0).set_axis(_axis(table.columns, _column_said), axis=1)


def _of_ranking(column: Hashable) -> bool:
    return isinstance(column, str) and (column == "ranking" or "softmax" in column)


def _column_said(name: Any, task: str) -> Any:
    return said(re.sub(r"^logit\b ?", "", name) or "accuracy", task) if isinstance(name, str) else name


def _axis(axis: pd.Index, word: Callable[[Any, str], Any]) -> pd.Index:
    """An axis of a table of single labels, with each level but that of classes in `word`, and the names of levels said."""
    for level, name in enumerate(axis.names):
        if name != "class":
            words = axis.get_level_values(level).map(lambda value: word(value, "single-label"))
            if axis.nlevels == 1:
                axis = pd.Index(words, name=name)
            else:
                axis = pd.MultiIndex.from_arrays(
                    [words if place == level else axis.get_level_values(place) for place in range(axis.nlevels)],
                    names=axis.names,
                )
    return axis.set_names([said(name, "single-label") if isinstance(name, str) else name for name in axis.names])
