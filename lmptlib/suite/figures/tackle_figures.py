"""What was fetched from a pool for rare classes: the pictures with their scores, and how many."""

import pandas as pd
import plotly.graph_objects as go
from PIL import Image

from lmptlib.suite.figures.pictures import image_grid
from lmptlib.suite.figures.style import COLOURS, apply_layout, folded, of_groups

_MARKS = {True: " ✓", False: " ✗"}


def fetched_grid(images: list[Image.Image], table: pd.DataFrame) -> go.Figure:
    """Pictures that were fetched, each with its class, rank and p; a row a class where all have as many.

    table: columns class, rank, p, right, as `lmptlib.suite.analysis.tackle.fetched_pictures` gives them; what is known to
    be right or wrong is marked so.
    """
    titles = [
        f"{row['class']}<br>{row['rank']}. p {row['p']:.2f}{_MARKS.get(row['right'], '')}"
        for row in table.to_dict("records")
    ]
    return image_grid(images, titles, columns=max(int(table["rank"].max()), 1) if len(table) else 1)


@of_groups
def fetched_counts(table: pd.DataFrame) -> go.Figure:
    """Training images of each class that gained any: those of the list, and upon them those that were fetched.

    table: columns class, group, train, fetched, as `lmptlib.suite.analysis.tackle.fetched_classes` gives them.
    """
    table = table[table["fetched"] > 0]
    inside = {"textposition": "inside", "insidetextanchor": "middle"}
    listed = go.Bar(x=table["class"], y=table["train"], text=table["train"], name="of the list", **inside)
    listed.update(marker_color=table["group"].map(COLOURS))
    # above the bar: on its hatching no number is read
    outside = {"texttemplate": "+%{y}", "textposition": "outside", "cliponaxis": False}
    fetched = go.Bar(x=table["class"], y=table["fetched"], name="fetched", **outside)
    pattern = {"shape": "/", "fillmode": "replace", "size": 6}
    fetched.update(marker={"color": table["group"].map(COLOURS), "pattern": pattern})
    figure = go.Figure([listed, fetched]).update_yaxes(title="training images")
    figure = folded(figure.update_xaxes(categoryorder="array", categoryarray=table["class"]), len(table))
    title = f"{table['fetched'].sum():,} images fetched for {len(table)} classes"
    height = 200 + 220 * len(list(figure.select_xaxes()))
    return apply_layout(figure, title, height, barmode="stack")
