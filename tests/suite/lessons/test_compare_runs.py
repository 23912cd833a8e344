"""What notebook 14 says and asks follows from the runs at hand, and from the numbers of their comparison."""

import math

import numpy as np
import pandas as pd
import pytest

from lmptlib.runs.comparison import compare
from lmptlib.runs.tables import by_label, group_table, result_numbers, result_settings
from lmptlib.suite.figures.group_ap import run_totals
from lmptlib.suite.lessons import compare_runs


@pytest.fixture
def rows(make_run):
    seeds = [make_run(method="coop", seed=seed) for seed in (0, 1)]
    return by_label([make_run(method="zero_shot"), *seeds])


def compared(**differences):
    """A table as of `compare`: row -> (difference, low, high) in total, against `first`."""
    lines = [("first", "total", 1, np.nan, np.nan, np.nan)]
    lines += [(row, "total", 1, *numbers) for row, numbers in differences.items()]
    columns = ["row", "group", "n_seeds", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(lines, columns=columns)


def test_rows_stand_best_first_and_are_counted(rows):
    totals = {label: np.mean([run.metrics["scores"]["logit"]["total"] for run in part]) for label, part in rows.items()}
    ordered = compare_runs.best_first(rows, "logit")
    assert list(ordered) == sorted(totals, key=totals.get, reverse=True)
    told = compare_runs.opening(ordered, "logit", {"other": [1, 2]})
    assert "3 runs of 2 configurations" in told and "not shown: other 2" in told
    assert f"{min(totals.values()):.1f} and {max(totals.values()):.1f}" in told
    figure = run_totals(group_table([run for part in rows.values() for run in part], "logit"), "logit")
    assert [trace.name for trace in figure.data] == list(ordered)
    assert sorted(len(trace.x) for trace in figure.data) == [1, 2]


def test_empty_cells_are_those_that_the_sentence_names(rows, make_run):
    coop, zero_shot = rows["CoOp"], rows["zero-shot"]
    others = by_label([*zero_shot, coop[0], make_run(method="coop", lr=0.5, epochs=3)])
    table = result_settings(others).set_index("run").drop(columns="folder")
    empty = {(run, name) for run, cells in table.iterrows() for name in cells.index if cells[name] == ""}
    assert empty == {("zero-shot", "lr"), ("zero-shot", "epochs")}
    told = compare_runs.left_empty(others)
    assert "**zero-shot** has no" in told and "CoOp" not in told
    assert all(f"`{name}`" in told for _, name in empty) and told.count("`") == 2 * len(empty)
    assert "Every one" in compare_runs.left_empty({name: part for name, part in others.items() if name != "zero-shot"})
    assert compare_runs.left_empty({"CoOp": coop}) == "No setting differs among these runs."


def test_intervals_are_said_to_be_what_they_are(rows):
    numbers = result_numbers(rows).query("ranking == 'logit'")
    told = compare_runs.by_group(rows, numbers)
    over_seeds, over_images = told.split("One seed")
    assert "**CoOp** (2)" in over_seeds and "**zero-shot**" in over_images and "do not compare" in told
    assert "do not compare" not in compare_runs.by_group({"CoOp": rows["CoOp"]}, numbers)


def test_verdicts_follow_the_intervals():
    table = compared(up=(2.0, 1.0, 3.0), down=(-2.0, -3.0, -1.0), same=(0.5, -1.0, 2.0), few=(4.0, np.nan, np.nan))
    told = compare_runs.verdicts(table, "first")
    assert "**up**: +2.0 [+1.0, +3.0], a gain" in told and "**down**: -2.0 [-3.0, -1.0], a loss" in told
    assert "**same**: +0.5 [-1.0, +2.0], which cannot be told" in told and "which cannot be judged" in told
    assert compare_runs.not_shown(table, "first").expected == 1
    right = [
        compare_runs.quiz(part, "first", 5)[0].options[0]
        for part in (table, table[:3], table[[True, *[False] * 2, True, False]])
    ]
    assert [option.split()[0] for option in right] == ["Some", "Every", "No"]
    alone = compared()
    assert math.isnan(
        compare_runs.not_shown(alone, "first").expected
    ) and "nothing to compare" in compare_runs.verdicts(alone, "first")
    assert (
        len(compare_runs.take_away(alone, "first", 1)) == 2
        and "Here 2 of 4" in compare_runs.take_away(table, "first", 5)[0]
    )


def test_the_table_of_differences_is_that_of_the_comparison(rows):
    against = next(iter(rows))
    table = compare(rows, against, "logit")
    shown = compare_runs.differences(table, against)
    assert list(shown.index) == [row for row in rows if row != against] and list(shown)[:2] == ["seeds", "total"]
    number = table.query("row != @against and group == 'total'")["difference"].item()
    assert shown["total"].item().startswith(f"{number:+.1f} ")
