"""Notebook 00: the whole chain once."""

from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.run import Run
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import counts_and_question, groups_told, most_and_least


def opening(dataset: Dataset) -> str:
    """How long the tail is, and how classes are grouped."""
    question = counts_and_question(dataset, "What can be learned for both at once?")
    return f"{question}\n\n{groups_told(dataset.task.attrs)}"


def pictures(dataset: Dataset, shown: int) -> str:
    """What the grid of pictures holds."""
    n_classes = int((dataset.class_counts > 0).sum())
    which = "each class" if shown >= n_classes else f"each of {shown} of the {n_classes} classes"
    if dataset.task.single:
        return f"One training image of {which}, rarest first."
    return f"One training image of {which}, rarest first, with all of its labels; a class that an earlier one shows is not repeated."


def ratio(dataset: Dataset) -> Number:
    most, least = dataset.class_counts[list(most_and_least(dataset.class_counts))]
    expected = most / least
    return Number(
        "ratio",
        "**Exercise.** How many times as many training images as the rarest class has the most frequent one?",
        expected,
        0.03 * expected,
        "the highest bar by the lowest; their numbers stand at the bars",
    )


def group_guess(zero_shot: Run, tuned: Run, ranking: str = "logit") -> Guess:
    """mAP by group of the tuned run, beside zero-shot CLIP's."""
    before, after = ({g: run.metrics["scores"][ranking][g] for g in GROUPS} for run in (zero_shot, tuned))
    kept = [group for group in GROUPS if before[group] is not None]
    return Guess(
        "groups",
        f"**Predict.** Grey is mAP by group of CLIP as it comes. Where does **{tuned.title}**, learned on the training images, "
        "stand in each group? Move the outlines, then reveal.",
        {group: after[group] for group in kept},
        f"mAP (%), {ranking} ranking",
        (0, 100),
        known={group: before[group] for group in kept},
        known_name="zero-shot",
    )


def moved(zero_shot: Run, tuned: Run) -> str:
    """The change of mAP in total and by group under each ranking of the task, in a sentence each."""
    sentences = []
    for ranking in tuned.measure.rankings:
        before, after = (run.metrics["scores"][ranking] for run in (zero_shot, tuned))
        kept = [name for name in ("total", *GROUPS) if before[name] is not None]
        changes = ", ".join(f"{name} {after[name] - before[name]:+.1f}" for name in kept)
        sentences.append(f"Under the **{ranking}** ranking {tuned.title} changes mAP by these points: {changes}.")
    return " ".join(sentences)


_LOGIT_MAPS = {
    "raw": "",
    "affine": ", and a scale and a bias",
    "affine_per_class": ", and a scale and a bias of each class",
}


def _vectors(run: Run) -> str:
    """Which vectors of the prompts were learned; empty for a method without learned prompts."""
    settings = run.settings
    if "n_ctx" not in settings:
        return ""
    # without a number of their own they are the words that they start from
    n = settings["n_ctx"]
    vectors = "the context vectors" if n is None else f"{n} context vector{'' if n == 1 else 's'}"
    return f"{vectors} {'for each class' if settings['class_specific'] else 'for all classes together'}"


def quiz(zero_shot: Run, tuned: Run) -> tuple[Choice, ...]:
    gains = {r: tuned.metrics["scores"][r]["total"] - zero_shot.metrics["scores"][r]["total"] for r in RANKINGS}
    same = (gains["logit"] > 0) == (gains["softmax"] > 0)
    sides = (f"The two rankings agree on whether {tuned.title} gains.", "The two rankings disagree on it.")
    vectors, beside = _vectors(tuned), " and a probe" if "residual" in tuned.settings else ""
    frozen = Choice(
        "frozen",
        "**Quiz 1.** What did training change?",
        (f"The context vectors of the prompts{beside}.", "The image tower.", "The text tower.", "The class names."),
        f"both towers stay frozen; learned are {vectors}{beside}{_LOGIT_MAPS[tuned.settings.get('logit_map', 'raw')]}.",
        "what is frozen cannot change",
    )
    if tuned.task == "single-label":
        return ((frozen,) if vectors else ()) + (_accuracy(zero_shot, tuned),)
    return (
        *((frozen,) if vectors else ()),
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


def _accuracy(zero_shot: Run, tuned: Run) -> Choice:
    """Where the accuracy over images and the mean over classes part, of single labels."""
    n, rare = 90, 10
    return Choice(
        "images",
        f"**Quiz 2.** Of a frequent class {n} of {n} test images are right, of a rare one none of {rare}. What is the accuracy of these "
        "figures, a mean over classes?",
        ("50%.", "90%.", "100%."),
        f"each class counts alike; over images it would be {n / (n + rare):.0%}, and nobody would see the rare class.",
        "take the accuracy of each class first",
    )


def take_away(zero_shot: Run, tuned: Run) -> tuple[str, ...]:
    before, after = (run.metrics["scores"]["logit"] for run in (zero_shot, tuned))
    changes = {group: after[group] - before[group] for group in GROUPS if before[group] is not None}
    best, worst = max(changes, key=changes.__getitem__), min(changes, key=changes.__getitem__)
    apart = f"here the {best} changes by {changes[best]:+.1f} and the {worst} by {changes[worst]:+.1f}."
    pays = (
        "A total hides who pays" if changes[worst] < 0 < changes[best] else "A total is a mean over groups that differ"
    )
    vectors = _vectors(tuned)
    return (
        f"{f'Prompt tuning moves {vectors}; i' if vectors else 'I'}mage and text tower stay as they are.",
        *([f"{pays}: {apart}"] if changes[best] - changes[worst] >= 0.05 else []),
        f"A number needs {'' if tuned.task == 'single-label' else 'its ranking, '}its seeds and an interval before it is believed.",
    )
