"""Static figures for a paper, by seaborn: DataFrames in, a matplotlib Figure out, to be saved as PDF or PNG."""

import pandas as pd
import seaborn
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lmptlib.data import GROUPS
from lmptlib.plots import COLOURS


def probability_curves(curves: dict[str, pd.DataFrame]) -> Figure:
    """Mean probabilities of positives (solid) and negatives (dotted) by group, a panel a run.

    curves: panel title -> exact means per epoch, as `Run.probabilities("epoch")` gives them.
    """
    table = pd.concat(curves, names=["run"]).reset_index(level=0)
    table = table.melt(["run", "step", "group"], ["positive", "negative"], var_name="side", value_name="probability")
    with seaborn.axes_style("whitegrid"), seaborn.plotting_context("paper", font_scale=1.3):
        grid = seaborn.relplot(
            table, x="step", y="probability", hue="group", hue_order=GROUPS, palette=COLOURS, style="side",
            style_order=["positive", "negative"], dashes=["", (1, 1)], col="run", kind="line", linewidth=2.2,
            height=3.4, aspect=1.15, legend=False,
        )  # fmt: skip
    grid.set(ylim=(0, 1), xlabel="epoch", ylabel="mean probability of the true label").set_titles("{col_name}")
    lines = [
        Line2D([], [], color=COLOURS[group], linestyle=style, linewidth=2.2, label=f"{group[0].upper()}{sign}")
        for group in GROUPS
        for sign, style in (("+", "-"), ("−", ":"))
    ]
    grid.figure.legend(handles=lines, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return grid.figure
