"""What all figures share: one that draws class groups says how they came, where that is to be said."""

import pandas as pd

from lmptlib.suite.figures.class_ap import ap_dumbbells
from lmptlib.suite.figures.count_figures import class_counts
from lmptlib.suite.figures.curve_figures import probability_curves

CLASSES = pd.DataFrame({"class": ["dog", "cow", "owl"], "group": ["head", "medium", "tail"], "train": [9, 6, 2]})


def test_a_figure_says_how_its_groups_came():
    plain, told = class_counts(CLASSES), CLASSES.copy()
    told.attrs["grouping"] = "thirds"
    figure = class_counts(told.sort_values("train"))
    assert plain.layout.title.subtitle.text is None and figure.layout.title.subtitle.text == "thirds"
    assert figure.layout.title.text == plain.layout.title.text and figure.layout.height > plain.layout.height

    rows = [told.assign(row=row, ap=ap, low=ap, high=ap) for row, ap in (("clip", 20.0), ("coop", 50.0))]
    assert ap_dumbbells(pd.concat(rows), "clip").layout.title.subtitle.text == "thirds"
    curve = pd.DataFrame({"step": [0, 1], "group": "tail", "positive": [0.1, 0.2], "negative": [0.9, 0.8]})
    curve.attrs["grouping"] = "thirds"
    assert probability_curves({"run": (curve, curve)}).layout.title.subtitle.text == "thirds"
