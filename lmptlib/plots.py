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

from lmptlib.data import GROUPS

COLOURS = {"head": "#23508E", "medium": "#E69F00", "tail": "#CC4678"}
SYMBOLS = {"head": "circle", "medium": "square", "tail": "diamond"}
RUN_COLOURS = ("#444444", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D1F", "#000000")
_SHORT = {"head": "H", "medium": "M", "tail": "T"}


def _layout(figure: go.Figure, title: str, height: int = 460, **axes) -> go.Figure:
    figure.update_layout(
        title=title,
        template="plotly_white",
        height=height,
        font_size=14,
        margin={"l": 70, "r": 30, "t": 70, "b": 60},
        **axes,
    )
    return figure


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
        small = image.convert("RGB")
        small.thumbnail((width, width))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=85)
        source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
        place = {"x": x, "y": y, "sizex": 0.94, "sizey": 0.94, "xanchor": "left", "yanchor": "top"}
        figure.add_layout_image(source=source, xref="x", yref="y", **place)
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


def embedding_map(points: pd.DataFrame) -> go.Figure:
    """t-SNE of image features and class prompts. points: columns x, y, kind (image, before, after), group, label."""
    figure = go.Figure()
    for group in GROUPS:
        images = points[(points["kind"] == "image") & (points["group"] == group)]
        figure.add_scatter(
            x=images["x"], y=images["y"], mode="markers", name=f"images, {group}", text=images["label"],
            marker={"color": COLOURS[group], "size": 5, "opacity": 0.45, "symbol": SYMBOLS[group]}, hoverinfo="text",
        )  # fmt: skip
    for kind, symbol in (("before", "x-thin"), ("after", "star")):
        prompts = points[points["kind"] == kind]
        marker = {"size": 11, "symbol": symbol, "color": [COLOURS[g] for g in prompts["group"]]}
        marker["line"] = (
            {"width": 2, "color": [COLOURS[g] for g in prompts["group"]]} if kind == "before" else {"width": 1}
        )
        figure.add_scatter(
            x=prompts["x"], y=prompts["y"], name=f"prompts {kind}", marker=marker, text=prompts["label"],
            mode="markers+text" if kind == "after" else "markers", textposition="top center", hoverinfo="text",
        )  # fmt: skip
    before, after = (points[points["kind"] == kind].set_index("label") for kind in ("before", "after"))
    for label in after.index:
        figure.add_scatter(
            x=[before.at[label, "x"], after.at[label, "x"]], y=[before.at[label, "y"], after.at[label, "y"]],
            mode="lines", line={"color": "#999999", "width": 1}, showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    return _layout(figure, "Images and class prompts, before (×) and after (★) training", height=760)


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
