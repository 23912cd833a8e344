"""Colours, symbols and the layout that all figures share."""

import plotly.graph_objects as go

COLOURS = {"head": "#23508E", "medium": "#E69F00", "tail": "#CC4678"}


SYMBOLS = {"head": "circle", "medium": "square", "tail": "diamond"}


RUN_COLOURS = ("#444444", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D1F", "#000000")


SHORT = {"head": "H", "medium": "M", "tail": "T"}


def apply_layout(figure: go.Figure, title: str, height: int = 460, **axes) -> go.Figure:
    figure.update_layout(
        title=title,
        template="plotly_white",
        autosize=True,  # as wide as the page, in a widget too
        height=height,
        font_size=14,
        margin={"l": 70, "r": 30, "t": 70, "b": 60},
        **axes,
    )
    return figure
