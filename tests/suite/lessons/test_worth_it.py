"""What notebook 16 says and asks follows from its tables."""

import math

import numpy as np
import pandas as pd
import pytest

from lmptlib.config import resolve
from lmptlib.data.loading import load_dataset
from lmptlib.suite.lessons import worth_it

COST = pd.DataFrame({"learned": [400, 100], "searched": [9.0, 0.5]}, index=["LMPT", "lda"])


def compared(low, high):
    middle = (low + high) / 2
    columns = ["row", "group", "difference", "difference_low", "difference_high"]
    return pd.DataFrame([("LMPT", "total", middle, low, high), ("LMPT", "head", 9.0, 8.0, 10.0)], columns=columns)


@pytest.mark.parametrize(
    ("low", "high", "kind", "words"),
    [
        (1.0, 2.0, "ahead", "is ahead of"),
        (-2.0, -1.0, "behind", "is behind"),
        (-1.0, 2.0, "open", "cannot be told from"),
        (np.nan, np.nan, "few", "cannot be judged against"),
    ],
)
def test_the_verdict_is_that_of_the_interval_in_total(low, high, kind, words):
    table = compared(low, high)
    assert worth_it.total_verdict(table, "LMPT") == kind
    first = worth_it.quiz(table, "LMPT", "lda")[0]
    assert len(set(first.options)) == len(first.options) and kind == {
        "Tuning prompts is ahead of the rival.": "ahead",
        "Tuning prompts is behind the rival.": "behind",
        "No difference is shown.": "open",
    }.get(first.options[0], "few")
    assert f"'LMPT' {words} 'lda' in total, and takes 9.0 seconds" in worth_it.take_away(table, COST, "LMPT", "lda")[0]


def test_questions_hold_the_tables_numbers():
    table = pd.DataFrame({"row": ["a", "a", "b"], "group": ["total", "head", "total"], "mean": [40.0, 90.0, 50.0]})
    assert worth_it.order(table).right == ["b", "a"]
    number = worth_it.times_learned(COST, "LMPT", "lda")
    assert number.verdict("4")[0] and number.verdict("400/100")[0] and not number.verdict("5")[0]
    assert math.isnan(worth_it.times_learned(COST.assign(learned=[4, 0]), "LMPT", "lda").expected)


def test_the_opening_counts_ways_and_images(tiny):
    dataset = load_dataset(str(tiny.path))
    configs = {name: resolve(method=name, dataset=str(tiny.path)) for name in ("coop", "lda", "lmpt")}
    told = worth_it.opening(dataset, configs)
    counts = dataset.class_counts[dataset.class_counts > 0]
    assert "Of 3 ways to learn from them 2 tune prompts: coop, lmpt." in told and f"{counts.max():,} training" in told
