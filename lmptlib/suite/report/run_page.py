"""What the site shows of finished runs: a page each, and the tables of the index."""

from datetime import datetime
from itertools import product
from typing import Any

import pandas as pd

from lmptlib.data.dataset import GROUPS
from lmptlib.paths import safe_name
from lmptlib.runs.labels import described
from lmptlib.runs.run import Run
from lmptlib.runs.tables import (
    by_dataset,
    by_label,
    curve_table,
    group_table,
    out_of_fold,
    result_numbers,
    result_settings,
    top_accuracies,
)
from lmptlib.suite.figures import curve_figures, group_ap
from lmptlib.suite.report.page import Page

GROUP_COLUMNS = ("total", *GROUPS)  # of every table with means


def run_page(run: Run, name: str) -> Page:
    """The page of a run, which among the others has a name: mAP by group, curves of the training, AP of each class, settings."""
    written = datetime.fromtimestamp((run.folder / "metrics.json").stat().st_mtime)
    about = f"{run.folder.name} · {written:%Y-%m-%d %H:%M}"
    title = f"{name} on {run.dataset}"
    groups = pd.concat(
        [group_table([run], ranking).assign(run=f"{ranking} ranking") for ranking in run.measure.rankings]
    )
    groups["run"] = groups["run"] if run.task == "multi-label" else run.measure.name
    content = {
        "groups": GROUP_COLUMNS,
        "task": run.task,
        "measure": run.measure,
        "top": top_accuracies([run]),
        "config": run.config,
        "scores": run.metrics["scores"],
        "out_of_fold": run.out_of_fold,
        "group_figure": group_ap.group_map(groups).update_yaxes(title=f"{run.measure.name} (%)").to_plotly_json(),
        "training_figures": _training_figures(run, name),
        "classes": run.classes.sort_values("train", ascending=False, kind="stable").to_dict("records"),
    }
    return Page(_page_name(run), title, "", about, "run.html", content)


def result_tables(runs: list[Run]) -> dict[str, dict[str, Any]]:
    """A table for each data set: its `rows`, and the `settings` in which they differ.

    A row is a configuration: label, what it is, mean, deviation and interval of its mAPs, settings, and its runs' pages.
    """
    tables = {}
    for dataset, part in by_dataset(runs).items():
        rows = by_label(part)
        numbers = {(of["ranking"], of["group"], of["row"]): of for of in result_numbers(rows).to_dict("records")}
        settings = result_settings(rows).drop(columns=["run", "folder"]).astype(str)
        tables[dataset] = {
            "settings": list(settings),
            "grouping": part[0].grouping,
            "task": part[0].task,
            "measure": part[0].measure,
            "rows": [
                {
                    "label": label,
                    "told": described(seeds[0]),
                    "pages": {run.folder.name: _page_name(run) for run in seeds},
                    "settings": values,
                    "numbers": {
                        key: numbers[(*key, label)] for key in product(part[0].measure.rankings, GROUP_COLUMNS)
                    },
                    "out_of_fold": out_of_fold(seeds),
                    "top": top_accuracies(seeds),
                }
                for (label, seeds), values in zip(rows.items(), settings.to_numpy().tolist())
            ],
        }
    return tables


def _page_name(run: Run) -> str:
    return f"run-{safe_name(run.folder.name)}"


def _training_figures(run: Run, name: str) -> list[dict[str, Any]]:
    """Losses and probabilities over the training; none for a run that did not train."""
    if run.history.empty:
        return []
    curves = {name: (run.probabilities(), run.probabilities("epoch"))}
    losses = curve_figures.training_curves(curve_table([run], "loss"), "What training minimises")
    figures = (losses, curve_figures.probability_curves(curves))
    return [figure.to_plotly_json() for figure in figures]
