"""Single images and what runs say of them."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.pictures import image_grid
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS, SHORT, apply_layout


def case_figure(images: list[Image.Image], titles: list[str], tops: list[pd.DataFrame], width: int = 320) -> go.Figure:
    """A row an image: the picture, and for each run bars of its best classes (LMPT Fig. 5).

    titles stand above the pictures and may hold <br>. tops: for each image columns run, place, class, group, score, right,
    as `lmptlib.cases.top_classes` gives them. Labels of the image are bold, filled and ticked; the dashed line stands below
    the k best classes, k the number of labels.
    """
    names = list(tops[0]["run"].unique())
    n_bars = max(top.groupby("run").size().max() for top in tops)
    room = 28 + 18 * max(title.count("<br>") for title in titles)
    height = 70 + len(images) * (room + 26 * n_bars)
    figure = make_subplots(
        rows=len(images), cols=1 + len(names), horizontal_spacing=0.012, vertical_spacing=room / (height - 70 - room),
        subplot_titles=[text for title in titles for text in (title, *names)],
    )  # fmt: skip
    figure.update_annotations(font_size=14)
    pictures = image_grid(images, titles, width=width).layout.images
    for row, (picture, top) in enumerate(zip(pictures, tops), 1):
        (left, right), (bottom, above) = (axis.domain for axis in figure.get_subplot(row, 1))
        size = {"sizex": right - left, "sizey": above - bottom}
        figure.add_layout_image(source=picture.source, x=(left + right) / 2, y=above, xanchor="center", **size)
        for column, name in enumerate(names, 2):
            part = top[top["run"] == name]
            low, high = min(part["score"].min(), 0), max(part["score"].max(), 0)
            y, colours, spot = np.arange(len(part)), [COLOURS[g] for g in part["group"]], {"row": row, "col": column}
            marker = {"color": [c if right else "white" for c, right in zip(colours, part["right"])]}
            marker |= {"opacity": 0.45, "line": {"color": colours, "width": 1.5}}
            figure.add_bar(x=part["score"], y=y, orientation="h", marker=marker, hoverinfo="skip", **spot)
            text = [
                f" <b>{p}. ✓ {c} ({SHORT[g]}) {s:.2f}</b>" if right else f" {p}. ✗ {c} ({SHORT[g]}) {s:.2f}"
                for p, c, g, s, right in part[["place", "class", "group", "score", "right"]].itertuples(index=False)
            ]
            style = {"mode": "text", "textposition": "middle right", "hoverinfo": "skip"}
            figure.add_scatter(x=np.full(len(part), low), y=y, text=text, **style, **spot)
            figure.add_hline(y=part["right"].sum() - 0.5, line={"color": "black", "width": 1, "dash": "dash"}, **spot)
            figure.update_xaxes(range=[low, high + 0.02 * (high - low)], **spot)
    figure.update_xaxes(visible=False).update_yaxes(visible=False, range=[n_bars - 0.4, -0.6])
    title = "Best classes of each run: ✓ a label of the image, ✗ none (H head, M medium, T tail)"
    style = {"title_y": 1 - 22 / height, "title_font_size": 17, "font_color": "black", "showlegend": False}
    return apply_layout(figure, title, height, **style).update_layout(
        margin={"l": 10, "r": 10, "t": 50 + room, "b": 20}
    )


def case_changes(table: pd.DataFrame, against: str) -> go.Figure:
    """Labels fixed (right, filled) and broken (left, hatched) in each class, a panel a run.

    table: columns run, class, group, train, shown, fixed, broke, as `lmptlib.cases.class_summary` gives them.
    """
    names = [name for name in table["run"].unique() if name != against]
    figure = make_subplots(cols=len(names), shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.03)
    order = table.drop_duplicates("class").sort_values("train", kind="stable")
    labels = dict(zip(order["class"], [f"{c} ({n})" for c, n in zip(order["class"], order["train"])]))
    for column, name in enumerate(names, 1):
        for group in GROUPS:
            part = table[(table["run"] == name) & (table["group"] == group)]
            for side, sign, pattern in (("fixed", 1, ""), ("broke", -1, "/")):
                marker = {"color": COLOURS[group], "line": {"color": COLOURS[group], "width": 1}}
                marker["pattern"] = {"shape": pattern, "fillmode": "replace", "size": 6}
                figure.add_bar(
                    x=sign * part[side], y=part["class"].map(labels), orientation="h", marker=marker, text=part[side].replace(0, ""),
                    textposition="outside", cliponaxis=False, name=f"{side}, {group}", legendgroup=f"{side}, {group}",
                    showlegend=column == 1, customdata=part["shown"],
                    hovertemplate=f"{side} %{{text}} of %{{customdata}} images<extra></extra>", row=1, col=column,
                )  # fmt: skip
    far = 1.2 * max(table["fixed"].max(), table["broke"].max(), 1)
    figure.update_xaxes(range=[-far, far], title="broken ←  → fixed", zerolinecolor="black")
    figure.update_yaxes(categoryorder="array", categoryarray=list(labels.values()))
    title = f"Labels fixed and broken against {against} (training images in brackets)"
    return apply_layout(figure, title, 170 + 24 * len(order), barmode="relative").update_layout(margin_t=100)


def top_probabilities(table: pd.DataFrame, k: int = 6) -> go.Figure:
    """The k most probable classes of one image under each run, a bar a run. table: columns run, class, group, probability."""
    wide = table.assign(name=table["class"] + " (" + table["group"].map(SHORT) + ")")
    wide = wide.pivot(index="name", columns="run", values="probability")[table["run"].unique()]
    shown = wide[(wide.rank(ascending=False, method="first") <= k).any(axis=1)]
    shown = shown.loc[shown.max(axis=1).sort_values(kind="stable").index]
    figure = go.Figure()
    for i, run in list(enumerate(shown))[::-1]:  # bars are stacked from below
        figure.add_bar(
            x=shown[run], y=shown.index, orientation="h", name=run, text=shown[run].map("{:.2f}".format),
            textposition="outside", cliponaxis=False, marker_color=RUN_COLOURS[i % len(RUN_COLOURS)],
            marker_pattern_shape="/x-."[i % 4] * (i > 0),
        )  # fmt: skip
    figure.update_xaxes(range=[0, 1.1], title="probability").update_yaxes(automargin=True)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "reversed"}
    height = 150 + len(shown) * (10 + 20 * len(shown.columns))
    return apply_layout(figure, "", height, legend=legend, barmode="group").update_layout(title=None, margin_t=40)
