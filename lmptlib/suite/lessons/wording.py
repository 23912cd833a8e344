"""What the lessons' sentences share: differences in words that follow their intervals, data sets in a sentence."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS, USUAL_CUTOFFS, Dataset
from lmptlib.runs.tables import difference_text


def by_name(values: pd.Series) -> dict[str, float]:
    """A column as questions take it: name -> number."""
    return {str(name): float(value) for name, value in values.items()}


def listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`.

    >>> from lmptlib.suite.lessons.wording import listed
    >>> listed(["head", "medium", "tail"])
    'head, medium and tail'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def verdicts(table: pd.DataFrame) -> str:
    """What differences show, in words: where there is a gain, a loss, nothing that can be told.

    table: columns group, difference, difference_low, difference_high, a line a group. Empty where no line has a difference.
    """
    table = table.dropna(subset="difference")
    low, high = table["difference_low"], table["difference_high"]
    kinds = {
        "a gain in": low > 0,
        "a loss in": high < 0,
        "an interval that holds zero in": (low <= 0) & (high >= 0),
        "too few positives for an interval in": low.isna(),
    }
    return "; ".join(f"{words} {listed(table.loc[which, 'group'])}" for words, which in kinds.items() if which.any())


def both_rankings(table: pd.DataFrame) -> str:
    """`verdicts` of each ranking, a sentence each. table: with a column ranking."""
    told = {str(ranking): verdicts(lines) for ranking, lines in table.groupby("ranking", sort=False)}
    return " ".join(f"Under **{ranking}**: {said}." for ranking, said in told.items() if said)


def most_and_least(class_counts: np.ndarray) -> tuple[int, int]:
    """The most frequent and the rarest class, of those that have training images.

    >>> import numpy as np
    >>> from lmptlib.suite.lessons.wording import most_and_least
    >>> most_and_least(np.array([5, 0, 40, 3]))
    (2, 3)
    """
    kept = np.flatnonzero(class_counts)
    return int(kept[class_counts[kept].argmax()]), int(kept[class_counts[kept].argmin()])


def groups_told(attrs: Mapping[Any, Any]) -> str:
    """From how many training images on a class is in the head and in the medium group. attrs: as of a task, a run or a table.

    >>> from lmptlib.suite.lessons.wording import groups_told
    >>> groups_told({"grouping": ""})
    'Here: head from 100 training images on, medium from 20.'
    """
    (head, medium, _), (high, low), grouping = (
        GROUPS,
        USUAL_CUTOFFS[attrs.get("task", "multi-label")],
        attrs.get("grouping"),
    )
    return f"Here: {grouping or f'{head} from {high} training images on, {medium} from {low}'}."


def counts_and_question(dataset: Dataset, question: str) -> str:
    """How many training images the most frequent and the rarest class have, and what a lesson asks about it."""
    counts, names = dataset.class_counts, dataset.class_names
    most, least = most_and_least(counts)
    return (
        f"{dataset.name} shows **{names[most]}** in {counts[most]:,} training images and **{names[least]}** in "
        f"{counts[least]:,}. {question}"
    )


def by_group(values: pd.Series, form: str = "{:.1f}") -> str:
    """Values by group in a sentence: `total 34.8, head 30.1`; a group without a value is left out."""
    names = [name for name in ("total", *GROUPS) if name in values and values[name] == values[name]]
    return ", ".join(f"{name} {form.format(values[name])}" for name in names)


def inside_margin(shares: Mapping[str, pd.Series]) -> str:
    """On how many negatives an embedding loss's margin acts: row -> their share inside it, epoch by epoch."""
    told = []
    for row, share in shares.items():
        first, half, last = share.iloc[[0, len(share) // 2, -1]]
        idle = ", so that the margin did nothing, and its step is no evidence on it" if share.max() == 0 else ""
        told.append(f"**{row}** {first:.1%} at first, {half:.1%} half-way, {last:.1%} at the end{idle}")
    return f"Of the negatives, inside their margin are: {'; '.join(told)}." if told else ""


def judged(row: pd.Series) -> str:
    """A difference with its interval and what it says: `+1.2 [+0.3, +2.1], a gain`. row: a line of `compare`.

    >>> import pandas as pd
    >>> from lmptlib.suite.lessons.wording import judged
    >>> judged(pd.Series({"difference": 1.2, "difference_low": -0.3, "difference_high": 2.7}))
    '+1.2 [-0.3, +2.7], which cannot be told from none'
    """
    difference, low, high = (float(row[name]) for name in ("difference", "difference_low", "difference_high"))
    if np.isnan(low):
        verdict = "which cannot be judged"
    elif low <= 0 <= high:
        verdict = "which cannot be told from none"
    else:
        verdict = "a gain" if difference > 0 else "a loss"
    return f"{difference_text(difference, low, high)}, {verdict}"


def right_first(sentences: Mapping[str, str], right: str) -> tuple[str, ...]:
    """The options of a choice, name -> sentence, the right one before the others."""
    return (sentences[right], *(sentence for name, sentence in sentences.items() if name != right))
