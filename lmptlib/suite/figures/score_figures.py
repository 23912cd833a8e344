"""Scores and what rankings make of them: histograms, scales, offsets, intervals, calibration, distances of captions."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.runs.tables import interval_text
from lmptlib.suite.figures.style import (
    COLOURS,
    SCALES_DIFFER,
    apply_layout,
    interval,
    letters,
    of_groups,
    row_labels,
    run_colour,
    run_looks,
    without,
    wrapped,
)

# Whether the class is in the image -> name and colour.
_PRESENCE = {False: ("it is not", "#B0B0B0"), True: ("the class is there", "#D55E00")}


def reliability(table: pd.DataFrame) -> go.Figure:
    """How often a stated probability comes true; on the dashed line it does as often as stated.

    table: columns panel, run, stated, observed, count (elements of the bin, shown by hovering); a panel a column, a line
    a run.
    """
    panels, names = table["panel"].unique(), table["run"].unique()
    looks = run_looks(table)
    figure = make_subplots(cols=len(panels), shared_yaxes=True, subplot_titles=list(panels), horizontal_spacing=0.04)
    for column, panel in enumerate(panels, 1):
        place = {"row": 1, "col": column}
        honest = {"mode": "lines", "line": {"color": "#999999", "dash": "dash"}, "hoverinfo": "skip"}
        figure.add_scatter(x=[0, 1], y=[0, 1], showlegend=False, **honest, **place)
        for name in names:
            part = table[(table["panel"] == panel) & (table["run"] == name)]
            line = go.Scatter(x=part["stated"], y=part["observed"], customdata=part["count"], name=name)
            line.update(mode="lines+markers", line_color=looks[name].colour, line_dash=looks[name].dashes[0])
            line.marker = {"size": 8, "symbol": looks[name].symbol}
            line.update(legendgroup=name, showlegend=column == 1)
            line.hovertemplate = "stated %{x:.2f}, came true %{y:.2f} of %{customdata}"
            figure.add_trace(line, **place)
    figure.update_xaxes(range=[-0.02, 1.02], title="stated probability").update_yaxes(range=[-0.02, 1.02])
    figure.update_yaxes(title="share that came true", col=1)
    return apply_layout(figure, "Are the probabilities true? Test images, all classes")


def ranking_intervals(table: pd.DataFrame) -> go.Figure:
    """mAP of each row under each ranking, with intervals, a panel a ranking on one scale.

    table: columns ranking, row, mean, low, high (percent).
    """
    names = list(table["ranking"].unique())
    figure = make_subplots(cols=len(names), shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.02)
    for i, name in enumerate(names):
        part = table[table["ranking"] == name].iloc[::-1]
        marker = {"color": run_colour(i), "symbol": i, "size": 11}
        spread = interval(part["mean"], part["low"], part["high"], thickness=2, width=5)
        dots = go.Scatter(x=part["mean"], y=part["row"], mode="markers", marker=marker, error_x=spread)
        dots.update(showlegend=False, customdata=list(map(interval_text, part["low"], part["high"])))
        dots.hovertemplate = "%{y}: %{x:.1f} (%{customdata})<extra></extra>"
        figure.add_trace(dots, row=1, col=i + 1)
    ends = table[["mean", "low", "high"]].to_numpy(float)
    least, most = np.nanmin(ends), np.nanmax(ends)
    pad = 0.05 * (most - least)
    figure.update_xaxes(title="mAP (%)", range=[least - pad, most + pad])
    rows, height = row_labels(table["row"].unique().tolist())
    figure.update_yaxes(rows)
    title = "mAP by ranking, with 95% intervals over test images" + without(table["low"])
    return apply_layout(figure, title, height=160 + height)


@of_groups
def temperature(table: pd.DataFrame, levels: pd.DataFrame, own: float) -> go.Figure:
    """mAP of the softmax ranking over its scale, a panel a group, with CLIP's own scale marked.

    table: columns scale, group, mean (percent). levels: columns row, group, mean, drawn as horizontal lines.
    """
    names = list(table["group"].unique())
    figure = make_subplots(cols=len(names), subplot_titles=names, horizontal_spacing=0.05)
    for column, name in enumerate(names, 1):
        place = {"row": 1, "col": column, "showlegend": column == 1}
        part, level = table[table["group"] == name], levels[levels["group"] == name]
        colour = COLOURS.get(name, "#222222")
        curve = {"mode": "lines", "name": "softmax", "legendgroup": "softmax", "line": {"color": colour, "width": 3}}
        figure.add_scatter(x=part["scale"], y=part["mean"], **curve, **place)
        at_own = np.interp(np.log(own), np.log(part["scale"]), part["mean"])
        star = {"symbol": "star", "size": 15, "color": colour, "line": {"width": 1, "color": "black"}}
        mark = {"mode": "markers", "name": "CLIP's own scale", "legendgroup": "own", "marker": star}
        figure.add_scatter(x=[own], y=[at_own], **mark, **place)
        for row, value, dash in zip(level["row"], level["mean"], ("dash", "dot", "dashdot", "longdash")):
            flat = go.Scatter(x=part["scale"].iloc[[0, -1]], y=[value, value], mode="lines", name=row)
            flat.update(line={"color": "#666666", "width": 2, "dash": dash}, legendgroup=row)
            figure.add_trace(flat.update(showlegend=column == 1), row=1, col=column)
    figure.update_xaxes(type="log", title="scale of the softmax", dtick=1)
    figure.update_yaxes(title="mAP (%)", col=1)
    return apply_layout(figure, "mAP of the softmax ranking, by its scale" + SCALES_DIFFER)


def offset_scatter(points: pd.DataFrame, title: str) -> go.Figure:
    """One class's scores over the images' mean cosines, positives marked, a panel a ranking.

    points: columns ranking, offset, score, positive (bool). A ranking goes down the vertical axis; the dashed line is where
    it has passed half of the positives.
    """
    names = list(points["ranking"].unique())
    figure = make_subplots(cols=len(names), subplot_titles=names, horizontal_spacing=0.07)
    for column, name in enumerate(names, 1):
        place = {"row": 1, "col": column}
        part = points[points["ranking"] == name]
        for positive, symbol, size in ((False, "circle-open", 5), (True, "diamond", 8)):
            side, (label, colour) = part[part["positive"] == positive], _PRESENCE[positive]
            marker = {"color": colour, "symbol": symbol, "size": size}
            dots = go.Scattergl(x=side["offset"], y=side["score"], mode="markers", marker=marker)
            figure.add_trace(dots.update(name=label, legendgroup=label, showlegend=column == 1), **place)
        scores = np.sort(part.loc[part["positive"], "score"])[::-1]
        n_half = -(-len(scores) // 2)
        n_wrong = int((part["score"] >= scores[n_half - 1]).sum()) - n_half
        figure.add_hline(y=scores[n_half - 1], line={"color": "black", "width": 1.5, "dash": "dash"}, **place)
        figure.layout.annotations[column - 1].text = f"{name}: {n_wrong} wrong above half of the right"
    figure.update_xaxes(title="image's mean cosine over classes")
    figure.update_yaxes(title="score", col=1)
    return apply_layout(figure, title + SCALES_DIFFER, height=500)


def score_histograms(points: pd.DataFrame, title: str, n_bins: int = 40) -> go.Figure:
    """Scores of a class's positives and negatives, each side's shares, a panel a ranking.

    points: columns ranking, score, positive (bool).
    """
    names = list(points["ranking"].unique())
    figure = make_subplots(cols=len(names), subplot_titles=names, horizontal_spacing=0.04)
    for column, name in enumerate(names, 1):
        part = points[points["ranking"] == name]
        edges = np.linspace(part["score"].min(), part["score"].max(), n_bins + 1)
        for positive, shape in ((False, ""), (True, "/")):
            label, colour = _PRESENCE[positive]
            count = np.histogram(part.loc[part["positive"] == positive, "score"], edges)[0]
            bars = go.Bar(x=(edges[1:] + edges[:-1]) / 2, y=count / max(count.sum(), 1), width=np.diff(edges))
            bars.update(opacity=0.65, marker={"color": colour, "pattern_shape": shape, "line_width": 0})
            figure.add_trace(bars.update(name=label, showlegend=column == 1), row=1, col=column)
    figure.update_xaxes(title="score")
    figure.update_yaxes(title="share of the images", col=1)
    return apply_layout(figure, title + (SCALES_DIFFER if len(names) > 1 else ""), barmode="overlay")


def caption_distances(table: pd.DataFrame, margin: float) -> go.Figure:
    """Distances of captions to the prompts of their classes and of the others; the dashed line is the mean margin.

    table: columns row, side (own, other), low, q1, median, q3, high, as `lmptlib.suite.analysis.embeddings.caption_distances`
    gives them.
    """
    figure = go.Figure()
    looks = {"own": ("caption's own classes", "#D55E00", "rgba(213,94,0,0.35)")}
    looks["other"] = ("other classes", "#444444", "rgba(68,68,68,0.12)")
    for side, (name, colour, fill) in looks.items():
        part = table[table["side"] == side]
        box = go.Box(x=part["row"], q1=part["q1"], median=part["median"], q3=part["q3"], name=name)
        box.update(lowerfence=part["low"], upperfence=part["high"], line_color=colour, fillcolor=fill)
        figure.add_trace(box)
    rows = table["row"].unique()
    names = [wrapped(row, letters(len(rows), 700)) for row in rows]
    figure.update_xaxes(tickvals=list(rows), ticktext=names, tickangle=0)
    line = {"color": "black", "width": 1.5, "dash": "dash"}
    figure.add_hline(y=margin, line=line, annotation_text="mean margin", annotation_position="bottom left")
    figure.update_yaxes(title="D = 1 − cos(caption, prompt)", rangemode="tozero")
    title = "Captions and prompts: quartiles, whiskers from 5% to 95%"
    return apply_layout(figure, title, boxmode="group")
