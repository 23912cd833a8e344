"""Any runs of one data set beside each other."""

import html

import ipywidgets
import numpy as np
import plotly.graph_objects as go

from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.comparison import compare
from lmptlib.runs.run import Run
from lmptlib.runs.tables import by_dataset, by_label, class_table, curve_table, group_table, labelled, settings_table
from lmptlib.suite.figures.class_ap import per_class_ap
from lmptlib.suite.figures.curve_figures import run_curves
from lmptlib.suite.figures.group_ap import group_map, intervals
from lmptlib.suite.widgets.figures import redraw
from lmptlib.suite.widgets.tables import csv_link, paged_table, table_html

_LOOK = {"width": 860, "legend": {"orientation": "h", "x": 0, "y": -0.25, "yanchor": "top"}}
_CURVES = {"probability": "Mean probabilities while training: positives solid, negatives dotted", "loss": "Losses"}


def run_explorer(runs: list[Run]) -> ipywidgets.VBox:
    """Runs chosen from a list, of one data set at a time: what differs, curves, AP by group and class, paired differences.

    Seeds of one configuration are averaged in the curves and the classes' AP. Every table has a link that saves it. A
    run is read when it is chosen. Raises ValueError without runs.
    """
    if not runs:
        raise ValueError("no runs to show: make one with 'lmpt run train'")
    groups = by_dataset(runs)
    dataset = ipywidgets.Dropdown(
        options=[(f"{name} ({len(part)} runs)", name) for name, part in groups.items()], description="data set"
    )
    chosen = ipywidgets.SelectMultiple(rows=10, description="runs", layout={"width": "640px"})
    ranking = ipywidgets.Dropdown(options=RANKINGS, value="logit", description="ranking")
    quantity = ipywidgets.Dropdown(
        options=[("mean probabilities", "probability"), ("losses", "loss")], description="curves"
    )
    baseline = ipywidgets.Dropdown(description="baseline")
    pair = ipywidgets.Button(description="paired differences", tooltip="about a second for each run")
    bars, curves, classes, gaps = (go.FigureWidget(layout={"template": "plotly_white"}) for _ in range(4))
    of_curves, of_classes, of_gaps = ipywidgets.Box([curves]), ipywidgets.Box(), ipywidgets.Box([gaps])
    settings, differences = ipywidgets.HTML(), ipywidgets.HTML()

    def picked() -> list[Run]:
        return [groups[dataset.value][i] for i in chosen.value]

    def list_runs(_: dict | None = None) -> None:
        part = groups[dataset.value]
        chosen.value = ()  # in the browser, what is chosen must not outlast its list
        chosen.options = [(_entry(run), i) for i, run in enumerate(part)]
        chosen.value = tuple(range(len(part)))[-2:]

    def draw(_: dict) -> None:
        shown = picked()
        figures.layout.display = "flex" if shown else "none"
        if not shown:
            settings.value = "Choose one run or more: Ctrl-click and Shift-click take several."
            return
        before, names = baseline.value, list(by_label(shown))
        baseline.options = names
        baseline.value = before if before in names else names[0]
        by_group, by_class = group_table(shown, ranking.value), class_table(shown, ranking.value)
        by_group["run"] = np.repeat(_names(shown), 1 + len(GROUPS))
        table = settings_table(shown).rename_axis("run").reset_index()
        table.insert(1, "marks", [", ".join(run.marks) for run in shown])
        totals = [[run.metrics["scores"][ranking.value][name] for name in ("total", *GROUPS)] for run in shown]
        table[["total", *GROUPS]] = np.array(totals, dtype=float).round(2)
        settings.value = f"{table_html(table)}{csv_link(table, 'runs.csv')} &nbsp; {csv_link(by_group, 'groups.csv')}"
        redraw(bars, group_map(by_group, ranking.value), **_LOOK)
        redraw(classes, per_class_ap(by_class, ranking.value), **_LOOK)
        wide = by_class.pivot_table("ap", ["class", "group", "train"], "run", sort=False).round(2)
        wide = wide.rename_axis(columns=None).reset_index().sort_values("train", ascending=False)
        of_classes.children = [paged_table(wide, name="classes.csv")]
        draw_curves()

    def draw_curves(_: dict | None = None) -> None:
        table = curve_table(picked(), quantity.value)
        of_curves.layout.display = "flex" if len(table) else "none"  # what learns nothing has no losses
        if len(table):
            redraw(curves, run_curves(table, _CURVES[quantity.value]), **_LOOK)

    def clear(_: dict) -> None:
        of_gaps.layout.display, differences.value = "none", ""

    def draw_differences(_: ipywidgets.Button) -> None:
        try:
            table = compare(by_label(picked()), baseline.value, ranking.value)
        except ValueError as error:  # seeds that do not pair
            differences.value = html.escape(str(error))
            return
        differences.value = f"{table_html(table.round(2))}{csv_link(table, 'differences.csv')}"
        if table["difference"].notna().any():
            title = f"Paired differences from {baseline.value}, with 95% intervals"
            redraw(gaps, intervals(table).update_layout(title=title), **_LOOK)
            of_gaps.layout.display = "flex"

    figures = ipywidgets.VBox(
        [bars, of_curves, classes, of_classes, ipywidgets.HBox([baseline, pair]), of_gaps, differences]
    )
    for chooser in (chosen, ranking):
        chooser.observe(draw, names="value")
    for chooser in (chosen, ranking, baseline):
        chooser.observe(clear, names="value")
    dataset.observe(list_runs, names="value")
    quantity.observe(draw_curves, names="value")
    pair.on_click(draw_differences)
    list_runs()
    controls = ipywidgets.HBox([chosen, ipywidgets.VBox([dataset, ranking, quantity])])
    return ipywidgets.VBox([controls, settings, figures])


def _entry(run: Run) -> str:
    """A run in the list: its label, seed and the end of its folder's name, which tells it from others of that label."""
    return f"{run.label}, seed {run.config['settings']['seed']} ({run.folder.name[-12:]})"


def _names(runs: list[Run]) -> list[str]:
    """A name a run: its label, with the seed where several runs share it."""
    rows = by_label(runs)
    return [
        f"{label}, seed {run.config['settings']['seed']}" if len(rows[label]) > 1 else label
        for label, run in labelled(runs)
    ]
