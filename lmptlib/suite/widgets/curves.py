"""Probabilities while training: one class over runs, or two runs side by side."""

import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.runs.labels import check_same_data, described
from lmptlib.runs.run import Run
from lmptlib.runs.tables import run_names
from lmptlib.suite.figures.style import COLOURS, SIDES, run_looks, told


def class_curves(runs: list[Run]) -> ipywidgets.VBox:
    """Mean probabilities of one class over the epochs, a colour a run; the class is chosen from a list."""
    classes = check_same_data(runs)[0].classes.sort_values("train", ascending=False)
    figure = go.FigureWidget(layout={"template": "plotly_white", "autosize": True, "height": 420, "font_size": 14})
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
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title="mean probability of the true label", range=[0, 1])
    options = [(f"{row['class']} ({row['group']}, {row['train']} images)", index) for index, row in classes.iterrows()]
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
    figure = go.FigureWidget(make_subplots(rows=1, cols=4, subplot_titles=titles, horizontal_spacing=0.045))
    legend, margin = {"orientation": "h", "y": -0.2}, {"l": 50, "r": 20, "t": 60, "b": 40}
    figure.update_layout(template="plotly_white", width=880, height=420, font_size=13, legend=legend, margin=margin)
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
    figure.update_yaxes(range=[0, 1], col=1).update_yaxes(range=[0, 1], col=2).update_xaxes(title="epoch")
    figure.update_xaxes(title="", type="category", col=4)

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
                figure.layout.annotations[side].text = chooser.value.replace(": ", ":<br>")

        # apart: in one batch the browser would forget the bars' names, which do not change
        with figure.batch_update():
            for side, chooser in enumerate(chosen):
                scores = runs[chooser.value].metrics["scores"][ranking]
                figure.data[10 * side + 9].y = [scores[name] for name in ("total", *GROUPS)]

    for chooser in chosen:
        chooser.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox(chosen), figure])
