"""Notebook 15: photographs of one's own."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.data.loading import load_dataset
from lmptlib.evaluation.intervals import FEWEST, TOO_FEW
from lmptlib.runs.run import Run
from lmptlib.suite.lessons import start_here
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.training.selection import in_words


def example(folder: Path, data_root: str | None = None, n_images: int = 500) -> Path:
    """The card of an example: training scenes of `emoji-lt` as a folder with `photos.csv`, written where it is missing."""
    card = folder / "photos.yaml"
    if card.exists():
        return card
    scenes = load_dataset("emoji-lt", data_root)
    folder.mkdir(parents=True, exist_ok=True)
    paths, labels = scenes.train.paths[:n_images], scenes.train.labels[:n_images]
    for path in paths:
        shutil.copy(path, folder / path.name)
    names = [";".join(np.array(scenes.class_names)[row]) for row in labels.astype(bool)]
    columns = {"image": [path.name for path in paths], "labels": names}
    if scenes.train.captions:
        columns["caption"] = list(scenes.train.captions[:n_images])
    pd.DataFrame(columns).to_csv(folder / "photos.csv", index=False)
    # says of the example that it shows emoji, which the default model knows
    card.write_text("name: photos\nsource: photos.csv\npictures: emoji\n")
    return card


def first_lines(dataset: str, n: int = 5) -> str:
    """The first lines of a CSV file, or of the one beside the example's card, as a block of text; nothing for other formats."""
    path = Path(dataset)
    path = path.with_suffix(".csv") if path.name == "photos.yaml" else path
    if path.suffix != ".csv" or not path.is_file():
        return ""
    with open(path, encoding="utf-8-sig") as lines:
        text = "".join(line for line, _ in zip(lines, range(n)))
    return f"The first lines of `{path.name}`:\n\n```text\n{text}```"


def once(log: Callable[[str], None], said: Iterable[str]) -> Callable[[str], None]:
    """A log that leaves out notes which stand there already: `said` at first, and each one after it was told."""
    notes = {f"note: {line}" for line in said}

    def told(line: str) -> None:
        if line not in notes:
            log(line)
        if line.startswith("note: "):
            notes.add(line)

    return told


def opening(own: Dataset) -> str:
    """How many photographs there are to learn from and to test on."""
    counts = own.class_counts[own.class_counts > 0]
    return (
        f"**{own.name}** has {len(own.train.paths):,} training photographs of {len(counts)} classes, from {counts.max():,} of a "
        f"class down to {counts.min():,}, and {len(own.test.paths):,} test photographs. Is that enough to tell how good a model is?"
    )


def few_test_images(own: Dataset) -> Number:
    """The exercise: for how many classes nothing, or of single labels not much, can be said."""
    positives = own.class_table()["test"].to_numpy()
    has = "has an interval that tells next to nothing" if own.task.single else "has no interval"
    return Number(
        "few_test_images",
        f"**Exercise.** A class with fewer than {FEWEST} test photographs {has}. How many of these "
        f"{len(positives)} classes are that?",
        float((positives < FEWEST).sum()),
        0,
        "count the rows of the table below the figure whose column `test` is that small; a class without any counts, too",
    )


def group_guess(zero_shot: Run, run: Run, ranking: str = "logit") -> Guess:
    """mAP by group of the run, beside zero-shot CLIP's."""
    ask = (
        "**Predict.** Grey is mAP by group of CLIP as it comes, on the test photographs. Where is the trained run? Move the "
        "outlines, then reveal."
    )
    return replace(start_here.group_guess(zero_shot, run, ranking), ask=ask)


def chosen_say(run: Run) -> str:
    """What folds of the training photographs have chosen."""
    found = run.out_of_fold
    if not found:
        return "No setting of this run was chosen by folds: it has no figure out of fold."
    left_out = ", ".join(found["left_out"]) or "no class"
    lines = [f"- **{name}**: {in_words(value)}" for name, value in found["chosen"].items()]
    told = f"Chosen by **{found['name']}** among {len(found['trials'])} trials:"
    return "\n".join([told, "", *lines, f"- left out, with one training photograph: {left_out}"])


def groups_say(zero_shot: Run, run: Run, ranking: str = "logit") -> str:
    """The change of mAP from zero-shot CLIP, and which groups have no interval."""
    before, after = (one.metrics["scores"][ranking] for one in (zero_shot, run))
    kept = [name for name in ("total", *GROUPS) if before[name] is not None]
    changes = ", ".join(f"{name} {after[name] - before[name]:+.1f}" for name in kept)
    bare = [name for name in kept if not after["ci95"][name]]
    return f"From zero-shot CLIP to this run mAP changes by these points, {ranking} ranking: {changes}." + (
        f" No interval ({TOO_FEW}): {', '.join(bare)}." if bare else ""
    )


def prompts_say(run: Run, name: str) -> str:
    """What its prompts are, or that a run, called so, has none."""
    if "learner.context" in run.prompts():
        return (
            "The words of CLIP's vocabulary whose embeddings lie nearest to each learned context token. A distance near 0 means "
            "that the token hardly moved from the word it started at. Do not read a meaning into words at large distances: "
            "learned vectors lie between words, and the nearest one is often near by chance."
        )
    return (
        f'The run **{name}** learns no prompts. Set `recipe` to `"calibrated"` in the parameters cell to train one that does; '
        "then the words nearest to its prompts stand here."
    )


def quiz(own: Dataset, zero_shot: Run, run: Run) -> tuple[Choice, ...]:
    totals = [one.metrics["scores"]["logit"]["total"] for one in (zero_shot, run)]
    sides = ("The trained run has the higher total.", "Zero-shot CLIP has the higher total.", "Their totals are equal.")
    place = 0 if totals[1] > totals[0] else 1 if totals[1] < totals[0] else 2
    return (
        Choice(
            "total",
            "**Quiz 1.** On these test photographs, under the logit ranking:",
            (sides[place], *(side for i, side in enumerate(sides) if i != place)),
            f"zero-shot {totals[0]:.1f}, the run {totals[1]:.1f}.",
            "the sentence below the bars has the difference",
        ),
        Choice(
            "out_of_fold",
            "**Quiz 2.** Settings were chosen by the figure out of fold. Which figure tells how good the run is?",
            (
                "That of the test photographs: no setting saw them.",
                "That out of fold: it has more photographs.",
                "The higher of the two.",
                "Their mean.",
            ),
            "what was chosen for being high is in part high by luck; the test photographs had no say.",
            "which of them had a say in the choice?",
        ),
        Choice(
            "another_day",
            "**Quiz 3.** Training photographs are of one place, those you will use it on of another. How do you split?",
            (
                "One place for training, another one for testing.",
                "At random over all photographs.",
                "The rare classes for training, the others for testing.",
                "All for training, and the figure out of fold for testing.",
            ),
            "a test tells about what it is like: photographs of a new place.",
            "the test should be like the use",
        ),
    )


def take_away(own: Dataset, zero_shot: Run, run: Run) -> tuple[str, ...]:
    positives = own.class_table()["test"]
    few, telling = int((positives < FEWEST).sum()), " that tells much" if own.task.single else ""
    before, after = (one.metrics["scores"]["logit"]["total"] for one in (zero_shot, run))
    return (
        "A table of images and labels is all that training needs; a run's folder is all that is needed afterwards.",
        f"Here mAP goes from {before:.1f} (zero-shot) to {after:.1f}, logit ranking, over all classes with test photographs.",
        f"{few} of {len(positives)} classes have too few test photographs for an interval{telling}: trust groups before classes.",
    )
