"""Notebook 17: its rows take the pool that is given, and its sentences follow the figures."""

import numpy as np
import pandas as pd

from lmptlib.suite.lessons import ballad_tackle


def compared(**rows) -> pd.DataFrame:
    """Lines of `compare`, row -> figures of total, head and tail; a difference of 2 with 1 on either side but for CLIP."""
    lines = []
    for name, figures in rows.items():
        row = {"clip": "CLIP", "a": "BALLAD, A", "b": "BALLAD, A + B", "t": "TACKLE, A + B"}.get(name, name)
        gap = np.nan if name == "clip" else 2.0
        ends = {"difference": gap, "difference_low": gap - 1, "difference_high": gap + 1}
        lines += [{"row": row, "group": g, "mean": m, **ends} for g, m in zip(("total", "head", "tail"), figures)]
    return pd.DataFrame(lines)


TABLE = compared(clip=(50, 60, 40), lda=(58, 66, 50), a=(55, 75, 35), b=(57, 70, 44), t=(58, 69, 47))
CLASSES = pd.DataFrame(
    {"class": ["cow", "cat", "dog"], "group": ["tail", "tail", "head"], "fetched": [4, 6, 0], "right": [0, 5, None]}
)


def test_the_pool_goes_to_the_row_that_has_one():
    sweep = ballad_tackle.sweep({"tackle": "/photos", "tune_epochs": 3, "epochs": 7}, [4, 5])
    pools = {row: {config.tackle for config in part} for row, part in sweep.rows.items()}
    assert pools.pop("TACKLE, A + B") == {"/photos"} and set().union(*pools.values()) == {None}
    tuned = [config.settings for config in sweep.rows["BALLAD, A"]]
    assert [(own.tune_epochs, own.epochs, own.seed) for own in tuned] == [(3, 0, 4), (3, 0, 5)]
    assert {config.settings.epochs for config in sweep.rows["BALLAD, A + B"]} == {7}


def test_what_is_said_follows_the_figures():
    guess = ballad_tackle.phases_guess(TABLE)
    assert guess.truth == {"total": 57.0, "head": 70.0, "tail": 44.0} and guess.known["tail"] == 40.0
    lines = ballad_tackle.rows_say(TABLE, "CLIP")
    assert "**CLIP**: total 50.0, head 60.0, tail 40.0." in lines and "a gain in total, head and tail" in lines
    told = ballad_tackle.order_says(TABLE)
    assert "+2.0 [+1.0, +3.0], a gain in total" in told and "has 58.0 beside its 57.0" in told
    first, *_ = ballad_tackle.quiz(TABLE, CLASSES)
    assert first.options[0] == "In the tail classes.", "from 35 to 44, where the head falls from 75 to 70"


def test_what_was_fetched_is_counted_where_it_is_known():
    gained = CLASSES[CLASSES["fetched"] > 0]
    told = ballad_tackle.fetched_say(gained)
    assert "10 pictures were fetched for 2 classes; 50% of them" in told and "Of cow not one is right." in told
    unknown = ballad_tackle.fetched_say(gained.assign(right=None))
    assert "Nobody knows" in unknown and "%" not in unknown
    assert "raise `tackle_to`" in ballad_tackle.fetched_say(CLASSES.assign(fetched=0))
    images = pd.DataFrame({"class": ["cow"] * 4, "right": [True, False, False, False]})
    assert ballad_tackle.right_share(images, ["cow"]).expected == 25.0
    assert np.isnan(ballad_tackle.right_share(images.assign(right=None), ["cow"]).expected)


def test_the_poster_is_printed_in_its_own_groups():
    table = ballad_tackle.printed_table()
    row = table[(table["method"] == "TACKLE + CLIP") & (table["backbone"] == "DeiT-S")].iloc[0]
    assert (row["total"], row["many"], row["medium"], row["few"]) == (66.6, 74.3, 62.8, 58.1)
