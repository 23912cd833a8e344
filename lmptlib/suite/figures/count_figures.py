"""The data set in numbers: images a class, classes together."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import COLOURS, apply_layout


def class_counts(classes: pd.DataFrame) -> go.Figure:
    """Training images of each class, most frequent first. classes: columns class, group, train."""
    order = classes.sort_values("train", ascending=False)["class"].tolist()
    figure = go.Figure()
    for group in GROUPS:
        part = classes[classes["group"] == group].sort_values("train", ascending=False)
        figure.add_bar(x=part["class"], y=part["train"], name=group, marker_color=COLOURS[group], text=part["train"])
    figure.update_xaxes(categoryorder="array", categoryarray=order, tickangle=-45)
    figure.update_yaxes(type="log", dtick=1, title="training images (log)")
    return apply_layout(figure, "The long tail: training images of each class")


def co_occurrence(matrix: pd.DataFrame, measure: str = "images") -> go.Figure:
    """Which classes come with which, as a heat map with its numbers. matrix: a row and a column a class, in one order.

    measure: `images` (that show both; coloured by the logarithm, none is white), `share` (of the column's images, 0 to 1)
    or `difference` (of two shares). Of the last two the diagonal, a class with itself, is left out.
    """
    values, small = matrix.to_numpy(float), len(matrix) <= 25
    if measure == "images":
        title, unit, form, colours, low = "Images that show both classes", "images", ".0f", "Blues", -0.3
        shade = np.log10(np.where(values > 0, values, np.nan))
        high = max(1.0, np.log10(max(values.max(), 1)))
        bar = {"tickvals": [0, 1, 2, 3, 4], "ticktext": ["1", "10", "100", "1,000", "10,000"]}
    else:
        values = shade = np.where(np.eye(len(values), dtype=bool), np.nan, 100 * values)
        title, unit, form, colours, low, high, bar = "p(row | column)", "%", ".0f", "Blues", 0, 100, {}
        if measure == "difference":
            high = np.nanmax(np.abs(values), initial=1.0)
            title, unit, form, colours, low = "p(row | column), training less test", "points", "+.0f", "RdBu", -high
    text = [[f"{cell:{form}}" if abs(cell) >= 0.5 else "" for cell in line] for line in values]  # NaN is not
    figure = go.Figure(
        go.Heatmap(
            z=shade, x=matrix.columns, y=matrix.index, zmin=low, zmax=high, colorscale=colours, xgap=1, ygap=1,
            text=text, texttemplate="%{text}" if small else "", textfont_size=13, customdata=values,
            colorbar={"title": {"text": unit, "side": "right"}, **bar}, hoverongaps=False,
            hovertemplate=f"%{{y}} with %{{x}}: %{{customdata:{form}}} {unit}<extra></extra>",
        )
    )  # fmt: skip
    font, angle, height = (13, -45, 27) if small else (10, -90, 13)
    figure.update_xaxes(side="top", tickangle=angle, showgrid=False, title="", tickfont_size=font, dtick=1)
    figure.update_yaxes(autorange="reversed", showgrid=False, title="", tickfont_size=font, dtick=1)
    figure = apply_layout(figure, title, height=190 + height * len(matrix))
    return figure.update_layout(margin_t=150, title_y=0.97)


def long_tail(table: pd.DataFrame) -> go.Figure:
    """Images wanted (wide grey bars) and images there (narrow bars) of each class. table: columns class, wanted, images, group."""
    figure = go.Figure()
    number = "{:.0f}".format if len(table) <= 40 else "".format  # more numbers would not be readable
    figure.add_bar(x=table["class"], y=table["wanted"], name="wanted", marker_color="#CCCCCC", width=0.9)
    for group, pattern in zip(GROUPS, ("", "/", "x")):
        there = table["images"].where(table["group"] == group)
        figure.add_bar(
            x=table["class"], y=there, name=f"there, {group}", width=0.55, text=there.map(number, na_action="ignore"),
            marker={"color": COLOURS[group], "pattern": {"shape": pattern, "fgcolor": "white", "size": 6}},
            textposition="outside", textfont_size=13, constraintext="none", cliponaxis=False,
        )  # fmt: skip
    figure.update_xaxes(tickangle=-45)
    top = max(table["wanted"].max(), table["images"].max(), 1)
    figure.update_yaxes(type="log", dtick=1, title="images (log)", range=np.log10([0.7, 1.6 * top]))
    return apply_layout(figure, "Images wanted, and images there", barmode="overlay")
