"""Explorers for JupyterLab: ipywidgets over the figures of `lmptlib.plots`."""

import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data import GROUPS
from lmptlib.evaluate import SCORINGS
from lmptlib.landscape import MEANS, landscape
from lmptlib.losses import LOSSES, PRESETS, loss_settings
from lmptlib.losses.class_balanced import MODES
from lmptlib.losses.probability_guided import FACTORS, FOCAL
from lmptlib.plots import COLOURS, RUN_COLOURS, ap_dumbbells, embedding_map, loss_landscape
from lmptlib.runs import Run, class_table, labelled


def class_curves(runs: list[Run]) -> ipywidgets.VBox:
    """Mean probabilities of one class over the epochs, a colour a run; the class is chosen from a list."""
    classes = runs[0].classes.sort_values("train", ascending=False)
    figure = go.FigureWidget(layout={"template": "plotly_white", "height": 420, "font_size": 14})
    values = []
    for i, (label, run) in enumerate(labelled(runs)):
        for side, sign, dash in (("positive", "+", "solid"), ("negative", "−", "dot")):
            with np.load(run.folder / "probabilities.npz") as file:
                values.append(file[f"epoch_{side}"])
            line = {"color": RUN_COLOURS[i % len(RUN_COLOURS)], "dash": dash, "width": 3}
            figure.add_scatter(name=f"{label} {sign}", mode="lines+markers", line=line)
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


def class_on_map(points: pd.DataFrame) -> ipywidgets.VBox:
    """The map of images and prompts with the images of one class drawn larger; the class is chosen from a list."""
    figure = go.FigureWidget(embedding_map(points))
    names = points.loc[points["kind"] == "after", "label"].tolist()
    chooser = ipywidgets.Dropdown(options=["all", *names], description="class")

    def show(change: dict) -> None:
        with figure.batch_update():
            for trace in figure.data[:3]:  # the images of head, medium and tail
                texts = () if trace.text is None else trace.text
                shown = [change["new"] in ("all", *text.split(", ")) for text in texts]
                trace.marker.size = [5 if change["new"] == "all" else 10 if on else 3 for on in shown]

    chooser.observe(show, names="value")
    return ipywidgets.VBox([chooser, figure])


def published_table(table: pd.DataFrame) -> ipywidgets.VBox:
    """Published rows of one data set, sorted by one column; both are chosen from lists. table: `published()`."""
    figure = go.FigureWidget(layout={"template": "plotly_white", "font_size": 13, "margin": {"l": 260}})
    figure.add_scatter(mode="markers", marker={"size": 9, "color": RUN_COLOURS[1]})
    dataset = ipywidgets.Dropdown(options=table["dataset"].unique().tolist(), description="data set")
    column = ipywidgets.Dropdown(options=["total", "head", "medium", "tail"], description="column")

    def show(_: dict | None = None) -> None:
        part = table[table["dataset"] == dataset.value].dropna(subset=column.value).sort_values(column.value)
        with figure.batch_update():
            figure.data[0].x = part[column.value].to_numpy()
            figure.data[0].y = (part["source"] + " " + part["table"] + " " + part["row"]).to_numpy()
            figure.data[0].text = (part["method"] + ", " + part["backbone"]).to_numpy()
            figure.layout.height = 140 + 18 * len(part)
            figure.layout.xaxis.title = f"{column.value} (%)"

    dataset.observe(show, names="value")
    column.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox([dataset, column]), figure])


def loss_comparison(made: dict[str, list[Run]]) -> ipywidgets.VBox:
    """AP of each class in one row of a sweep (open) and another (filled); rows and ranking are chosen from lists."""
    tables = {
        scoring: pd.concat({row: class_table(part, scoring) for row, part in made.items()}, names=["row"]).reset_index(
            "row"
        )
        for scoring in SCORINGS
    }
    names = list(made)
    before = ipywidgets.Dropdown(options=names, value=names[0], description="from")
    after = ipywidgets.Dropdown(options=names, value=names[-1], description="to")
    scoring = ipywidgets.Dropdown(options=SCORINGS, value="cosine", description="ranking")

    def drawn() -> go.Figure:
        table, pair = tables[scoring.value], (before.value, after.value)
        first, second = (table[table["row"] == name].assign(row=place) for name, place in zip(pair, ("from", "to")))
        return ap_dumbbells(pd.concat([first, second]), "from")

    figure = go.FigureWidget(drawn())

    def show(_: dict | None = None) -> None:
        with figure.batch_update():
            for trace, new in zip(figure.data, drawn().data):
                trace.x, trace.error_x = new.x, new.error_x
            figure.layout.title.text = f"AP of each class: from {before.value} (open) to {after.value} (filled)"
            figure.layout.annotations[0].text = f"{scoring.value} ranking"

    for chooser in (before, after, scoring):
        chooser.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox([before, after, scoring]), figure])


def probability_explorer(runs: dict[str, Run], scoring: str = "cosine") -> ipywidgets.VBox:
    """Two runs side by side, each chosen from a list: curves by group, the gap of negatives and positives, AP by group.

    runs: name -> run, of one data set.
    """
    titles = ["left", "right", "negatives − positives", f"mAP, {scoring} ranking (%)"]
    figure = go.FigureWidget(make_subplots(rows=1, cols=4, subplot_titles=titles, horizontal_spacing=0.045))
    legend, margin = {"orientation": "h", "y": -0.2}, {"l": 50, "r": 20, "t": 40, "b": 40}
    figure.update_layout(template="plotly_white", height=420, font_size=13, legend=legend, margin=margin)
    chosen = [ipywidgets.Dropdown(options=list(runs), description=side) for side in titles[:2]]
    chosen[1].value = list(runs)[-1]
    for column, (pattern, dash) in enumerate((("", "solid"), ("/", "dash")), 1):
        for group in GROUPS:
            for sign, line in (("+", "solid"), ("−", "dot")):
                style = {"color": COLOURS[group], "width": 2.5, "dash": line}
                figure.add_scatter(name=f"{group} {sign}", line=style, showlegend=column == 1, row=1, col=column)
            style = {"color": COLOURS[group], "width": 2.5, "dash": dash}
            figure.add_scatter(line=style, showlegend=False, row=1, col=3)
        bar = {"color": [COLOURS.get(name, "#444444") for name in ("total", *GROUPS)], "pattern_shape": pattern}
        figure.add_bar(x=["total", *GROUPS], marker=bar, name=titles[column - 1], showlegend=False, row=1, col=4)
    figure.update_yaxes(range=[0, 1], col=1).update_yaxes(range=[0, 1], col=2).update_xaxes(title="epoch")
    figure.update_xaxes(title="", col=4)

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
                traces[9].y = [run.metrics["scores"][scoring][name] for name in ("total", *GROUPS)]
                figure.layout.annotations[side].text = chooser.value

    for chooser in chosen:
        chooser.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox(chosen), figure])


_CHOICES = {"mode": MODES, "bias": ("paper", "code"), "focal": FOCAL}
_MEANS = ("mean p+", "mean p-")


def _controls(name: str, value: object) -> list[ipywidgets.Widget]:
    """The controls of one setting of a loss, at its value: three for a value by group, else one."""
    look = {"style": {"description_width": "110px"}, "layout": {"width": "360px"}}
    if isinstance(value, bool):
        return [ipywidgets.Checkbox(value, description=name, **look)]
    if name == "adaptive":
        return [ipywidgets.SelectMultiple(options=FACTORS, value=value, rows=4, description=name, **look)]
    if name in _CHOICES:
        return [ipywidgets.Dropdown(options=_CHOICES[name], value=value, description=name, **look)]
    if value is None:
        shares = ["off", *np.linspace(0, 1, 21).round(2).tolist()]
        return [ipywidgets.SelectionSlider(options=shares, description=name, continuous_update=False, **look)]
    by_group = isinstance(value, tuple)
    low = 0.1 if name in ("lam", "scale", *FACTORS) else 0.0  # factors divide, a scale of 0 leaves no loss
    sliders = []
    for one, group in zip(value if by_group else (value,), GROUPS if by_group else ("",)):
        high, step = (0.99, 0.01) if 0 < one < 1 else (2 * max(one, 5), 0.1)
        scale = {"min": low, "max": high, "step": step, "continuous_update": False}
        sliders.append(ipywidgets.FloatSlider(one, description=f"{name} {group}".strip(), **scale, **look))
    return sliders


def loss_sliders(class_counts: np.ndarray, n_images: int, preset: str | None = None) -> ipywidgets.VBox:
    """A loss over the logit with a control for each of its settings, and BCE in grey behind it.

    class_counts (C,): training images of each class, out of n_images. Controls start at the preset's settings. Adaptive
    losses get the batch's mean confidences too, and every loss a box that puts the rarest class into the image.
    """
    rarest = int(np.where(class_counts > 0, class_counts, np.inf).argmin())
    bce = landscape(["bce"], class_counts, n_images)
    figure = go.FigureWidget(loss_landscape(pd.concat([bce, bce.assign(loss="chosen")])))
    for trace in figure.data[: len(figure.data) // 2]:
        trace.line.color = trace.marker.color = "#999999"
    names = [name for name in LOSSES if name != "bce"]
    chooser = ipywidgets.Dropdown(options=names, value="db_focal", description="loss")
    beside = ipywidgets.Checkbox(False, description="the image shows the rarest class too", indent=False)
    panel, controls = ipywidgets.Box(layout={"flex_flow": "row wrap"}), {}

    def draw(_: dict | None = None) -> None:
        read = {key: tuple(None if w.value == "off" else w.value for w in ws) for key, ws in controls.items()}
        values = {key: of_group if len(of_group) > 1 else of_group[0] for key, of_group in read.items()}
        means = tuple(values.pop(key, default) for key, default in zip(_MEANS, MEANS))
        loss, company = chooser.value, rarest if beside.value else None
        table = landscape([loss], class_counts, n_images, preset, {loss: values}, means, company)
        with figure.batch_update():
            for trace, fresh in zip(figure.data, loss_landscape(pd.concat([bce, table])).data):
                trace.y, trace.name, trace.hovertemplate = fresh.y, fresh.name, fresh.hovertemplate

    def choose(_: dict | None = None) -> None:
        kind, values = LOSSES[chooser.value][0], loss_settings(chooser.value)
        values |= {key: value for key, value in PRESETS.get(preset, {}).get(kind, {}).items() if key in values}
        if chooser.value in ("apr", "apaf", "pg"):
            values |= dict(zip(_MEANS, MEANS))
        controls.clear()
        controls.update({key: _controls(key, value) for key, value in values.items()})
        panel.children = [widget for widgets in controls.values() for widget in widgets]
        for widget in panel.children:
            widget.observe(draw, names="value")
        draw()

    chooser.observe(choose, names="value")
    beside.observe(draw, names="value")
    choose()
    return ipywidgets.VBox([ipywidgets.HBox([chooser, beside]), panel, figure])
