"""Single test images: what runs find in them, what one fixes and what it breaks (LMPT Fig. 5).

A label of an image is *found* when its class is among the image's k best-scored classes, k being the number of its labels.
An image is *right* when all its labels are found: its k best classes are exactly its labels. From run A to run B, *fixed* is
what A missed and B finds, *broke* the reverse. Images without a label are left out.

The softmax keeps the order of an image's cosines: both rankings find the same labels, and differ in scores alone. `levelled`
is the cosine less its mean over all test images, class by class: a class that scores high everywhere has no advantage there.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run
from lmptlib.runs.tables import check_same_data

CASE_RANKINGS = (*RANKINGS, "levelled")
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

    @cached_property
    def places(self) -> dict[str, np.ndarray]:
        """run -> places (N, C)."""
        return {run: places(scores) for run, scores in self.scores.items()}

    @cached_property
    def named(self) -> dict[str, np.ndarray]:
        """run -> the k best classes of each image, (N, C) bool."""
        return {run: place <= self.labels.sum(1, keepdims=True) for run, place in self.places.items()}

    @cached_property
    def found(self) -> dict[str, np.ndarray]:
        """run -> labels found, (N, C) bool."""
        return {run: self.labels & named for run, named in self.named.items()}

    @cached_property
    def right(self) -> dict[str, np.ndarray]:
        """run -> images right, (N,) bool; an image without a label is not."""
        return {run: (hit == self.labels).all(1) & self.labels.any(1) for run, hit in self.found.items()}


def read_cases(runs: dict[str, Run | Ensemble], dataset: Dataset, ranking: str = "logit") -> Cases:
    """The test images of a data set under runs (name -> run) and a ranking: softmax, logit or levelled.

    Raises ValueError on runs of different data, or of other data than `dataset`.
    """
    if ranking not in CASE_RANKINGS:
        raise ValueError(f"no ranking '{ranking}'; known: {', '.join(CASE_RANKINGS)}")
    check_same_data(runs.values())
    scores = {}
    for name, run in runs.items():
        labels, scores[name] = run.ranking_scores(ranking)
        if not np.array_equal(labels, dataset.test.labels):
            raise ValueError(
                f"{run.folder.name} was not tested on the test images of {dataset.name}: give its data set"
            )
    return Cases(dataset.test.paths, dataset.class_table()[["class", "group", "train"]], dataset.test.labels, scores)


def changes(cases: Cases, a: str, b: str) -> pd.DataFrame:
    """One row a label of an image: image, class, group, place_a, place_b, change and image_change, from run a to run b.

    Places are from 1. `change` is of the label and `image_change` of the image: fixed, broke, both (found or right under
    both runs) or neither.
    """
    image, index = np.nonzero(cases.labels)
    hit, right = ({run: part[run].astype(int) for run in (a, b)} for part in (cases.found, cases.right))
    table = cases.classes[["class", "group"]].iloc[index].reset_index(drop=True)
    table.insert(0, "image", image)
    return table.assign(
        place_a=cases.places[a][image, index],
        place_b=cases.places[b][image, index],
        change=CHANGES[hit[a], hit[b]][image, index],
        image_change=CHANGES[right[a], right[b]][image],
    )


def most_telling(table: pd.DataFrame, change: str, n: int) -> pd.DataFrame:
    """The n labels of `changes` whose place moved most, the first of every class before the second of any.

    change: fixed or broke. One label an image.
    """
    part = table[table["change"] == change]
    move = (part["place_a"] - part["place_b"]).abs()
    part = part.loc[move.sort_values(ascending=False, kind="stable").index].drop_duplicates("image")
    return part.iloc[part.groupby("class").cumcount().argsort(kind="stable")].head(n)


def top_classes(cases: Cases, image: int, k: int = 5) -> pd.DataFrame:
    """An image's k best classes under every run, and its labels below them: run, place, class, group, score, right."""
    tables = []
    for run, place in cases.places.items():
        shown = np.flatnonzero((place[image] <= k) | cases.labels[image])
        table = cases.classes.loc[shown, ["class", "group"]].assign(
            run=run, place=place[image, shown], score=cases.scores[run][image, shown], right=cases.labels[image, shown]
        )
        tables.append(table.sort_values("place"))
    return pd.concat(tables, ignore_index=True)[["run", "place", "class", "group", "score", "right"]]


def class_summary(cases: Cases, a: str) -> pd.DataFrame:
    """One row a run and class: run, class, group, train, shown, named, found, and fixed and broke against run a.

    Counts of test images: that show the class, that have it among their k best classes, and both.
    """
    before = cases.found[a]
    tables = []
    for run, hit in cases.found.items():
        told = {"shown": cases.labels, "named": cases.named[run], "found": hit}
        told |= {"fixed": hit & ~before, "broke": before & ~hit}
        tables.append(cases.classes.assign(run=run, **{name: of.sum(0) for name, of in told.items()}))
    columns = ["run", "class", "group", "train", "shown", "named", "found", "fixed", "broke"]
    return pd.concat(tables, ignore_index=True)[columns]


def run_summary(cases: Cases, a: str) -> pd.DataFrame:
    """One row a run: images right, fixed and broke against run a, and the percentage of labels found, total and by group."""
    tested, rows = cases.labels.any(1).sum(), {}
    for run, right in cases.right.items():
        before = cases.right[a]
        rows[run] = {"images": tested, "right": right.sum()}
        rows[run] |= {"fixed": (right & ~before).sum(), "broke": (before & ~right).sum()}
        for name in ("total", *GROUPS):
            inside = cases.classes["group"].isin(GROUPS if name == "total" else [name]).to_numpy()
            shown = cases.labels[:, inside].sum()
            rows[run][f"found {name} (%)"] = 100 * cases.found[run][:, inside].sum() / shown if shown else np.nan
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")
