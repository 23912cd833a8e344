"""Notebook 10: which loss, and how sure is the order."""

import itertools
import math

import numpy as np
import pandas as pd
from scipy import stats

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.class_ap import class_rows
from lmptlib.suite.lessons.questions import Choice, Guess, Number, Order
from lmptlib.suite.lessons.wording import by_name, listed, verdicts

# By kind of task, the sweep where nobody names one.
GRIDS = {"multi-label": "losses", "single-label": "losses_single"}


def opening(printed: pd.DataFrame, name: str) -> str:
    """How far apart losses are in print, and what is asked. printed: of `printed_table`; name: of the data set."""
    if printed.empty:
        return f"The rows of this sweep differ in what its grid says. Which is best on {name}, and how sure is it?"
    spans = printed.groupby("dataset", sort=False)["total"].agg(lambda total: total.max() - total.min())
    told = listed(f"{span:.1f} points on {dataset}" for dataset, span in spans.items())
    return (
        f"In print the best loss is above the worst by {told}, one run a cell. In which order do they come on {name}, and how "
        "sure is it?"
    )


def order_guess(table: pd.DataFrame, ranking: str) -> Order:
    """The losses by total mAP, means over seeds. table: of `sweep_table`."""
    total = table[(table["ranking"] == ranking) & (table["group"] == "total")].set_index("row")["mean"]
    return Order(
        "order",
        f"**Predict.** Bring the losses into the order of their total mAP under {ranking}, the best on top. Losses that are equal "
        "may change places.",
        by_name(total.round(2)),
        "mAP (%)",
    )


def spread_says(table: pd.DataFrame, ranking: str) -> str:
    """Whether losses differ more than seeds do."""
    total = table[(table["ranking"] == ranking) & (table["group"] == "total")]
    seeds, losses = total["sd"].mean(), total["mean"].std()
    if math.isnan(seeds):
        return "One seed: nothing is known of what another would change."
    more = "more" if losses > seeds else "not more"
    return (
        f"The means of the losses have a standard deviation of {losses:.2f} points, the seeds of one loss {seeds:.2f}: losses differ "
        f"{more} than seeds do."
    )


def clear_says(table: pd.DataFrame, baseline: str, ranking: str) -> str:
    """Who gains and who loses against the baseline, in total and by group."""
    part = table[(table["ranking"] == ranking) & (table["row"] != baseline)]
    lines = {
        group: verdicts(part[part["group"] == group].assign(group=lambda lines: lines["row"]))
        for group in ("total", *GROUPS)
    }
    told = [f"- **{group}**: {said}." for group, said in lines.items() if said]
    return "\n".join([f"Against {baseline}, under {ranking}:", "", *told])


def moves(classes: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """How classes move from the baseline, a line a row. classes: columns row, class, group, train, ap, a line a seed."""
    ap = class_rows(classes)
    rows = [row for row in classes["row"].unique() if row != baseline]
    changes = {row: ap[row, "mean"] - ap[baseline, "mean"] for row in rows}
    moved = {
        row: {
            "all seeds above": (ap[row, "min"] > ap[baseline, "max"]).sum(),
            "all seeds below": (ap[row, "max"] < ap[baseline, "min"]).sum(),
            "mean change": change.mean(),
            "mean size of a change": change.abs().mean(),
            "largest change": change.loc[change.abs().idxmax()],
            "of the class": change.abs().idxmax()[0],
            "mean range of seeds": (ap[row, "max"] - ap[row, "min"]).mean(),
        }
        for row, change in changes.items()
    }
    return pd.DataFrame.from_dict(moved, orient="index").rename_axis("row").round(2)


def largest_guess(moved: pd.DataFrame, baseline: str) -> Guess:
    """The largest change of a class in each row. moved: of `moves`."""
    sizes = moved["largest change"].astype(float).abs()
    return Guess(
        "largest",
        f"**Predict.** By how many points does each loss move the class that it moves most, up or down, from {baseline}?",
        by_name(sizes),
        "largest change of a class (points)",
        (0.0, max(10.0, 10.0 * math.ceil(sizes.max() / 10))),
    )


def largest_says(moved: pd.DataFrame, baseline: str) -> str:
    """The class that moves furthest, beside what the total of its row says."""
    row = str(moved["largest change"].astype(float).abs().idxmax())
    line = moved.loc[row]
    return (
        f"The largest change is that of {line['of the class']} under **{row}**, {line['largest change']:+.1f} points from {baseline}; the "
        f"mean over all classes changes by {line['mean change']:+.1f}."
    )


def by_chance(n_seeds: int) -> float:
    """How often chance alone puts all seeds of one loss above, or all below, those of another."""
    return 2 / math.comb(2 * n_seeds, n_seeds)


def chance(n_seeds: int) -> Number:
    return Number(
        "chance",
        f"**Exercise.** Two losses have {n_seeds} seeds each, and differ in nothing. How probable is it that all seeds of one lie above, "
        "or all below, those of the other?",
        by_chance(n_seeds),
        0.01,
        "count the orders of all the seeds in which one loss comes first as a whole, and divide by all such orders",
    )


def chance_says(moved: pd.DataFrame, n_classes: int, n_seeds: int) -> str:
    """What chance puts into the columns of `moves` that count classes."""
    outside = moved["all seeds above"] + moved["all seeds below"]
    return (
        f"By chance alone about {by_chance(n_seeds) * n_classes:.0f} of {n_classes} classes would have all seeds above or all below; "
        f"the losses have {listed(f'{count} ({row})' for row, count in outside.items())}."
    )


def beside_print(table: pd.DataFrame, ranking: str) -> pd.DataFrame:
    """Printed and own totals of each row with a printed counterpart, both rankings; empty where nothing is printed."""
    totals = table[table["group"] == "total"].set_index("row")
    ours = {f"ours, {name}": totals.loc[totals["ranking"] == name, "mean"] for name in ("softmax", "logit")}
    printed = totals[totals["ranking"] == ranking].filter(like="printed")
    return pd.DataFrame() if printed.columns.empty else printed.assign(**ours).dropna()


def agreement_guess(beside: pd.DataFrame, ranking: str) -> Guess:
    """Rank correlation of our order with the printed ones. beside: of `beside_print`."""
    correlation = beside.corr(method="spearman")[f"ours, {ranking}"].filter(like="printed")
    return Guess(
        "agreement",
        f"**Predict.** The rank correlation of our order of losses, under {ranking}, with the printed ones: 1 is the same order, 0 none, "
        "−1 reversed.",
        by_name(correlation),
        "rank correlation",
        (-1.0, 1.0),
    )


def shown_from(n_rows: int) -> float:
    """The rank correlation of n rows from which chance does it less than one time in twenty; NaN where none is."""
    if n_rows > 8:
        t = stats.t.ppf(0.975, n_rows - 2)
        return t / math.sqrt(n_rows - 2 + t**2)
    orders = np.array(list(itertools.permutations(range(n_rows))))
    values = abs(1 - 6 * ((orders - np.arange(n_rows)) ** 2).sum(1) / (n_rows * (n_rows**2 - 1)))
    return min((value for value in np.unique(values) if (values >= value - 1e-9).mean() <= 0.05), default=math.nan)


def agreement_says(beside: pd.DataFrame, ranking: str) -> str:
    """What the correlations say, how far the printed columns agree themselves, and what they do with one loss twice."""
    correlation, least = beside.corr(method="spearman"), shown_from(len(beside))
    printed = [str(name) for name in beside.filter(like="printed")]
    ours = correlation.loc[printed, f"ours, {ranking}"]
    sides = {
        "agrees with": ours.index[ours >= least - 1e-9],
        "is reversed against": ours.index[ours <= 1e-9 - least],
    }
    shown = " and ".join(f"{words} {listed(names)}" for words, names in sides.items() if len(names))
    between = by_name(correlation[printed[0]])
    needed = (
        "no correlation would show anything" if math.isnan(least) else f"it takes {least:.2f} to be more than chance"
    )
    said = [f"With {len(beside)} rows {needed}: {f'our order {shown}' if shown else 'shown for none'}."]
    if len(printed) == 2:
        said.append(f"The two printed columns correlate by {between[printed[1]]:.2f} with each other.")
    if {"bce", "mls"} <= set(beside.index):
        gaps = (beside.loc["mls"] - beside.loc["bce"]).abs()
        apart = listed(f"{gaps[name]:.1f} points apart on {name.split()[0]}" for name in printed)
        said.append(f"BCE and MLS are one formula: in print they are {apart}, here {gaps[f'ours, {ranking}']:.1f}.")
    return " ".join(said)


def quiz(moved: pd.DataFrame, baseline: str) -> tuple[Choice, ...]:
    sizes = moved["largest change"].astype(float).abs()
    rows = list(sizes.sort_values(ascending=False, kind="stable").index)
    furthest = Choice(
        "furthest",
        f"**Quiz 1.** Which loss moves a single class furthest from {baseline}?",
        tuple(rows),
        f"{moved.loc[rows[0], 'of the class']}, by {moved.loc[rows[0], 'largest change']:+.1f} points.",
        "look for the darkest cell of the heat map",
    )
    return (
        *((furthest,) if len(rows) > 1 else ()),
        Choice(
            "means",
            "**Quiz 2.** The intervals of two means over seeds do not overlap. Why is one loss not yet shown to be better?",
            (
                "They hold other seeds, and not other test images.",
                "They hold other test images, and not other seeds.",
                "Intervals of means are always too narrow.",
            ),
            "all seeds are tested on the same images; the paired differences hold both.",
            "what would change these means: another seed, another test set?",
        ),
        Choice(
            "cancel",
            "**Quiz 3.** The total of a loss is that of the baseline. Can single classes have moved by ten points?",
            (
                "Yes: gains and losses cancel in a mean.",
                "No: then the total would have moved.",
                "Only where its seeds disagree.",
            ),
            "mAP is a mean over classes, and says nothing about who pays.",
            "take a mean of +10 and −10",
        ),
    )


def take_away(table: pd.DataFrame, moved: pd.DataFrame, baseline: str, ranking: str) -> tuple[str, ...]:
    total = table[(table["ranking"] == ranking) & (table["group"] == "total") & (table["row"] != baseline)]
    said = verdicts(total.assign(group=total["row"]))
    return (
        f"In total, against {baseline} under {ranking}: {said}.",
        largest_says(moved, baseline),
        "An order of losses is no result before its differences are paired and have intervals, and before somebody asks which classes "
        "paid.",
    )
