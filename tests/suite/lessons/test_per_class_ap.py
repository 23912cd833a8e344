"""Notebook 06: who gains and who loses, counted apart."""

import numpy as np
import pandas as pd
import pytest

from lmptlib.suite.lessons import per_class_ap


def table(**runs) -> pd.DataFrame:
    """AP of four classes (two head, one tail, one without positives) in each run, as `class_table`."""
    classes = pd.DataFrame(
        {"class": ["a", "b", "c", "d"], "group": ["head", "head", "tail", "tail"], "train": [400, 100, 5, 3]}
    )
    parts = [classes.assign(run=run, ap=[*map(float, ap), np.nan]) for run, ap in runs.items()]
    return pd.concat(parts, ignore_index=True)


UP = table(zero_shot=(40, 20, 60), coop=(50, 40, 30))


def test_the_opening_counts_the_rare_ones():
    classes = pd.DataFrame({"class": list("abcd"), "group": "head", "train": [900, 60, 40, 0]})
    classes.attrs["grouping"] = "head from 7 training images on, medium from 3"
    said = per_class_ap.opening(classes)
    assert "**a** has 900 training images, **c** 40; the 2 rarest of 3 classes" in said
    assert "head from 7 training images on" in said


def test_groups_and_words_follow_the_runs():
    guess = per_class_ap.groups_guess(UP, "logit")
    assert guess.truth == {"total": 40.0, "head": 45.0, "tail": 30.0} and guess.known == {
        "total": 40.0,
        "head": 30.0,
        "tail": 60.0,
    }
    said = per_class_ap.changes_say(UP)
    assert "head +15.0 (2 of its classes up, 0 down), tail -30.0 (0 of its classes up, 1 down)" in said
    back = UP.iloc[::-1]
    assert "head -15.0 (0 of its classes up, 2 down)" in per_class_ap.changes_say(back)
    assert per_class_ap.quiz(UP, "logit")[0].options == ("The head.", "The tail."), "no class is medium"
    assert per_class_ap.quiz(back, "logit")[0].options[0] == "The tail."
    assert "total +0.0, head +15.0, tail -30.0" in per_class_ap.take_away(UP, "logit")[0]


def test_one_run_alone_is_shown_without_a_comparison():
    alone = UP[UP["run"] == "coop"]
    assert not per_class_ap.groups_guess(alone, "logit").known and "alone" in per_class_ap.changes_say(alone)
    assert len(per_class_ap.take_away(alone, "logit")) == 2
    for one in (alone, UP[UP["group"] == "head"]):
        assert [choice.key for choice in per_class_ap.quiz(one, "logit")] == ["counts", "tail"]


def test_seeds_are_averaged():
    seeds = pd.concat([table(coop=(50, 40, 30)), table(coop=(70, 40, 30))])
    assert per_class_ap.means(seeds).loc["coop"].to_dict() == {
        "total": pytest.approx(130 / 3),
        "head": 50.0,
        "tail": 30.0,
    }


def test_the_total_counts_classes_and_not_groups():
    number = per_class_ap.total_of_groups(UP)
    assert number.verdict("40")[0] and not number.verdict("45")[0], "45 is the mean of the groups"
    one_group = UP[UP["group"] == "head"]
    assert per_class_ap.total_of_groups(one_group).verdict("1")[0] is None


def test_ap_that_follows_the_counts():
    said = per_class_ap.follows_say(UP)
    assert "-0.50 under **zero_shot**; +1.00 under **coop**" in said
