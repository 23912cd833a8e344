"""Figures of single labels: their words, once they are drawn, and the names of classes as they are."""

import re

import pandas as pd
import pytest

from lmptlib.suite.figures import case_figures, class_ap, count_figures, group_ap, live_figures, paper

CLASSES = pd.DataFrame(
    {"class": ["tail", "dog", "head of hair"], "group": ["head", "medium", "tail"], "train": [200, 40, 4]}
)
CLASSES.attrs |= {"task": "single-label", "grouping": "thirds"}


def test_groups_are_many_medium_few_and_classes_stay():
    figure = count_figures.class_counts(CLASSES)
    assert [bar.name for bar in figure.data] == ["many", "medium", "few"]
    assert [list(bar.x) for bar in figure.data] == [["tail"], ["dog"], ["head of hair"]]
    assert figure.layout.title.text.startswith("The long tail") and figure.layout.title.subtitle.text == "thirds"


def test_a_figure_of_means_says_accuracy():
    table = pd.DataFrame(
        {"run": "CoOp", "name": ["total", "head", "tail"], "value": [50.0, 60.0, 40.0], "low": 30.0, "high": 70.0}
    )
    before = group_ap.group_map(table, "logit")
    assert before.layout.yaxis.title.text == "mAP, logit ranking (%)" and list(before.data[0].x) == [
        "total",
        "head",
        "tail",
    ]
    table.attrs |= CLASSES.attrs
    figure = group_ap.group_map(table, "logit")
    assert figure.layout.yaxis.title.text == "accuracy (%)" and list(figure.data[0].x) == ["total", "many", "few"]
    assert figure.layout.title.text.startswith("Accuracy by class group")


def test_classes_by_letter_have_the_groups_name_behind_them():
    table = CLASSES.assign(run="CoOp", configuration="CoOp", probability=[0.6, 0.3, 0.1])
    assert set(case_figures.top_probabilities(table).data[0].y) == {"tail (many)", "dog (medium)", "head of hair (few)"}


def sweep_rows() -> pd.DataFrame:
    table = pd.concat(
        [CLASSES.assign(row=row, ap=ap, low=1.0, high=99.0) for row, ap in (("ce", 50.0), ("cb_ce", 60.0))]
    )
    table.attrs |= CLASSES.attrs
    return table


def test_class_by_class():
    figure = class_ap.ap_heatmap(sweep_rows(), "ce")
    told = figure.to_json()
    assert "accuracy" in told and not re.search(r"\bAP\b", told)
    assert {note.text for note in figure.layout.annotations} >= {"many", "medium", "few"}
    assert set(figure.data[0].y) == {"tail (200)", "dog (40)", "head of hair (4)"}


def test_a_papers_figure_and_table_have_them(tmp_path):
    figure = paper.ap_heatmap(sweep_rows(), "ce")
    texts = {text.get_text() for text in figure.findobj(lambda of: hasattr(of, "get_text"))}
    assert {"many", "few", "tail (200)", "accuracy \u2212 baseline"} <= texts and not {"head", "tail"} & texts
    numbers = pd.DataFrame(
        {"row": "ce", "group": ["total", "head", "medium", "tail"], "mean": [5.0, 4, 3, 2], "sd": 1.0}
    )
    numbers.attrs |= CLASSES.attrs
    latex = paper.latex_table(numbers, tmp_path / "table.tex").read_text()
    assert "total & many & medium & few" in latex and "thirds" in latex


def test_the_live_curves():
    curves, bars = live_figures.empty_curves(), live_figures.empty_classes()
    row = {"epoch": 1, "split": "val", "ap": {"logit": [90.0, 50.0, 10.0]}}
    live_figures.draw_classes(bars, CLASSES, row, "logit")
    for figure in (curves, bars):
        live_figures.put_live_into_words(figure, "single-label", set(CLASSES["class"]))
    assert bars.layout.title.text == "Accuracy of each class (%), frequent to rare: validation images, epoch 1"
    assert (
        list(bars.data[0].x) == ["tail", "dog", "head of hair"] and curves.layout.annotations[2].text == "accuracy (%)"
    )
    shown = {trace.name for trace in curves.data if trace.visible is not False}
    assert {"many", "few"} <= shown and not {"head", "tail", "softmax"} & shown


def test_confusions_are_framed_where_they_are_right():
    table = pd.DataFrame({"class": ["rare", "rare", "dog"], "group": ["tail", "tail", "head"], "train": [4, 4, 40],
        "shown": [3, 3, 2], "said": ["dog", "rare", "dog"], "images": [2, 1, 2]})  # fmt: skip
    table.attrs |= CLASSES.attrs
    figure = case_figures.confusion_map(table, "CoOp")
    heat, boxes = figure.data[0], [(box.x0 + 0.5, box.y0 + 0.5) for box in figure.layout.shapes]
    assert [(heat.x[int(x)], heat.y[int(y)]) for x, y in boxes] == [("rare", "rare (4)"), ("dog", "dog (40)")]
    assert (
        heat.z[0][list(heat.x).index("dog")] == pytest.approx(100 * 2 / 3)
        and heat.text[1][list(heat.x).index("dog")] == "2"
    )
