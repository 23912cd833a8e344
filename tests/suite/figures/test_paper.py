"""Figures and tables for a paper hold the numbers of the DataFrame."""

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from lmptlib.suite.figures import paper
from lmptlib.suite.figures.style import COLOURS

GROUPS = ("head", "medium", "tail")


def test_positives_are_solid_and_negatives_dotted_in_the_groups_colours():
    table = pd.DataFrame([(step, group) for step in range(3) for group in GROUPS], columns=["step", "group"])
    table[["positive", "negative"]] = np.random.default_rng(0).random((9, 2))
    figure = paper.probability_curves({"coop": table})
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    found = {(to_hex(line.get_color()).upper(), line.is_dashed()): line.get_ydata() for line in drawn}
    for group in GROUPS:
        for side in ("positive", "negative"):
            values = found[COLOURS[group], side == "negative"]
            np.testing.assert_allclose(values, table.loc[table["group"] == group, side])
    assert [text.get_text() for text in figure.legends[0].texts] == ["H+", "H−", "M+", "M−", "T+", "T−"]
    assert figure.axes[0].get_title() == "coop" and not figure.texts
    table.attrs["grouping"] = "thirds"
    assert [text.get_text() for text in paper.probability_curves({"coop": table}).texts] == ["thirds"]


def test_the_heat_map_writes_the_baselines_ap_and_the_change():
    classes = pd.DataFrame({"class": ["dog", "owl"], "group": ["head", "tail"], "train": [300, 7]})
    table = pd.concat([classes.assign(row="clip", ap=[60.0, 40.0]), classes.assign(row="coop", ap=[72.0, 31.0])])
    axis = paper.ap_heatmap(table, "clip").axes[0]
    assert [text.get_text() for text in axis.texts[:4]] == ["60.0", "+12.0", "40.0", "-9.0"]
    assert [text.get_text() for text in axis.texts[4:]] == ["head", "tail"] and not axis.figure.texts
    table.attrs["grouping"] = "thirds"
    assert [text.get_text() for text in paper.ap_heatmap(table, "clip").texts] == ["thirds"]


def test_a_class_may_be_called_as_a_formula_is(tmp_path):
    classes = pd.DataFrame({"class": [r"$\frac$", "$5"], "group": "head", "train": [300, 200]})
    table = pd.concat([classes.assign(row=row, ap=[60.0, 40.0]) for row in ("clip", "coop")])
    paper.save(paper.ap_heatmap(table, "clip"), tmp_path, "heat")
    assert (tmp_path / "heat.png").stat().st_size and (tmp_path / "heat.pdf").stat().st_size


def test_dots_stand_at_the_differences():
    table = pd.DataFrame({"row": ["coop", "lmpt"], "group": "total", "difference": [2.0, -1.0]})
    table = table.assign(difference_low=table["difference"] - 1, difference_high=table["difference"] + 3)
    axis = paper.intervals(table).axes[0]
    dots = dict(zip(axis.lines[0].get_xdata(), axis.lines[0].get_ydata()))
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert {labels[int(place)]: value for value, place in dots.items()} == {"coop": 2, "lmpt": -1} and not axis.texts
    table.loc[0, ["difference_low", "difference_high"]] = np.nan
    (note,) = paper.intervals(table).axes[0].texts
    assert note.get_text() == "too few positives" and note.xy == (2, 1)
    table.attrs["grouping"] = "thirds"
    assert [text.get_text() for text in paper.intervals(table, "difference").texts] == ["thirds"]


def test_the_latex_table_has_the_best_in_bold_and_what_was_printed(tmp_path):
    table = pd.DataFrame([("zero_shot", "total", 40.04, np.nan), ("100% coop", "total", 50.0, 0.5)])
    table.loc[2] = [r"$a\b {c}^d~ #1 & 2", "total", 1.0, np.nan]
    table.columns = ["row", "group", "mean", "sd"]
    table["voc-lt printed"] = [np.nan, 81.444, np.nan]
    ticks = pd.DataFrame({"CSE": [False, True, False]}, table["row"])
    lines = paper.latex_table(table, tmp_path / "new" / "table.tex", ticks).read_text().splitlines()
    assert lines[0] == r"% \usepackage{booktabs,amssymb}" and lines[1] == r"\begin{tabular}{lcrr}"
    assert lines[3] == r" & CSE & total & VOC-LT printed \\"
    assert lines[5] == r"zero\_shot &  & $40.0$ &  \\"
    signs = r"\$a\textbackslash{}b \{c\}\textasciicircum{}d\textasciitilde{} \#1 \& 2"
    assert lines[7] == rf"{signs} &  & $1.0$ &  \\"
    assert lines[-1] == r"\end{tabular}"
    table.attrs["grouping"] = "thirds by 100 & 20"
    told = paper.latex_table(table, tmp_path / "told.tex", ticks).read_text().splitlines()
    assert told == [*lines, r"\par{\footnotesize thirds by 100 \& 20\par}"]
    assert lines[6] == r"100\% coop & \checkmark & $\mathbf{50.0 \pm 0.5}$ & 81.44 \\"
