"""Any runs of one data set beside each other."""

import html

import ipywidgets
import numpy as np

from lmptlib.data.dataset import GROUPS
from lmptlib.data.words import shown as in_words
from lmptlib.runs.comparison import compare
from lmptlib.runs.labels import described
from lmptlib.runs.run import Run, give_label
from lmptlib.runs.tables import (
    by_dataset,
    by_label,
    class_table,
    curve_table,
    group_table,
    readable,
    result_rows,
    result_settings,
    run_names,
)
from lmptlib.suite.figures.class_ap import per_class_ap
from lmptlib.suite.figures.curve_figures import training_curves
from lmptlib.suite.figures.group_ap import group_map, intervals
from lmptlib.suite.widgets.figures import figure_widget, redraw
from lmptlib.suite.widgets.rankings import offer_rankings
from lmptlib.suite.widgets.tables import csv_link, table_html, table_widget

_CURVES = {"probability": "Mean probabilities while training: positives solid, negatives dotted", "loss": "Losses"}


class RunExplorer(ipywidgets.VBox):
    """Runs chosen from a list, of one data set at a time: what differs, curves, AP by group and class, paired differences.

    Seeds of one configuration are averaged in the curves and the classes' AP; a text field calls one as the user likes.
    Every table is saved as CSV. A run is read when it is chosen. Raises ValueError without runs.
    """

    def __init__(self, runs: list[Run]):
        if not runs:
            raise ValueError("no runs to show: make one with 'lmpt run train'")
        self.datasets = by_dataset(runs)
        options = [(f"{name} ({len(part)} runs)", name) for name, part in self.datasets.items()]
        self.dataset = ipywidgets.Dropdown(options=options, description="data set")
        self.chosen = ipywidgets.SelectMultiple(rows=10, description="runs", layout={"width": "640px"})
        self.ranking = ipywidgets.Dropdown(description="ranking")
        quantities = [("mean probabilities", "probability"), ("losses", "loss")]
        self.quantity = ipywidgets.Dropdown(options=quantities, description="curves")
        self.called = ipywidgets.Dropdown(description="call")
        hint = {"placeholder": "a label of your own, then Enter", "continuous_update": False}
        self.own_label, self.refusal = ipywidgets.Text(**hint), ipywidgets.HTML()
        self.baseline = ipywidgets.Dropdown(description="baseline")
        self.pair = ipywidgets.Button(description="paired differences", tooltip="about a second for each run")
        self.settings, self.differences = ipywidgets.HTML(), ipywidgets.HTML()
        self.bars, self.curves, self.class_ap, self.gaps = (figure_widget() for _ in range(4))
        self.of_curves, self.of_gaps = ipywidgets.Box([self.curves]), ipywidgets.Box([self.gaps])
        self.classes = table_widget("classes.csv")
        pairing = ipywidgets.HBox([self.baseline, self.pair])
        results = [self.bars, self.of_curves, self.class_ap, self.classes, pairing, self.of_gaps, self.differences]
        self.results = ipywidgets.VBox(results)
        self._observe()
        self._list_runs()
        choosers = ipywidgets.VBox(
            [self.dataset, self.ranking, self.quantity, self.called, self.own_label, self.refusal]
        )
        super().__init__([ipywidgets.HBox([self.chosen, choosers]), self.settings, self.results])

    def _observe(self) -> None:
        for chooser in (self.chosen, self.ranking):
            chooser.observe(self._draw, names="value")
        for chooser in (self.chosen, self.ranking, self.baseline):
            chooser.observe(self._clear_differences, names="value")
        self.dataset.observe(self._list_runs, names="value")
        self.quantity.observe(self._draw_curves, names="value")
        self.called.observe(self._show_label, names="value")
        self.own_label.observe(self._give_label, names="value")
        self.pair.on_click(self._draw_differences)

    def _shown(self) -> list[Run]:
        return [self.datasets[self.dataset.value][i] for i in self.chosen.value]

    def _list_runs(self, _: dict | None = None, chosen: tuple | None = None) -> None:
        part = self.datasets[self.dataset.value]
        # in the browser, what is chosen must not outlast its list
        self.chosen.value = ()
        offer_rankings(self.ranking, part[0].measure, self.ranking.value or "logit")
        self.chosen.options = [(name, i) for i, name in enumerate(run_names(part))]
        self.chosen.value = tuple(range(len(part)))[-2:] if chosen is None else chosen

    def _draw(self, _: dict) -> None:
        shown = self._shown()
        self.results.layout.display = "flex" if shown else "none"
        if not shown:
            self.settings.value = "Choose one run or more: Ctrl-click and Shift-click take several."
            return
        names = list(by_label(shown))
        for chooser in (self.baseline, self.called):
            before = chooser.value
            chooser.options = names
            chooser.value = before if before in names else names[0]
        self._show_label()
        self._draw_groups(shown)
        self._draw_classes(shown)
        self._draw_curves()

    def _draw_groups(self, shown: list[Run]) -> None:
        """What the runs are and their mAP, as a table and as bars."""
        ranking = self.ranking.value
        by_group = group_table(shown, ranking)
        rows = result_rows(shown, by_run=True)
        by_group["run"] = np.repeat(list(rows), 1 + len(GROUPS))
        totals = by_group.pivot_table("value", "run", "name", sort=False, dropna=False).round(2)
        totals = totals[["total", *GROUPS]].rename_axis(columns=None).reset_index()
        table = totals.merge(result_settings(rows, by_run=True))
        links = f"{csv_link(table, 'runs.csv')} &nbsp; {csv_link(by_group, 'groups.csv')}"
        titles = {row: described(run) for row, (run,) in rows.items()}
        self.settings.value = _with_titles(table_html(in_words(table, shown[0].task)), titles) + links
        redraw(self.bars, group_map(by_group, ranking))

    def _draw_classes(self, shown: list[Run]) -> None:
        by_class = class_table(shown, self.ranking.value)
        redraw(self.class_ap, per_class_ap(by_class, self.ranking.value))
        wide = by_class.pivot_table("ap", ["class", "group", "train"], "run", sort=False).round(2)
        wide = wide.rename_axis(columns=None).reset_index()
        self.classes.update(in_words(wide.sort_values("train", ascending=False, ignore_index=True), shown[0].task))

    def _draw_curves(self, _: dict | None = None) -> None:
        table = curve_table(self._shown(), self.quantity.value)
        # what learns nothing has no losses
        self.of_curves.layout.display = "flex" if len(table) else "none"
        if len(table):
            redraw(self.curves, training_curves(table, _CURVES[self.quantity.value]))

    def _show_label(self, _: dict | None = None) -> None:
        """The user's own label of the configuration that is called."""
        run, self.refusal.value = by_label(self._shown()).get(self.called.value, [None])[0], ""
        # shown, and not given
        self.own_label.unobserve(self._give_label, names="value")
        self.own_label.value = run.own_label if run else ""
        self.own_label.observe(self._give_label, names="value")

    def _give_label(self, change: dict) -> None:
        """Call the configuration as the user says; what is no label is refused in words."""
        (run, *_), part = by_label(self._shown())[self.called.value], self.datasets[self.dataset.value]
        try:
            give_label(run, change["new"], part)
        except ValueError as error:
            self.refusal.value = html.escape(str(error))
            return
        self._list_runs(chosen=self.chosen.value)
        self.called.value = next(label for label, seeds in by_label(self._shown()).items() if run in seeds)

    def _clear_differences(self, _: dict) -> None:
        self.of_gaps.layout.display, self.differences.value = "none", ""

    def _draw_differences(self, _: ipywidgets.Button) -> None:
        baseline = self.baseline.value
        try:
            table = compare(by_label(self._shown()), baseline, self.ranking.value)
        except ValueError as error:
            # seeds that do not pair
            self.differences.value = html.escape(str(error))
            return
        told = table_html(in_words(readable(table), table.attrs.get("task")))
        self.differences.value = f"{told}{csv_link(table, 'differences.csv')}"
        if table["difference"].notna().any():
            title = f"Paired differences from {baseline}, with 95% intervals"
            redraw(self.gaps, intervals(table).update_layout(title_text=title))
            self.of_gaps.layout.display = "flex"


def _with_titles(table: str, titles: dict[str, str]) -> str:
    """An HTML table in which the cells of some texts tell more when they are hovered."""
    for text, title in titles.items():
        cell = html.escape(text, quote=False)
        table = table.replace(f"<td>{cell}</td>", f'<td title="{html.escape(title)}">{cell}</td>', 1)
    return table
