"""What was fetched: pictures with their scores, and bars of how many."""

import pandas as pd
from PIL import Image

from lmptlib.suite.figures.tackle_figures import fetched_counts, fetched_grid


def test_a_picture_has_its_class_rank_p_and_whether_it_is_right():
    rows = [("cat", 1, 0.987, True), ("cat", 2, 0.5, False), ("dog", 1, 0.25, None)]
    table = pd.DataFrame(rows, columns=["class", "rank", "p", "right"]).astype({"right": object})
    figure = fetched_grid([Image.new("RGB", (9, 9))] * 3, table)
    assert [note.text for note in figure.layout.annotations] == [
        "cat<br>1. p 0.99 ✓",
        "cat<br>2. p 0.50 ✗",
        "dog<br>1. p 0.25",
    ]
    assert [(image.x, image.y) for image in figure.layout.images] == [(0, 0), (1, 0), (0, -1.4)]
    assert not fetched_grid([], table[:0]).layout.images


def test_bars_stand_upon_those_of_the_list():
    rows = [("cat", "tail", 4, 16), ("dog", "tail", 15, 5), ("car", "head", 300, 0)]
    figure = fetched_counts(pd.DataFrame(rows, columns=["class", "group", "train", "fetched"]))
    assert {bars.name: list(bars.y) for bars in figure.data} == {"of the list": [4, 15], "fetched": [16, 5]}
    assert figure.layout.barmode == "stack" and list(figure.data[0].x) == ["cat", "dog"]
    assert "21 images fetched for 2 classes" in figure.layout.title.text
