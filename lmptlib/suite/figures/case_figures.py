"""Single images and what runs say of them: pictures beside bars of classes, labels that one run has and another not."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.pictures import jpeg_uri
from lmptlib.suite.figures.style import (
    COLOURS,
    SCALES_DIFFER,
    SHORT,
    apply_layout,
    letters,
    of_groups,
    panels,
    room,
    run_looks,
    wrapped,
)

# Runs beside a picture; more stand below.
_RUNS = 3


@of_groups
def case_figure(images: list[Image.Image], titles: list[str], tops: list[pd.DataFrame], width: int = 320) -> go.Figure:
    """A row an image: the picture, and for each run bars of its best classes (LMPT Fig. 5).

    titles stand above the pictures and may hold <br>. tops: for each image columns run, place, class, group, score, said,
    right, as `lmptlib.suite.analysis.cases.top_classes` gives them. width: of the pictures, in pixels. Bars of the labels
    that the run says are filled; labels of the image are bold and ticked.
    """
    names = list(tops[0]["run"].unique())
    n_bars = max(top.groupby("run").size().max() for top in tops)
    columns = min(len(names), _RUNS)
    lines = [names[i : i + columns] for i in range(0, len(names), columns)]
    texts = [
        text
        for title in titles
        for line in lines
        for text in (title if line is lines[0] else "", *_padded(line, columns))
    ]
    texts = [wrapped(text, letters(1 + columns, 880)) for text in texts]
    n_rows, gap = len(images) * len(lines), room(texts)
    height = max(22 * n_bars, 150) * n_rows + gap * (n_rows - 1)
    gaps = {"horizontal_spacing": 0.012, "vertical_spacing": min(gap / height, 1)}
    figure = make_subplots(rows=n_rows, cols=1 + columns, subplot_titles=texts, **gaps)
    figure.update_xaxes(visible=False).update_yaxes(visible=False, range=[n_bars - 0.4, -0.6])
    for i, (image, top) in enumerate(zip(images, tops)):
        row = 1 + i * len(lines)
        _add_picture(figure, jpeg_uri(image, width), row)
        for place, name in enumerate(names):
            below, beside = divmod(place, columns)
            _add_best_classes(figure, top[top["run"] == name], row + below, beside + 2)
    title = f"Best classes: ✓ a label of the image, ✗ none; H head, M medium, T tail{SCALES_DIFFER}"
    look: dict[str, Any] = {"font_color": "black", "showlegend": False, "margin": {"l": 10, "r": 10, "b": 10}}
    return apply_layout(figure, title, height + gap + 66, **look)


def _padded(names: list[str], length: int) -> list[str]:
    return names + [""] * (length - len(names))


def _add_picture(figure: go.Figure, source: str, row: int) -> None:
    """Put a picture into the first panel of a row, as large as it goes."""
    (left, right), (bottom, top) = (axis.domain for axis in figure.get_subplot(row, 1))
    place = {"x": (left + right) / 2, "y": top, "xanchor": "center", "sizex": right - left, "sizey": top - bottom}
    figure.add_layout_image(source=source, **place)


def _add_best_classes(figure: go.Figure, part: pd.DataFrame, row: int, column: int) -> None:
    """Draw one run's best classes of one image, best on top. part: columns place, class, group, score, said, right."""
    panel = {"row": row, "col": column}
    low, high = min(part["score"].min(), 0), max(part["score"].max(), 0)
    y, colours = np.arange(len(part)), part["group"].map(COLOURS)
    marker = {"color": colours.where(part["said"], "white"), "opacity": 0.45, "line": {"color": colours, "width": 1.5}}
    figure.add_bar(x=part["score"], y=y, orientation="h", marker=marker, hoverinfo="skip", **panel)
    texts = []
    for top in part.to_dict("records"):
        name = f"{top['class']} ({SHORT[top['group']]}) {top['score']:.2f}"
        texts.append(f" <b>{top['place']}. ✓ {name}</b>" if top["right"] else f" {top['place']}. ✗ {name}")
    look = {"mode": "text", "textposition": "middle right", "textfont_size": 12, "hoverinfo": "skip"}
    figure.add_scatter(x=np.full(len(part), low), y=y, text=texts, **look, **panel)
    figure.update_xaxes(range=[low, high + 0.02 * (high - low)], **panel)


@of_groups
def case_changes(table: pd.DataFrame, against: str) -> go.Figure:
    """Labels fixed (right, filled) and broken (left, hatched) in each class, a panel a run.

    table: columns run, class, group, train, shown, fixed, broke, as `lmptlib.suite.analysis.cases.class_summary` gives
    them.
    """
    names = [name for name in table["run"].unique() if name != against]
    order = table.drop_duplicates("class").sort_values("train", kind="stable")
    labels = dict(zip(order["class"], [f"{c} ({n})" for c, n in zip(order["class"], order["train"])]))
    each = 10 + (18 if len(order) <= 30 else 16) * len(order)
    figure, height = panels(names, each, shared_yaxes=True, horizontal_spacing=0.03)
    for place, name in enumerate(names):
        for group in GROUPS:
            part = table[(table["run"] == name) & (table["group"] == group)]
            for side in ("fixed", "broke"):
                label, bars = f"{side}, {group}", _changes(part, side, COLOURS[group])
                bars.update(y=part["class"].map(labels), name=label, legendgroup=label, showlegend=place == 0)
                figure.add_trace(bars, row=place // 3 + 1, col=place % 3 + 1)
    far = 1.2 * max(table["fixed"].max(), table["broke"].max(), 1)
    figure.update_xaxes(range=[-far, far], title="broken ←  → fixed", zerolinecolor="black")
    figure.update_yaxes(categoryorder="array", categoryarray=list(labels.values()), dtick=1, tickfont_size=12)
    title = f"Labels fixed and broken against {against} (training images in brackets)"
    return apply_layout(figure, title, height + 150, barmode="relative")


@of_groups
def confusion_map(table: pd.DataFrame, run: str) -> go.Figure:
    """What a run says of the test images of rare classes: a line a class, rarest on top, a column for each class that is said.

    table: columns class, train, shown, said, images, as `lmptlib.suite.analysis.cases.confusions` gives them. Framed cells are
    right.
    """
    rows = table.drop_duplicates("class").set_index("class")
    # what is right from corner to corner, then what is said most often in its place
    often = table.groupby("said", sort=False)["images"].sum().sort_values(ascending=False, kind="stable").index
    columns = [*(name for name in rows.index if name in often), *(name for name in often if name not in rows.index)]
    wide = table.pivot(index="class", columns="said", values="images").reindex(index=rows.index, columns=columns)
    share = 100 * wide.div(rows["shown"], axis=0)
    labels = [f"{name} ({count})" for name, count in rows["train"].items()]
    heat = go.Heatmap(z=share, x=columns, y=labels, colorscale="Blues", zmin=0, zmax=100, xgap=2, ygap=2)
    heat.update(text=wide.map(lambda count: "" if np.isnan(count) else f"{count:.0f}"), texttemplate="%{text}")
    heat.update(colorbar_title={"text": "% of the class's images", "side": "right"}, hoverongaps=False)
    heat.hovertemplate = "%{y}: %{text} images are said to be %{x}<extra></extra>"
    figure = go.Figure(heat)
    for line, name in enumerate(rows.index):
        if name in columns:
            x = columns.index(name)
            box = {"x0": x - 0.5, "x1": x + 0.5, "y0": line - 0.5, "y1": line + 0.5}
            figure.add_shape(type="rect", line={"color": "black", "width": 2}, **box)
    figure.update_xaxes(side="top", dtick=1, tickangle=-45, tickfont_size=12, showgrid=False)
    figure.update_yaxes(autorange="reversed", dtick=1, tickfont_size=12, showgrid=False)
    title = f"What {run} says of the rarest classes (training images in brackets): test images; framed: right"
    above = 15 + 5 * max(map(len, columns))
    return apply_layout(figure, title, 90 + above + 24 * len(rows), above=above)


def _changes(part: pd.DataFrame, side: str, colour: str) -> go.Bar:
    """Bars of the labels that a run fixed or broke in the classes of one group."""
    sign = 1 if side == "fixed" else -1
    pattern = {"shape": "" if side == "fixed" else "/", "fillmode": "replace", "size": 6}
    marker = {"color": colour, "line": {"color": colour, "width": 1}, "pattern": pattern}
    bars = go.Bar(x=sign * part[side], orientation="h", marker=marker, customdata=part["shown"])
    bars.update(text=part[side].replace(0, ""), textposition="outside", cliponaxis=False)
    return bars.update(hovertemplate=f"{side} %{{text}} of %{{customdata}} images<extra></extra>")


@of_groups
def top_probabilities(table: pd.DataFrame, k: int = 6) -> go.Figure:
    """The k most probable classes of one image under each run, a bar a run.

    table: columns run, class, group, probability, and `configuration`, by which a run keeps its colour.
    """
    wide = table.assign(name=table["class"] + " (" + table["group"].map(SHORT) + ")")
    wide = wide.pivot(index="name", columns="run", values="probability")[table["run"].unique()]
    shown = wide[(wide.rank(ascending=False, method="first") <= k).any(axis=1)]
    shown = shown.loc[shown.max(axis=1).sort_values(kind="stable").index]
    figure = go.Figure()
    looks = run_looks(table)
    # bars are stacked from below
    for run in reversed(list(shown)):
        marker = {"color": looks[str(run)].colour, "pattern_shape": looks[str(run)].hatch}
        bars = go.Bar(x=shown[run], y=shown.index, orientation="h", name=run, marker=marker)
        texts = shown[run].map("{:.2f}".format)
        figure.add_trace(bars.update(text=texts, textposition="outside", cliponaxis=False))
    figure.update_xaxes(range=[0, 1.1], title="probability").update_yaxes(dtick=1)
    height = 120 + len(shown) * (10 + (20 if len(shown.columns) <= 3 else 13) * len(shown.columns))
    return apply_layout(figure, "", height, legend_traceorder="reversed", barmode="group")
