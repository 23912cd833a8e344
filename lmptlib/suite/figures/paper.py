"""Static twins for a paper, by seaborn (curves, heat map, intervals), and a sweep's table as LaTeX."""

import re
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.pyplot import close, subplots
from matplotlib.text import Text

from lmptlib.data.dataset import GROUPS
from lmptlib.data.words import group_said, said
from lmptlib.evaluation.intervals import TOO_FEW
from lmptlib.suite.figures.class_ap import class_rows
from lmptlib.suite.figures.style import COLOURS, SHORT
from lmptlib.suite.figures.words import attrs_of, classes_of, name_said, short_name

_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "_%&#${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
_Tables = ParamSpec("_Tables")
# The parts of a data set's name that are written large.
_DATASETS = re.compile("voc|coco|-lt")


def _of_groups(draw: Callable[_Tables, Figure]) -> Callable[_Tables, Figure]:
    """As `style.of_groups`, with how the groups came below the figure."""

    @wraps(draw)
    def drawn(*args: _Tables.args, **kwargs: _Tables.kwargs) -> Figure:
        figure, tables = draw(*args, **kwargs), [*args, *kwargs.values()]
        attrs = attrs_of(tables)
        if attrs.get("task") == "single-label":
            _put_into_words(figure, attrs["task"], classes_of(tables))
        if told := attrs.get("grouping"):
            figure.text(0.5, -0.02, told, ha="center", va="top", fontsize="small", wrap=True)
        return figure

    return drawn


def _put_into_words(figure: Figure, task: str, classes: Collection[str] = ()) -> None:
    """All texts of a figure in the words of its task; names of classes stay."""
    # ticks are made when they are drawn
    figure.draw_without_rendering()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if set(labels) & set(GROUPS):
                axis.set_ticklabels([name_said(label, task, classes) for label in labels])
    ticks = {label for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())}
    for text in figure.findobj(Text):
        if text not in ticks:
            text.set_text(short_name(said(text.get_text(), task), task))


@_of_groups
def probability_curves(curves: dict[str, pd.DataFrame]) -> Figure:
    """Mean probabilities of positives (solid) and negatives (dotted) by group, a panel a run.

    curves: panel title -> exact means per epoch, as `Run.probabilities("epoch")` gives them.
    """
    table = pd.concat(curves, names=["run"]).reset_index(level=0)
    table = table.melt(["run", "step", "group"], ["positive", "negative"], var_name="side", value_name="probability")
    colours = {"hue": "group", "hue_order": GROUPS, "palette": COLOURS, "linewidth": 2.2}
    dashes = {"style": "side", "style_order": ["positive", "negative"], "dashes": ["", (1, 1)]}
    panels = {"col": "run", "kind": "line", "height": 3.4, "aspect": 1.15, "legend": False}
    with seaborn.axes_style("whitegrid"), seaborn.plotting_context("paper", font_scale=1.3):
        grid = seaborn.relplot(table, x="step", y="probability", **colours, **dashes, **panels)
    grid.set(ylim=(0, 1), xlabel="epoch", ylabel="mean probability of the true label").set_titles("{col_name}")
    lines = [
        Line2D([], [], color=colour, linestyle="-" if sign == "+" else ":", linewidth=2.2, label=SHORT[group] + sign)
        for group, colour in COLOURS.items()
        for sign in ("+", "−")
    ]
    grid.figure.legend(handles=lines, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    close(grid.figure)
    return grid.figure


@_of_groups
def ap_heatmap(table: pd.DataFrame, baseline: str) -> Figure:
    """AP of the baseline in each class, most frequent on top, and the change from it in each other row of a sweep.

    table: columns row, class, group, train, ap (percent), a line a seed.
    """
    wide = class_rows(table).iloc[::-1]
    names = [baseline, *(row for row in table["row"].unique() if row != baseline)]
    ap = pd.DataFrame({name: wide[name, "mean"] for name in names})
    gap = ap.sub(ap[baseline], axis=0)
    text = (gap.round(1) + 0.0).map("{:+.1f}".format).assign(**{baseline: ap[baseline].map("{:.1f}".format)})
    groups = wide.index.get_level_values("group")
    with seaborn.plotting_context("paper", font_scale=1.3):
        figure, axis = subplots(figsize=(2.6 + 1.2 * len(names), 1.2 + 0.32 * len(ap)))
        shades = {"cmap": "RdBu", "center": 0, "linewidths": 1, "cbar_kws": {"label": "AP − baseline"}}
        # a dollar of a class's name begins no formula
        labels = [f"{name} ({count})".replace("$", r"\$") for name, _, count in ap.index]
        seaborn.heatmap(gap, annot=text, fmt="", annot_kws={"size": 12}, yticklabels=labels, ax=axis, **shades)
    for place in np.flatnonzero(groups[1:] != groups[:-1]).tolist():
        axis.axhline(place + 1, color="black", linewidth=1.5)
    beside: dict[str, Any] = {"x": len(names) + 0.05, "rotation": 90, "va": "center", "fontsize": 12}
    for group in groups.unique():
        axis.text(y=np.flatnonzero(groups == group).mean() + 0.5, s=group, color=COLOURS[group], **beside)
    axis.set(xlabel="", ylabel="")
    axis.tick_params(length=0, labelsize=12)
    axis.xaxis.tick_top()
    close(figure)
    return figure


@_of_groups
def intervals(table: pd.DataFrame, of: str = "difference") -> Figure:
    """Rows of a sweep as dots with 95% intervals, a panel a group: `mean` or `difference` of `lmptlib.runs.compare`.

    A difference without an interval has too few positives, and says so.
    """
    low, high = ("low", "high") if of == "mean" else (f"{of}_low", f"{of}_high")
    table = table.dropna(subset=of)
    rows = table["row"].unique()[::-1].tolist()
    names = [name for name in ("total", *GROUPS) if name in table["group"].to_numpy()]
    with seaborn.axes_style("whitegrid"), seaborn.plotting_context("paper", font_scale=1.3):
        height = 1.2 + 0.36 * len(rows)
        grid = seaborn.FacetGrid(table, col="group", col_order=names, sharex=False, height=height, aspect=2.5 / height)
        for axis, name in zip(grid.axes.flat, names):
            part = table[table["group"] == name].set_index("row").reindex(rows)
            spread = np.abs(part[[low, high]].sub(part[of], axis=0).to_numpy(float).T)
            colour = COLOURS.get(name, "#222222")
            axis.errorbar(part[of], np.arange(len(rows)), xerr=spread, fmt="o", capsize=3, color=colour)
            if of == "difference":
                axis.axvline(0, color="black", linewidth=1, linestyle="--")
                for place in np.flatnonzero(part[of].notna() & part[low].isna()):
                    at = (part[of].iloc[place], place)
                    axis.annotate(TOO_FEW, at, (0, 5), textcoords="offset points", ha="center", fontsize=8)
            axis.grid(visible=False, axis="y")
    grid.set(yticks=range(len(rows)), yticklabels=rows, ylim=(-0.6, len(rows) - 0.4))
    grid.set(xlabel="mAP (%)" if of == "mean" else "difference of mAP").set_titles("{col_name}")
    close(grid.figure)
    return grid.figure


def latex_table(table: pd.DataFrame, path: Path, ticks: pd.DataFrame | None = None) -> Path:
    """Write a sweep's table as LaTeX for booktabs: mean ± sd by group with the best in bold, then the printed totals.

    How the groups came, where the table says it, stands below. table: `sweep_table` under one ranking. ticks: booleans by
    row and component, tick marks in front.
    """
    groups = [name for name in ("total", *GROUPS) if table.loc[table["group"] == name, "mean"].notna().any()]
    task = table.attrs.get("task", "multi-label")
    printed = table.columns[table.columns.str.endswith(" printed")].tolist()
    ticks = pd.DataFrame() if ticks is None else ticks
    marks = ticks.columns.tolist()
    best = table.groupby("group")["mean"].max()
    datasets = (_DATASETS.sub(lambda name: name[0].upper(), column) for column in printed)
    lines = [[_escape(cell) for cell in ("", *marks, *(group_said(group, task) for group in groups), *datasets)]]
    for row, part in table.groupby("row", sort=False):
        part = part.set_index("group")
        cells = [_escape(str(row)), *(r"\checkmark" if ticks.at[row, name] else "" for name in marks)]
        cells += [_mean_cell(part["mean"][name], part["sd"][name], best[name]) for name in groups]
        cells += ["" if np.isnan(value) else f"{value:.2f}" for value in part.loc["total", printed].to_numpy(float)]
        lines.append(cells)
    head, *body = (" & ".join(line) + r" \\" for line in lines)
    needs = "booktabs,amssymb" if marks else "booktabs"
    columns = "l" + "c" * len(marks) + "r" * (len(groups) + len(printed))
    text = [rf"% \usepackage{{{needs}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body]
    text += [r"\bottomrule", r"\end{tabular}"]
    text += [rf"\par{{\footnotesize {_escape(told)}\par}}"] if (told := table.attrs.get("grouping")) else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*text, ""]), encoding="utf-8")
    return path


def _mean_cell(mean: float, sd: float, best: float) -> str:
    """Mean ± sd as a formula, bold where it is the best; one seed has no sd."""
    text = f"{mean:.1f}" if np.isnan(sd) else rf"{mean:.1f} \pm {sd:.1f}"
    return rf"$\mathbf{{{text}}}$" if mean == best else f"${text}$"


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as PDF and PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("pdf", "png"):
        figure.savefig(folder / f"{name}.{suffix}", bbox_inches="tight", dpi=150)


def _escape(text: str) -> str:
    """A text, as of a label, for LaTeX."""
    return text.translate(_LATEX)
