"""Single test images under several runs."""

import ipywidgets
import numpy as np

from lmptlib.data.dataset import Dataset
from lmptlib.data.images import open_image
from lmptlib.data.words import group_said
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run
from lmptlib.suite.analysis.cases import changes, image_changes, read_cases, top_classes
from lmptlib.suite.figures.case_figures import case_figure
from lmptlib.suite.widgets.figures import figure_widget, redraw
from lmptlib.suite.widgets.rankings import offer_rankings

_FILTERS = {"all": "all", "fixed by B": "fixed", "broken by B": "broke", "missed by both": "neither"}


class CaseExplorer(ipywidgets.VBox):
    """Test images one by one with the best classes of every run, chosen by what run B fixed or broke of run A.

    runs: name -> run, tested on `dataset`. The choice is between whole images, and with a class between its labels
    (`lmptlib.suite.analysis.cases` says when either is right).
    """

    def __init__(self, runs: dict[str, Run | Ensemble], dataset: Dataset, ranking: str = "logit"):
        self.dataset = dataset
        names, measure = list(runs), next(iter(runs.values())).measure
        self.cases = {name: read_cases(runs, dataset, name) for name in measure.rankings}
        self.ranking = ipywidgets.Dropdown(description="ranking")
        offer_rankings(self.ranking, measure, ranking)
        table = self.cases[self.ranking.value].classes
        self.table = table.assign(group=[group_said(group, dataset.task.kind) for group in table["group"]])
        self.a = ipywidgets.Dropdown(options=names, value=names[0], description="A")
        self.b = ipywidgets.Dropdown(options=names, value=names[-1], description="B")
        self.which = ipywidgets.Dropdown(options=_FILTERS, description="show")
        classes = [(f"{name} ({group}, {n} images)", name) for name, group, n in self.table.itertuples(index=False)]
        self.of_class = ipywidgets.Dropdown(options=[("all", "all"), *classes], description="class")
        look = {"continuous_update": False, "layout": {"width": "450px"}}
        self.number = ipywidgets.IntSlider(1, 1, 2, description="image", **look)
        back, on = (ipywidgets.Button(description=text, layout={"width": "100px"}) for text in ("previous", "next"))
        self.caption = ipywidgets.Label()
        self.images: list[int] = []
        self.figure = figure_widget()
        self.box = ipywidgets.VBox([self.figure])
        for chooser in (self.a, self.b, self.ranking, self.which, self.of_class):
            chooser.observe(self._choose, names="value")
        self.number.observe(self._show, names="value")
        back.on_click(lambda _: self._step(-1))
        on.on_click(lambda _: self._step(1))
        self._choose()
        rows = ([self.a, self.b, self.ranking], [self.which, self.of_class], [back, on, self.number])
        super().__init__([*map(ipywidgets.HBox, rows), self.caption, self.box])

    def _choose(self, _: dict | None = None) -> None:
        asked = self.cases[self.ranking.value], self.a.value, self.b.value
        change = image_changes(*asked)
        images = np.arange(len(change))
        if self.of_class.value != "all":
            table = changes(*asked)
            table = table[table["class"] == self.of_class.value]
            images, change = table["image"].to_numpy(), table["change"].to_numpy()
        self.images = images[(change == self.which.value) | (self.which.value == "all")].tolist()
        if self.number.value == 1:
            self._show()
        else:
            # shows it
            self.number.value = 1
        self.number.max = max(len(self.images), 1)

    def _show(self, _: dict | None = None) -> None:
        self.box.layout.display = "flex" if self.images else "none"
        if not self.images:
            self.caption.value = "no such image"
            return
        image, cases = self.images[self.number.value - 1], self.cases[self.ranking.value]
        picture = open_image(cases.paths[image])
        redraw(self.figure, case_figure([picture], [""], [top_classes(cases, image)]))
        shown, test = self.table[self.dataset.test.labels[image]], self.dataset.test
        labels = ", ".join(shown["class"] + " (" + shown["group"] + ")") or "none"
        self.caption.value = f"{self.number.value} of {len(self.images)}: {test.names[image]}, labels {labels}"

    def _step(self, by: int) -> None:
        # the slider keeps it inside
        self.number.value += by
