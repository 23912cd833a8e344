"""Explorers: a control is changed, and its effect read from the figure."""

import numpy as np
import pandas as pd

from lmptlib.config import resolve
from lmptlib.runs import Run
from lmptlib.train import train
from lmptlib.widgets import class_curves, class_on_map


def test_the_chosen_class_is_drawn_larger():
    rows = [("image", "head", "cat, dog"), ("image", "tail", "dog"), ("image", "tail", "cat")]
    rows += [(kind, group, name) for kind in ("before", "after") for group, name in (("head", "cat"), ("tail", "dog"))]
    points = pd.DataFrame(rows, columns=["kind", "group", "label"]).assign(x=0.0, y=1.0)
    chooser, figure = class_on_map(points).children
    head, _, tail = figure.data[:3]
    chooser.value = "cat"
    assert list(head.marker.size) == [10] and list(tail.marker.size) == [3, 10]
    chooser.value = "all"
    assert list(head.marker.size) == [5] and list(tail.marker.size) == [5, 5]


def test_the_chosen_class_has_its_curves_drawn(tiny, tmp_path):
    config = resolve(dataset=str(tiny.path), epochs=2, batch_size=8)
    run = Run(train(config, tmp_path, log=lambda line: None))
    chooser, figure = class_curves([run]).children
    with np.load(run.folder / "probabilities.npz") as file:
        for index in (2, 0):
            chooser.value = index
            np.testing.assert_array_equal(figure.data[0].y, file["epoch_positive"][:, index])
            np.testing.assert_array_equal(figure.data[1].y, file["epoch_negative"][:, index])
