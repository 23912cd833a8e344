"""What notebook 07 says and asks follows from the counts."""

import math

import pandas as pd
import pytest

from lmptlib.suite.lessons import case_analysis as lesson


@pytest.fixture
def summary() -> pd.DataFrame:
    """Two runs and three classes: `b` breaks a head class and fixes a tail class."""
    columns = ["run", "class", "group", "shown", "said", "found", "missed", "added", "fixed", "broke"]
    rows = [
        ("a", "person", "head", 60, 70, 50, 10, 20, 0, 0),
        ("a", "sofa", "medium", 20, 10, 10, 10, 0, 0, 0),
        ("a", "cow", "tail", 30, 5, 5, 25, 0, 0, 0),
        ("b", "person", "head", 60, 30, 20, 40, 10, 2, 32),
        ("b", "sofa", "medium", 20, 10, 10, 10, 0, 3, 3),
        ("b", "cow", "tail", 30, 90, 25, 5, 65, 21, 1),
    ]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def runs() -> pd.DataFrame:
    table = {"images": [100, 100], "right": [3, 2], "fixed": [0, 1], "broke": [0, 2], "found total (%)": [59.1, 50.0]}
    shares = {"found head (%)": [83.3, 33.3], "found medium (%)": [50.0, 50.0], "found tail (%)": [16.7, 83.3]}
    return pd.DataFrame({**table, **shares}, index=["a", "b"])


def test_counts_of_the_first_run(summary, runs):
    assert "65 of 110 labels, adds 20" in lesson.opening(summary, runs, "a") and "3 of 100" in lesson.opening(
        summary, runs, "a"
    )
    assert lesson.opening(summary, runs, "a", single=True) == "`a` has 3 of 100 test images right."
    counts = lesson.group_counts(summary, "a").set_index(["group", "count"])["labels"]
    assert counts["head", "added"] == 20 and counts["tail", "missed"] == 25 and len(counts) == 9


def test_words_follow_what_was_fixed_and_broken(summary, runs):
    told = lesson.labels_told(summary, "a", "b")
    assert "2 and 32 in head" in told and "more fixed in tail" in told
    assert "more broken in head" in told and "cannot be told in medium" in told
    swapped = summary.rename(columns={"fixed": "broke", "broke": "fixed"})
    assert "more fixed in head; more broken in tail" in lesson.labels_told(swapped, "a", "b")
    # 26 fixed and 36 broken in all: a coin gives as much one time in four
    assert "cannot be told" in lesson.quiz(summary, "a", "b")[0].options[0]
    of_head = summary[summary["class"] == "person"]
    assert "breaks more" in lesson.quiz(of_head, "a", "b")[0].options[0]
    assert "fixes more" in lesson.quiz(swapped[swapped["class"] == "person"], "a", "b")[0].options[0]
    assert lesson.found_guess(runs, "a", "b").truth == {"head": 33.3, "medium": 50.0, "tail": 83.3}
    without = runs.assign(**{"found tail (%)": float("nan")})
    assert set(lesson.found_guess(without, "a", "b").known) == {"head", "medium"}


def test_images_and_what_is_added(summary, runs):
    assert "3 under `a`, 2 under `b`" in lesson.images_told(runs, "a", "b") and "few" in lesson.images_told(
        runs, "a", "b"
    )
    assert "too often" not in lesson.images_told(runs, "a", "b"), "nobody counted why"
    assert "few" not in lesson.images_told(runs.assign(right=[30, 20]), "a", "b")
    told = lesson.often_told(summary, "b", 100)
    assert "**cow** (tail)" in told and "90 of 100" in told and f"{65 / 75:.0%}" in told
    assert lesson.often_told(summary[summary["class"] == "sofa"], "b", 100) == "`b` adds no label."
    assert "opposite" in lesson.ranked_told(runs, 40, 45, "a", "b")
    assert "opposite" not in lesson.ranked_told(runs, 45, 40, "a", "b")


def test_precision_is_worked_out(summary):
    assert lesson.precision(summary, "b").verdict(f"{100 * 55 / 130:.1f} %") == (True, "right")
    assert math.isnan(lesson.precision(summary.assign(said=0), "b").expected)
