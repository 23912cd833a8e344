"""Figures: DataFrames in, `go.Figure` out. Nothing here reads a file or shows a figure.

Colours are fixed: head, medium and tail have one each, positives are solid and negatives dotted, as in the papers.
"""

import base64
import io

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from lmptlib.data import GROUPS

COLOURS = {"head": "#23508E", "medium": "#E69F00", "tail": "#CC4678"}
SYMBOLS = {"head": "circle", "medium": "square", "tail": "diamond"}
RUN_COLOURS = ("#444444", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D1F", "#000000")
_SHORT = {"head": "H", "medium": "M", "tail": "T"}


def _layout(figure: go.Figure, title: str, height: int = 460, **axes) -> go.Figure:
    figure.update_layout(
        title=title,
        template="plotly_white",
        height=height,
        font_size=14,
        margin={"l": 70, "r": 30, "t": 70, "b": 60},
        **axes,
    )
    return figure


def class_counts(classes: pd.DataFrame) -> go.Figure:
    """Training images of each class, most frequent first. classes: columns class, group, train."""
    order = classes.sort_values("train", ascending=False)["class"].tolist()
    figure = go.Figure()
    for group in GROUPS:
        part = classes[classes["group"] == group].sort_values("train", ascending=False)
        figure.add_bar(x=part["class"], y=part["train"], name=group, marker_color=COLOURS[group], text=part["train"])
    figure.update_xaxes(categoryorder="array", categoryarray=order, tickangle=-45)
    figure.update_yaxes(type="log", dtick=1, title="training images (log)")
    return _layout(figure, "The long tail: training images of each class")


def image_grid(images: list[Image.Image], titles: list[str], columns: int = 6, width: int = 128) -> go.Figure:
    """Pictures in a grid, each with a title (which may hold <br>) above it."""
    rows = -(-len(images) // columns)
    figure = go.Figure()
    for i, (image, title) in enumerate(zip(images, titles)):
        x, y = i % columns, -(i // columns) * 1.4
        small = image.convert("RGB")
        small.thumbnail((width, width))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=85)
        source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
        place = {"x": x, "y": y, "sizex": 0.94, "sizey": 0.94, "xanchor": "left", "yanchor": "top"}
        figure.add_layout_image(source=source, xref="x", yref="y", **place)
        figure.add_annotation(
            x=x + 0.47, y=y + 0.02, text=title, showarrow=False, yanchor="bottom", font_size=11, xref="x", yref="y"
        )
    figure.update_xaxes(visible=False, range=[-0.05, columns])
    figure.update_yaxes(visible=False, range=[0.4 - 1.4 * rows, 0.4], scaleanchor="x")
    figure.update_layout(template="plotly_white", height=240 * rows, margin={"l": 10, "r": 10, "t": 10, "b": 10})
    return figure


def probability_curves(curves: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> go.Figure:
    """Mean probabilities of positives (solid) and negatives (dotted) by group while training, one panel a run.

    curves: panel title -> (per iteration, exact per epoch), as `Run.probabilities` gives them. Thin lines are the
    batches (a batch without positives of a group leaves a gap), thick lines the whole training set at each epoch's end.
    """
    figure = make_subplots(
        rows=1, cols=len(curves), shared_yaxes=True, subplot_titles=list(curves), horizontal_spacing=0.03
    )
    for column, (by_iteration, by_epoch) in enumerate(curves.values(), 1):
        n_epochs = int(by_epoch["step"].max())
        stride = (int(by_iteration["step"].max()) + 1) / n_epochs if n_epochs else 1
        for group in GROUPS:
            batch, exact = by_iteration[by_iteration["group"] == group], by_epoch[by_epoch["group"] == group]
            for side, sign, dash in (("positive", "+", "solid"), ("negative", "−", "dot")):
                name = f"{_SHORT[group]}{sign}"
                common = {"legendgroup": name, "name": name, "row": 1, "col": column}
                figure.add_scatter(
                    x=batch["step"], y=batch[side].round(4), mode="lines+markers", opacity=0.3, showlegend=False, hoverinfo="skip",
                    line={"color": COLOURS[group], "width": 1, "dash": dash}, marker={"size": 2}, **common,
                )  # fmt: skip
                figure.add_scatter(
                    x=exact["step"] * stride, y=exact[side].round(4), mode="lines", showlegend=column == 1,
                    line={"color": COLOURS[group], "width": 3, "dash": dash}, **common,
                )  # fmt: skip
    figure.update_xaxes(title="iteration")
    figure.update_yaxes(range=[0, 1])
    figure.update_yaxes(title="mean probability of the true label", col=1)
    return _layout(figure, "How far positives and negatives are believed, by class group", legend_title="class group")


def embedding_map(points: pd.DataFrame) -> go.Figure:
    """t-SNE of image features and class prompts. points: columns x, y, kind (image, before, after), group, label."""
    figure = go.Figure()
    for group in GROUPS:
        images = points[(points["kind"] == "image") & (points["group"] == group)]
        figure.add_scatter(
            x=images["x"], y=images["y"], mode="markers", name=f"images, {group}", text=images["label"],
            marker={"color": COLOURS[group], "size": 5, "opacity": 0.45, "symbol": SYMBOLS[group]}, hoverinfo="text",
        )  # fmt: skip
    for kind, symbol in (("before", "x-thin"), ("after", "star")):
        prompts = points[points["kind"] == kind]
        marker = {"size": 11, "symbol": symbol, "color": [COLOURS[g] for g in prompts["group"]]}
        marker["line"] = (
            {"width": 2, "color": [COLOURS[g] for g in prompts["group"]]} if kind == "before" else {"width": 1}
        )
        figure.add_scatter(
            x=prompts["x"], y=prompts["y"], name=f"prompts {kind}", marker=marker, text=prompts["label"],
            mode="markers+text" if kind == "after" else "markers", textposition="top center", hoverinfo="text",
        )  # fmt: skip
    before, after = (points[points["kind"] == kind].set_index("label") for kind in ("before", "after"))
    for label in after.index:
        figure.add_scatter(
            x=[before.at[label, "x"], after.at[label, "x"]], y=[before.at[label, "y"], after.at[label, "y"]],
            mode="lines", line={"color": "#999999", "width": 1}, showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    return _layout(figure, "Images and class prompts, before (×) and after (★) training", height=760)


def per_class_ap(table: pd.DataFrame, scoring: str = "softmax") -> go.Figure:
    """AP of each class across runs, most frequent class first, with the training counts behind.

    table: columns class, group, train, run, ap (percent); several rows of one run and class (seeds) become mean and range.
    """
    classes = table.drop_duplicates("class").sort_values("train", ascending=False)
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    figure.add_bar(
        x=classes["class"], y=classes["train"], name="training images", opacity=0.25, secondary_y=True,
        marker_color=[COLOURS[g] for g in classes["group"]], showlegend=False, hovertemplate="%{y} training images",
    )  # fmt: skip
    for i, (run, part) in enumerate(table.groupby("run", sort=False)):
        ap = part.groupby("class")["ap"].agg(["mean", "min", "max"]).reindex(classes["class"])
        error = {"array": ap["max"] - ap["mean"], "arrayminus": ap["mean"] - ap["min"], "type": "data", "thickness": 1}
        figure.add_scatter(
            x=ap.index, y=ap["mean"], mode="lines+markers", name=run, error_y=error if (ap["max"] > ap["min"]).any() else None,
            marker={"size": 8, "symbol": i}, line={"color": RUN_COLOURS[i % len(RUN_COLOURS)], "width": 1.5},
            hovertemplate="%{y:.1f}",
        )  # fmt: skip
    figure.update_yaxes(title=f"AP, {scoring} ranking (%)", range=[0, 101], secondary_y=False)
    figure.update_yaxes(title="training images (log)", type="log", dtick=1, showgrid=False, secondary_y=True)
    figure.update_xaxes(tickangle=-45)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return _layout(figure, "AP of each class, from frequent to rare", height=580, legend=legend, title_y=0.97)


def group_map(table: pd.DataFrame, scoring: str = "softmax") -> go.Figure:
    """mAP total and by group across runs, with intervals. table: columns run, name, value, low, high (percent)."""
    figure = go.Figure()
    for i, (run, part) in enumerate(table.groupby("run", sort=False)):
        figure.add_bar(
            x=part["name"], y=part["value"], name=run, marker_color=RUN_COLOURS[i % len(RUN_COLOURS)],
            error_y={"type": "data", "array": part["high"] - part["value"], "arrayminus": part["value"] - part["low"]},
            text=part["value"].round(1), textposition="inside", insidetextanchor="start",
        )  # fmt: skip
    top = np.nanmax(table["high"].to_numpy(float))
    figure.update_yaxes(title=f"mAP, {scoring} ranking (%)", range=[0, min(100, 1.1 * top)])
    return _layout(figure, "mAP by class group, with 95% bootstrap intervals over test images", barmode="group")


def ap_change(table: pd.DataFrame) -> go.Figure:
    """What moved: AP of each class before and after, as dumbbells. table: columns class, group, train, before, after."""
    table = table.sort_values("train")
    labels = [f"{name} ({count})" for name, count in zip(table["class"], table["train"])]
    figure = go.Figure()
    for label, row in zip(labels, table.itertuples()):
        figure.add_scatter(
            x=[row.before, row.after], y=[label, label], mode="lines", line={"color": COLOURS[row.group], "width": 3},
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    figure.add_scatter(
        x=table["before"],
        y=labels,
        mode="markers",
        name="before",
        marker={"color": "white", "size": 10, "line": {"width": 2}},
    )
    colours = [COLOURS[g] for g in table["group"]]
    figure.add_scatter(x=table["after"], y=labels, mode="markers", name="after", marker={"color": colours, "size": 11})
    figure.update_xaxes(title="AP (%)", range=[0, 101])
    return _layout(figure, "What moved: AP of each class (training images in brackets)", height=120 + 24 * len(table))


def training_curves(history: pd.DataFrame) -> go.Figure:
    """Losses over the epochs. history: columns epoch, loss, loss_cls, loss_cse."""
    figure = make_subplots(rows=1, cols=3, subplot_titles=["objective", "classification loss", "CSE loss"])
    for column, name in enumerate(("loss", "loss_cls", "loss_cse"), 1):
        figure.add_scatter(
            x=history["epoch"],
            y=history[name],
            mode="lines+markers",
            line_color="#0072B2",
            showlegend=False,
            row=1,
            col=column,
        )
    figure.update_xaxes(title="epoch")
    return _layout(figure, "What training minimises", height=360)
