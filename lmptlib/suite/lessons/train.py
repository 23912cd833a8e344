"""Notebook 03: one configuration in, one run out."""

from collections.abc import Iterable

import pandas as pd

from lmptlib.config import Config
from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.runs.comparison import compare
from lmptlib.runs.run import Run
from lmptlib.runs.tables import interval_text
from lmptlib.suite.lessons.questions import Choice, Guess, Number, Order
from lmptlib.suite.lessons.wording import counts_and_question, judged

_TERMS = {"loss_cls": "classification loss", "loss_cse": "CSE loss"}
# What differs between two runs and is none of what is tried.
_PLACES = ("data_root", "cache", "device")


def opening(dataset: Dataset, config: Config) -> str:
    """What is learned from, and how long."""
    epochs = config.learning.all_epochs if config.learning else 0
    steps = f"goes {epochs} times through these images" if epochs else "takes them all at once"
    return counts_and_question(dataset, f"`{config.method}` {steps}: what comes out?")


def terms(run: Run) -> dict[str, list[float]]:
    """The losses of a run by name, their means over each epoch; nothing for a run without epochs."""
    history = run.history
    kept = {name: history[column] for column, name in _TERMS.items() if column in history}
    if not kept and "loss" in history:
        kept = {"objective": history["loss"]}
    return {
        name: values.astype(float).tolist() for name, values in kept.items() if values.notna().all() and len(values)
    }


def loss_guess(run: Run) -> Guess:
    """Where the losses end, when their means over the first epoch are seen."""
    curves = terms(run)
    return Guess(
        "losses",
        "**Predict.** Each dot is a loss, its mean over the first epoch. Where is it in the last one? Move the ends, then reveal.",
        {name: values[-1] for name, values in curves.items()},
        "loss",
        (0, 1.2 * max((max(values) for values in curves.values()), default=1)),
        curves=curves,
        step="epochs after the first",
    )


def fallen(run: Run) -> str:
    """What became of each loss, and how many negatives lie inside the CSE margin in the last epoch."""
    said = [
        f"The {name} {_went(values)} from {values[0]:.3f} in the first epoch to {values[-1]:.3f} in the last."
        for name, values in terms(run).items()
    ]
    inside = run.history.get("inside_margin")
    if inside is not None and inside.notna().all():
        share = "no negative is" if inside.iloc[-1] == 0 else f"{inside.iloc[-1]:.1%} of the negatives are"
        said.append(f"In the last epoch {share} inside the CSE margin: the others push no prompt.")
    return " ".join(said)


def _went(values: list[float]) -> str:
    first, last = values[0], values[-1]
    return "stays" if abs(last - first) < 0.02 * abs(first) else "falls" if last < first else "rises"


def share(run: Run) -> tuple[Number, ...]:
    """How much of the objective the classification loss is, after the last epoch; nothing where the objective has one term."""
    lam, history = run.settings.get("lam"), run.history
    if lam is None or not {"loss", "loss_cls"} <= set(history) or history["loss"].iloc[-1] <= 0:
        return ()
    asked = Number(
        "share",
        "**Exercise.** Take the last row of the table: how much of the objective `loss` is the classification loss, weighed by "
        "`lam`?",
        100 * lam * history["loss_cls"].iloc[-1] / history["loss"].iloc[-1],
        2,
        "weigh the classification loss of that row by `lam` (it stands in the configuration), then divide by the objective",
        "%",
    )
    return (asked,)


def group_order(run: Run) -> Order:
    """The class groups by their mAP."""
    scores = run.metrics["scores"]["logit"]
    return Order(
        "groups",
        "**Predict.** Which class group has the highest mAP, which the lowest (logit ranking)? Drag them into order, highest on "
        "top, then reveal.",
        {group: scores[group] for group in GROUPS if scores[group] is not None},
        "mAP (%)",
    )


def result(run: Run) -> str:
    """mAP under each ranking of the task, with intervals over test images."""
    said = []
    for ranking in reversed(run.measure.rankings):
        scores = run.metrics["scores"][ranking]
        ends = interval_text(*scores["ci95"]["total"] or (float("nan"),) * 2)
        said.append(f"Under the **{ranking}** ranking mAP is {scores['total']:.1f} ({ends}).")
    return " ".join(said) + " The intervals are over test images; they know one seed only."


def believed(run: Run) -> pd.DataFrame:
    """Mean confidence in positives and negatives after the last epoch, a row a group; none for a run without epochs."""
    table = run.probabilities("epoch").dropna()
    if not table["step"].any():
        return pd.DataFrame(columns=["positive", "negative"])
    last = table[table["step"] == table["step"].max()]
    return last.set_index("group")[["positive", "negative"]]


def belief(run: Run) -> str:
    """How far positives and negatives are believed in the end."""
    table = believed(run)
    if table.empty:
        return ""
    said = ", ".join(f"{group} {row.positive:.2f} and {row.negative:.2f}" for group, row in table.iterrows())
    return f"After the last epoch positives and negatives are believed, on average, by group: {said}."


def beside(run: Run, others: Iterable[Run]) -> list[str]:
    """What finished runs that differ from `run` in `lr` or `lam` alone did otherwise: a sentence each."""
    ours, said = _compared(run), []
    for other in others:
        theirs = _compared(other)
        differ = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
        finished = not other.stopped and not other.events and other.marks == run.marks
        if other.data_fingerprint == run.data_fingerprint and differ in (["lr"], ["lam"]) and finished:
            said.append(_against(other, run, differ[0]))
    return said or [
        "There is no finished run yet that differs from the one above in `lr` or `lam` alone. Train one, then run this cell again."
    ]


def _compared(run: Run) -> dict:
    return {name: value for name, value in run.settings.items() if name not in _PLACES}


def _against(other: Run, run: Run, name: str) -> str:
    before = terms(run)
    ends = [
        f"{term} {_went(values)} to {values[-1]:.3f} (above: {before[term][-1]:.3f})"
        for term, values in terms(other).items()
    ]
    if "grad_cls" in other.history and "grad_cls" in run.history:
        theirs, ours = (of.history["grad_cls"].iloc[-1] for of in (other, run))
        ends.append(f"`grad_cls` ends at {theirs:.2g} (above: {ours:.2g})")
    table, mine = believed(other), believed(run)
    sides = [f"{side}s {table[side].mean():.2f} ({mine[side].mean():.2f})" for side in ("positive", "negative")]
    maps = []
    for ranking in reversed(run.measure.rankings):
        found = compare({"above": [run], "other": [other]}, "above", ranking).query(
            "row == 'other' and group == 'total'"
        )
        maps.append(f"under {ranking} {judged(found.iloc[0])}")
    return (
        f"**`{name}` {other.settings[name]:g}** (above: {run.settings[name]:g}). Losses: {'; '.join(ends)}. "
        f"Confidence after the last epoch, mean over groups: {', '.join(sides)}. mAP minus that above: {'; '.join(maps)}."
    )


def quiz(run: Run) -> tuple[Choice, ...]:
    table = believed(run)["positive"]
    least = table.idxmin() if len(table) > 1 else None
    asked = Choice(
        "least",
        "**Quiz 1.** After this run's last epoch, in which group are positives believed least, on average?",
        (f"In the {least}.", *(f"In the {group}." for group in table.index if group != least)),
        ", ".join(f"{group} {value:.2f}" for group, value in table.items()) + ".",
        "the solid lines of the picture of probabilities, at their right end",
    )
    smooth = Choice(
        "smooth",
        "**Quiz 3.** The objective falls smoothly from epoch to epoch. What does that say about mAP on test images?",
        (
            "By itself nothing: the objective is of training images, and mAP of test images.",
            "That mAP rises from epoch to epoch as well.",
            "That mAP is higher than that of a run whose objective ends higher.",
        ),
        "which is why a run is judged by mAP with its interval, and not by its loss.",
        "which images does the one see, and which the other?",
    )
    return (
        *((asked,) if least else ()),
        Choice(
            "again",
            "**Quiz 2.** You run this notebook again and change nothing. What is trained?",
            (
                "Nothing: the finished run is read from its folder.",
                "The same run, from the start.",
                "The same run, for as many epochs more.",
            ),
            "settings, data and weights make a run's key; where it is finished, its folder is read. `force` repeats it.",
            "the text above the training cell says it",
        ),
        *((smooth,) if terms(run) else ()),
    )


def take_away(run: Run) -> tuple[str, ...]:
    totals = ((run.metrics["scores"][ranking]["total"], ranking) for ranking in reversed(run.measure.rankings))
    told = " and ".join(f"{total:.1f} ({ranking})" for total, ranking in totals)
    return (
        "A run is one configuration and one folder; the same configuration again reads the folder.",
        f"Here mAP is {told}; with one seed that is one draw of many.",
        "A loss that falls shows that training works. Whether its result is better, only mAP on images that it never saw can say.",
    )
