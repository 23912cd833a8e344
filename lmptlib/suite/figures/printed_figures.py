"""What papers printed: their cells by group, rows side by side, totals against the means of their groups."""

import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS, SYMBOLS, apply_layout

_VERDICTS = {"agrees": RUN_COLOURS[0], "differs": RUN_COLOURS[1]}
_LOOK = {"color": COLOURS | {"total": "#222222"}, "symbol": SYMBOLS | {"total": "line-ns-open"}}


def printed_cells(table: pd.DataFrame) -> go.Figure:
    """Every printed mAP as a dot, by group, a panel a data set. table: rows of `lmptlib.published.tables.published`."""
    long = _long(table, ["address", "dataset"])
    figure = px.strip(long, x="group", y="mAP (%)", color="group", facet_col="dataset", hover_name="address",
        color_discrete_map=_LOOK["color"])  # fmt: skip
    figure.update_traces(marker={"size": 6, "opacity": 0.7}, showlegend=False).update_xaxes(title="")
    return apply_layout(_plain(figure), "All mAP that the papers print: a dot a cell", 320)


def printed_rows(table: pd.DataFrame) -> go.Figure:
    """Rows of the main tables, best total on VOC-LT on top: a column `label`, and those of `published`."""
    order = table[table["dataset"] == "voc-lt"].sort_values("total")["label"]
    figure = px.scatter(_long(table, ["label", "dataset"]), x="mAP (%)", y="label", color="group", symbol="group",
        facet_col="dataset", color_discrete_map=_LOOK["color"], symbol_map=_LOOK["symbol"])  # fmt: skip
    figure.update_traces(marker={"size": 10, "line": {"width": 2}})
    figure.update_yaxes(categoryorder="array", categoryarray=order, dtick=1, tickfont_size=12).update_yaxes(title="")
    return apply_layout(_plain(figure), "The main tables: mAP in total and by class group", 160 + 24 * len(order))


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


def total_differences(totals: pd.DataFrame) -> go.Figure:
    """Printed totals less the means of their groups, a dot a row of a paper, by kind of row. totals: columns kind, where,
    difference, verdict."""
    figure = px.strip(
        totals, x="difference", y="kind", color="verdict", hover_name="where", color_discrete_map=_VERDICTS
    )
    figure.update_traces(marker={"size": 7, "opacity": 0.7})
    figure.update_xaxes(title="printed total − mean of its groups").update_yaxes(title="")
    return apply_layout(
        figure, "Totals against their groups: a dot a printed row", 400, violinmode="overlay", boxmode="overlay"
    )


def _long(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return table.melt(keys, [*GROUPS, "total"], "group", "mAP (%)").dropna()


def _plain(figure: go.Figure) -> go.Figure:
    """Panels named by their data set alone."""
    return figure.for_each_annotation(lambda note: note.update(text=note.text.removeprefix("dataset=")))
