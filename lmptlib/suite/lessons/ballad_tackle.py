"""Notebook 17: BALLAD's two phases, and what TACKLE fetches for the rarest classes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from lmptlib.config import Config
from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.published.tables import published
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run
from lmptlib.suite.lessons.embeddings import neighbours_told
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import (
    by_group,
    by_name,
    counts_and_question,
    groups_told,
    judged,
    listed,
    right_first,
    verdicts,
)
from lmptlib.sweeps.grid import Sweep, read_sweep

_TUNED, _ADAPTED, _ENRICHED = "BALLAD, A", "BALLAD, A + B", "TACKLE, A + B"


def opening(dataset: Dataset) -> str:
    question = "Do towers that are tuned, balanced features and fetched pictures help the second one?"
    return f"{counts_and_question(dataset, question)}\n\n{groups_told(dataset.task.attrs)}"


def sweep(given: dict[str, Any], seeds: list[int]) -> Sweep:
    """The rows, with `given` settings over every run's but two: `tackle` is the pool of the row that has one, and `epochs` are
    those of the rows that have phase B."""
    own: dict[str, Any] = {name: given[name] for name in ("tackle", "epochs") if name in given}
    shared = {name: value for name, value in given.items() if name not in own}
    found = read_sweep("ballad", shared | {"seeds": seeds})
    rows = {row: [_with(config, own) for config in part] for row, part in found.rows.items()}
    return replace(found, rows=rows)


def _with(config: Config, own: dict[str, Any]) -> Config:
    """A configuration with those of its own settings that it has already, to another value than none."""
    return config.with_settings(**{name: value for name, value in own.items() if config.flat().get(name)})


def _means(compared: pd.DataFrame, row: str) -> pd.Series:
    return compared[compared["row"] == row].set_index("group")["mean"].reindex(["total", *GROUPS]).dropna()


def phases_guess(compared: pd.DataFrame) -> Guess:
    """The figures of both phases beside CLIP's. compared: of `lmptlib.runs.comparison.compare`."""
    return Guess(
        "phases",
        "**Predict.** Grey is CLIP as it comes. Phase A shows all images alike, phase B classes alike. Where do both together end?",
        by_name(_means(compared, _ADAPTED)),
        "mAP (%), logit ranking",
        (0, 100),
        known=by_name(_means(compared, "CLIP")),
        known_name="CLIP",
    )


def rows_say(compared: pd.DataFrame, baseline: str) -> str:
    """Each row's figures, and what its differences from the baseline show."""
    lines = []
    for row, part in compared.groupby("row", sort=False):
        told = verdicts(part) if row != baseline else ""
        lines.append(f"- **{row}**: {by_group(_means(compared, str(row)))}{f'; {told}' if told else ''}.")
    return "\n".join([f"mAP by group, logit ranking, and what is shown against **{baseline}**:", "", *lines])


def step_says(compared: pd.DataFrame, baseline: str) -> str:
    """What the second phase, and the fetched pictures, add in the group of the rarest classes and in total.

    compared: against the row `baseline`.
    """
    told = []
    for row in (_ADAPTED, _ENRICHED):
        for group in ("total", "tail"):
            line = compared[(compared["row"] == row) & (compared["group"] == group)]
            if row != baseline and len(line) and not math.isnan(line["difference"].iloc[0]):
                told.append(f"{row} in {group}: {judged(line.iloc[0])}")
    return f"Against **{baseline}**, {'; '.join(told)}." if told else ""


def neighbours_say(maps: Mapping[str, pd.DataFrame]) -> str:
    """How many images lie beside one of their class, map by map. maps: of `map_points`."""
    return "\n".join(f"- {when}: {neighbours_told(points)}" for when, points in maps.items())


def fetched_say(classes: pd.DataFrame) -> str:
    """How many pictures were fetched for how many classes, and how many of them rightly, where that is known.

    classes: of `lmptlib.suite.analysis.tackle.fetched_classes`.
    """
    gained = classes[classes["fetched"] > 0]
    if gained.empty:
        return "No class was so rare that anything was fetched for it: raise `tackle_to` by the field `settings`."
    told = f"{gained['fetched'].sum():,} pictures were fetched for {len(gained)} classes"
    if gained["right"].isna().any():
        return f"{told}. Nobody knows how many show their class: look."
    share = gained["right"].sum() / gained["fetched"].sum()
    wrong = gained[gained["right"] == 0]["class"]
    none = f" Of {listed(wrong)} not one is right." if len(wrong) else ""
    return f"{told}; {share:.0%} of them show their class, the others teach something wrong.{none}"


def right_share(images: pd.DataFrame, shown: Sequence[str]) -> Number:
    """The share of fetched pictures that show their class, for the classes that are shown. images: of `fetched_pictures`."""
    known = len(images) > 0 and not images["right"].isna().any()
    share = 100 * float(images["right"].astype(float).mean()) if known else math.nan
    return Number(
        "right",
        f"**Exercise.** Count in the pictures of {listed(shown) if shown else 'these classes'}: which share really shows its "
        "class? (A tick says yes.)",
        share,
        2.0,
        "ticks over pictures",
        "%",
    )


def cost_table(made: Mapping[str, Sequence[Run | Ensemble]]) -> pd.DataFrame:
    """A line a row: passes over pictures and over features, and seconds of a run as it was made, the mean over seeds."""
    rows = {}
    for row, part in made.items():
        runs = [run for run in part if isinstance(run, Run)]
        if runs:
            flat = runs[0].settings
            seconds = sum(run.config["seconds"] for run in runs) / len(runs)
            rows[row] = (flat.get("tune_epochs", 0), flat.get("epochs", 0), seconds)
    columns = ["epochs on pictures", "epochs on features", "seconds"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("row").round(1)


def cost_says(table: pd.DataFrame) -> str:
    """How much of the time phase A takes."""
    tuned, cheap = table["seconds"].get(_TUNED), table["seconds"].get("lda")
    if tuned is None or not cheap:
        return ""
    return (
        f"Phase A took {tuned:,.0f} s, lda on frozen features {cheap:,.1f} s, {tuned / cheap:,.0f} times less, on the machine "
        "that made these runs; where features were not in the cache, their time is in it."
    )


def printed_table() -> pd.DataFrame:
    """What the poster prints of BALLAD and TACKLE, accuracy in percent."""
    table = published().query(
        "source == 'poster' and method in ['zero-shot CLIP', 'BALLAD', 'TACKLE', 'TACKLE + CLIP']"
    )
    groups = {"head": "many", "tail": "few"}
    columns = ["dataset", "method", "backbone", "total", "head", "medium", "tail"]
    return table[columns].drop_duplicates().rename(columns=groups).reset_index(drop=True)


def order_says(compared: pd.DataFrame) -> str:
    """Whether the poster's order, CLIP below BALLAD, holds in total, and whether a closed form stands above it."""
    total = compared[compared["group"] == "total"]
    ours = total[total["row"] == _ADAPTED].iloc[0]
    against = "not compared" if math.isnan(ours["difference"]) else judged(ours)
    rival = float(total[total["row"] == "lda"]["mean"].sum()) if "lda" in set(total["row"]) else math.nan
    beside = (
        ""
        if math.isnan(rival)
        else f" lda, computed at once from frozen features, has {rival:.1f} beside its {ours['mean']:.1f}."
    )
    return f"The poster has BALLAD above CLIP with every backbone. Here it is {against} in total.{beside}"


def quiz(compared: pd.DataFrame, classes: pd.DataFrame) -> tuple[Choice, ...]:
    means = {row: _means(compared, row) for row in (_TUNED, _ADAPTED)}
    changes = (means[_ADAPTED] - means[_TUNED]).drop("total")
    best = str(changes.idxmax())
    names = {group: f"In the {group} classes." for group in changes.index}
    fetched = classes[classes["fetched"] > 0]
    return (
        Choice(
            "where",
            "**Quiz 1.** Where does phase B change most to the better, or least to the worse, from phase A?",
            right_first(names, best),
            "its sampling shows classes alike, and not images.",
        ),
        Choice(
            "frozen",
            "**Quiz 2.** Why is phase B trained on features that were computed once?",
            (
                "The towers do not move any more, so that a picture has the same feature in each epoch.",
                "Pictures are forgotten after phase A.",
                "A linear layer cannot read pixels.",
            ),
            "what is frozen is computed once.",
            "what changes from epoch to epoch in phase B?",
        ),
        Choice(
            "unknown",
            f"**Quiz 3.** A picture was fetched for {fetched['class'].iloc[0] if len(fetched) else 'a rare class'}, of data with "
            "several labels an image. What of its other classes?",
            (
                "Nobody knows whether it shows them: they are left out of the loss.",
                "They are negatives, as in every other picture.",
                "They are positives where CLIP says so.",
            ),
            "a negative that is none would teach the opposite.",
            "who has looked at the picture?",
        ),
    )


def take_away(compared: pd.DataFrame, classes: pd.DataFrame) -> tuple[str, ...]:
    return (
        "Phase A moves both towers on pictures and costs almost all of the time; phase B and all else read features.",
        f"{order_says(compared)}",
        fetched_say(classes),
        "A closed form on frozen features is the bar: what is tuned for minutes has to stand above it, by an interval.",
    )
