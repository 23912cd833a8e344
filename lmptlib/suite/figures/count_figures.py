"""The data set in numbers: images of each class, classes that come together, a long tail that is cut."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import COLOURS, apply_layout, folded, of_groups

# Measure -> title, unit, format of the numbers, colours.
_MEASURES = {
    "images": ("Images that show both classes", "images", ".0f", "Blues"),
    "share": ("p(row | column)", "%", ".0f", "Blues"),
    "difference": ("p(row | column), training less test", "points", "+.0f", "RdBu"),
}


@of_groups
def class_counts(classes: pd.DataFrame, height: int = 460) -> go.Figure:
    """Training images of each class, most frequent first. classes: columns class, group, train.

    height: in pixels, where one line names all classes; each further line of panels adds two fifths of it.
    """
    order = classes.sort_values("train", ascending=False)["class"].tolist()
    figure = go.Figure()
    for group in GROUPS:
        part = classes[classes["group"] == group].sort_values("train", ascending=False)
        figure.add_bar(x=part["class"], y=part["train"], name=group, marker_color=COLOURS[group], text=part["train"])
    figure.update_xaxes(categoryorder="array", categoryarray=order)
    figure.update_yaxes(type="log", dtick=1, title={"text": "images (log)", "font_size": 12})
    figure = folded(figure, len(order))
    further = len(list(figure.select_xaxes())) - 1
    figure = apply_layout(figure, "The long tail: training images of each class")
    return figure.update_layout(height=round(height * (1 + 0.4 * further)))


def co_occurrence(matrix: pd.DataFrame, measure: str = "images") -> go.Figure:
    """Which classes come with which, as a heat map with its numbers. matrix: a row and a column a class, in one order.

    measure: `images` (that show both; coloured by the logarithm, none is white), `share` (of the column's images, 0 to 1)
    or `difference` (of two shares). Of the last two the diagonal, a class with itself, is left out.
    """
    title, unit, number, colours = _MEASURES[measure]
    values = matrix.to_numpy(float)
    if measure != "images":
        values = np.where(np.eye(len(values), dtype=bool), np.nan, 100 * values)
    few = len(matrix) <= 25
    # NaN, the diagonal, is not at least 0.5
    text = [[f"{cell:{number}}" if abs(cell) >= 0.5 else "" for cell in line] for line in values]
    shades = _shades(values, measure)
    shades["z"] = _without_nan(shades["z"])
    heat = go.Heatmap(x=matrix.columns, y=matrix.index, **shades, colorscale=colours, xgap=1, ygap=1)
    heat.update(text=text, texttemplate="%{text}" if few else "", textfont_size=12, hoverongaps=False)
    hover = f"%{{y}} with %{{x}}: %{{customdata:{number}}} {unit}<extra></extra>"
    heat.update(customdata=_without_nan(values), colorbar_title={"text": unit, "side": "right"}, hovertemplate=hover)
    font, angle, row_height = (12, -45, 19) if few else (9, -90, 12)
    axis = {"showgrid": False, "title": "", "tickfont_size": font, "dtick": 1}
    figure = go.Figure(heat).update_xaxes(side="top", tickangle=angle, **axis)
    figure.update_yaxes(autorange="reversed", **axis)
    # the names over the columns, at their angle
    above = 15 + 5 * max(map(len, matrix.columns), default=0)
    return apply_layout(figure, title, 80 + above + row_height * len(matrix), above=above).update_layout(margin_b=20)


def _without_nan(values: np.ndarray) -> np.ndarray:
    """None in the place of NaN, which no message to a page can hold."""
    objects = values.astype(object)
    objects[np.isnan(values)] = None
    return objects


def _shades(values: np.ndarray, measure: str) -> dict:
    """What colours the cells: their shades, the ends of the scale and its ticks."""
    if measure == "share":
        return {"z": values, "zmin": 0, "zmax": 100}
    if measure == "difference":
        far = np.nanmax(np.abs(values), initial=1.0)
        return {"z": values, "zmin": -far, "zmax": far}
    ticks = {"tickvals": [0, 1, 2, 3, 4], "ticktext": ["1", "10", "100", "1,000", "10,000"]}
    far = max(1.0, np.log10(max(values.max(), 1)))
    return {"z": np.log10(np.where(values > 0, values, np.nan)), "zmin": -0.3, "zmax": far, "colorbar": ticks}


@of_groups
def long_tail(table: pd.DataFrame) -> go.Figure:
    """Images wanted (wide grey bars) and images there (narrow bars) of each class. table: columns class, wanted, images, group."""
    # numbers on more bars would not be readable
    number = "{:.0f}".format if len(table) <= 40 else "".format
    figure = go.Figure()
    figure.add_bar(x=table["class"], y=table["wanted"], name="wanted", marker_color="#CCCCCC", width=0.9)
    for group, shape in zip(GROUPS, ("", "/", "x")):
        there = table["images"].where(table["group"] == group)
        marker = {"color": COLOURS[group], "pattern": {"shape": shape, "fgcolor": "white", "size": 6}}
        bars = go.Bar(x=table["class"], y=there, name=f"there, {group}", width=0.55, marker=marker)
        bars.update(text=there.map(number, na_action="ignore").fillna(""), textposition="outside", textfont_size=13)
        figure.add_trace(bars.update(constraintext="none", cliponaxis=False))
    top = max(table["wanted"].max(), table["images"].max(), 1)
    figure.update_yaxes(type="log", dtick=1, title="images (log)", range=np.log10([0.7, 1.6 * top]))
    figure = folded(figure, len(table))
    height = 200 + 260 * len(list(figure.select_xaxes()))
    return apply_layout(figure, "Images wanted, and images there", height, barmode="overlay")
