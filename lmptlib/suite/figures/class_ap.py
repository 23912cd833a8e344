"""AP class by class."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.data.dataset import GROUPS
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS, SYMBOLS, apply_layout


def per_class_ap(table: pd.DataFrame, ranking: str = "softmax") -> go.Figure:
    """AP of each class across runs, most frequent class first, with the training counts behind.

    table: columns class, group, train, run, ap (percent); several rows of one run and class (seeds) become mean and range.
    """
    classes = table.drop_duplicates("class").sort_values("train", ascending=False)
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    figure.add_bar(
        x=classes["class"], y=classes["train"], name="training images", opacity=0.25, secondary_y=True,
        marker_color=[COLOURS[g] for g in classes["group"]], showlegend=False, hovertemplate="%{y} training images",
    )  # fmt: skip
    for i, (run, part) in enumerate(table.groupby("run", sort=False)):
        ap = part.groupby("class")["ap"].agg(["mean", "min", "max"]).reindex(classes["class"])
        error = {"array": ap["max"] - ap["mean"], "arrayminus": ap["mean"] - ap["min"], "type": "data", "thickness": 1}
        figure.add_scatter(
            x=ap.index, y=ap["mean"], mode="lines+markers", name=run, error_y=error if (ap["max"] > ap["min"]).any() else None,
            marker={"size": 8, "symbol": i}, line={"color": RUN_COLOURS[i % len(RUN_COLOURS)], "width": 1.5},
            hovertemplate="%{y:.1f}",
        )  # fmt: skip
    figure.update_yaxes(title=f"AP, {ranking} ranking (%)", range=[0, 101], secondary_y=False)
    figure.update_yaxes(title="training images (log)", type="log", dtick=1, showgrid=False, secondary_y=True)
    figure.update_xaxes(tickangle=-45)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return apply_layout(figure, "AP of each class, from frequent to rare", height=580, legend=legend, title_y=0.97)


def ap_change(table: pd.DataFrame) -> go.Figure:
    """What moved: AP of each class before and after, as dumbbells. table: columns class, group, train, before, after."""
    table = table.sort_values("train")
    labels = [f"{name} ({count})" for name, count in zip(table["class"], table["train"])]
    figure = go.Figure()
    for label, row in zip(labels, table.itertuples()):
        figure.add_scatter(
            x=[row.before, row.after], y=[label, label], mode="lines", line={"color": COLOURS[row.group], "width": 3},
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    figure.add_scatter(
        x=table["before"],
        y=labels,
        mode="markers",
        name="before",
        marker={"color": "white", "size": 10, "line": {"width": 2}},
    )
    colours = [COLOURS[g] for g in table["group"]]
    figure.add_scatter(x=table["after"], y=labels, mode="markers", name="after", marker={"color": colours, "size": 11})
    figure.update_xaxes(title="AP (%)", range=[0, 101])
    return apply_layout(
        figure, "What moved: AP of each class (training images in brackets)", height=120 + 24 * len(table)
    )


def class_rows(table: pd.DataFrame) -> pd.DataFrame:
    """AP of each row and class over its seeds, a line a class, rarest first: columns (row, mean), (row, min), (row, max).

    table: columns row, class, group, train, ap (percent), a line a seed. The index is class, group, train. A class
    without positives has no AP and is left out.
    """
    wide = (
        table.groupby(["class", "group", "train", "row"], sort=False)["ap"].agg(["mean", "min", "max"]).unstack("row")
    )
    return wide.swaplevel(axis=1).iloc[np.argsort(wide.index.get_level_values("train"), kind="stable")].dropna()


def ap_heatmap(table: pd.DataFrame, baseline: str) -> go.Figure:
    """AP of each class (lines, most frequent on top) in each row of a sweep, against the baseline (mean over seeds).

    table: columns row, class, group, train, ap (percent). Colour and the signed number are the difference from the
    baseline, whose own column has the AP.
    """
    wide = class_rows(table)
    names = [baseline, *(row for row in table["row"].unique() if row != baseline)]
    ap = np.array([wide[name, "mean"] for name in names]).T  # (C, rows)
    gap = ap - ap[:, :1]
    text = [[f"{a[0]:.1f}", *(f"{d:+.1f}" for d in g[1:])] for a, g in zip(ap, gap.round(1) + 0.0)]  # no -0.0
    spread = [[f"{wide[n, 'min'].iloc[i]:.1f} to {wide[n, 'max'].iloc[i]:.1f}" for n in names] for i in range(len(ap))]
    labels = [f"{name} ({count})" for name, _, count in wide.index]
    figure = go.Figure(
        go.Heatmap(
            z=gap, x=names, y=labels, text=text, texttemplate="%{text}", textfont_size=13, colorscale="RdBu", zmid=0,
            xgap=2, ygap=1, customdata=np.dstack([ap.round(1).astype(str), np.array(spread)]),
            colorbar={"title": {"text": "AP − baseline", "side": "right"}},
            hovertemplate="%{x}, %{y}<br>AP %{customdata[0]} (seeds %{customdata[1]}), %{z:+.2f}<extra></extra>",
        )
    )  # fmt: skip
    groups = wide.index.get_level_values("group")
    for place in np.flatnonzero(groups[1:] != groups[:-1]):
        figure.add_hline(y=place + 0.5, line={"color": "black", "width": 2})
    for group in groups.unique():
        places = np.flatnonzero(groups == group)
        figure.add_annotation(
            x=1.0, xref="paper", y=places.mean(), text=group, textangle=90, showarrow=False, xanchor="left",
            font={"color": COLOURS[group], "size": 15},
        )  # fmt: skip
    figure.update_xaxes(side="top", showgrid=False, title="")
    figure.update_yaxes(showgrid=False)
    title = f"AP of each class (training images in brackets): {baseline}, and the change from it"
    return apply_layout(figure, title, height=190 + 27 * len(wide)).update_layout(margin_t=110)


def ap_dumbbells(table: pd.DataFrame, baseline: str) -> go.Figure:
    """AP of each class from the baseline (open) to each other row of a sweep (filled), a panel a row.

    table: columns row, class, group, train, ap (percent). Points are means over seeds, thin lines their range.
    """
    wide = class_rows(table)
    others = [row for row in table["row"].unique() if row != baseline]
    labels = [f"{name} ({count})" for name, _, count in wide.index]
    groups = wide.index.get_level_values("group")
    columns = min(len(others), 3)
    n_lines = -(-len(others) // columns)
    height = 110 + n_lines * (60 + 22 * len(wide))
    figure = make_subplots(
        rows=n_lines, cols=columns, shared_yaxes=True, subplot_titles=others, horizontal_spacing=0.02,
        vertical_spacing=60 / height,
    )  # fmt: skip
    for i, other in enumerate(others):
        place = {"row": i // columns + 1, "col": i % columns + 1}
        for group in GROUPS:
            here = groups == group
            if not here.any():
                continue
            before, after = wide.loc[here, baseline], wide.loc[here, other]
            names = [label for label, inside in zip(labels, here) if inside]
            ends = np.column_stack([before["mean"], after["mean"], np.full(here.sum(), np.nan)]).ravel()
            figure.add_scatter(
                x=ends, y=np.repeat(names, 3), mode="lines", line={"color": COLOURS[group], "width": 3},
                showlegend=False, hoverinfo="skip", **place,
            )  # fmt: skip
            for part, fill, size in ((before, "white", 8), (after, COLOURS[group], 9)):
                figure.add_scatter(
                    x=part["mean"], y=names, mode="markers", name=group, legendgroup=group,
                    showlegend=i == 0 and part is after, hovertemplate="%{y}: %{x:.1f}<extra></extra>",
                    error_x={"array": part["max"] - part["mean"], "arrayminus": part["mean"] - part["min"],
                             "color": "#777777", "thickness": 1, "width": 3},
                    marker={"color": fill, "size": size, "symbol": SYMBOLS[group], "line": {"width": 2, "color": COLOURS[group]}},
                    **place,
                )  # fmt: skip
    figure.update_xaxes(range=[0, 101])
    figure.update_xaxes(title="AP (%)", row=n_lines)
    figure.update_yaxes(categoryorder="array", categoryarray=labels, range=[-0.7, len(labels) - 0.3])
    title = f"AP of each class: from {baseline} (open) to each row (filled)"
    return apply_layout(figure, title, height=height).update_layout(margin_t=100)
