"""Single test images: what runs find in them, what one fixes and what it breaks (LMPT Fig. 5).

A run *says* the labels whose scores reach its thresholds (`lmptlib.runs.decisions`): how many labels an image has is known
to nobody. A label of the image that is said is *found*, one that is not is *missed*, and one that is said and not there is
*added*. An image is *right* when exactly its labels are said; of an image without a label that is none. From run A to run
B, *fixed* is what A missed and B finds, *broke* the reverse.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.decisions import label_rule, labels_said
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run
from lmptlib.runs.tables import check_same_data

CHANGES = np.array([["neither", "fixed"], ["broke", "both"]])  # [under A, under B]


def places(scores: np.ndarray) -> np.ndarray:
    """The place of each class in its image, (N, C), 1 for the best score; of equal scores the first class goes before."""
    return np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1) + 1


@dataclass(frozen=True)
class Cases:
    """The same test images under several runs and one ranking."""

    paths: tuple[Path, ...]  # N
    classes: pd.DataFrame  # C rows: class, group, train
    labels: np.ndarray  # (N, C) bool
    scores: dict[str, np.ndarray]  # run -> (N, C)
    said: dict[str, np.ndarray]  # run -> (N, C) bool

    @cached_property
    def places(self) -> dict[str, np.ndarray]:
        """run -> places (N, C)."""
        return {run: places(scores) for run, scores in self.scores.items()}

    @cached_property
    def found(self) -> dict[str, np.ndarray]:
        """run -> labels found, (N, C) bool."""
        return {run: self.labels & said for run, said in self.said.items()}

    @cached_property
    def right(self) -> dict[str, np.ndarray]:
        """run -> images right, (N,) bool."""
        return {run: (said == self.labels).all(1) for run, said in self.said.items()}


def rule_lines(runs: dict[str, Run | Ensemble], ranking: str = "logit") -> list[str]:
    """A line for each way in which the runs (name -> run) come to say a label, and which of them do so."""
    names: dict[str, list[str]] = {}
    for name, run in runs.items():
        names.setdefault(label_rule(run, ranking).told, []).append(name)
    return [f"{', '.join(of_rule)}: {told}" for told, of_rule in names.items()]


def read_cases(runs: dict[str, Run | Ensemble], dataset: Dataset, ranking: str = "logit") -> Cases:
    """The test images of a data set under runs (name -> run) and a ranking: softmax or logit.

    Raises ValueError on runs of different data, or of other data than `dataset`.
    """
    if ranking not in RANKINGS:
        raise ValueError(f"no ranking '{ranking}'; known: {', '.join(RANKINGS)}")
    check_same_data(runs.values())
    scores = {}
    for name, run in runs.items():
        labels, scores[name] = run.ranking_scores(ranking)
        if not np.array_equal(labels, dataset.test.labels):
            raise ValueError(
                f"{run.folder.name} was not tested on the test images of {dataset.name}: give its data set"
            )
    said = {name: labels_said(run, ranking) for name, run in runs.items()}
    classes = dataset.class_table()[["class", "group", "train"]]
    return Cases(dataset.test.paths, classes, dataset.test.labels, scores, said)


def changes(cases: Cases, a: str, b: str) -> pd.DataFrame:
    """One row a label of an image: image, class, group, place_a, place_b and change, from run a to run b.

    Places are from 1, among the image's scores. change: fixed, broke, both (found under both runs) or neither.
    """
    image, index = np.nonzero(cases.labels)
    hit = {run: cases.found[run].astype(int) for run in (a, b)}
    table = cases.classes[["class", "group"]].iloc[index].reset_index(drop=True)
    table.insert(0, "image", image)
    return table.assign(
        place_a=cases.places[a][image, index],
        place_b=cases.places[b][image, index],
        change=CHANGES[hit[a], hit[b]][image, index],
    )


def image_changes(cases: Cases, a: str, b: str) -> np.ndarray:
    """What became of each image from run a to run b, (N,): fixed, broke, both (right under both) or neither."""
    return CHANGES[cases.right[a].astype(int), cases.right[b].astype(int)]


def most_telling(table: pd.DataFrame, change: str, n: int) -> pd.DataFrame:
    """The n labels of `changes` whose place moved most, the first of every class before the second of any.

    change: fixed or broke. One label an image.
    """
    part = table[table["change"] == change]
    move = (part["place_a"] - part["place_b"]).abs()
    part = part.loc[move.sort_values(ascending=False, kind="stable").index].drop_duplicates("image")
    return part.iloc[part.groupby("class").cumcount().argsort(kind="stable")].head(n)


def top_classes(cases: Cases, image: int, k: int = 5) -> pd.DataFrame:
    """An image's k best classes under every run, and below them its labels and what is said.

    Columns run, place, class, group, score, said, and right: whether it is a label of the image.
    """
    tables = []
    for run, place in cases.places.items():
        said = cases.said[run][image]
        shown = np.flatnonzero((place[image] <= k) | cases.labels[image] | said)
        table = cases.classes.loc[shown, ["class", "group"]].assign(run=run, place=place[image, shown])
        table = table.assign(score=cases.scores[run][image, shown], said=said[shown], right=cases.labels[image, shown])
        tables.append(table.sort_values("place"))
    return pd.concat(tables, ignore_index=True)[["run", "place", "class", "group", "score", "said", "right"]]


def class_summary(cases: Cases, a: str) -> pd.DataFrame:
    """One row a run and class: run, class, group, train, shown, said, found, missed, added, fixed and broke against run a.

    Counts of test images: that show the class, of which it is said, that show it and have it said, that show it in vain,
    and that have it said in vain.
    """
    before = cases.found[a]
    tables = []
    for run, hit in cases.found.items():
        said = cases.said[run]
        told = {"shown": cases.labels, "said": said, "found": hit}
        told |= {"missed": cases.labels & ~hit, "added": said & ~cases.labels}
        told |= {"fixed": hit & ~before, "broke": before & ~hit}
        tables.append(cases.classes.assign(run=run, **{name: of.sum(0) for name, of in told.items()}))
    columns = ["run", "class", "group", "train", "shown", "said", "found", "missed", "added", "fixed", "broke"]
    return pd.concat(tables, ignore_index=True)[columns]


def confusions(cases: Cases, run: str, k: int = 10) -> pd.DataFrame:
    """What a run says of the test images of the k rarest classes that have some, of single labels.

    One row a class and what is said of its images, rarest class first, then what is said most often: columns class, group,
    train, shown (test images), said, images.
    """
    shown = cases.labels.sum(0)
    rarest = [c for c in np.argsort(cases.classes["train"], kind="stable") if shown[c]][:k]
    counts = cases.labels.T.astype(int) @ cases.said[run]
    names, tables = cases.classes["class"].to_numpy(), []
    for c in rarest:
        order = [other for other in np.argsort(-counts[c], kind="stable") if counts[c, other]]
        rows = cases.classes.iloc[[c] * len(order)].assign(shown=shown[c])
        tables.append(rows.assign(said=names[order], images=counts[c, order]))
    return pd.concat(tables, ignore_index=True)


def run_summary(cases: Cases, a: str) -> pd.DataFrame:
    """One row a run: images right, fixed and broke against run a, labels added, and labels found in percent, total and by group."""
    rows = {}
    for run, right in cases.right.items():
        before, added = cases.right[a], cases.said[run] & ~cases.labels
        rows[run] = {"images": len(right), "right": right.sum()}
        rows[run] |= {"fixed": (right & ~before).sum(), "broke": (before & ~right).sum(), "added": added.sum()}
        for name in ("total", *GROUPS):
            inside = cases.classes["group"].isin(GROUPS if name == "total" else [name]).to_numpy()
            shown = cases.labels[:, inside].sum()
            rows[run][f"found {name} (%)"] = 100 * cases.found[run][:, inside].sum() / shown if shown else np.nan
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")
