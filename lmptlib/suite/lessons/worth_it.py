"""Notebook 16: prompts beside what needs no training loop."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lmptlib.config import Config
from lmptlib.data.dataset import Dataset
from lmptlib.suite.analysis.worth_it import tunes_prompts
from lmptlib.suite.lessons.questions import Choice, Number, Order

# Verdict on a difference in total -> the option that says it.
_SIDES = {
    "ahead": "Tuning prompts is ahead of the rival.",
    "behind": "Tuning prompts is behind the rival.",
    "open": "No difference is shown.",
    "few": "There are too few positives for an interval.",
}

# By kind of task, the sweep where nobody names one.
GRIDS = {"multi-label": "worth_it", "single-label": "worth_it_single"}


def opening(dataset: Dataset, configs: Mapping[str, Config]) -> str:
    """How many images classes have to learn from, and how many ways there are."""
    counts = dataset.class_counts[dataset.class_counts > 0]
    prompts = [row for row, config in configs.items() if tunes_prompts(config.method)]
    return (
        f"**{dataset.name}** has {counts.max():,} training images of one class and {counts.min():,} of another; the median is "
        f"{np.median(counts):.0f}. Of {len(configs)} ways to learn from them {len(prompts)} tune prompts: {', '.join(prompts)}. "
        "Are these worth it?"
    )


def order(table: pd.DataFrame, ranking: str = "logit") -> Order:
    """Rows by their total. table: `scores_and_costs`."""
    totals = table[table["group"] == "total"].set_index("row")["mean"]
    return Order(
        "order",
        "**Predict.** All rows saw the same features. Which has the highest mAP in total on the test images? Bring them into "
        "order, the highest on top, then reveal.",
        dict(zip(map(str, totals.index), totals.to_numpy(float))),
        f"mAP (%), {ranking} ranking",
    )


def times_learned(cost: pd.DataFrame, prompts: str, rival: str) -> Number:
    """The exercise: the numbers that two rows set. cost: `costs`."""
    ours, theirs = cost["learned"].astype(float)[[prompts, rival]]
    expected = ours / theirs if theirs else np.nan
    return Number(
        "times_learned",
        f"**Exercise.** How many times as many numbers as '{rival}' does '{prompts}' set?",
        expected,
        0.03 * expected,
        "the column `numbers learned` of the table above has both; the answer may be below one",
    )


def total_verdict(compared: pd.DataFrame, row: str) -> str:
    """`ahead`, `behind`, `open` or `few`: what can be said of a row's difference in total. compared: `compare`."""
    line = compared[(compared["row"] == row) & (compared["group"] == "total")].iloc[0]
    low, high = float(line["difference_low"]), float(line["difference_high"])
    return "few" if np.isnan(low) else "ahead" if low > 0 else "behind" if high < 0 else "open"


def quiz(compared: pd.DataFrame, prompts: str, rival: str) -> tuple[Choice, ...]:
    kind = total_verdict(compared, prompts)
    others = (option for name, option in _SIDES.items() if name not in (kind, "few"))
    return (
        Choice(
            "total",
            f"**Quiz 1.** '{prompts}' against '{rival}', in total:",
            (_SIDES[kind], *others),
            "the paired interval decides, and not the order of two means.",
            "look where the interval of the panel `total` lies",
        ),
        Choice(
            "favour",
            "**Quiz 2.** The row that tunes prompts was picked on the test images, its rival out of fold. Whom does that favour?",
            ("The row that tunes prompts.", "The rival.", "Neither: both were trained on the same images."),
            "it is the best of several on just these images; the rival had no such choice.",
            "which of the two was picked for its number on these images?",
        ),
        Choice(
            "draws",
            "**Quiz 3.** The learning curves' intervals are over draws of training images. What do they leave out?",
            (
                "Which test images there are.",
                "Which training images were drawn.",
                "How many images of each class were drawn.",
            ),
            "all draws are scored on the same test images; other ones would move all points.",
            "what is the same for all draws?",
        ),
    )


def take_away(compared: pd.DataFrame, cost: pd.DataFrame, prompts: str, rival: str) -> tuple[str, ...]:
    words = {
        "ahead": "is ahead of",
        "behind": "is behind",
        "open": "cannot be told from",
        "few": "cannot be judged against",
    }
    spent = cost["searched"]
    return (
        f"Here '{prompts}' {words[total_verdict(compared, prompts)]} '{rival}' in total, and takes {spent[prompts]:.1f} seconds "
        f"where that takes {spent[rival]:.1f}, the choice of settings included.",
        "Whether prompts are worth it depends on the data, the model and the number of images: the cheap rival is the first to try.",
        "Choose settings out of fold, and look at the test images once.",
    )
