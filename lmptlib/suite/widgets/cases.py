"""Single test images under several runs."""

import ipywidgets
import plotly.graph_objects as go

from lmptlib.data.dataset import Dataset
from lmptlib.data.images import open_image
from lmptlib.runs.run import Ensemble, Run
from lmptlib.suite.analysis.cases import CASE_RANKINGS, changes, read_cases, top_classes
from lmptlib.suite.figures.case_figures import case_figure
from lmptlib.suite.widgets.figures import redraw

_FILTERS = {"all": "all", "fixed by B": "fixed", "broken by B": "broke", "missed by both": "neither"}


def case_explorer(runs: dict[str, Run | Ensemble], dataset: Dataset, ranking: str = "logit") -> ipywidgets.VBox:
    """Test images one by one with the best classes of every run, chosen by what run B fixed or broke of run A.

    runs: name -> run, tested on `dataset`. The choice is between whole images, and with a class between its labels
    (`lmptlib.cases` says when either is right).
    """
    read = {ranking: read_cases(runs, dataset, ranking) for ranking in CASE_RANKINGS}
    classes, names = read[ranking].classes, list(runs)
    a = ipywidgets.Dropdown(options=names, value=names[0], description="A")
    b = ipywidgets.Dropdown(options=names, value=names[-1], description="B")
    by = ipywidgets.Dropdown(options=CASE_RANKINGS, value=ranking, description="ranking")
    which = ipywidgets.Dropdown(options=_FILTERS, description="show")
    options = [(f"{name} ({group}, {train} images)", name) for name, group, train in classes.itertuples(index=False)]
    of_class = ipywidgets.Dropdown(options=[("all", "all"), *options], description="class")
    number = ipywidgets.IntSlider(1, 1, 2, description="image", continuous_update=False, layout={"width": "450px"})
    back, on = (ipywidgets.Button(description=text, layout={"width": "100px"}) for text in ("previous", "next"))
    caption, chosen = ipywidgets.Label(), []

    figure = go.FigureWidget(layout={"template": "plotly_white"})
    box = ipywidgets.Box([figure])

    def show(_: dict | None = None) -> None:
        box.layout.display = "flex" if chosen else "none"
        if not chosen:
            caption.value = "no such image"
            return
        image = chosen[number.value - 1]
        cases = read[by.value]
        redraw(figure, case_figure([open_image(cases.paths[image])], [""], [top_classes(cases, image)]), width=860)
        shown = classes[dataset.test.labels[image]]
        labels = ", ".join(shown["class"] + " (" + shown["group"] + ")")
        caption.value = f"{number.value} of {len(chosen)}: {dataset.test.names[image]}, labels {labels}"

    def choose(_: dict | None = None) -> None:
        table, column = changes(read[by.value], a.value, b.value), "image_change"
        if of_class.value != "all":
            table, column = table[table["class"] == of_class.value], "change"
        if which.value != "all":
            table = table[table[column] == which.value]
        chosen[:] = table["image"].unique().tolist()
        if number.value == 1:
            show()
        else:
            number.value = 1  # shows it
        number.max = max(len(chosen), 1)

    def step(by: int) -> None:
        number.value += by  # the slider keeps it inside

    for chooser in (a, b, by, which, of_class):
        chooser.observe(choose, names="value")
    number.observe(show, names="value")
    back.on_click(lambda _: step(-1))
    on.on_click(lambda _: step(1))
    choose()
    rows = [ipywidgets.HBox([a, b, by]), ipywidgets.HBox([which, of_class]), ipywidgets.HBox([back, on, number])]
    return ipywidgets.VBox([*rows, caption, box])
