"""Notebook 06: AP class by class, across runs."""

import math

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import by_group, by_name, groups_told, listed


def opening(classes: pd.DataFrame) -> str:
    """How uneven the training list is, and how classes are grouped. classes: class, group, train; with its `attrs`."""
    kept = classes[classes["train"] > 0].sort_values("train", kind="stable")
    least, most = kept.iloc[0], kept.iloc[-1]
    rare = int((np.cumsum(kept["train"]) <= 0.1 * kept["train"].sum()).sum())
    return (
        f"**{most['class']}** has {most['train']:,} training images, **{least['class']}** {least['train']:,}; the {rare} rarest of "
        f"{len(kept)} classes have no more than a tenth of all labels together. Does a method's AP follow these counts?"
        f"\n\n{groups_told(classes.attrs)}"
    )


def means(table: pd.DataFrame) -> pd.DataFrame:
    """mAP of each run, a line a run: columns total, head, medium, tail, means over classes and seeds. table: of `class_table`."""
    ap = table.groupby(["run", "class", "group"], sort=False)["ap"].mean().dropna().reset_index()
    wide = ap.pivot_table("ap", "run", "group", sort=False).assign(total=ap.groupby("run", sort=False)["ap"].mean())
    return wide.reindex(columns=[name for name in ("total", *GROUPS) if name in wide])


def _pair(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """`means` of the first run, and of the one that it is compared with: the second, or itself where it is alone."""
    wide = means(table)
    return wide.iloc[0], wide.iloc[min(1, len(wide) - 1)]


def groups_guess(table: pd.DataFrame, ranking: str) -> Guess:
    """mAP by group of the second run, beside that of the first."""
    first, second = _pair(table)
    alone = first.name == second.name
    beside = "" if alone else f" Grey is **{first.name}**."
    return Guess(
        "groups",
        f"**Predict.** What is the mAP of **{second.name}** in total and by group?{beside}",
        by_name(second),
        f"mAP (%), {ranking} ranking",
        (0, 100),
        known={} if alone else by_name(first),
        known_name=str(first.name),
    )


def changes(table: pd.DataFrame) -> pd.DataFrame:
    """How many classes of each group rank better and worse than in the first run: a line a run and group."""
    names = list(dict.fromkeys(table["run"]))
    ap = table.groupby(["class", "group", "run"], sort=False)["ap"].mean().unstack("run").dropna()
    rows = []
    for run in names[1:]:
        change = ap[run] - ap[names[0]]
        for group, part in change.groupby("group"):
            rows.append(
                {"run": run, "group": group, "up": (part > 0).sum(), "down": (part < 0).sum(), "mean": part.mean()}
            )
    order = pd.CategoricalDtype(list(GROUPS), ordered=True)
    table = pd.DataFrame(rows, columns=["run", "group", "up", "down", "mean"]).astype({"group": order})
    return table.sort_values("group", kind="stable").sort_values(
        "run", key=lambda runs: runs.map(names.index), kind="stable"
    )


def changes_say(table: pd.DataFrame) -> str:
    """Who gains, who loses against the first run, in words."""
    names, moved = list(dict.fromkeys(table["run"])), changes(table)
    lines = []
    for run, part in moved.groupby("run", sort=False):
        told = (
            f"{row['group']} {row['mean']:+.1f} ({row['up']} of its classes up, {row['down']} down)"
            for row in part.to_dict("records")
        )
        lines.append(f"- **{run}**: {', '.join(told)}.")
    return (
        "\n".join([f"Change of mAP from **{names[0]}**:", "", *lines]) if lines else f"There is **{names[0]}** alone."
    )


def follows_say(table: pd.DataFrame) -> str:
    """The rank correlation of AP with the number of training images, run by run."""
    ap = table.groupby(["run", "class", "train"], sort=False)["ap"].mean().dropna().reset_index()
    told = {str(run): part["train"].corr(part["ap"], method="spearman") for run, part in ap.groupby("run", sort=False)}
    values = [f"{value:+.2f} under **{run}**" for run, value in told.items() if not math.isnan(value)]
    return f"Rank correlation of a class's AP with its training images: {'; '.join(values)}." if values else ""


def total_of_groups(table: pd.DataFrame) -> Number:
    """The total mAP of the first run from that of its groups."""
    wide = means(table)
    first = table[table["run"] == wide.index[0]].dropna(subset="ap").drop_duplicates("class")
    sizes, values = first["group"].value_counts(), wide.iloc[0].drop("total").dropna()
    told = listed(f"{values[group]:.1f} in the {sizes[group]} {group} classes" for group in values.index)
    return Number(
        "total",
        f"**Exercise.** **{wide.index[0]}** has mAP {told}. What is its mAP in total?",
        float(wide.iloc[0]["total"]) if len(values) > 1 else math.nan,
        0.15,
        "each class counts alike, so that a group counts as often as it has classes",
    )


def over_seeds(results: pd.DataFrame, ranking: str) -> pd.DataFrame:
    """Mean and deviation of mAP over the n seeds of each run. results: of `results_table` with `spread`."""
    columns = [f"{ranking} {name}{of}" for name in ("total", *GROUPS) for of in ("", " sd")]
    return results.set_index("run")[["n", *columns]].dropna(axis=1, how="all").round(2)


def quiz(table: pd.DataFrame, ranking: str) -> tuple[Choice, ...]:
    first, second = _pair(table)
    change = (second - first).drop("total").dropna().sort_values(ascending=False, kind="stable")
    gains = Choice(
        "gains",
        f"**Quiz 1.** Which group's mAP changes most to the better, or least to the worse, from {first.name} to {second.name}, under "
        f"{ranking}?",
        tuple(f"The {group}." for group in change.index),
        f"{by_group(change, '{:+.1f}')}.",
        "compare the bars of the two runs, group by group",
    )
    return (
        *((gains,) if len(change) > 1 and first.name != second.name else ()),
        Choice(
            "counts",
            "**Quiz 2.** Why does zero-shot CLIP not know which classes are rare here?",
            (
                "Nothing of it was fitted to these training images.",
                "It was trained on the same counts and balanced them.",
                "Its prompts name the number of images.",
            ),
            "the counts are those of a list that it has never seen.",
            "what of CLIP was trained on these images?",
        ),
        Choice(
            "tail",
            "**Quiz 3.** A class has six test images. A run has its AP ten points higher than another. What do you need before you "
            "believe it?",
            (
                "More of its images: one of them may make ten points.",
                "Nothing: ten points are a lot.",
                "A run with more epochs.",
            ),
            "an AP over six positives hangs on each of them, and an interval would say little.",
            "by how much does the AP of six change if one of them is lost?",
        ),
    )


def take_away(table: pd.DataFrame, ranking: str) -> tuple[str, ...]:
    first, second = _pair(table)
    change = by_group((second - first).dropna(), "{:+.1f}")
    told = [f"From {first.name} to {second.name}, under {ranking}: {change}."] if first.name != second.name else []
    return (
        *told,
        "A total is a mean over classes: read who gains and who loses beside it, and under which ranking.",
        "A difference smaller than the spread over seeds, or than the interval over test images, says nothing.",
    )
