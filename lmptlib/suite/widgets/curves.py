"""Probabilities while training: one class over runs, or two runs side by side."""

import ipywidgets
import numpy as np
import pandas as pd
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.data.words import group_said
from lmptlib.runs.labels import check_same_data, described
from lmptlib.runs.run import Run
from lmptlib.runs.tables import run_names
from lmptlib.suite.figures.style import (
    COLOURS,
    SCALES_DIFFER,
    SIDES,
    apply_layout,
    letters,
    room,
    run_looks,
    told,
    wrapped,
)
from lmptlib.suite.widgets.figures import figure_widget


def class_curves(runs: list[Run]) -> ipywidgets.VBox:
    """Mean probabilities of one class over the epochs, a colour a run; the class is chosen from a list."""
    classes = check_same_data(runs)[0].classes.sort_values("train", ascending=False)
    figure = figure_widget()
    values = []
    named = pd.DataFrame(
        [(name, run.configuration, described(run)) for name, run in zip(run_names(runs), runs)],
        columns=["run", "configuration", "settings"],
    )
    looks = run_looks(named)
    for (name, part), run in zip(named.groupby("run", sort=False), runs):
        for (side, (sign, _)), dash in zip(SIDES.items(), looks[str(name)].dashes):
            values.append(run.class_probabilities()[f"epoch_{side}"])
            line = {"color": looks[str(name)].colour, "dash": dash, "width": 3}
            hover = f"{sign} %{{y:.3f}}{told(part)}"
            figure.add_scatter(name=f"{name} {sign}", mode="lines+markers", line=line, hovertemplate=hover)
            figure.data[-1].marker.symbol = looks[str(name)].symbol
    apply_layout(figure, "", height=440)
    figure.update_xaxes(title="epoch", range=[-0.3, max(map(len, values)) - 0.7])
    figure.update_yaxes(title="mean probability of the true label", range=[0, 1])
    options = [
        (f"{name} ({group_said(group, runs[0].task)}, {n} images)", index)
        for index, name, group, n in classes[["class", "group", "train"]].itertuples()
    ]
    chooser = ipywidgets.Dropdown(options=options, description="class")

    def show(change: dict) -> None:
        with figure.batch_update():
            for trace, value in zip(figure.data, values):
                trace.x, trace.y = np.arange(len(value)), value[:, change["new"]]

    chooser.observe(show, names="value")
    show({"new": chooser.value})
    return ipywidgets.VBox([chooser, figure])


def probability_explorer(runs: dict[str, Run], ranking: str = "logit") -> ipywidgets.VBox:
    """Two runs side by side, each chosen from a list: curves by group, the gap of negatives and positives, AP by group.

    runs: name -> run, of one data set.
    """
    titles = ["left", "right", "negatives − positives", f"mAP, {ranking} ranking (%)"]
    figure = figure_widget(make_subplots(rows=1, cols=4, subplot_titles=titles, horizontal_spacing=0.06))
    names = {name: wrapped(name.replace(": ", ":<br>"), letters(4)) for name in runs}
    chosen = [ipywidgets.Dropdown(options=list(runs), description=side) for side in titles[:2]]
    chosen[1].value = list(runs)[-1]
    for column, (pattern, dash) in enumerate((("", "solid"), ("/", "dash")), 1):
        for group in GROUPS:
            for sign, line in SIDES.values():
                style = {"color": COLOURS[group], "width": 2.5, "dash": line}
                figure.add_scatter(name=f"{group} {sign}", line=style, showlegend=column == 1, row=1, col=column)
            style = {"color": COLOURS[group], "width": 2.5, "dash": dash}
            figure.add_scatter(line=style, showlegend=False, row=1, col=3)
        bar = {"color": [COLOURS.get(name, "#444444") for name in ("total", *GROUPS)], "pattern_shape": pattern}
        figure.add_bar(x=["total", *GROUPS], marker=bar, name=titles[column - 1], showlegend=False, row=1, col=4)
    title = f"Mean probabilities of the true label, and what they come to{SCALES_DIFFER}"
    apply_layout(figure, title, 440, above=room(list(names.values())))
    n_epochs = max(int(run.probabilities("epoch")["step"].max()) for run in runs.values())
    figure.update_xaxes(title="epoch", range=[-0.5, n_epochs + 0.5])
    figure.update_xaxes(title="", type="category", range=[-0.6, len(GROUPS) + 0.6], col=4)
    for column, ends in enumerate(([0, 1], [0, 1], [-1, 1], [0, 100]), 1):
        figure.update_yaxes(range=ends, col=column)

    def show(_: dict | None = None) -> None:
        with figure.batch_update():
            for side, chooser in enumerate(chosen):
                run, traces = runs[chooser.value], figure.data[10 * side : 10 * side + 10]
                table = run.probabilities("epoch")
                for i, group in enumerate(GROUPS):
                    part = table[table["group"] == group]
                    sides = (part["positive"], part["negative"], part["negative"] - part["positive"])
                    for trace, values in zip(traces[3 * i : 3 * i + 3], sides):
                        trace.x, trace.y = part["step"].to_numpy(), values.to_numpy()
                figure.layout.annotations[side].text = names[chooser.value]

        # apart: in one batch the browser would forget the bars' names, which do not change
        with figure.batch_update():
            for side, chooser in enumerate(chosen):
                scores = runs[chooser.value].metrics["scores"][ranking]
                figure.data[10 * side + 9].y = [scores[name] for name in ("total", *GROUPS)]

    for chooser in chosen:
        chooser.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox(chosen), figure])
