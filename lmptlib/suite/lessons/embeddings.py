"""Notebook 05: where prompts are before and after training, and which images they rank badly."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.suite.analysis.embeddings import ranking_errors
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import right_first


def opening(pairs: Mapping[str, np.ndarray]) -> str:
    """Mean cosines of two images, two prompts, an image and a prompt."""
    mean = {name: float(values.mean()) if values.size else float("nan") for name, values in pairs.items()}
    listing = ", ".join(f"{name} {value:.2f}" for name, value in mean.items())
    told = ""
    if mean["image and prompt"] < min(mean["two images"], mean["two prompts"]):
        told = ": images and texts fill two cones"
    elif mean["two prompts"] == max(mean.values()):
        told = ": prompts begin close together"
    return f"Mean cosines before training: {listing}{told}."


def prompt_table(dataset: Dataset, before: np.ndarray, after: np.ndarray) -> pd.DataFrame:
    """A row a class: how alike its prompt before and after training is, and the nearest other class of each.

    before, after: unit features (C, D). Columns class, group, train, to start, nearest before, cosine before, nearest after, cosine after.
    """
    table = dataset.class_table()[["class", "group", "train"]].assign(**{"to start": (before * after).sum(1)})
    names = np.array(dataset.class_names)
    for when, prompts in (("before", before), ("after", after)):
        similarity = prompts @ prompts.T
        np.fill_diagonal(similarity, -1)
        table[f"nearest {when}"] = names[similarity.argmax(1)]
        table[f"cosine {when}"] = similarity.max(1)
    return table.sort_values("train", ascending=False, kind="stable").reset_index(drop=True)


def _by_group(values: pd.Series, groups: pd.Series) -> dict[str, float]:
    means = values.groupby(groups).mean().dropna()
    return {group: float(means[group]) for group in GROUPS if group in means}


def moved_guess(table: pd.DataFrame) -> Guess:
    """The mean cosine of a group's prompts to their starts; table: of `prompt_table`."""
    truth = _by_group(table["to start"], table["group"])
    return Guess(
        "moved",
        "**Predict.** The cosine of a class's prompt to its own start: 1 is where it was, 0 is at a right angle. What is it "
        "after training, on average over the classes of each group?",
        truth,
        "cosine to the start",
        (min([0.0, *(-1.0 for value in truth.values() if value < 0)]), 1),
    )


def moved_told(table: pd.DataFrame) -> str:
    """Which prompts moved most, and whether classes came nearer to each other."""
    if (table["to start"] > 0.999).all():
        return "No prompt moved by more than a thousandth (1 less its cosine to its start)."
    by_move = table.sort_values("to start", kind="stable")
    most, least = by_move.iloc[0], by_move.iloc[-1]
    changed = int((table["nearest before"] != table["nearest after"]).sum())
    before, after = table["cosine before"].mean(), table["cosine after"].mean()
    return (
        f"Farthest from its start is **{most['class']}** (cosine {most['to start']:.2f}), nearest **{least['class']}** "
        f"({least['to start']:.2f}). {changed} of {len(table)} classes have another nearest class than before. The mean cosine "
        f"to the nearest class goes from {before:.2f} to {after:.2f}: {_SIDES[side(table)]}"
    )


_SIDES = {
    "apart": "training moved the prompts apart.",
    "together": "training moved the prompts together.",
    "same": "prompts are about as far from each other as before.",
}


def side(table: pd.DataFrame) -> str:
    """Whether each prompt's nearest other one is farther (`apart`), nearer (`together`) or as far (`same`) after training."""
    change = (table["cosine after"] - table["cosine before"]).mean()
    return "apart" if change < -0.02 else "together" if change > 0.02 else "same"


def angle(table: pd.DataFrame) -> Number:
    """The angle by which the prompt that moved most has turned."""
    most = table.sort_values("to start", kind="stable").iloc[0]
    return Number(
        "angle",
        "**Exercise.** By how many degrees has the prompt that moved most turned away from its start?",
        float(np.degrees(np.arccos(np.clip(most["to start"], -1, 1)))),
        1,
        "the angle whose cosine stands in the table, as `np.degrees(np.arccos(...))`",
        unit="degrees",
    )


def neighbours_told(points: pd.DataFrame) -> str:
    """How often an image's nearest image on a map has the same rarest class, beside chance. points: of `map_points`."""
    images = points[points["kind"] == "image"]
    if len(images) < 2:
        return ""
    # the nearest point of each is itself
    _, near = NearestNeighbors(n_neighbors=2).fit(images[["x", "y"]]).kneighbors(images[["x", "y"]])
    classes = images["class"].to_numpy()
    same, chance = (classes[near[:, 1]] == classes).mean(), (images["class"].value_counts(normalize=True) ** 2).sum()
    told = f"On this map {same:.0%} of the images have an image of the same rarest class as their nearest; {chance:.0%} would by chance."
    return f"{told} Images that show the same stand together." if same > 2 * chance else told


def lines_told(maps: Mapping[str, pd.DataFrame]) -> str:
    """How long the lines from prompts before to after are on each map, in the spread of its images."""
    length, middle = {}, {}
    for name, points in maps.items():
        images, before, after = (
            points.loc[points["kind"] == kind, ["x", "y"]].to_numpy() for kind in ("image", "before", "after")
        )
        about = images - images.mean(0)
        spread = np.sqrt((about**2).sum(1).mean())
        length[name] = float(np.linalg.norm(after - before, axis=1).mean() / spread)
        middle[name] = float(np.linalg.norm(after - images.mean(0), axis=1).mean() / spread)
    told = (
        f"In units of the images' spread a prompt's line is {length['t-SNE']:.2f} long on the t-SNE map and {length['PCA']:.2f} "
        f"on the PCA map, and prompts stand {middle['PCA']:.2f} from the middle of the PCA map."
    )
    if length["PCA"] > 1.5 * length["t-SNE"]:
        told += (
            " t-SNE draws a prompt beside its start as long as nothing else is nearer: short lines there say nothing."
        )
    if middle["PCA"] < 0.7:
        told += " Near the middle means that most of what tells prompts apart lies in other directions."
    return told


def error_guess(points: pd.DataFrame) -> Guess:
    """The mean ranking error by the group of an image's rarest class."""
    images = points[points["kind"] == "image"]
    return Guess(
        "errors",
        "**Predict.** Images are sorted by the group of their rarest class. What is the mean error of each group?",
        _by_group(images["error"], images["group"]),
        "mean ranking error",
        (0, 1),
    )


def error_told(points: pd.DataFrame) -> str:
    """In which group images are ranked best and worst."""
    images = points[points["kind"] == "image"]
    means = _by_group(images["error"], images["group"])
    free = (images["error"] < 1e-9).mean()
    told = f"{free:.0%} of the images on the map are without error."
    if len(means) < 2:
        return told
    best, worst = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    if means[worst] - means[best] < 0.005:
        return f"Images of all groups have the same mean error, to a hundredth ({means[best]:.2f}). {told}"
    return f"Images of the {best} are ranked best (mean error {means[best]:.2f}), of the {worst} worst ({means[worst]:.2f}). {told}"


def error_by_hand(dataset: Dataset, scores: np.ndarray) -> Number:
    """The error of the first test image with two labels (of single labels, with its one) that is not without. scores (N, C)."""
    labels, names = dataset.test.labels, dataset.class_names
    errors = ranking_errors(labels, scores)
    single = dataset.task.single
    found = np.flatnonzero((labels.sum(1) == 2 - single) & (errors > 0.01))
    image = int(found[0]) if len(found) else 0
    own = np.flatnonzero(labels[image])
    places = {names[c]: int((scores[image] >= scores[image, c]).sum()) for c in own}
    told = " and ".join(
        f"**{name}** at place {place}" for name, place in sorted(places.items(), key=lambda item: item[1])
    )
    return Number(
        "error",
        f"**Exercise.** A test image shows {'one class' if single else 'two classes'}, and the run ranks {told}. What is the "
        "image's error?",
        float(errors[image]) if len(found) else float("nan"),
        0.01,
        "1 less one by the place"
        if single
        else "for each of the two: how many of the classes down to its place are the image's own, as a share; then 1 less the mean",
    )


def quiz(table: pd.DataFrame) -> tuple[Choice, ...]:
    before, after = table["cosine before"].mean(), table["cosine after"].mean()
    sides = {
        "apart": "Each prompt's nearest other prompt is farther away than before.",
        "together": "Each prompt's nearest other prompt is closer than before.",
        "same": "Prompts are as far from each other as before.",
    }
    return (
        Choice(
            "apart",
            "**Quiz 1.** What did training do to the prompts of this run, on average?",
            right_first(sides, side(table)),
            f"the mean cosine to the nearest other prompt went from {before:.2f} to {after:.2f}.",
            "compare the columns `cosine before` and `cosine after` of the table",
        ),
        Choice(
            "far",
            "**Quiz 2.** Two clumps stand at opposite ends of a t-SNE map. What does that say?",
            (
                "Nothing on how far apart they are in CLIP's space.",
                "They are farther apart in CLIP's space than clumps that touch.",
                "Their images show opposite things.",
            ),
            "t-SNE keeps neighbours together and nothing else.",
            "what does t-SNE keep?",
        ),
        Choice(
            "centre",
            "**Quiz 3.** Why are images, prompts before and prompts after each centred first?",
            (
                "Else the map would show little more than the gaps between the three sets.",
                "Else the prompts would have other nearest classes.",
                "Else the ranking errors would depend on the map.",
            ),
            "images and texts have different means, and training moves all prompts together as well.",
            "think of three clouds of points that are far from each other",
        ),
    )


def take_away(table: pd.DataFrame, points: pd.DataFrame) -> tuple[str, ...]:
    means = _by_group(table["to start"], table["group"])
    listing = ", ".join(f"{group} {value:.2f}" for group, value in means.items())
    return (
        f"Mean cosine of a prompt to its own start in this run: {listing}.",
        f"On average {_SIDES[side(table)]}",
        error_told(points),
        "On a t-SNE map look at neighbours, never at distances; measure in the full space what a map seems to say.",
    )
