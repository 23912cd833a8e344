"""mAP in total and by class group: bars a run, and dots of a sweep's rows, with their intervals."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.intervals import TOO_FEW
from lmptlib.runs.tables import difference_text, interval_text
from lmptlib.suite.figures.style import (
    COLOURS,
    SCALES_DIFFER,
    SYMBOLS,
    apply_layout,
    interval,
    of_groups,
    of_task,
    row_labels,
    run_looks,
    told,
    without,
    wrapped,
)


@of_groups
def group_map(table: pd.DataFrame, ranking: str = "softmax") -> go.Figure:
    """mAP total and by group across runs, with intervals. table: as of `lmptlib.runs.tables.group_table`."""
    figure = go.Figure()
    looks = run_looks(table)
    for run, part in table.groupby("run", sort=False):
        look = looks[str(run)]
        bars = go.Bar(x=part["name"], y=part["value"], name=run, marker_color=look.colour)
        # the bar is pale, so that its interval and its number show on it
        bars.update(marker={"opacity": 0.6, "line": {"color": look.colour, "width": 1}})
        bars.update(marker_pattern={"shape": look.hatch, "fgcolor": "white"})
        bars.update(text=part["value"].map("{:.1f}".format), textposition="inside", insidetextanchor="start")
        bars.update(insidetextfont={"color": "black", "size": 11}, constraintext="none")
        bars.textangle = 0 if table["run"].nunique() <= 4 else -90
        bars.update(customdata=list(map(interval_text, part["low"], part["high"])))
        bars.update(hovertemplate=f"%{{x}}: %{{y:.1f}} (%{{customdata}}){told(part)}")
        spread = interval(part["value"], part["low"], part["high"], color="black", thickness=1.5)
        figure.add_trace(bars.update(error_y=spread))
    top = np.nanmax(table[["value", "high"]].to_numpy(float))
    figure.update_yaxes(title=f"mAP, {ranking} ranking (%)", range=[0, min(100, 1.1 * top)])
    title = "mAP by class group, with 95% intervals over test images"
    return apply_layout(figure, title + without(table.dropna(subset="value")["low"]), barmode="group")


@of_task
def run_totals(table: pd.DataFrame, ranking: str = "softmax") -> go.Figure:
    """mAP of each run as a dot, a line a configuration, best mean on top; hovering tells which. table: `group_table`."""
    table = table[table["name"] == "total"]
    means = table.groupby("run", sort=False)["value"].mean()
    order = means.sort_values(ascending=False, kind="stable").index
    table = table.set_index("run").loc[order].reset_index()
    looks, figure = run_looks(table), go.Figure()
    for place, (run, part) in enumerate(table.groupby("run", sort=False), 1):
        dots = go.Scatter(x=part["value"], y=[place] * len(part), mode="markers", name=run, showlegend=False)
        dots.update(marker={"color": looks[str(run)].colour, "symbol": looks[str(run)].symbol, "size": 9})
        figure.add_trace(dots.update(hovertemplate=f"%{{x:.1f}}{told(part)}"))
    figure.update_xaxes(title=f"mAP, {ranking} ranking (%)")
    # whole places, ten at most
    figure.update_yaxes(title="configuration", range=[len(order) + 0.6, 0.4], dtick=-(-len(order) // 10), tick0=1)
    return apply_layout(figure, "Totals of all runs: a line a configuration, a dot a seed", height=320)


@of_groups
def intervals(table: pd.DataFrame, of: str = "difference") -> go.Figure:
    """Rows of a sweep as dots with 95% intervals, a panel a group. table: columns row, group and those of `of`.

    of: `difference` (with difference_low, difference_high) or `mean` (with low, high), as `lmptlib.runs.comparison.compare`
    has them. A dot without an interval is open, and a difference says why.
    """
    low, high = ("low", "high") if of == "mean" else (f"{of}_low", f"{of}_high")
    table = table.dropna(subset=of)
    names = ["total", *(group for group in GROUPS if table.loc[table["group"] == group, of].notna().any())]
    figure = make_subplots(rows=1, cols=len(names), shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.02)
    for column, name in enumerate(names, 1):
        part = table[table["group"] == name].iloc[::-1]
        symbols = [SYMBOLS.get(name, "circle") + ("-open" if bare else "") for bare in part[low].isna()]
        marker = {"color": COLOURS.get(name, "#222222"), "symbol": symbols, "size": 11}
        spread = interval(part[of], part[low], part[high], thickness=2, width=5)
        dots = go.Scatter(x=part[of], y=part["row"], mode="markers", marker=marker, error_x=spread, showlegend=False)
        dots.update(hovertemplate="%{y}: %{x:.2f}<extra></extra>")
        if of == "difference":
            dots.update(customdata=list(map(difference_text, part[of], part[low], part[high])))
            dots.hovertemplate = "%{y}: %{customdata}<extra></extra>"
            dots.update(mode="markers+text", text=[wrapped(TOO_FEW, 9) if bare else "" for bare in part[low].isna()])
            dots.update(textposition="top center", textfont_size=11, cliponaxis=False)
        figure.add_trace(dots, row=1, col=column)
        if of == "difference":
            figure.add_vline(x=0, line={"color": "black", "width": 1, "dash": "dash"}, row=1, col=column)
    figure.update_xaxes(title="mAP (%)" if of == "mean" else "difference of mAP")
    rows, height = row_labels(table["row"].unique().tolist())
    figure.update_yaxes(rows)
    title = "mAP over seeds" if of == "mean" else "Paired differences"
    return apply_layout(figure, f"{title}, with 95% intervals{SCALES_DIFFER}", height=160 + height)
