"""Notebook 07: which labels and images a run finds that another misses, and the reverse.

summary: of `lmptlib.suite.analysis.cases.class_summary`; runs: of `run_summary`, both against the first run.
"""

import pandas as pd
from scipy import stats

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import listed, right_first


def opening(summary: pd.DataFrame, runs: pd.DataFrame, first: str, single: bool = False) -> str:
    """What the first run finds and adds, and how many images it has right; of single labels that alone."""
    if single:
        return f"`{first}` has {runs['right'][first]:,} of {runs['images'][first]:,} test images right."
    counts = summary.loc[summary["run"] == first, ["shown", "found", "added"]].sum()
    return (
        f"`{first}` finds {counts['found']:,} of {counts['shown']:,} labels, adds {counts['added']:,} that are not there, and has "
        f"{runs['right'][first]:,} of {runs['images'][first]:,} test images exactly right."
    )


def group_counts(summary: pd.DataFrame, run: str) -> pd.DataFrame:
    """Labels of one run by group: columns group, count (found, missed, added), labels."""
    by_group = summary[summary["run"] == run].groupby("group")[["found", "missed", "added"]].sum()
    by_group = by_group.reindex([group for group in GROUPS if group in by_group.index])
    return by_group.reset_index().melt("group", var_name="count", value_name="labels")


def found_guess(runs: pd.DataFrame, first: str, last: str) -> Guess:
    """Labels found in percent by group, of the last run beside the first."""
    columns = {group: f"found {group} (%)" for group in GROUPS}
    kept = {group: column for group, column in columns.items() if runs[column].notna().all()}
    return Guess(
        "found",
        f"**Predict.** Grey: labels that `{first}` finds, in percent of the labels there are. How many does `{last}` find in each "
        "group?",
        {group: float(runs[column][last]) for group, column in kept.items()},
        "labels found (%)",
        (0, 100),
        known={group: float(runs[column][first]) for group, column in kept.items()},
        known_name=first,
    )


def labels_told(summary: pd.DataFrame, first: str, last: str) -> str:
    """What the last run fixed and broke by group, and where a sign test tells the two apart."""
    by_group = summary[summary["run"] == last].groupby("group")[["fixed", "broke", "shown"]].sum().query("shown > 0")
    counts = {
        group: tuple(map(int, by_group.loc[group, ["fixed", "broke"]])) for group in GROUPS if group in by_group.index
    }
    listing = "; ".join(f"{fixed} and {broke} in {group}" for group, (fixed, broke) in counts.items())
    kinds: dict[str, list[str]] = {"more fixed in": [], "more broken in": [], "cannot be told in": []}
    for group, both in counts.items():
        kinds[_side(*both)].append(group)
    verdict = "; ".join(f"{words} {listed(names)}" for words, names in kinds.items() if names)
    return f"Labels that `{last}` finds and `{first}` misses, and the reverse: {listing}. By a sign test: {verdict}."


def _side(fixed: int, broke: int) -> str:
    """Whether there are more fixed than broken ones, fewer, or whether chance alone may make the difference (5%)."""
    if not fixed + broke or stats.binomtest(fixed, fixed + broke).pvalue > 0.05:
        return "cannot be told in"
    return "more fixed in" if fixed > broke else "more broken in"


def images_told(runs: pd.DataFrame, first: str, last: str) -> str:
    """Images right under the first and the last run, fixed and broken."""
    before, after, images = runs["right"][first], runs["right"][last], runs["images"][last]
    told = (
        f"Images exactly right: {before} under `{first}`, {after} under `{last}`, of {images:,}; "
        f"{runs['fixed'][last]:,} fixed, {runs['broke'][last]:,} broken."
    )
    if max(before, after) < 0.05 * images:
        return f"{told} They are few."
    return told


def often_told(summary: pd.DataFrame, run: str, images: int) -> str:
    """The class that a run adds most often."""
    rows = summary[summary["run"] == run].sort_values("added", ascending=False, kind="stable")
    most = rows.iloc[0]
    if not most["added"]:
        return f"`{run}` adds no label."
    return (
        f"`{run}` adds **{most['class']}** ({most['group']}) most often: it says it of {most['said']:,} of {images:,} test images, "
        f"where {most['shown']:,} show it. That is {most['added'] / rows['added'].sum():.0%} of all labels that it adds."
    )


def confused_told(table: pd.DataFrame, run: str) -> str:
    """How many images of the rarest classes are right, and what is said most often in their place. table: of `confusions`."""
    wrong = table[table["class"] != table["said"]].sort_values("images", ascending=False, kind="stable")
    n = int(table["images"].sum())
    told = f"Of {n} test images of the {table['class'].nunique()} rarest classes `{run}` has {n - wrong['images'].sum()} right."
    if wrong.empty:
        return told
    pairs = (f"{row['images']} of {row['class']} as {row['said']}" for row in wrong.head(3).to_dict("records"))
    return f"{told} Most often it takes {listed(pairs)}."


def ranked_told(runs: pd.DataFrame, before: float, after: float, first: str, last: str) -> str:
    """mAP of the first and the last run beside the labels that they find, in percent."""
    found = runs["found total (%)"]
    told = (
        f"From `{first}` to `{last}` mAP changes by {after - before:+.1f} points, and labels found by "
        f"{found[last] - found[first]:+.1f} points."
    )
    opposite = (after - before) * (found[last] - found[first]) < 0
    return f"{told} Here the two go opposite ways." if opposite else told


def precision(summary: pd.DataFrame, run: str) -> Number:
    """Of the labels that a run says, the percentage that is there."""
    counts = summary.loc[summary["run"] == run, ["found", "said"]].sum()
    return Number(
        "precision",
        f"**Exercise.** Of all labels that `{run}` says of the test images, what percentage is there? The table `summary` has a "
        "line a run and class.",
        100 * counts["found"] / counts["said"] if counts["said"] else float("nan"),
        0.5,
        f'sum the columns `found` and `said` over the lines with `summary["run"] == "{run}"`',
        unit="%",
    )


def quiz(summary: pd.DataFrame, first: str, last: str, single: bool = False) -> tuple[Choice, ...]:
    """Three questions; of single labels, which have no thresholds, two."""
    fixed, broke = (int(summary.loc[summary["run"] == last, name].sum()) for name in ("fixed", "broke"))
    sides = {
        "more fixed in": f"{last} fixes more labels than it breaks.",
        "more broken in": f"{last} breaks more labels than it fixes.",
        "cannot be told in": f"Whether {last} fixes or breaks more labels cannot be told.",
    }
    sides_of_all = Choice(
        "sides",
        f"**Quiz 1.** Against `{first}`, over all classes and by a sign test:",
        right_first(sides, _side(fixed, broke)),
        f"{fixed} fixed, {broke} broken.",
        "add up fixed and broken labels over the groups",
    )
    if single:
        return sides_of_all, _OVER_IMAGES
    return (
        sides_of_all,
        Choice(
            "threshold",
            "**Quiz 2.** Why are thresholds not chosen on the test images?",
            (
                "They would fit these images, and the counts would flatter every run.",
                "Test images have no labels.",
                "A threshold needs images that show one class alone.",
            ),
            "what is chosen on images cannot be tested on them.",
            "what would a threshold learn from the images that it is judged on?",
        ),
        Choice(
            "map",
            "**Quiz 3.** One run has the higher mAP, the other has more images right. How can that be?",
            (
                "mAP compares images within a class and needs no threshold.",
                "mAP counts images without a label, too.",
                "One of the two numbers must be wrong.",
            ),
            "an image is right when all its classes are on the right side of their thresholds; AP asks for the order of images alone.",
            "which of the two depends on thresholds?",
        ),
    )


_OVER_IMAGES = Choice(
    "images",
    "**Quiz 2.** When is the share of all images that are right the same number as the accuracy by class, averaged?",
    (
        "Where all classes have equally many test images.",
        "Where all classes have equally many training images.",
        "Always.",
        "Where no class is rare in training.",
    ),
    "a mean over images weighs a class by its test images, a mean over classes does not.",
    "what does a class with ten times the test images weigh in either mean?",
)


def take_away(summary: pd.DataFrame, runs: pd.DataFrame, first: str, last: str) -> tuple[str, ...]:
    return (
        labels_told(summary, first, last),
        images_told(runs, first, last),
        "Telling pictures are the extremes. Count how often each kind happens before you believe one.",
    )
