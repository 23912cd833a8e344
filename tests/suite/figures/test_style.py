"""What all figures share: room for titles, legends and labels, at 80 classes and twelve runs too."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from lmptlib.suite.figures import case_figures, class_ap, count_figures, curve_figures, group_ap, score_figures
from lmptlib.suite.figures.style import SCALES_DIFFER, folded, wrapped

GROUPS = ("head", "medium", "tail")
RUNS = [
    f"run {i} with a long name of many of its settings, as they are where the runs differ in all" for i in range(12)
]
NAMES = [f"a rather long name of class {i}" for i in range(80)]
CLASSES = pd.DataFrame({"class": NAMES, "train": range(800, 0, -10)})
CLASSES = CLASSES.assign(group=np.repeat(GROUPS, (30, 30, 20)))


def by_class(n_runs: int, n_classes: int = 80) -> pd.DataFrame:
    parts = [CLASSES[:n_classes].assign(run=run, row=run, ap=50.0, low=40.0, high=60.0) for run in RUNS[:n_runs]]
    return pd.concat(parts, ignore_index=True)


def by_group(column: str) -> pd.DataFrame:
    table = pd.DataFrame(product(RUNS[:6], ("total", *GROUPS)), columns=["run", column])
    table = table.assign(row=table["run"], value=50.0, low=40.0, high=60.0, difference=1.0)
    return table.assign(difference_low=0.5, difference_high=2.0)


def probabilities() -> pd.DataFrame:
    table = pd.DataFrame(product(range(3), GROUPS), columns=["step", "group"])
    return table.assign(positive=0.5, negative=0.6)


def figures() -> dict:
    changes = pd.concat([CLASSES.assign(run=run, shown=9, fixed=1, broke=2) for run in RUNS])
    epochs = pd.DataFrame(product(RUNS, ("loss", "loss_cls"), ("",), (1, 2)), columns=["run", "panel", "side", "epoch"])
    scores = pd.DataFrame(
        product(("logit", "softmax"), (False, True), (0.1, 0.9)), columns=["ranking", "positive", "score"]
    )
    matrix = pd.DataFrame(np.ones((80, 80)), NAMES, NAMES)
    return {
        "per class": class_ap.per_class_ap(by_class(12)),
        "heat map": class_ap.ap_heatmap(by_class(12), RUNS[0]),
        "dumbbells": class_ap.ap_dumbbells(by_class(12), RUNS[0]),
        "counts": count_figures.class_counts(CLASSES),
        "tail": count_figures.long_tail(CLASSES.assign(images=5, wanted=9)),
        "together": count_figures.co_occurrence(matrix),
        "changes": case_figures.case_changes(changes, RUNS[0]),
        "groups": group_ap.group_map(by_group("name")),
        "differences": group_ap.intervals(by_group("group")),
        "probabilities": curve_figures.probability_curves({run: (probabilities(), probabilities()) for run in RUNS}),
        "losses": curve_figures.training_curves(epochs.assign(value=0.3), "Losses"),
        "scores": score_figures.score_histograms(scores, "owl"),
    }


@pytest.fixture(scope="module")
def drawn() -> dict:
    return figures()


def test_no_figure_has_a_width_and_each_title_is_below_the_buttons_and_above_the_plot(drawn):
    for name, figure in drawn.items():
        layout, title = figure.layout, figure.layout.title
        lines = 1 + title.text.count("<br>")
        assert layout.width is None and layout.autosize, name
        assert (
            title.pad.t >= 30
            and (title.y, title.yanchor) == (1, "top")
            and max(map(len, title.text.split("<br>"))) < 100
        )
        of_panels = [note.text for note in layout.annotations if note.yref == "paper" and note.yanchor == "bottom"]
        above = max((18 * (1 + text.count("<br>")) for text in of_panels), default=0)
        assert layout.margin.t >= 30 + 18 * lines + above, name


def test_a_legend_stands_under_the_plot_and_the_figure_grows_by_it(drawn):
    few, many = (class_ap.per_class_ap(by_class(n, 20)).layout for n in (2, 12))
    assert (many.legend.yref, many.legend.y, many.legend.yanchor) == ("container", 0, "bottom")
    assert many.height >= few.height + 5 * 2 * 16
    names = [trace.name for trace in class_ap.per_class_ap(by_class(12, 20)).data[1:]]
    assert [name.replace("<br>", " ") for name in names] == RUNS and max(len(n.split("<br>")[0]) for n in names) < 55


def test_each_of_80_classes_is_named_on_one_line_of_the_axis(drawn):
    for name in ("per class", "counts", "tail"):
        axes = list(drawn[name].select_xaxes())
        shown = [np.arange(np.ceil(axis.range[0]), axis.range[1]) for axis in axes]
        assert np.concatenate(shown).tolist() == list(range(80)) and {axis.dtick for axis in axes} == {1}, name
        assert all(axis.tickfont.size <= 700 / 40 for axis in axes) and drawn[name].layout.height > 600
    for name in ("heat map", "dumbbells", "together", "changes"):
        axes = list(drawn[name].select_yaxes())
        assert {axis.dtick for axis in axes} == {1}, name
        room = drawn[name].layout.height * (axes[0].domain[1] - axes[0].domain[0] if axes[0].domain else 1) / 80
        assert room > axes[0].tickfont.size, name


def test_lines_of_an_axis_have_every_trace_and_keep_the_second_axis():
    one, two = (class_ap.per_class_ap(by_class(2, n)) for n in (40, 41))
    assert len(one.data) == 3 and len(two.data) == 6 and folded(one, 40) is one
    assert [trace.yaxis for trace in two.data] == ["y2", "y", "y", "y4", "y3", "y3"]
    assert two.layout.yaxis4.type == "log" and two.layout.yaxis3.range == (0, 101)
    assert [trace.showlegend for trace in two.data[3:]] == [False] * 3
    assert list(two.layout.xaxis.range) == [-0.6, 20.6] and list(two.layout.xaxis2.range) == [20.4, 41.6]


def test_many_runs_are_points_and_panels_go_on_in_the_next_line(drawn):
    assert {trace.mode for trace in drawn["per class"].data[1:13]} == {"markers"}
    assert {trace.mode for trace in class_ap.per_class_ap(by_class(6, 20)).data[1:]} == {"lines+markers"}
    titles = [note.text for note in drawn["probabilities"].layout.annotations]
    assert [title.replace("<br>", " ") for title in titles] == RUNS
    assert max(len(line) for title in titles for line in title.split("<br>")) <= 35
    widths = [axis.domain[1] - axis.domain[0] for axis in drawn["probabilities"].select_xaxes()]
    assert min(widths) > 0.3


def test_what_does_not_share_its_scale_says_so(drawn):
    for name in ("differences", "losses", "scores"):
        assert drawn[name].layout.title.text.endswith(SCALES_DIFFER.strip()), name
    assert "scales" not in drawn["probabilities"].layout.title.text


def test_long_rows_are_wrapped_whole_and_higher(drawn):
    axis = drawn["differences"].layout.yaxis
    assert [text.replace("<br>", " ") for text in axis.ticktext] == list(axis.tickvals) == RUNS[:6]
    assert max(len(line) for text in axis.ticktext for line in text.split("<br>")) <= 36
    assert drawn["differences"].layout.height > 6 * 3 * 16


def test_an_interval_and_a_number_show_on_every_bar(drawn):
    for bar in drawn["groups"].data:
        rgb = np.array([int(bar.marker.color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        seen = bar.marker.opacity * rgb + 1 - bar.marker.opacity
        light = np.where(seen <= 0.03928, seen / 12.92, ((seen + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
        assert (light + 0.05) / 0.05 > 3 and bar.error_y.color == bar.insidetextfont.color == "black"


def test_labels_are_broken_at_spaces_and_keep_their_own_breaks():
    assert (
        wrapped("ab cd<br>ef", 5) == "ab cd<br>ef" and wrapped("ab cd ef", 5) == "ab cd<br>ef" and wrapped("", 9) == ""
    )
