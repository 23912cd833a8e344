"""Notebook 11: what each part of LMPT adds, with seeds and intervals."""

import math
from itertools import pairwise

import pandas as pd

from lmptlib.runs.tables import difference_texts
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import both_rankings, by_name, inside_margin, listed, verdicts


def opening(printed: pd.DataFrame, name: str) -> str:
    """What the print says of a sweep's steps, and what is asked. printed: of `printed_table`; name: of the data set."""
    if printed.empty:
        return f"Each row of the sweep has one part more than the row before it. What does the part add on {name}?"
    told = []
    for dataset, part in printed.groupby("dataset", sort=False):
        changes = part["total"].diff().dropna()
        told.append(f"on {dataset} by {', '.join(f'{change:+.2f}' for change in changes)}")
    up = (
        "a gain for every part"
        if (printed.groupby("dataset")["total"].diff().dropna() > 0).all()
        else "gains and losses"
    )
    return f"In print there is {up}: the total changes {listed(told)}, one run a row. What do seeds and intervals say on {name}?"


def _of_total(steps: pd.DataFrame, ranking: str) -> pd.DataFrame:
    return steps[(steps["ranking"] == ranking) & (steps["group"] == "total")].set_index("row")


def steps_guess(steps: pd.DataFrame, ranking: str) -> Guess:
    """The change of the total at each step. steps: of `step_table`."""
    truth = by_name(_of_total(steps, ranking)["difference"])
    most = max(5.0, 5 * math.ceil(max(map(abs, truth.values())) / 5))
    return Guess(
        "steps",
        f"**Predict.** How many points of total mAP, under {ranking}, does each row add to the row before it?",
        truth,
        "change of total mAP (points)",
        (-most, most),
    )


def steps_say(steps: pd.DataFrame) -> str:
    """What each step shows, in words, under both rankings."""
    lines = (f"- **{row}**. {both_rankings(part)}" for row, part in steps.groupby("row", sort=False))
    return "\n".join(["Each row against the row before it:", "", *lines])


def printed_says(printed: pd.DataFrame) -> str:
    """How small the printed steps after the first are, against seeds."""
    changes = printed.groupby("dataset")["total"].diff().dropna()
    # the first step of each data set is not one of them
    later = changes[printed.loc[changes.index, "dataset"].duplicated()].abs()
    small = int((later < 1).sum())
    if not small:
        return ""
    return (
        f"Of the {len(later)} printed steps after the first {small} {'is' if small == 1 else 'are'} smaller than one point. Seeds "
        "alone move a total on VOC-LT by about one, say the authors of VOC-LT, so that one run each cannot show these."
    )


def activity(history: pd.DataFrame) -> pd.DataFrame:
    """Mean gradients and share of negatives inside the margin over a training, a line a row. history: columns row and these."""
    columns = ["row", "grad_cls", "grad_cse", "inside_margin"]
    table = history.reindex(columns=columns).groupby("row", sort=False).mean()
    return table.assign(**{"grad_cse / grad_cls": table["grad_cse"] / table["grad_cls"]}).round(4)


def gradient_guess(activity: pd.DataFrame) -> Guess:
    """The gradient of the embedding loss in each row, beside that of the classification loss."""
    rows = activity.dropna(subset="grad_cse")
    return Guess(
        "gradients",
        "**Predict.** Grey is the mean norm of the gradient of the classification loss on the contexts. How large is that of "
        "the embedding loss?",
        by_name(rows["grad_cse"]),
        "norm of the gradient",
        (0.0, float(1.2 * rows[["grad_cse", "grad_cls"]].max().max())),
        known=by_name(rows["grad_cls"]),
        known_name="classification loss",
    )


def gradient_says(activity: pd.DataFrame) -> str:
    """What becomes of the embedding loss's gradient from row to row."""
    rows = activity["grad_cse"].dropna()
    told = [
        f"**{row}** has {rows[row] / rows[before]:.2f} times that of {before}"
        for before, row in pairwise(rows.index)
        if rows[before]
    ]
    return f"The gradient of the embedding loss: {'; '.join(told)}." if told else ""


def margins_say(means: pd.DataFrame) -> str:
    """On how many negatives the margins act. means: columns row, inside_margin, a line an epoch."""
    return inside_margin(
        {str(row): share for row, share in means.groupby("row", sort=False)["inside_margin"] if share.notna().all()}
    )


def gradient_ratio(activity: pd.DataFrame) -> Number:
    """Part of the gradient that re-weighting leaves."""
    rows = activity["grad_cse"].dropna()
    last, before = (rows.iloc[-1], rows.iloc[-2]) if len(rows) > 1 and rows.iloc[-2] else (math.nan, 1.0)
    names = f"**{rows.index[-1]}** and **{rows.index[-2]}**" if len(rows) > 1 else "the last two rows"
    expected = float(last / before)
    return Number(
        "ratio",
        f"**Exercise.** Read the table of gradients, for {names}. What part of the embedding loss's gradient (`grad_cse`) is there "
        "in the one, of that in the other?",
        expected,
        0.03 * expected,
        "the one by the other, and not the difference",
    )


def quiz(steps: pd.DataFrame, ranking: str) -> tuple[Choice, ...]:
    total = _of_total(steps, ranking)
    clear = int(((total["difference_low"] > 0) | (total["difference_high"] < 0)).sum())
    counts = [f"{n} of {len(total)}" for n in range(len(total) + 1)]
    right = counts.pop(clear)
    texts = "; ".join(f"{row} {text}" for row, text in zip(total.index, difference_texts(total)))
    return (
        Choice(
            "clear",
            f"**Quiz 1.** How many steps have an interval of the total that is clear of zero, under {ranking}?",
            (right, *counts),
            f"{texts}.",
            "count the intervals in the figure of the steps that do not touch the dashed line",
        ),
        Choice(
            "zero",
            "**Quiz 2.** The interval of a step holds zero. What follows?",
            (
                "The step is not shown: it may be there or not.",
                "The part has no effect.",
                "The part does harm as often as good.",
            ),
            "an interval says which values the data leave open, and zero is one of them among others.",
            "what else does the interval hold beside zero?",
        ),
        Choice(
            "idle",
            "**Quiz 3.** No negative lies inside its margin, from the first epoch on. What does a wider table of seeds say about "
            "the margin?",
            (
                "Nothing: a part without a gradient cannot have an effect.",
                "With more seeds its effect would show.",
                "It shows that margins do not matter on these data.",
            ),
            "what is computed and never used moves nothing, however many runs are made.",
            "look at the equation: what does the margin change for a pair outside it?",
        ),
    )


def take_away(steps: pd.DataFrame, activity: pd.DataFrame, ranking: str) -> tuple[str, ...]:
    total = _of_total(steps, ranking)
    return tuple(
        filter(
            None,
            (
                f"Under {ranking}, in total: {verdicts(total.assign(group=total.index))}.",
                gradient_says(activity),
                "What a part adds is a paired difference from the row before it, with an interval; and a part without a gradient "
                "has no effect.",
            ),
        )
    )
