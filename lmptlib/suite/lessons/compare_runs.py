"""Notebook 14: any runs side by side."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS
from lmptlib.runs.run import Run
from lmptlib.runs.tables import difference_texts, result_settings
from lmptlib.suite.lessons.questions import Choice, Number
from lmptlib.suite.lessons.wording import judged

Rows = dict[str, list[Run]]


def best_first(rows: Rows, ranking: str) -> dict[str, list[Run]]:
    """Rows by their mean total over seeds, the highest on top."""
    return dict(sorted(rows.items(), key=lambda row: -_totals(row[1], ranking).mean()))


def opening(rows: Rows, ranking: str, others: Mapping[str, list[Run]]) -> str:
    """How far totals lie apart, among configurations and among seeds. others: runs of other data sets, which are not shown."""
    totals = [_totals(part, ranking) for part in rows.values()]
    means = [part.mean() for part in totals]
    first = next(iter(rows.values()))[0]
    spread = [np.ptp(part) for part in totals if len(part) > 1]
    seeds = f"seeds of one lie up to {max(spread):.1f} apart" if spread else "each has one seed"
    beside = "; ".join(f"{name} {len(part)}" for name, part in others.items())
    return (
        f"Of **{first.dataset}** there are {sum(map(len, totals))} runs of {len(rows)} configurations. Their totals lie between "
        f"{min(means):.1f} and {max(means):.1f}, and {seeds}. Which of the differences are more than chance?"
        + (f" Runs of other data sets, not shown: {beside}." if beside else "")
    )


def left_empty(rows: Rows) -> str:
    """Why cells of `result_settings` are empty: what a row's method and loss do not have, what folds chose, what is not set."""
    table = result_settings(rows).set_index("run").drop(columns="folder")
    told = []
    for label, cells in table.iterrows():
        first, names = rows[str(label)][0], [str(name) for name, cell in cells.items() if str(cell) == ""]
        by_folds = [name for name in names if name in first.config.get("chosen", {})]
        unset = [name for name in names if name in first.effective and name not in by_folds]
        absent = [name for name in names if name not in (*by_folds, *unset)]
        kinds = {"has no": absent, "has, as folds chose it,": by_folds, "leaves open": unset}
        told += [f"**{label}** {verb} {_code(kind)}" for verb, kind in kinds.items() if kind]
    if not table.columns.size:
        return "No setting differs among these runs."
    return f"Empty cells: {'; '.join(told)}." if told else "Every one of these runs has all of these settings."


def by_group(rows: Rows, numbers: pd.DataFrame) -> str:
    """What the dots by group and their intervals are. numbers: `result_numbers` of the rows, of one ranking."""
    several = [f"**{label}** ({len(part)})" for label, part in rows.items() if len(part) > 1]
    single = [f"**{label}**" for label, part in rows.items() if len(part) == 1]
    bare = numbers.dropna(subset="mean").query("low != low")["group"].unique()
    parts = []
    if several:
        parts.append(f"A dot is the mean over seeds, and its interval is over these seeds alone: {', '.join(several)}.")
    if single:
        parts.append(f"One seed, with an interval over test images: {', '.join(single)}.")
    if several and single:
        parts.append("The two kinds of interval do not compare.")
    if len(bare):
        parts.append(f"Too few positives for an interval in some rows of {', '.join(bare)}: an open dot.")
    return " ".join(parts)


def differences(compared: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Differences from the baseline for reading, a line a row, a column a group that has classes. compared: `compare`."""
    wide = compared.assign(text=difference_texts(compared)).pivot(index="row", columns="group", values="text")
    order = [row for row in compared["row"].unique() if row != baseline]
    wide = wide.loc[order, ["total", *GROUPS]].rename_axis(columns=None)
    seeds = compared.drop_duplicates("row").set_index("row")["n_seeds"]
    wide.insert(0, "seeds", seeds[order])
    return wide.loc[:, (wide != "").any()]


def verdicts(compared: pd.DataFrame, baseline: str) -> str:
    """Of each row, whether its total differs from the baseline's, a line a row."""
    table = _against(compared, baseline)
    lines = [f"- **{line['row']}**: {judged(line)}" for _, line in table.iterrows()]
    if not lines:
        return "There is one configuration, and nothing to compare it with."
    return "\n".join([f"In total, against **{baseline}**:", "", *lines])


def not_shown(compared: pd.DataFrame, baseline: str) -> Number:
    """The exercise: how many differences hold zero."""
    table = _against(compared, baseline).dropna(subset="difference_low")
    expected = float((~_shown(table)).sum()) if len(table) else np.nan
    return Number(
        "not_shown",
        "**Exercise.** Of how many rows is no difference from the baseline shown, in total?",
        expected,
        0,
        "count the intervals of the panel `total` that meet the dashed line",
    )


def quiz(compared: pd.DataFrame, baseline: str, n_tried: int) -> tuple[Choice, ...]:
    """Three questions; n_tried: configurations that the best was chosen among."""
    table = _against(compared, baseline).dropna(subset="difference_low")
    sides = {
        0: "No row differs from the baseline by more than its interval.",
        1: "Some rows differ from the baseline by more than their intervals, others do not.",
        2: "Every row differs from the baseline by more than its interval.",
    }
    shown = _shown(table)
    right = 2 if len(table) and shown.all() else int(shown.any())
    return (
        Choice(
            "shown",
            "**Quiz 1.** In total, under this ranking:",
            (sides[right], *(side for kind, side in sides.items() if kind != right)),
            f"{int(shown.sum())} of {len(table)} intervals do not hold zero.",
            "look where the intervals of the panel `total` meet the dashed line",
        ),
        Choice(
            "zero",
            "**Quiz 2.** An interval of a difference holds zero. What follows?",
            (
                "These seeds and test images do not show a difference.",
                "There is no difference.",
                "The difference is too small to matter.",
                "The two runs have the same AP in each class.",
            ),
            "a small difference may be there all the same; more seeds or test images make the interval shorter.",
            "what was not seen may still be there",
        ),
        Choice(
            "best_of_many",
            f"**Quiz 3.** The best of {n_tried} configurations was found on the test images. What of its total?",
            (
                "It is likely higher than the total on new images.",
                "It is likely lower than the total on new images.",
                "It is what new images would give, since the test images were not trained on.",
            ),
            "the more are tried, the more luck the first of them has had on just these images.",
            "what is chosen for being high was in part high by luck",
        )
        if n_tried > 1
        else Choice(
            "one",
            "**Quiz 3.** One configuration was tried. What makes its total a fair one?",
            ("No choice was made by it.", "It is the best.", "It has an interval."),
            "what was not chosen for its number has had no more luck than another.",
        ),
    )


def take_away(compared: pd.DataFrame, baseline: str, n_tried: int) -> tuple[str, ...]:
    table = _against(compared, baseline)
    shown = int(_shown(table).sum())
    told = [
        f"Here {shown} of {len(table)} differences in total from {baseline} are shown; one that is not may be there all the same."
    ]
    return (
        *(told if len(table) else []),
        "Compare on the same test images and the same seeds; then what both runs share drops out of the difference.",
        f"The best of many is not as good as it looks: say how many were tried, here {n_tried}, or choose on other images.",
    )


def _totals(part: list[Run], ranking: str) -> np.ndarray:
    return np.array([run.metrics["scores"][ranking]["total"] for run in part], float)


def _against(compared: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """The differences in total of the rows that are not the baseline."""
    return compared[(compared["group"] == "total") & (compared["row"] != baseline)]


def _shown(table: pd.DataFrame) -> pd.Series:
    """Which intervals do not hold zero."""
    return (table["difference_low"] > 0) | (table["difference_high"] < 0)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
