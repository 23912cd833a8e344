"""The table of a sweep."""

import itertools
from collections.abc import Mapping, Sequence

import pandas as pd

from lmptlib.data.dataset import GROUPS
from lmptlib.published.tables import published
from lmptlib.runs.comparison import compare, compare_rankings, mean_texts
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.labels import with_grouping
from lmptlib.runs.run import Run
from lmptlib.runs.tables import difference_texts
from lmptlib.sweeps.grid import Sweep

PRINTED = ("voc-lt", "coco-lt")


def sweep_table(sweep: Sweep, runs: Mapping[str, Sequence[Run | Ensemble]]) -> pd.DataFrame:
    """`lmptlib.runs.comparison.compare` under both rankings, with the printed mAP of each row's counterpart beside it.

    Columns ranking, then those of `compare`, then `voc-lt printed` and `coco-lt printed`: other data and another
    backbone, so that the order of rows compares and the numbers do not.
    """
    marked = {sweep.marked(row): part for row, part in runs.items()}
    baseline = None if sweep.baseline is None else sweep.marked(sweep.baseline)
    table = compare_rankings(marked, baseline)
    if sweep.published:
        addresses = {sweep.marked(row): address for row, address in sweep.published.items()}
        printed = published().melt(["address", "dataset"], ["total", *GROUPS], "group", "printed")
        for dataset in PRINTED:
            values = printed[printed["dataset"] == dataset].set_index(["address", "group"])["printed"]
            keys = [(addresses.get(row), group) for row, group in zip(table["row"], table["group"])]
            table[f"{dataset} printed"] = [values.get(key, float("nan")) for key in keys]
    return table


def printed_table(sweep: Sweep) -> pd.DataFrame:
    """What papers printed for a sweep's rows: columns row, dataset, total, head, medium, tail; empty where there is nothing."""
    rows = {address: row for row, address in sweep.published.items() if row in sweep.rows}
    table = published()
    table = table.assign(row=table["address"].map(rows)).dropna(subset="row")
    # in the sweep's order
    return table[["row", "dataset", "total", *GROUPS]].sort_values(
        "row", key=lambda names: names.map(list(sweep.rows).index), kind="stable"
    )


def step_table(runs: Mapping[str, Sequence[Run | Ensemble]]) -> pd.DataFrame:
    """Each row of a sweep against the row before it, under all rankings of the task: as `compare`, with columns ranking, before."""
    tables = [
        compare({before: runs[before], row: runs[row]}, before, ranking)
        .query("row == @row")
        .assign(ranking=ranking, before=before)
        for ranking in next(iter(runs.values()))[0].measure.rankings
        for before, row in itertools.pairwise(runs)
    ]
    return with_grouping(pd.concat(tables, ignore_index=True), (run for part in runs.values() for run in part))


def sweep_summary(table: pd.DataFrame) -> pd.DataFrame:
    """A sweep's table for reading: a line a row and ranking, `mean ± sd` by group and the paired difference of the total."""
    wide = mean_texts(table)
    total = table[table["group"] == "total"].set_index(["ranking", "row"])
    if total["difference"].notna().any():
        wide["difference of the total"] = difference_texts(total.loc[wide.index])
    for column in table.columns[table.columns.str.endswith("printed")]:
        wide[column] = total[column].loc[wide.index]
    found = wide.reset_index()
    found.attrs |= table.attrs
    return found
