"""Figures: DataFrames in, `go.Figure` out. Nothing here reads a file or shows a figure.

Colours are fixed: head, medium and tail have one each, positives are solid and negatives dotted, as in the papers.
"""

import base64
import io

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from lmptlib.data.loading import GROUPS

COLOURS = {"head": "#23508E", "medium": "#E69F00", "tail": "#CC4678"}
SYMBOLS = {"head": "circle", "medium": "square", "tail": "diamond"}
RUN_COLOURS = ("#444444", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D1F", "#000000")
_SHORT = {"head": "H", "medium": "M", "tail": "T"}


def _layout(figure: go.Figure, title: str, height: int = 460, **axes) -> go.Figure:
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


def jpeg(image: Image.Image, side: int) -> bytes:
    """A picture as a JPEG file, no side longer than `side` pixels."""
    small, buffer = image.convert("RGB"), io.BytesIO()
    small.thumbnail((side, side))
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def jpeg_uri(image: Image.Image, side: int) -> str:
    """A picture as an address that holds it whole, for a page."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(image, side)).decode()


def class_counts(classes: pd.DataFrame) -> go.Figure:
    """Training images of each class, most frequent first. classes: columns class, group, train."""
    order = classes.sort_values("train", ascending=False)["class"].tolist()
    figure = go.Figure()
    for group in GROUPS:
        part = classes[classes["group"] == group].sort_values("train", ascending=False)
        figure.add_bar(x=part["class"], y=part["train"], name=group, marker_color=COLOURS[group], text=part["train"])
    figure.update_xaxes(categoryorder="array", categoryarray=order, tickangle=-45)
    figure.update_yaxes(type="log", dtick=1, title="training images (log)")
    return _layout(figure, "The long tail: training images of each class")


def image_grid(images: list[Image.Image], titles: list[str], columns: int = 6, width: int = 128) -> go.Figure:
    """Pictures in a grid, each with a title (which may hold <br>) above it."""
    rows = -(-len(images) // columns)
    figure = go.Figure()
    for i, (image, title) in enumerate(zip(images, titles)):
        x, y = i % columns, -(i // columns) * 1.4
        place = {"x": x, "y": y, "sizex": 0.94, "sizey": 0.94, "xanchor": "left", "yanchor": "top"}
        figure.add_layout_image(source=jpeg_uri(image, width), xref="x", yref="y", **place)
        figure.add_annotation(
            x=x + 0.47, y=y + 0.02, text=title, showarrow=False, yanchor="bottom", font_size=11, xref="x", yref="y"
        )
    figure.update_xaxes(visible=False, range=[-0.05, columns])
    figure.update_yaxes(visible=False, range=[0.4 - 1.4 * rows, 0.4], scaleanchor="x")
    figure.update_layout(template="plotly_white", height=240 * rows, margin={"l": 10, "r": 10, "t": 10, "b": 10})
    return figure


def probability_curves(curves: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> go.Figure:
    """Mean probabilities of positives (solid) and negatives (dotted) by group while training, one panel a run.

    curves: panel title -> (per iteration, exact per epoch), as `Run.probabilities` gives them. Thin lines are the
    batches (a batch without positives of a group leaves a gap), thick lines the whole training set at each epoch's end.
    """
    figure = make_subplots(
        rows=1, cols=len(curves), shared_yaxes=True, subplot_titles=list(curves), horizontal_spacing=0.03
    )
    for column, (by_iteration, by_epoch) in enumerate(curves.values(), 1):
        n_epochs = int(by_epoch["step"].max())
        stride = (int(by_iteration["step"].max()) + 1) / n_epochs if n_epochs else 1
        for group in GROUPS:
            batch, exact = by_iteration[by_iteration["group"] == group], by_epoch[by_epoch["group"] == group]
            for side, sign, dash in (("positive", "+", "solid"), ("negative", "−", "dot")):
                name = f"{_SHORT[group]}{sign}"
                common = {"legendgroup": name, "name": name, "row": 1, "col": column}
                figure.add_scatter(
                    x=batch["step"], y=batch[side].round(4), mode="lines+markers", opacity=0.3, showlegend=False, hoverinfo="skip",
                    line={"color": COLOURS[group], "width": 1, "dash": dash}, marker={"size": 2}, **common,
                )  # fmt: skip
                figure.add_scatter(
                    x=exact["step"] * stride, y=exact[side].round(4), mode="lines", showlegend=column == 1,
                    line={"color": COLOURS[group], "width": 3, "dash": dash}, **common,
                )  # fmt: skip
    figure.update_xaxes(title="iteration")
    figure.update_yaxes(range=[0, 1])
    figure.update_yaxes(title="mean probability of the true label", col=1)
    return _layout(figure, "How far positives and negatives are believed, by class group", legend_title="class group")


def embedding_map(points: pd.DataFrame, colour: str = "group") -> go.Figure:
    """Image features and class prompts on a map, as `lmptlib.embeddings.map_points` gives it. Symbols are the groups.

    colour: `group`, `class` (an image's rarest; colours are told apart within a group, eight of them, and each class's
    prompts have its colour) or `error` (how badly an image's classes are ranked).
    """
    colours = map_colours(points, colour)
    texts = points["label"] if "error" not in points else [
        label if np.isnan(error) else f"{label}<br>error {error:.2f}" for label, error in zip(points["label"], points["error"])
    ]  # fmt: skip
    points = points.assign(colour=colours, text=texts)
    figure = go.Figure()
    for group in GROUPS:
        part = points[(points["kind"] == "image") & (points["group"] == group)]
        figure.add_scatter(
            x=part["x"], y=part["y"], mode="markers", name=f"images, {group}", text=part["text"], hoverinfo="text",
            marker={"color": part["colour"].tolist(), "coloraxis": "coloraxis", "size": 6, "opacity": 0.7, "symbol": SYMBOLS[group]},
        )  # fmt: skip
    before, after = (points[points["kind"] == kind] for kind in ("before", "after"))
    gap = np.full(len(after), np.nan)
    figure.add_scatter(
        x=np.column_stack([before["x"], after["x"], gap]).ravel(), y=np.column_stack([before["y"], after["y"], gap]).ravel(),
        mode="lines", line={"color": "#999999", "width": 1}, name="before to after", hoverinfo="skip",
    )  # fmt: skip
    for part, name, symbol, size in ((before, "prompts before", "x-thin", 9), (after, "prompts after", "star", 13)):
        line = {"width": 2, "color": part["colour"].tolist()} if part is before else {"width": 1, "color": "white"}
        figure.add_scatter(
            x=part["x"], y=part["y"], name=name, text=part["text"], hoverinfo="text", textposition="top center",
            mode="markers+text" if part is after else "markers",
            marker={"size": size, "symbol": symbol, "color": part["colour"].tolist(), "line": line},
        )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    axis = {"colorscale": "Cividis_r", "cmin": 0, "cmax": 1, "showscale": colour == "error"}
    axis["colorbar"] = {"title": {"text": "ranking error (0: all its classes on top)", "side": "right"}, "len": 0.9}
    legend = {"orientation": "h", "y": 0, "yanchor": "top", "itemsizing": "constant"}
    title = f"Images and prompts before (×) and after (★) training, by {colour}"
    return _layout(figure, title, height=760, coloraxis=axis, legend=legend)


def map_colours(points: pd.DataFrame, colour: str) -> list:
    """The colours of `embedding_map`, one a point: names, or an image's error as a number."""
    if colour == "error":
        return [error if kind == "image" else "#000000" for error, kind in zip(points["error"], points["kind"])]
    if colour == "group":
        return [COLOURS[group] for group in points["group"]]
    classes = points[points["kind"] == "after"]
    place = dict(zip(classes["class"], classes.groupby("group").cumcount()))
    return [RUN_COLOURS[place[name] % len(RUN_COLOURS)] for name in points["class"]]


def per_class_ap(table: pd.DataFrame, scoring: str = "softmax") -> go.Figure:
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
    figure.update_yaxes(title=f"AP, {scoring} ranking (%)", range=[0, 101], secondary_y=False)
    figure.update_yaxes(title="training images (log)", type="log", dtick=1, showgrid=False, secondary_y=True)
    figure.update_xaxes(tickangle=-45)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return _layout(figure, "AP of each class, from frequent to rare", height=580, legend=legend, title_y=0.97)


def group_map(table: pd.DataFrame, scoring: str = "softmax") -> go.Figure:
    """mAP total and by group across runs, with intervals. table: columns run, name, value, low, high (percent)."""
    figure = go.Figure()
    for i, (run, part) in enumerate(table.groupby("run", sort=False)):
        figure.add_bar(
            x=part["name"], y=part["value"], name=run, marker_color=RUN_COLOURS[i % len(RUN_COLOURS)],
            error_y={"type": "data", "array": part["high"] - part["value"], "arrayminus": part["value"] - part["low"]},
            text=part["value"].round(1), textposition="inside", insidetextanchor="start",
        )  # fmt: skip
    top = np.nanmax(table["high"].to_numpy(float))
    figure.update_yaxes(title=f"mAP, {scoring} ranking (%)", range=[0, min(100, 1.1 * top)])
    return _layout(figure, "mAP by class group, with 95% bootstrap intervals over test images", barmode="group")


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
    return _layout(figure, "What moved: AP of each class (training images in brackets)", height=120 + 24 * len(table))


def run_curves(table: pd.DataFrame, title: str) -> go.Figure:
    """What runs did while training, a colour and symbol a run; positives (and losses) solid, negatives dotted.

    table: columns run, panel, side, epoch, value, as `lmptlib.runs.curve_table` gives them.
    """
    panels, names = table["panel"].unique(), table["run"].unique()
    shared = not set(panels) - set(GROUPS)
    figure = make_subplots(cols=len(panels), shared_yaxes=shared, subplot_titles=list(panels), horizontal_spacing=0.05)
    for (run, panel, side), part in table.groupby(["run", "panel", "side"], sort=False):
        i = names.tolist().index(run)
        figure.add_scatter(
            x=part["epoch"], y=part["value"].round(5), mode="lines+markers", name=run, legendgroup=run,
            line={"color": RUN_COLOURS[i % len(RUN_COLOURS)], "width": 2.5, "dash": "dot" if side == "negative" else "solid"},
            marker={"size": 8, "symbol": i, "maxdisplayed": 6}, hovertemplate=f"{side} %{{y:.3f}}",
            showlegend=panel == panels[0] and side != "negative", row=1, col=panels.tolist().index(panel) + 1,
        )  # fmt: skip
    figure.update_xaxes(title="epoch")
    if shared:
        figure.update_yaxes(range=[0, 1]).update_yaxes(title="mean probability of the true label", col=1)
    legend = {"orientation": "h", "y": -0.2, "yanchor": "top"}
    return _layout(figure, title, legend=legend)


def training_curves(history: pd.DataFrame) -> go.Figure:
    """Losses over the epochs. history: columns epoch, loss, loss_cls, loss_cse."""
    figure = make_subplots(rows=1, cols=3, subplot_titles=["objective", "classification loss", "CSE loss"])
    for column, name in enumerate(("loss", "loss_cls", "loss_cse"), 1):
        figure.add_scatter(
            x=history["epoch"],
            y=history[name],
            mode="lines+markers",
            line_color="#0072B2",
            showlegend=False,
            row=1,
            col=column,
        )
    figure.update_xaxes(title="epoch")
    return _layout(figure, "What training minimises", height=360)


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
    return _layout(figure, title, height=190 + 27 * len(wide)).update_layout(margin_t=110)


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
    return _layout(figure, title, height=height).update_layout(margin_t=100)


def intervals(table: pd.DataFrame, of: str = "difference") -> go.Figure:
    """Rows of a sweep as dots with 95% intervals, a panel a group. table: columns row, group and those of `of`.

    of: `difference` (with difference_low, difference_high) or `mean` (with low, high), as `lmptlib.runs.compare` has them.
    """
    low, high = ("low", "high") if of == "mean" else (f"{of}_low", f"{of}_high")
    table = table.dropna(subset=of)
    names = ["total", *(group for group in GROUPS if table.loc[table["group"] == group, of].notna().any())]
    figure = make_subplots(rows=1, cols=len(names), shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.02)
    for column, name in enumerate(names, 1):
        part = table[table["group"] == name].iloc[::-1]
        figure.add_scatter(
            x=part[of], y=part["row"], mode="markers", showlegend=False, row=1, col=column,
            marker={"color": COLOURS.get(name, "#222222"), "symbol": SYMBOLS.get(name, "circle"), "size": 11},
            error_x={"array": part[high] - part[of], "arrayminus": part[of] - part[low], "thickness": 2, "width": 5},
            hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        )  # fmt: skip
        if of == "difference":
            figure.add_vline(x=0, line={"color": "black", "width": 1, "dash": "dash"}, row=1, col=column)
    figure.update_xaxes(title="mAP (%)" if of == "mean" else "difference of mAP")
    figure.update_yaxes(range=[-0.6, table["row"].nunique() - 0.4])
    title = "mAP over seeds" if of == "mean" else "Paired differences"
    return _layout(figure, f"{title}, with 95% intervals", height=190 + 34 * table["row"].nunique())


def loss_landscape(table: pd.DataFrame, rows: tuple[str, ...] = ("value", "gradient")) -> go.Figure:
    """Losses over the logit, a panel for each group and each of `rows`: positives solid, negatives dotted.

    table: columns loss, group, side, z, value, gradient, as `lmptlib.landscape.landscape` gives them.
    """
    groups = [group for group in GROUPS if (table["group"] == group).any()]
    figure = make_subplots(
        rows=len(rows), cols=len(groups), shared_xaxes=True, shared_yaxes=True, horizontal_spacing=0.02,
        vertical_spacing=0.05, subplot_titles=groups,
    )  # fmt: skip
    n_colours = len(RUN_COLOURS)
    for i, (loss, of_loss) in enumerate(table.groupby("loss", sort=False)):
        dashes = (("solid", "dot"), ("longdash", "dashdot"), ("dash", "longdashdot"))[i // n_colours % 3]
        for (group, side), part in of_loss.groupby(["group", "side"], sort=False):
            line = {"color": RUN_COLOURS[i % n_colours], "width": 2.5, "dash": dashes[side == "negative"]}
            for row, quantity in enumerate(rows, 1):
                figure.add_scatter(
                    x=part["z"], y=part[quantity].round(5), mode="lines+markers", line=line, name=loss, legendgroup=loss,
                    marker={"size": 9, "symbol": i % n_colours, "maxdisplayed": 5}, row=row, col=groups.index(group) + 1,
                    showlegend=row == 1 and (group, side) == tuple(of_loss.iloc[0][["group", "side"]]),
                    hovertemplate=f"{loss}, {side}: %{{y:.3f}}<extra></extra>",
                )  # fmt: skip
    figure.update_annotations(font_size=18)
    figure.update_xaxes(title="logit z", row=len(rows))
    for row, quantity in enumerate(rows, 1):
        figure.update_yaxes(title=quantity, row=row, col=1)
    title = "Losses over the logit: positives solid, negatives dotted"
    return _layout(figure, title, 120 + 320 * len(rows)).update_layout(font_size=16, hovermode="closest")


def probability_grid(curves: dict[str, dict[str, pd.DataFrame]]) -> go.Figure:
    """One factor at a time (PG Fig. 3): a column a factor, positives above and negatives below, a line a value and group.

    curves: factor -> value -> exact means per epoch, as `Run.probabilities("epoch")` gives them; solid, dashed and dotted
    are the values in their order.
    """
    figure = make_subplots(
        rows=2, cols=len(curves), shared_xaxes=True, shared_yaxes=True, subplot_titles=list(curves),
        horizontal_spacing=0.02, vertical_spacing=0.06,
    )  # fmt: skip
    for column, values in enumerate(curves.values(), 1):
        for (value, table), dash in zip(values.items(), ("solid", "dash", "dot")):
            for row, side in enumerate(("positive", "negative"), 1):
                for group in GROUPS:
                    part = table[table["group"] == group]
                    figure.add_scatter(
                        x=part["step"], y=part[side].round(4), mode="lines", name=group, legendgroup=group,
                        line={"color": COLOURS[group], "width": 2.5, "dash": dash}, hovertemplate=f"{value}: %{{y:.2f}}",
                        showlegend=(column, row, dash) == (1, 1, "solid"), row=row, col=column,
                    )  # fmt: skip
        key = "<br>".join(f"{line} {value}" for value, line in zip(values, ("———", "– – –", "· · · ·")))
        place = {"x": 0.99, "y": 0.02, "xref": "x domain", "yref": "y domain", "xanchor": "right", "yanchor": "bottom"}
        style = {"showarrow": False, "align": "left", "font_size": 12, "bgcolor": "rgba(255,255,255,0.8)"}
        figure.add_annotation(text=key, row=2, col=column, **place, **style)
    figure.update_xaxes(title="epoch", row=2)
    figure.update_yaxes(range=[0, 1])
    figure.update_yaxes(title="mean p of positives", row=1, col=1)
    figure.update_yaxes(title="mean 1 − p of negatives", row=2, col=1)
    return _layout(figure, "One factor at a time", height=680, legend_title="class group")


def reliability(table: pd.DataFrame) -> go.Figure:
    """How often a stated probability comes true; on the dashed line it does as often as stated.

    table: columns panel, run, stated, observed, count (elements of the bin, shown by hovering); a panel a column, a line
    a run.
    """
    panels, names = table["panel"].unique(), table["run"].unique()
    figure = make_subplots(cols=len(panels), shared_yaxes=True, subplot_titles=list(panels), horizontal_spacing=0.04)
    for column, panel in enumerate(panels, 1):
        honest = {"color": "#999999", "dash": "dash"}
        figure.add_scatter(
            x=[0, 1], y=[0, 1], mode="lines", line=honest, showlegend=False, hoverinfo="skip", col=column, row=1
        )
        for i, name in enumerate(names):
            part = table[(table["panel"] == panel) & (table["run"] == name)]
            figure.add_scatter(
                x=part["stated"], y=part["observed"], customdata=part["count"], mode="lines+markers", name=name,
                line_color=RUN_COLOURS[i % len(RUN_COLOURS)], marker={"size": 8, "symbol": i}, legendgroup=name,
                hovertemplate="stated %{x:.2f}, came true %{y:.2f} of %{customdata}", showlegend=column == 1, row=1, col=column,
            )  # fmt: skip
    figure.update_xaxes(range=[-0.02, 1.02], title="stated probability").update_yaxes(range=[-0.02, 1.02])
    figure.update_yaxes(title="share that came true", col=1)
    return _layout(figure, "Are the probabilities true? Test images, all classes", legend_title="loss")


def ranking_intervals(table: pd.DataFrame) -> go.Figure:
    """mAP of each row under each ranking, with intervals, a panel a ranking on one scale.

    table: columns ranking, row, mean, low, high (percent).
    """
    names = list(table["ranking"].unique())
    figure = make_subplots(cols=len(names), shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.02)
    for column, name in enumerate(names, 1):
        part = table[table["ranking"] == name].iloc[::-1]
        figure.add_scatter(
            x=part["mean"], y=part["row"], mode="markers", showlegend=False, row=1, col=column,
            marker={"color": RUN_COLOURS[column - 1], "symbol": column - 1, "size": 11},
            error_x={"array": part["high"] - part["mean"], "arrayminus": part["mean"] - part["low"], "thickness": 2, "width": 5},
            hovertemplate="%{y}: %{x:.1f}<extra></extra>",
        )  # fmt: skip
    pad = 0.05 * (table["high"].max() - table["low"].min())
    figure.update_xaxes(title="mAP (%)", range=[table["low"].min() - pad, table["high"].max() + pad])
    figure.update_yaxes(range=[-0.6, table["row"].nunique() - 0.4])
    return _layout(figure, "mAP by ranking, with 95% intervals", height=190 + 34 * table["row"].nunique())


def temperature(table: pd.DataFrame, levels: pd.DataFrame, own: float) -> go.Figure:
    """mAP of the softmax ranking over its scale, a panel a group, with CLIP's own scale marked.

    table: columns scale, group, mean (percent). levels: columns row, group, mean, drawn as horizontal lines.
    """
    names = list(table["group"].unique())
    figure = make_subplots(cols=len(names), subplot_titles=names, horizontal_spacing=0.05)
    for column, name in enumerate(names, 1):
        part, level = table[table["group"] == name], levels[levels["group"] == name]
        place = {"row": 1, "col": column, "showlegend": column == 1}
        line = {"color": COLOURS.get(name, "#222222"), "width": 3}
        figure.add_scatter(
            x=part["scale"], y=part["mean"], mode="lines", name="softmax", legendgroup="softmax", line=line, **place
        )
        at_own = np.interp(np.log(own), np.log(part["scale"]), part["mean"])
        marker = {"symbol": "star", "size": 15, "color": line["color"], "line": {"width": 1, "color": "black"}}
        figure.add_scatter(
            x=[own], y=[at_own], mode="markers", name="CLIP's own scale", legendgroup="own", marker=marker, **place
        )
        for (row, value), dash in zip(level.set_index("row")["mean"].items(), ("dash", "dot", "dashdot", "longdash")):
            figure.add_scatter(
                x=part["scale"].iloc[[0, -1]], y=[value, value], mode="lines", name=row, legendgroup=row,
                line={"color": "#666666", "width": 2, "dash": dash}, **place,
            )  # fmt: skip
    figure.update_xaxes(type="log", title="scale of the softmax", dtick=1)
    figure.update_yaxes(title="mAP (%)", col=1)
    legend = {"orientation": "h", "y": -0.28}
    return _layout(figure, "mAP of the softmax ranking, by its scale", legend=legend)


def offset_scatter(points: pd.DataFrame, title: str) -> go.Figure:
    """One class's scores over the images' mean cosines, positives marked, a panel a ranking.

    points: columns ranking, offset, score, positive (bool). A ranking goes down the vertical axis; the dashed line is where it
    has passed half of the positives.
    """
    names = list(points["ranking"].unique())
    figure = make_subplots(cols=len(names), subplot_titles=names, horizontal_spacing=0.07)
    for column, name in enumerate(names, 1):
        part = points[points["ranking"] == name]
        for positive, colour, symbol, size in ((False, "#B0B0B0", "circle-open", 5), (True, "#D55E00", "diamond", 8)):
            side = part[part["positive"] == positive]
            label = "the class is there" if positive else "it is not"
            figure.add_scattergl(
                x=side["offset"].round(4), y=side["score"].round(4), mode="markers", name=label, legendgroup=label,
                marker={"color": colour, "symbol": symbol, "size": size}, showlegend=column == 1, row=1, col=column,
            )  # fmt: skip
        scores = np.sort(part.loc[part["positive"], "score"])[::-1]
        half = scores[-(-len(scores) // 2) - 1]
        above = int((part["score"] >= half).sum()) - -(-len(scores) // 2)
        figure.add_hline(y=half, line={"color": "black", "width": 1.5, "dash": "dash"}, row=1, col=column)
        figure.layout.annotations[column - 1].text = f"{name}: {above} wrong above half of the right"
    figure.update_xaxes(title="image's mean cosine over classes")
    figure.update_yaxes(title="score", col=1)
    return _layout(figure, title, height=520, legend={"orientation": "h", "y": -0.18})


def score_histograms(points: pd.DataFrame, title: str, n_bins: int = 40) -> go.Figure:
    """Scores of a class's positives and negatives, each side's shares, a panel a ranking.

    points: columns ranking, score, positive (bool).
    """
    names = list(points["ranking"].unique())
    figure = make_subplots(cols=len(names), subplot_titles=names, horizontal_spacing=0.04)
    for column, name in enumerate(names, 1):
        part = points[points["ranking"] == name]
        edges = np.linspace(part["score"].min(), part["score"].max(), n_bins + 1)
        for positive, colour, shape in ((False, "#B0B0B0", ""), (True, "#D55E00", "/")):
            count = np.histogram(part.loc[part["positive"] == positive, "score"], edges)[0]
            figure.add_bar(
                x=(edges[1:] + edges[:-1]) / 2, y=count / max(count.sum(), 1), width=np.diff(edges), opacity=0.65,
                marker={"color": colour, "pattern_shape": shape, "line_width": 0}, showlegend=column == 1,
                name="the class is there" if positive else "it is not", row=1, col=column,
            )  # fmt: skip
    figure.update_xaxes(title="score")
    figure.update_yaxes(title="share of the images", col=1)
    return _layout(figure, title, barmode="overlay", legend={"orientation": "h", "y": -0.2})


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
    figure = _layout(figure, title, height=190 + height * len(matrix))
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
    return _layout(figure, "Images wanted, and images there", barmode="overlay")


def case_figure(images: list[Image.Image], titles: list[str], tops: list[pd.DataFrame], width: int = 320) -> go.Figure:
    """A row an image: the picture, and for each run bars of its best classes (LMPT Fig. 5).

    titles stand above the pictures and may hold <br>. tops: for each image columns run, place, class, group, score, right,
    as `lmptlib.cases.top_classes` gives them. Labels of the image are bold, filled and ticked; the dashed line stands below
    the k best classes, k the number of labels.
    """
    names = list(tops[0]["run"].unique())
    n_bars = max(top.groupby("run").size().max() for top in tops)
    room = 28 + 18 * max(title.count("<br>") for title in titles)
    height = 70 + len(images) * (room + 26 * n_bars)
    figure = make_subplots(
        rows=len(images), cols=1 + len(names), horizontal_spacing=0.012, vertical_spacing=room / (height - 70 - room),
        subplot_titles=[text for title in titles for text in (title, *names)],
    )  # fmt: skip
    figure.update_annotations(font_size=14)
    pictures = image_grid(images, titles, width=width).layout.images
    for row, (picture, top) in enumerate(zip(pictures, tops), 1):
        (left, right), (bottom, above) = (axis.domain for axis in figure.get_subplot(row, 1))
        size = {"sizex": right - left, "sizey": above - bottom}
        figure.add_layout_image(source=picture.source, x=(left + right) / 2, y=above, xanchor="center", **size)
        for column, name in enumerate(names, 2):
            part = top[top["run"] == name]
            low, high = min(part["score"].min(), 0), max(part["score"].max(), 0)
            y, colours, spot = np.arange(len(part)), [COLOURS[g] for g in part["group"]], {"row": row, "col": column}
            marker = {"color": [c if right else "white" for c, right in zip(colours, part["right"])]}
            marker |= {"opacity": 0.45, "line": {"color": colours, "width": 1.5}}
            figure.add_bar(x=part["score"], y=y, orientation="h", marker=marker, hoverinfo="skip", **spot)
            text = [
                f" <b>{p}. ✓ {c} ({_SHORT[g]}) {s:.2f}</b>" if right else f" {p}. ✗ {c} ({_SHORT[g]}) {s:.2f}"
                for p, c, g, s, right in part[["place", "class", "group", "score", "right"]].itertuples(index=False)
            ]
            style = {"mode": "text", "textposition": "middle right", "hoverinfo": "skip"}
            figure.add_scatter(x=np.full(len(part), low), y=y, text=text, **style, **spot)
            figure.add_hline(y=part["right"].sum() - 0.5, line={"color": "black", "width": 1, "dash": "dash"}, **spot)
            figure.update_xaxes(range=[low, high + 0.02 * (high - low)], **spot)
    figure.update_xaxes(visible=False).update_yaxes(visible=False, range=[n_bars - 0.4, -0.6])
    title = "Best classes of each run: ✓ a label of the image, ✗ none (H head, M medium, T tail)"
    style = {"title_y": 1 - 22 / height, "title_font_size": 17, "font_color": "black", "showlegend": False}
    return _layout(figure, title, height, **style).update_layout(margin={"l": 10, "r": 10, "t": 50 + room, "b": 20})


def case_changes(table: pd.DataFrame, against: str) -> go.Figure:
    """Labels fixed (right, filled) and broken (left, hatched) in each class, a panel a run.

    table: columns run, class, group, train, shown, fixed, broke, as `lmptlib.cases.class_summary` gives them.
    """
    names = [name for name in table["run"].unique() if name != against]
    figure = make_subplots(cols=len(names), shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.03)
    order = table.drop_duplicates("class").sort_values("train", kind="stable")
    labels = dict(zip(order["class"], [f"{c} ({n})" for c, n in zip(order["class"], order["train"])]))
    for column, name in enumerate(names, 1):
        for group in GROUPS:
            part = table[(table["run"] == name) & (table["group"] == group)]
            for side, sign, pattern in (("fixed", 1, ""), ("broke", -1, "/")):
                marker = {"color": COLOURS[group], "line": {"color": COLOURS[group], "width": 1}}
                marker["pattern"] = {"shape": pattern, "fillmode": "replace", "size": 6}
                figure.add_bar(
                    x=sign * part[side], y=part["class"].map(labels), orientation="h", marker=marker, text=part[side].replace(0, ""),
                    textposition="outside", cliponaxis=False, name=f"{side}, {group}", legendgroup=f"{side}, {group}",
                    showlegend=column == 1, customdata=part["shown"],
                    hovertemplate=f"{side} %{{text}} of %{{customdata}} images<extra></extra>", row=1, col=column,
                )  # fmt: skip
    far = 1.2 * max(table["fixed"].max(), table["broke"].max(), 1)
    figure.update_xaxes(range=[-far, far], title="broken ←  → fixed", zerolinecolor="black")
    figure.update_yaxes(categoryorder="array", categoryarray=list(labels.values()))
    title = f"Labels fixed and broken against {against} (training images in brackets)"
    return _layout(figure, title, 170 + 24 * len(order), barmode="relative").update_layout(margin_t=100)


def top_probabilities(table: pd.DataFrame, k: int = 6) -> go.Figure:
    """The k most probable classes of one image under each run, a bar a run. table: columns run, class, group, probability."""
    wide = table.assign(name=table["class"] + " (" + table["group"].map(_SHORT) + ")")
    wide = wide.pivot(index="name", columns="run", values="probability")[table["run"].unique()]
    shown = wide[(wide.rank(ascending=False, method="first") <= k).any(axis=1)]
    shown = shown.loc[shown.max(axis=1).sort_values(kind="stable").index]
    figure = go.Figure()
    for i, run in list(enumerate(shown))[::-1]:  # bars are stacked from below
        figure.add_bar(
            x=shown[run], y=shown.index, orientation="h", name=run, text=shown[run].map("{:.2f}".format),
            textposition="outside", cliponaxis=False, marker_color=RUN_COLOURS[i % len(RUN_COLOURS)],
            marker_pattern_shape="/x-."[i % 4] * (i > 0),
        )  # fmt: skip
    figure.update_xaxes(range=[0, 1.1], title="probability").update_yaxes(automargin=True)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "reversed"}
    height = 150 + len(shown) * (10 + 20 * len(shown.columns))
    return _layout(figure, "", height, legend=legend, barmode="group").update_layout(title=None, margin_t=40)


def caption_distances(table: pd.DataFrame, margin: float) -> go.Figure:
    """Distances of captions to the prompts of their classes and of the others; the dashed line is the mean margin.

    table: columns row, side (own, other), low, q1, median, q3, high, as `lmptlib.lessons.caption_distances` gives them.
    """
    figure = go.Figure()
    for side, name, colour, pattern in (
        ("own", "caption's own classes", "#D55E00", "rgba(213,94,0,0.35)"),
        ("other", "other classes", "#444444", "rgba(68,68,68,0.12)"),
    ):
        part = table[table["side"] == side]
        figure.add_box(
            x=part["row"], q1=part["q1"], median=part["median"], q3=part["q3"], lowerfence=part["low"],
            upperfence=part["high"], name=name, line_color=colour, fillcolor=pattern,
        )  # fmt: skip
    line = {"color": "black", "width": 1.5, "dash": "dash"}
    figure.add_hline(y=margin, line=line, annotation_text="mean margin", annotation_position="bottom left")
    figure.update_yaxes(title="D = 1 − cos(caption, prompt)", rangemode="tozero")
    title = "Captions and prompts: quartiles, whiskers from 5% to 95%"
    return _layout(figure, title, boxmode="group", legend={"orientation": "h", "y": -0.15})
