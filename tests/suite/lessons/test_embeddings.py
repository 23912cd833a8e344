"""What notebook 05 says and asks follows from the prompts and the maps."""

import math

import numpy as np
import pandas as pd
import pytest

from lmptlib.data.loading import load_dataset
from lmptlib.suite.analysis.embeddings import pair_cosines
from lmptlib.suite.lessons import embeddings as lesson


@pytest.fixture
def dataset(tiny):
    return load_dataset(str(tiny.path))


def unit(*degrees: float) -> np.ndarray:
    """Directions in a plane."""
    turned = np.radians(degrees)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1)


def test_moves_are_measured_in_the_space(dataset):
    table = lesson.prompt_table(dataset, unit(0, 10, 20, 30), unit(0, 100, 200, 290))
    by_class = table.set_index("class")
    assert by_class.loc[dataset.class_names[2], "to start"] == pytest.approx(-1)
    assert by_class.loc[dataset.class_names[0], "nearest after"] == dataset.class_names[3]
    # the nearest other one is 10 degrees away before, 70 to 100 after
    assert lesson.side(table) == "apart" and "apart" in lesson.moved_told(table)
    assert "farther" in lesson.quiz(table)[0].options[0]
    assert lesson.angle(table).verdict("180") == (True, "right") and lesson.angle(table).verdict("90")[0] is False
    back = lesson.prompt_table(dataset, unit(0, 100, 200, 290), unit(0, 10, 20, 30))
    assert lesson.side(back) == "together" and "closer" in lesson.quiz(back)[0].options[0]
    still = lesson.prompt_table(dataset, unit(0, 10, 20, 30), unit(0, 10, 20, 30))
    assert lesson.side(still) == "same" and "No prompt moved" in lesson.moved_told(still)
    assert "trains none" not in lesson.moved_told(still)
    guess = lesson.moved_guess(table)
    kept = [math.cos(math.radians(by)) for by in (0, 90, 180, 260)]
    assert set(dataset.groups) == set(guess.truth) and guess.bounds[0] == (-1 if min(guess.truth.values()) < 0 else 0)
    if len(guess.truth) == 1:
        assert list(guess.truth.values()) == [pytest.approx(sum(kept) / 4)]


def test_pairs_and_the_opening():
    images, texts = unit(0, 10), unit(90, 100)
    pairs = pair_cosines(images, texts)
    assert pairs["two images"] == pytest.approx([math.cos(math.radians(10))]) and pairs["image and prompt"].size == 4
    assert "two cones" in lesson.opening(pairs)
    assert "two cones" not in lesson.opening(pair_cosines(unit(0, 90), unit(45, 50)))


def points(images: list, before: list, after: list, **columns) -> pd.DataFrame:
    table = pd.DataFrame([*images, *before, *after], columns=["x", "y"], dtype=float)
    kinds = (("image", images), ("before", before), ("after", after))
    table["kind"] = [kind for kind, part in kinds for _ in part]
    return table.assign(**columns)


def test_maps_are_told_in_numbers():
    images = [[0, 0], [0, 1], [9, 0], [9, 1]]
    classes = ["a", "a", "b", "b", "a", "a"]
    clumps = points(images, [[4, 0]], [[4, 1]], **{"class": classes})
    assert "100%" in lesson.neighbours_told(clumps) and "50% would" in lesson.neighbours_told(clumps)
    mixed = clumps.assign(**{"class": ["a", "b", "a", "b", "a", "a"]})
    assert lesson.neighbours_told(mixed).count("stand together") == 0
    far = points(images, [[4, 0]], [[4, 9]])
    assert "short lines" in lesson.lines_told({"t-SNE": clumps, "PCA": far})
    assert "short lines" not in lesson.lines_told({"t-SNE": far, "PCA": clumps})


def test_errors_by_group_and_by_hand(dataset):
    errors, groups = [0.0, 0.2, 0.6, 0.8, np.nan, np.nan], ["head", "head", "tail", "tail", "head", "tail"]
    map_ = points([[0, 0]] * 4, [[0, 0]], [[0, 0]], error=errors, group=groups)
    assert lesson.error_guess(map_).truth == {"head": pytest.approx(0.1), "tail": pytest.approx(0.7)}
    assert "head are ranked best" in lesson.error_told(map_) and "25%" in lesson.error_told(map_)
    swapped = map_.assign(group=["tail", "tail", "head", "head", "tail", "head"])
    assert "tail are ranked best" in lesson.error_told(swapped)
    same = lesson.error_told(map_.assign(error=[0.2, 0.4, 0.3, 0.3, np.nan, np.nan]))
    assert "the same mean error, to a hundredth (0.30)" in same and "best" not in same
    assert "best" not in lesson.error_told(map_.assign(group="head"))
    # the two labels of every image stand at places 3 and 4
    labels = dataset.test.labels
    scores = np.where(labels, 0.0, 1.0) + np.linspace(0, 0.1, labels.shape[1])
    assert lesson.error_by_hand(dataset, scores).expected == pytest.approx(1 - (1 / 3 + 2 / 4) / 2)
    assert "at place 3 and" in lesson.error_by_hand(dataset, scores).ask
    assert math.isnan(lesson.error_by_hand(dataset, -scores).expected)
