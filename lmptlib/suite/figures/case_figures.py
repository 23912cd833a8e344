"""Single images and what runs say of them: pictures beside bars of classes, labels that one run has and another not."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.pictures import jpeg_uri
from lmptlib.suite.figures.style import COLOURS, SHORT, apply_layout, of_groups, run_colour


@of_groups
def case_figure(images: list[Image.Image], titles: list[str], tops: list[pd.DataFrame], width: int = 320) -> go.Figure:
    """A row an image: the picture, and for each run bars of its best classes (LMPT Fig. 5).

    titles stand above the pictures and may hold <br>. tops: for each image columns run, place, class, group, score, said,
    right, as `lmptlib.suite.analysis.cases.top_classes` gives them. width: of the pictures, in pixels. Bars of the labels
    that the run says are filled; labels of the image are bold and ticked.
    """
    names = list(tops[0]["run"].unique())
    n_bars = max(top.groupby("run").size().max() for top in tops)
    room = 28 + 18 * max(title.count("<br>") for title in titles)
    height = 70 + len(images) * (room + 26 * n_bars)
    gaps = {"horizontal_spacing": 0.012, "vertical_spacing": room / (height - 70 - room)}
    panels = [text for title in titles for text in (title, *names)]
    figure = make_subplots(rows=len(images), cols=1 + len(names), subplot_titles=panels, **gaps)
    figure.update_annotations(font_size=14)
    for row, (image, top) in enumerate(zip(images, tops), 1):
        _add_picture(figure, jpeg_uri(image, width), row)
        for column, name in enumerate(names, 2):
            _add_best_classes(figure, top[top["run"] == name], row, column)
    figure.update_xaxes(visible=False).update_yaxes(visible=False, range=[n_bars - 0.4, -0.6])
    title = "Best classes of each run, filled where it says them: ✓ a label of the image, ✗ none"
    look = {"title_y": 1 - 22 / height, "title_font_size": 17, "font_color": "black", "showlegend": False}
    margin = {"l": 10, "r": 10, "t": 50 + room, "b": 20}
    return apply_layout(figure, title, height, **look).update_layout(margin=margin)


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
    look = {"mode": "text", "textposition": "middle right", "hoverinfo": "skip"}
    figure.add_scatter(x=np.full(len(part), low), y=y, text=texts, **look, **panel)
    figure.update_xaxes(range=[low, high + 0.02 * (high - low)], **panel)


@of_groups
def case_changes(table: pd.DataFrame, against: str) -> go.Figure:
    """Labels fixed (right, filled) and broken (left, hatched) in each class, a panel a run.

    table: columns run, class, group, train, shown, fixed, broke, as `lmptlib.suite.analysis.cases.class_summary` gives
    them.
    """
    names = [name for name in table["run"].unique() if name != against]
    figure = make_subplots(cols=len(names), shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.03)
    order = table.drop_duplicates("class").sort_values("train", kind="stable")
    labels = dict(zip(order["class"], [f"{c} ({n})" for c, n in zip(order["class"], order["train"])]))
    for column, name in enumerate(names, 1):
        for group in GROUPS:
            part = table[(table["run"] == name) & (table["group"] == group)]
            for side in ("fixed", "broke"):
                label, bars = f"{side}, {group}", _changes(part, side, COLOURS[group])
                bars.update(y=part["class"].map(labels), name=label, legendgroup=label, showlegend=column == 1)
                figure.add_trace(bars, row=1, col=column)
    far = 1.2 * max(table["fixed"].max(), table["broke"].max(), 1)
    figure.update_xaxes(range=[-far, far], title="broken ←  → fixed", zerolinecolor="black")
    figure.update_yaxes(categoryorder="array", categoryarray=list(labels.values()))
    title = f"Labels fixed and broken against {against} (training images in brackets)"
    return apply_layout(figure, title, 170 + 24 * len(order), barmode="relative").update_layout(margin_t=100)


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
    """The k most probable classes of one image under each run, a bar a run. table: columns run, class, group, probability."""
    wide = table.assign(name=table["class"] + " (" + table["group"].map(SHORT) + ")")
    wide = wide.pivot(index="name", columns="run", values="probability")[table["run"].unique()]
    shown = wide[(wide.rank(ascending=False, method="first") <= k).any(axis=1)]
    shown = shown.loc[shown.max(axis=1).sort_values(kind="stable").index]
    figure = go.Figure()
    # bars are stacked from below
    for i, run in reversed(list(enumerate(shown))):
        marker = {"color": run_colour(i), "pattern_shape": "/x-."[i % 4] if i else ""}
        bars = go.Bar(x=shown[run], y=shown.index, orientation="h", name=run, marker=marker)
        texts = shown[run].map("{:.2f}".format)
        figure.add_trace(bars.update(text=texts, textposition="outside", cliponaxis=False))
    figure.update_xaxes(range=[0, 1.1], title="probability").update_yaxes(automargin=True)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "reversed"}
    height = 150 + len(shown) * (10 + 20 * len(shown.columns))
    return apply_layout(figure, "", height, legend=legend, barmode="group").update_layout(title=None, margin_t=40)
