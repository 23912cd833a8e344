"""Notebook 02: CLIP without any training, three rankings of one matrix of cosines, and what an image's offset does."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from lmptlib.data.dataset import Dataset
from lmptlib.evaluation.average_precision import average_precision
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import judged, listed, right_first

NOT_SINGLE = "its three rankings order images class by class, and keep the order of an image's classes, which accuracy is made of."
# An mAP in percent; the bars of all guesses have one scale.
_PERCENT = (0, 100)


def opening(dataset: Dataset, total: float) -> str:
    """mAP without training beside that of a ranking by chance, which is a class's share of the images."""
    labels = dataset.test.labels
    chance = 100 * labels[:, labels.any(0)].mean()
    return (
        f"Without a label of {dataset.name} CLIP has an mAP of **{total:.1f}%**; an order by chance has about {chance:.1f}%. "
        "What is this score made of?"
    )


def rankings_guess(table: pd.DataFrame) -> Guess:
    """mAP under the three rankings; table as `ranking_table` gives it, against `logit`."""
    rows = table[table["group"] == "total"]
    total = dict(zip(rows["row"], rows["mean"]))
    return Guess(
        "rankings",
        f"**Predict.** Under `logit` mAP is {total['logit']:.1f}%. The same cosines are ranked `centred` and by `softmax`. "
        "Where do these two stand?",
        {name: value for name, value in total.items() if name != "logit"},
        "mAP (%)",
        _PERCENT,
        known={name: total["logit"] for name in total if name != "logit"},
        known_name="logit",
    )


def rankings_told(table: pd.DataFrame) -> str:
    """How far the rankings are from `logit` in total, paired on the test images."""
    rows = table[(table["group"] == "total") & (table["row"] != "logit")]
    return " ".join(f"{row['row']} less logit: {judged(row)}." for _, row in rows.iterrows())


def shift_guess(rows: Mapping[str, Mapping[str, float]]) -> Guess:
    """mAP by ranking after a random number was added to each image; rows: shift -> ranking -> mAP."""
    return Guess(
        "shift",
        "**Predict.** Grey is mAP by ranking. Now a random number is added to each **image**, the same for all of its "
        "classes. Where does mAP go under each ranking?",
        rows["+ a number an image"],
        "mAP (%)",
        _PERCENT,
        known=rows["as it is"],
        known_name="as it is",
    )


def shift_told(rows: Mapping[str, Mapping[str, float]]) -> str:
    """What the two shifts did under each ranking."""
    before = rows["as it is"]
    told = []
    for shift in ("+ a number an image", "+ a number a class"):
        gaps = {name: value - before[name] for name, value in rows[shift].items()}
        told.append(
            f"{shift[2:].capitalize()}: " + ", ".join(f"{name} {gap:+.1f}" for name, gap in gaps.items()) + " points."
        )
    return " ".join(told)


def offset_told(of_offset: float, low: float, high: float) -> str:
    """mAP of the offset alone beside that of shuffled offsets, 95% of which lie from low to high."""
    told = f"mAP of the offset alone is {of_offset:.1f}%; 95% of shuffled offsets have {low:.1f} to {high:.1f}."
    if of_offset < low:
        return f"{told} It is **worse than chance**: images with a high offset tend to show fewer of the classes."
    if of_offset > high:
        return f"{told} It is better than chance: images with a high offset tend to show more of the classes."
    return f"{told} It cannot be told from chance."


def crowded_told(offset: np.ndarray, n_labels: np.ndarray) -> str:
    """Whether images with many labels have other offsets. offset (N,), n_labels (N,)."""
    r, p = _rank_correlation(offset, n_labels)
    if np.isnan(r):
        return "All images have one number of labels: there is nothing to compare."
    told = f"The rank correlation of offset and number of labels is {r:+.2f}."
    if p > 0.05:
        return f"{told} Whether the two go together cannot be told (p {p:.2f})."
    if r < -0.1:
        return (
            f"{told} Crowded scenes are less like every text, and they hold most labels each: under `logit` the offset takes "
            "them down in all classes, also in those that are there."
        )
    if r > 0.1:
        return f"{told} Crowded scenes are nearer to every text: under `logit` the offset lifts them in all classes."
    return f"{told} The offset hardly goes with the number of labels here."


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Spearman's, and its p-value; NaN where one of the two does not vary."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan"), float("nan")
    found = stats.spearmanr(a, b)
    return float(found.statistic), float(found.pvalue)


def leaning(name: str, offset: np.ndarray, before: np.ndarray, after: np.ndarray) -> str:
    """How a class's scores (N,) go with the images' offsets (N,), before and after centring."""
    was, now = (float(np.corrcoef(offset, scores)[0, 1]) for scores in (before, after))
    return f"Correlation of offset and score for {name}: {was:+.2f} under `logit`, {now:+.2f} centred."


def losers_told(gains: pd.DataFrame) -> str:
    """Which classes lose by centring, and whether the lead says so. gains: columns class, gain, lead."""
    lost = gains[gains["gain"] < 0].sort_values("gain")
    if lost.empty:
        told = f"None of {len(gains)} classes loses by centring."
    else:
        worst = lost.head(3).assign(place=gains["lead"].rank(ascending=False).astype(int))
        named = listed(f"{row['class']} {row['gain']:+.1f} (lead: place {row['place']})" for _, row in worst.iterrows())
        told = f"{len(lost)} of {len(gains)} classes lose by centring; most: {named}."
    r, p = _rank_correlation(gains["lead"].to_numpy(), gains["gain"].to_numpy())
    if np.isnan(r):
        return told
    if p > 0.05:
        return f"{told} Over all classes, whether lead and gain go together cannot be told (rank correlation {r:+.2f}, p {p:.2f})."
    return (
        f"{told} The higher the lead, the {'less' if r < 0 else 'more'} a class gains here: rank correlation {r:+.2f}."
    )


def best_share(shares: np.ndarray, total: np.ndarray) -> Number:
    """The share of the offset that is best taken off; shares (S,) and the mAP (S,) of each."""
    return Number(
        "best-share",
        "**Exercise.** Which share of the offset, taken off, gives the best mAP on these test images?",
        float(shares[np.argmax(total)]),
        0.15,
        "the highest point of the curve; its place on the horizontal axis",
    )


def within_images(labels: np.ndarray, cosine: np.ndarray) -> Number:
    """mAP where each image ranks its classes."""
    return Number(
        "within",
        "**Exercise.** AP could also go image by image: rank the classes of each image, and take the mean over images. In a "
        "new cell, work out `100 * np.nanmean(average_precision(labels.T, cosine.T))`, then the same with "
        '`scores["centred"].T` and `scores["softmax"].T`. What is it for `centred`, in percent?',
        100 * float(np.nanmean(average_precision(labels.T, cosine.T))),
        0.1,
        "labels and scores both turned with `.T`; times a hundred",
        unit="%",
    )


def templates_guess(spread: Mapping[str, float], n_templates: int) -> Guess:
    """Best less worst template, by ranking."""
    top = max(10.0, *(np.ceil(value) for value in spread.values()))
    return Guess(
        "templates",
        f"**Predict.** {n_templates} sets of templates are tried, from `a photo of a {{}}.` to CLIP's authors' best. How many "
        "points of mAP lie between the best and the worst of them, under each ranking?",
        spread,
        "best less worst mAP (points)",
        (0, top),
    )


def templates_told(spread: Mapping[str, float]) -> str:
    """Under which ranking templates differ most."""
    listing = ", ".join(f"{name} {value:.2f}" for name, value in spread.items())
    told = f"Points between the best and the worst template: {listing}."
    rest = max(value for name, value in spread.items() if name != "logit")
    # what is left when it is taken off is then less than half
    if spread["logit"] > 2 * rest:
        return (
            f"{told} Most of what a template changes here is what it adds to all texts alike, which `logit` alone sees."
        )
    return told


def quiz(table: pd.DataFrame) -> tuple[Choice, ...]:
    row = table[(table["group"] == "total") & (table["row"] == "centred")].iloc[0]
    low, high = row["difference_low"], row["difference_high"]
    sides = {
        "above": "Centring raises the mAP of all classes together, and its interval holds no zero.",
        "below": "Centring lowers the mAP of all classes together, and its interval holds no zero.",
        "same": "Whether centring raises or lowers the mAP of all classes together cannot be told.",
    }
    right = "above" if low > 0 else "below" if high < 0 else "same"
    return (
        Choice(
            "centring",
            "**Quiz 1.** On these test images:",
            right_first(sides, right),
            f"centred less logit: {judged(row)}.",
            "look at the sentence below the first guess",
        ),
        Choice(
            "class-number",
            "**Quiz 2.** A constant is added to all scores of one class, before ranking. Which ranking can change?",
            ("`softmax` alone.", "`logit` alone.", "`centred` and `softmax`.", "All three."),
            "AP ranks within a column, and a softmax lets columns compete. In `centred` the image's mean moves by one number for "
            "all images.",
            "the table of shifts has a row for it",
        ),
        Choice(
            "within-quiz",
            "**Quiz 3.** Classes are ranked within each image. Which ranking is best then?",
            (
                "None: all three give one order.",
                "`softmax`, as CLIP was trained so.",
                "`centred`, which has no offset.",
            ),
            "within an image, centring takes one number from all classes, and a softmax keeps their order.",
            "what does each ranking take from the classes of one image?",
        ),
    )


def take_away(table: pd.DataFrame, spread: Mapping[str, float]) -> tuple[str, ...]:
    gaps = table[(table["group"] == "total") & (table["row"] != "logit")]
    listing = listed(f"{row.difference:+.1f} by {row.row}" for row in gaps.itertuples())
    return (
        "Zero-shot CLIP has one number for an image and a class: a cosine. The ranking decides what is made of it.",
        f"Against `logit`, mAP changes by these points on the same cosines: {listing}. Compare no two numbers under two rankings.",
        "An image's offset is its likeness to all texts alike; `centred` takes it off, and a softmax takes off a soft mean.",
        f"Templates differ by {spread['logit']:.1f} points under `logit` and by {spread['centred']:.1f} centred.",
    )
