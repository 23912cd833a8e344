"""What papers printed, row by row."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.suite.figures.style import apply_layout


def printed_totals(table: pd.DataFrame, title: str) -> go.Figure:
    """Printed total mAP of a sweep's rows, a panel a data set on its own scale. table: columns row, dataset, total (percent)."""
    names = list(table["dataset"].unique())
    figure = make_subplots(cols=len(names), subplot_titles=names, horizontal_spacing=0.08)
    for column, name in enumerate(names, 1):
        part = table[table["dataset"] == name]
        dots = go.Scatter(x=part["row"], y=part["total"], mode="lines+markers+text", texttemplate="%{y:.2f}")
        dots.update(line={"color": "#999999", "dash": "dot"}, marker={"color": "#444444", "size": 10}, showlegend=False)
        figure.add_trace(dots.update(textposition="top center", cliponaxis=False), row=1, col=column)
        low, high = part["total"].min(), part["total"].max()
        figure.update_yaxes(range=[low - 0.15 * (high - low), high + 0.3 * (high - low)], row=1, col=column)
    figure.update_yaxes(title="printed mAP (%)", col=1)
    return apply_layout(figure, f"{title} (each panel has its own scale)", height=300)
