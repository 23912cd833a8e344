"""Notebook 00: the whole chain once."""

from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.run import Run
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import counts_and_question


def opening(dataset: Dataset) -> str:
    """How long the tail is."""
    return counts_and_question(dataset, "What can be learned for both at once?")


def pictures(dataset: Dataset, shown: int) -> str:
    """What the grid of pictures holds."""
    n_classes = int((dataset.class_counts > 0).sum())
    which = "each class" if shown >= n_classes else f"each of {shown} of the {n_classes} classes"
    return f"One training image of {which}, rarest first, with all of its labels; a class that an earlier one shows is not repeated."


def ratio(dataset: Dataset) -> Number:
    counts = dataset.class_counts[dataset.class_counts > 0]
    expected = counts.max() / counts.min()
    return Number(
        "ratio",
        "**Exercise.** How many times as many training images as the rarest class has the most frequent one?",
        expected,
        0.03 * expected,
        "the highest bar by the lowest; their numbers stand at the bars",
    )


def group_guess(zero_shot: Run, tuned: Run, ranking: str = "logit") -> Guess:
    """mAP by group under learned prompts, beside zero-shot CLIP's."""
    before, after = ({g: run.metrics["scores"][ranking][g] for g in GROUPS} for run in (zero_shot, tuned))
    kept = [group for group in GROUPS if before[group] is not None]
    return Guess(
        "groups",
        "**Predict.** Grey is mAP by group of CLIP as it comes. Prompts were learned on the training images. Where do head, "
        "medium and tail stand now? Move the outlines, then reveal.",
        {group: after[group] for group in kept},
        f"mAP (%), {ranking} ranking",
        (0, 100),
        known={group: before[group] for group in kept},
        known_name="zero-shot",
    )


def moved(zero_shot: Run, tuned: Run) -> str:
    """The change of mAP in total and by group under both rankings, in a sentence each."""
    sentences = []
    for ranking in RANKINGS:
        before, after = (run.metrics["scores"][ranking] for run in (zero_shot, tuned))
        kept = [name for name in ("total", *GROUPS) if before[name] is not None]
        changes = ", ".join(f"{name} {after[name] - before[name]:+.1f}" for name in kept)
        sentences.append(f"Under the **{ranking}** ranking learned prompts change mAP by these points: {changes}.")
    return " ".join(sentences)


def quiz(zero_shot: Run, tuned: Run) -> tuple[Choice, ...]:
    gains = {r: tuned.metrics["scores"][r]["total"] - zero_shot.metrics["scores"][r]["total"] for r in RANKINGS}
    same = (gains["logit"] > 0) == (gains["softmax"] > 0)
    sides = ("The two rankings agree on whether learned prompts gain.", "The two rankings disagree on it.")
    return (
        Choice(
            "frozen",
            "**Quiz 1.** What did training change?",
            ("The context vectors of the prompts.", "The image tower.", "The text tower.", "The class names."),
            "both towers stay frozen; four vectors a class are learned, and a scale and a bias for probabilities.",
            "what is frozen cannot change",
        ),
        Choice(
            "rankings",
            "**Quiz 2.** In this run, in total:",
            sides if same else sides[::-1],
            f"logit {gains['logit']:+.1f}, softmax {gains['softmax']:+.1f}.",
            "the sentence below the bars that you revealed has both totals",
        ),
        Choice(
            "few",
            "**Quiz 3.** A group has no interval. Why?",
            (
                "None of its classes has ten positives among the test images.",
                "It was trained with one seed.",
                "Its mAP is too low.",
            ),
            "an AP over a handful of positives hangs on single images, and no interval of it would hold.",
            "the text below the bars says when there is one",
        ),
    )


def take_away(zero_shot: Run, tuned: Run) -> tuple[str, ...]:
    before, after = (run.metrics["scores"]["logit"] for run in (zero_shot, tuned))
    changes = {group: after[group] - before[group] for group in GROUPS if before[group] is not None}
    best, worst = max(changes, key=changes.__getitem__), min(changes, key=changes.__getitem__)
    return (
        "Prompt tuning moves a few vectors of each class; image and text tower stay as they are.",
        f"A total hides who pays: here the {best} changes by {changes[best]:+.1f} and the {worst} by {changes[worst]:+.1f}.",
        "A number needs its ranking, its seeds and an interval before it is believed.",
    )
