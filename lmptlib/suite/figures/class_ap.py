"""AP class by class: curves over classes, a heat map of a sweep, dumbbells from one row to another."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.runs.tables import interval_text
from lmptlib.suite.figures.style import (
    COLOURS,
    SYMBOLS,
    apply_layout,
    folded,
    interval,
    letters,
    of_groups,
    panels,
    run_looks,
    told,
    wrapped,
)

# More runs with an interval at each class hide each other, and so do the lines of many.
_DRAWN, _JOINED = 2, 6


@of_groups
def per_class_ap(table: pd.DataFrame, ranking: str = "softmax") -> go.Figure:
    """AP of each class across runs, most frequent class first, with the training counts behind.

    table: columns class, group, train, run, ap, low, high (percent), as of `lmptlib.runs.tables.class_table`. Several rows
    of one run and class (seeds) become mean and range. With one seed hovering tells the 95% interval over test images, and
    one or two runs have it drawn.
    """
    classes = table.drop_duplicates("class").sort_values("train", ascending=False)
    n_runs = table["run"].nunique()
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    counts = go.Bar(x=classes["class"], y=classes["train"], name="training images", opacity=0.25, showlegend=False)
    counts.update(marker_color=classes["group"].map(COLOURS).tolist(), hovertemplate="%{y} training images")
    figure.add_trace(counts, secondary_y=True)
    looks = run_looks(table)
    for run, part in table.groupby("run", sort=False):
        look, seeds = looks[str(run)], part.groupby("class")
        ap = seeds["ap"].agg(["mean", "min", "max"]).join(seeds[["low", "high"]].first()).reindex(classes["class"])
        several = (seeds.size() > 1).any()
        line = go.Scatter(x=ap.index, y=ap["mean"], mode="lines+markers" if n_runs <= _JOINED else "markers", name=run)
        line.update(marker={"size": 8, "symbol": look.symbol})
        line.update(line={"color": look.colour, "dash": look.dashes[0], "width": 1.5})
        ends = ("min", "max") if several else ("low", "high")
        line.update(customdata=_told(part).reindex(ap.index), hovertemplate=f"%{{y:.1f}} (%{{customdata}}){told(part)}")
        if several or n_runs <= _DRAWN:
            line.error_y = interval(ap["mean"], ap[ends[0]], ap[ends[1]], thickness=1)
        figure.add_trace(line)
    figure.update_yaxes(title=f"AP, {ranking} ranking (%)", range=[0, 101], secondary_y=False)
    figure.update_yaxes(title="training images (log)", type="log", dtick=1, showgrid=False, secondary_y=True)
    figure = folded(figure, len(classes))
    return apply_layout(
        figure, "AP of each class, from frequent to rare", height=220 + 260 * len(list(figure.select_xaxes()))
    )


def _told(part: pd.DataFrame) -> pd.Series:
    """What hovering tells of each class of one run beside its AP: the 95% interval, or the range of several seeds."""
    seeds = part.groupby("class")
    if (seeds.size() > 1).any():
        return seeds["ap"].agg(lambda ap: f"seeds {ap.min():.1f}–{ap.max():.1f}")
    return seeds[["low", "high"]].first().apply(lambda ends: interval_text(*ends), axis=1)


def class_rows(table: pd.DataFrame) -> pd.DataFrame:
    """AP of each row and class over its seeds, a line a class, rarest first: columns (row, mean), (row, min), (row, max).

    table: columns row, class, group, train, ap (percent), a line a seed. The index is class, group, train. A class
    without positives has no AP and is left out.
    """
    cells = table.groupby(["class", "group", "train", "row"], sort=False)["ap"]
    wide = pd.DataFrame(cells.agg(["mean", "min", "max"]).unstack("row")).swaplevel(axis=1)
    return wide.iloc[np.argsort(wide.index.get_level_values("train"), kind="stable")].dropna()


@of_groups
def ap_heatmap(table: pd.DataFrame, baseline: str) -> go.Figure:
    """AP of each class (lines, most frequent on top) in each row of a sweep, against the baseline (mean over seeds).

    table: columns row, class, group, train, ap (percent). Colour and the signed number are the difference from the
    baseline, whose own column has the AP.
    """
    wide = class_rows(table)
    names = [baseline, *(row for row in table["row"].unique() if row != baseline)]
    labels = [f"{name} ({count})" for name, _, count in wide.index]
    low, ap, high = (pd.DataFrame({name: wide[name, of] for name in names}) for of in ("min", "mean", "max"))
    gap = ap.sub(ap[baseline], axis=0)
    # + 0.0: no -0.0
    text = (gap.round(1) + 0.0).map("{:+.1f}".format).assign(**{baseline: ap[baseline].map("{:.1f}".format)})
    beside = max(map(len, names)) <= letters(len(names), 600)
    heat = go.Heatmap(
        z=gap, x=[wrapped(name, 44) for name in names], y=labels, colorscale="RdBu", zmid=0, xgap=2, ygap=1
    )
    heat.update(text=text, texttemplate="%{text}", textfont_size=13)
    heat.update(colorbar_title={"text": "AP − baseline", "side": "right"})
    heat.customdata = np.dstack([values.map("{:.1f}".format) for values in (ap, low, high)])
    seeds = "seeds %{customdata[1]} to %{customdata[2]}"
    heat.hovertemplate = f"%{{x}}, %{{y}}<br>AP %{{customdata[0]}} ({seeds}), %{{z:+.2f}}<extra></extra>"
    figure = go.Figure(heat)
    _mark_groups(figure, wide.index.get_level_values("group"))
    figure.update_xaxes(side="top", showgrid=False, title="", dtick=1, tickangle=0 if beside else -90, tickfont_size=12)
    figure.update_yaxes(showgrid=False, dtick=1, tickfont_size=12)
    title = f"AP of each class (training images in brackets): {baseline}, and the change from it"
    above = 30 if beside else 260
    return apply_layout(figure, title, height=100 + above + (20 if len(wide) <= 30 else 16) * len(wide), above=above)


def _mark_groups(figure: go.Figure, groups: pd.Index) -> None:
    """Lines between the groups of a heat map's classes, and each group's name beside it."""
    for place in np.flatnonzero(groups[1:] != groups[:-1]):
        figure.add_hline(y=place + 0.5, line={"color": "black", "width": 2})
    edge = {"x": 1.0, "xref": "paper", "xanchor": "left", "textangle": 90, "showarrow": False}
    for group in groups.unique():
        middle = np.flatnonzero(groups == group).mean()
        figure.add_annotation(y=middle, text=group, font={"color": COLOURS[group], "size": 15}, **edge)


@of_groups
def ap_dumbbells(table: pd.DataFrame, baseline: str) -> go.Figure:
    """AP of each class from the baseline (open) to each other row (filled), a panel a row, most frequent class on top.

    table: columns row, class, group, train, ap, low, high (percent), as of a sweep or of a run before and after. Points are
    means over seeds, thin lines their range; with one seed hovering tells the 95% interval over test images.
    """
    wide = class_rows(table)
    told = {row: _told(part) for row, part in table.groupby("row", sort=False)}
    groups = wide.index.get_level_values("group")
    labels = [f"{name} ({count})" for name, _, count in wide.index]
    others = [row for row in table["row"].unique() if row != baseline]
    each = 10 + (18 if len(wide) <= 30 else 16) * len(wide)
    figure, height = panels(others, each, shared_yaxes=True, horizontal_spacing=0.02)
    columns = min(len(others), 3)
    for i, other in enumerate(others):
        for group in (group for group in GROUPS if group in groups):
            part = wide[groups == group]
            # The columns lie in two levels: one of the first is a frame, which the stubs do not know.
            traces = _dumbbells(part[baseline], part[other], group)  # type: ignore[arg-type]
            for points, row in zip(traces[1:], (baseline, other)):
                points.customdata = told[row].reindex(part.index.get_level_values("class"))
            traces[-1].showlegend = i == 0
            figure.add_traces(traces, rows=i // columns + 1, cols=i % columns + 1)
    figure.update_xaxes(range=[0, 101])
    figure.update_xaxes(title="AP (%)", row=-(-len(others) // columns))
    order = {"categoryorder": "array", "categoryarray": labels, "range": [-0.7, len(labels) - 0.3]}
    figure.update_yaxes(**order, dtick=1, tickfont_size=12)
    end = others[0] if len(others) == 1 else "each row"
    title = f"AP of each class (training images in brackets): from {baseline} (open) to {end} (filled)"
    return apply_layout(figure, title, height + 140)


def _dumbbells(before: pd.DataFrame, after: pd.DataFrame, group: str) -> list[go.Scatter]:
    """Lines, open points and filled points of one group's classes. before, after: columns mean, min, max, as of `class_rows`."""
    labels, colour = [f"{name} ({count})" for name, _, count in before.index], COLOURS[group]
    ends = np.column_stack([before["mean"], after["mean"], np.full(len(before), np.nan)]).ravel()
    lines = go.Scatter(x=ends, y=np.repeat(labels, 3), mode="lines", line={"color": colour, "width": 3})
    traces = [lines.update(hoverinfo="skip", showlegend=False)]
    for part, fill, size in ((before, "white", 8), (after, colour, 9)):
        marker = {"color": fill, "size": size, "symbol": SYMBOLS[group], "line": {"width": 2, "color": colour}}
        spread = interval(part["mean"], part["min"], part["max"], color="#777777", thickness=1, width=3)
        points = go.Scatter(x=part["mean"], y=labels, mode="markers", marker=marker, error_x=spread)
        hover = "%{y}: %{x:.1f} (%{customdata})<extra></extra>"
        traces.append(points.update(name=group, legendgroup=group, showlegend=False, hovertemplate=hover))
    return traces
