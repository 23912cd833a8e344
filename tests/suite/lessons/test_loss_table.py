"""Notebook 10: orders, moves of classes and correlations, counted apart."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lmptlib.suite.lessons import loss_table
from lmptlib.sweeps.grid import read_sweep
from lmptlib.sweeps.tables import printed_table


def totals(**rows) -> pd.DataFrame:
    """A table of totals, as `sweep_table`: row -> (mean, difference, low, high)."""
    columns = ["mean", "difference", "difference_low", "difference_high"]
    table = (
        pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        .reset_index(names="row")
        .assign(group="total", sd=0.2)
    )
    return pd.concat([table.assign(ranking=ranking) for ranking in ("softmax", "logit")], ignore_index=True)


TABLE = totals(
    bce=(43.0, np.nan, np.nan, np.nan),
    up=(45.0, 2.0, 1.0, 3.0),
    down=(40.0, -3.0, -4.0, -2.0),
    same=(43.0, 0.0, -1.0, 1.0),
)


def test_the_opening_has_the_printed_spans():
    # LMPT, Table 2: 82.18 to 87.88 and 54.40 to 66.19
    said = loss_table.opening(printed_table(read_sweep("losses")), "emoji-lt")
    assert "5.7 points on voc-lt and 11.8 points on coco-lt" in said


def test_the_order_takes_equal_losses_in_either_place():
    order = loss_table.order_guess(TABLE, "logit")
    assert order.right[0] == "up" and order.right[-1] == "down"
    assert order.verdict(["up", "same", "bce", "down"]).startswith("4") and order.verdict(
        ["down", "bce", "same", "up"]
    ).startswith("2")


def test_words_follow_the_differences():
    said = loss_table.clear_says(TABLE, "bce", "logit")
    assert "- **total**: a gain in up; a loss in down; an interval that holds zero in same." in said
    assert "more than seeds" in loss_table.spread_says(TABLE, "logit")
    assert "not more" in loss_table.spread_says(TABLE.assign(sd=9.0), "logit")
    assert "One seed" in loss_table.spread_says(TABLE.assign(sd=np.nan), "logit")


@pytest.fixture
def classes() -> pd.DataFrame:
    """Three classes under two rows with two seeds: one falls by 20, one rises by 4, one stays."""
    ap = {
        "bce": {"dog": (50, 52), "cow": (60, 62), "cat": (30, 34)},
        "focal": {"dog": (54, 56), "cow": (40, 42), "cat": (31, 33)},
    }
    rows = [
        {"row": row, "class": name, "group": "tail", "train": 5, "ap": float(value)}
        for row, part in ap.items() for name, values in part.items() for value in values
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_moves_of_classes(classes):
    moved = loss_table.moves(classes, "bce")
    assert list(moved.index) == ["focal"]
    line = moved.loc["focal"]
    assert (line["all seeds above"], line["all seeds below"], line["largest change"], line["of the class"]) == (
        1,
        1,
        -20,
        "cow",
    )
    assert line["mean change"] == pytest.approx(-16 / 3, abs=0.01) and line["mean size of a change"] == 8
    assert loss_table.largest_guess(moved, "bce").truth == {"focal": 20.0}
    said = loss_table.largest_says(moved, "bce")
    assert "cow under **focal**, -20.0" in said and "-5.3" in said
    assert "2 (focal)" in loss_table.chance_says(moved, 3, 2)
    assert [choice.key for choice in loss_table.quiz(moved, "bce")] == ["means", "cancel"], "one loss is no choice"
    two = pd.concat([moved, moved.rename(index={"focal": "asl"}).assign(**{"largest change": 30})])
    assert loss_table.quiz(two, "bce")[0].options == ("asl", "focal")


@pytest.mark.parametrize("n_seeds", [1, 2, 3])
def test_chance_is_the_share_of_orders(n_seeds):
    orders = list(itertools.permutations(range(2 * n_seeds)))
    apart = [
        max(order[:n_seeds]) < min(order[n_seeds:]) or min(order[:n_seeds]) > max(order[n_seeds:]) for order in orders
    ]
    assert loss_table.chance(n_seeds).verdict(f"{sum(apart)}/{len(orders)}") == (True, "right")


def test_the_correlation_that_is_more_than_chance():
    # printed tables of Spearman's correlation, two-sided 5%
    assert loss_table.shown_from(7) == pytest.approx(0.786, abs=0.001) and loss_table.shown_from(5) == 1.0
    assert np.isnan(loss_table.shown_from(3))
    least = loss_table.shown_from(12)
    t = least * np.sqrt(10 / (1 - least**2))
    assert 2 * stats.t.sf(t, 10) == pytest.approx(0.05)


def test_agreement_with_print():
    names = ("bce", "mls", "c", "d", "e", "f", "g")
    beside = pd.DataFrame({"voc-lt printed": np.arange(7.0), "coco-lt printed": -np.arange(7.0)}, index=names)
    beside = beside.assign(**{"ours, softmax": np.arange(7.0), "ours, logit": [3.0, 0, 5, 1, 4, 2, 6]})
    assert loss_table.agreement_guess(beside, "softmax").truth == {
        "voc-lt printed": pytest.approx(1),
        "coco-lt printed": pytest.approx(-1),
    }
    said = loss_table.agreement_says(beside, "softmax")
    assert (
        "our order agrees with voc-lt printed and is reversed against coco-lt printed." in said
        and "correlate by -1.00" in said
    )
    assert "1.0 points apart on voc-lt and 1.0 points apart on coco-lt, here 1.0" in said
    assert "shown for none." in loss_table.agreement_says(beside, "logit")
    without = TABLE.drop(columns=[column for column in TABLE if "printed" in column])
    assert loss_table.beside_print(without, "logit").empty
