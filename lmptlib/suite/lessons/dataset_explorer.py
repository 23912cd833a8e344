"""Notebook 01: what is in the data, and what stands beside the rare classes."""

from collections.abc import Mapping

import numpy as np

from lmptlib.data.dataset import Dataset
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import most_and_least, right_first

# Points of difference between two shares that are worth a word.
_CLEAR = 10
ONE_LABEL = (
    "An image is of one class here: nothing stands beside it, and what follows is for images with several labels."
)
_LONG = {"train": "training", "val": "validation", "test": "test"}


def opening(dataset: Dataset) -> str:
    """How many training images the rarest and the most frequent class have."""
    counts, names = dataset.class_counts, dataset.class_names
    most, rarest = most_and_least(counts)
    asked = "how many are enough" if dataset.task.single else "what else do they show"
    return (
        f"**{names[rarest]}** is in {counts[rarest]:,} of {dataset.name}'s {len(dataset.train):,} training images, "
        f"**{names[most]}** in {counts[most]:,}: {asked}?"
    )


def several(dataset: Dataset) -> Number:
    labels = dataset.train.labels.sum(1)
    return Number(
        "several",
        "**Exercise.** What percentage of the training images has two labels or more?",
        100 * float((labels > 1).mean()),
        2,
        "add up the training bars from two labels on",
        unit="%",
    )


def company_guess(companion: str, shares: Mapping[str, float]) -> Guess:
    """The mean share of the rare classes' images that show the companion, by split."""
    return Guess(
        "company",
        f"**Predict.** Of the images of a rare class, how many show **{companion}** too? A bar is the mean over the rare "
        "classes. Set it for training and for test images, then reveal.",
        shares,
        f"images with {companion} (%)",
        (0, 100),
    )


def company_told(companion: str, shares: Mapping[str, float]) -> str:
    """What training and test images show beside rare classes, in a sentence."""
    train, test = shares["training"], shares["test"]
    if np.isnan(test):
        return "No test image shows a rare class: there is nothing to compare."
    told = f"Of a rare class's images {train:.0f}% show {companion} in training and {test:.0f}% in the test images, on average."
    if train - test > _CLEAR:
        return f"{told} A model may take {companion} for a sign of a rare class: it is one more often in training than after."
    if test - train > _CLEAR:
        return f"{told} The test images are fuller than the training images: what stands beside a class is new there."
    return f"{told} Training and test images agree here."


def cut_guess(companion: str, shares: Mapping[str, float]) -> Guess:
    """What the rule that cuts a long tail does to the company of the rare classes."""
    name = f"beside rare classes: {companion}"
    return Guess(
        "cut",
        f"**Predict.** Grey: of a rare class's images among all there are, the share that shows **{companion}** too. The "
        "rule cuts a sample out of them, and never asks for this. What is the share in the sample?",
        {name: shares["the sample"]},
        f"images with {companion} (%)",
        (0, 100),
        known={name: shares["all images"]},
        known_name="all images",
    )


def cut_told(companion: str, shares: Mapping[str, float]) -> str:
    """What the rule did to the company, and why where it grew."""
    before, after = shares["all images"], shares["the sample"]
    if np.isnan(before - after):
        return f"No rare class has an image in the sample: what the rule does to the company of {companion} cannot be told."
    told = (
        f"The share of a rare class's images that show {companion} goes from {before:.0f}% to {after:.0f}%, on average."
    )
    if after - before > _CLEAR:
        return (
            f"{told} **The rule makes the rare keep company.** The first classes are filled with images that bring others "
            "along. When a rare class has its turn, there are often too many of it already: images are only taken away, "
            "and those that stay came with a frequent class. This company is made by the cut and not by the world."
        )
    if before - after > _CLEAR:
        return f"{told} Here the rule takes company away from the rare."
    return f"{told} Here the rule leaves the company of the rare classes about as it was."


def alone(dataset: Dataset) -> Number:
    """Images of a split that show the rarest class and nothing else."""
    split = "val" if dataset.val else "test"
    labels, (_, rarest) = dataset.splits[split].labels, most_and_least(dataset.class_counts)
    lone = labels[:, rarest] & (labels.sum(1) == 1)
    there = bool(labels[:, rarest].any())
    return Number(
        "alone",
        f"**Exercise.** In the explorer of images choose the {_LONG[split]} split, **{dataset.class_names[rarest]}** and "
        "`these alone`. How many images are there? How many are there in training?",
        int(lone.sum()) if there else float("nan"),
        0,
        f"the first number only: images of the {_LONG[split]} split with this one label",
    )


def quiz(companion: str, shares: Mapping[str, float]) -> tuple[Choice, ...]:
    train, test = shares["training"], shares["test"]
    sides = {
        "less": f"{companion} stands beside rare classes more often in training than in the test images.",
        "more": f"{companion} stands beside rare classes less often in training than in the test images.",
        "same": f"{companion} stands beside rare classes about equally often in both.",
    }
    right = "less" if train - test > _CLEAR else "more" if test - train > _CLEAR else "same"
    company = Choice(
        "company-quiz",
        "**Quiz 1.** In these data:",
        right_first(sides, right),
        f"{train:.0f}% in training, {test:.0f}% in the test images, as a mean over the rare classes.",
        "the first guess of this notebook has both shares",
    )
    return (
        *(() if np.isnan(test) else (company,)),
        Choice(
            "near-miss",
            "**Quiz 2.** A model scores a rare class by its companion and not by the thing itself. Where does that show?",
            (
                "In test images that show the class without its companion.",
                "In the training loss.",
                "In training images of the class, which it ranks low.",
            ),
            "while the two stand together, the companion is as good a sign as the thing; apart it is none.",
            "think of an image where the sign is missing",
        ),
        Choice(
            "rule",
            "**Quiz 3.** Why do classes not keep the counts that the Pareto rule wants?",
            (
                "Each image comes and goes with all of its labels.",
                "The Pareto density is drawn at random.",
                "Images without a label are counted for every class.",
            ),
            "an image that is added for one class is added for its other classes too, whose turn may be over.",
            "what else changes when an image of one class is added?",
        ),
    )


def take_away(companion: str, shares: Mapping[str, float]) -> tuple[str, ...]:
    test = shares["test"]
    after = "no test image shows one" if np.isnan(test) else f"in {test:.0f}% of their test images"
    return (
        "Count the test images of a class too: an AP over ten positives is a guess.",
        f"Rare classes come with {companion} in {shares['training']:.0f}% of their training images; {after}.",
        f"The rule that cuts a long tail moves this share from {shares['all images']:.0f}% to {shares['the sample']:.0f}%: "
        "how a data set was made is part of what it teaches.",
    )
