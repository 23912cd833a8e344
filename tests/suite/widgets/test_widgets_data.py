"""Explorers of a data set: a control is changed, and its effect read from what is shown."""

import re

import numpy as np
import pytest

from lmptlib.data.loading import load_dataset
from lmptlib.data.longtail import pareto_counts, sample_long_tail
from lmptlib.suite.widgets.data import co_occurrence_explorer, data_explorer, long_tail_sampler


@pytest.fixture
def dataset(tiny):
    return load_dataset(str(tiny.path))


def test_pictures_are_those_of_the_chosen_classes(dataset):
    controls, grid = data_explorer(dataset, per_page=4).children
    classes, rest = controls.children
    split, matches, page, found = rest.children
    person, dog = (dataset.class_names.index(name) for name in ("person", "dog"))

    def shown() -> list[str]:
        names = []
        for number in range(1, page.max + 1):
            page.value = number
            names += re.findall(r'title="(.+?)"', grid.value)
        return names

    def expected(part, keep) -> list[str]:
        return [path.name for path, label in zip(part.paths, part.labels) if keep(set(np.flatnonzero(label)))]

    assert found.value == "24 of 24 images" and page.max == 6 and len(shown()) == 24
    for part in ("train", "test"):
        split.value, images = part, dataset.splits[part]
        for kind, keep in (
            ("any of them", lambda ids: ids & {person, dog}),
            ("all of them", lambda ids: ids >= {person, dog}),
            ("these alone", lambda ids: ids == {person, dog}),
        ):
            classes.value, matches.value = (person, dog), kind
            assert shown() == expected(images, keep), (part, kind)
            assert (page.layout.visibility == "hidden") == (page.max == 1)
            assert found.value == f"{len(expected(images, keep))} of {len(images)} images"
        classes.value = ()


def test_a_picture_has_its_labels_and_caption_and_nothing_of_them_is_markup(tiny):
    name, _, caption = (tiny.folder / "captions.txt").read_text().splitlines()[0].partition(" ")
    tiny.replace("captions.txt", caption, "<script>a & b</script>")
    tiny.replace("labels.txt", "potted_plant", "<plant>")
    grid = data_explorer(load_dataset(str(tiny.path))).children[1].value
    assert name.split("/")[1] in grid and "&lt;script&gt;a &amp; b&lt;/script&gt;" in grid and "<script" not in grid
    assert "&lt;plant&gt;" in grid and "<plant>" not in grid
    tiny.edit(captions=None)
    assert data_explorer(load_dataset(str(tiny.path))).children[1].value.count("<img") == 12


def test_the_matrix_is_counted_from_the_labels(dataset):
    controls, sentence, figure = co_occurrence_explorer(dataset).children
    measure, chooser = controls.children
    heat = figure.data[0]
    train, test = (
        {name: set(np.flatnonzero(split.labels[:, i])) for i, name in enumerate(dataset.class_names)}
        for split in (dataset.train, dataset.test)
    )
    names = list(heat.x)
    assert names == list(heat.y) == sorted(names, key=lambda name: -len(train[name]))

    def cells(one) -> list[list[float]]:
        return [[one(row, column) for column in names] for row in names]

    np.testing.assert_array_equal(heat.customdata, cells(lambda row, column: len(train[row] & train[column])))
    measure.value = "share"
    off = ~np.eye(len(names), dtype=bool)
    share = np.array(cells(lambda row, column: 100 * len(train[row] & train[column]) / len(train[column])))
    np.testing.assert_allclose(np.asarray(heat.z, float)[off], share[off])
    measure.value = "difference"
    in_test = np.array(cells(lambda row, column: 100 * len(test[row] & test[column]) / len(test[column])))
    np.testing.assert_allclose(np.asarray(heat.z, float)[off], (share - in_test)[off])
    assert np.isnan(np.asarray(heat.z, float)[~off]).all() and heat.zmin == -heat.zmax
    chooser.value = 1
    alone = sum(set(np.flatnonzero(label)) == {dataset.class_names.index(names[1])} for label in dataset.train.labels)
    assert sentence.value.startswith(f"{names[1]}: {len(train[names[1]])} training images, {alone} of them alone; with")
    assert [(s.y0, s.y1, s.x0, s.x1) for s in figure.layout.shapes] == [(0.5, 1.5, -0.5, 3.5), (-0.5, 3.5, 0.5, 1.5)]
    chooser.value = None
    assert not figure.layout.shapes and not sentence.value


def test_a_click_chooses_a_class(dataset):
    controls, _, figure = co_occurrence_explorer(dataset).children
    name = figure.data[0].x[2]
    message = {"event_type": "plotly_click", "points": {"trace_indexes": [0], "point_indexes": [[0, 2]], "xs": [name]}}
    message["points"] |= {"ys": [figure.data[0].y[0]]}
    figure._handler_js2py_pointsCallback({"new": message | {"device_state": None, "selector": None}})
    assert controls.children[1].label == name


def test_sliders_cut_the_tail_as_the_rule_does():
    labels = np.random.default_rng(0).random((2000, 6)) < [0.5, 0.3, 0.2, 0.1, 0.1, 0.05]
    sliders, sentence, figure = long_tail_sampler(labels, list("abcdef")).children
    b, largest, smallest = sliders.children
    b.value, largest.value, smallest.value = 3, 500, 25
    counts = pareto_counts(6, 3, 500, 25)
    rows = sample_long_tail(labels, counts)
    assert list(figure.data[0].y) == counts.tolist()
    got = labels[rows].sum(0)
    drawn = dict(zip(figure.data[0].x, np.nansum([np.asarray(bar.y, float) for bar in figure.data[1:]], axis=0)))
    assert [drawn[name] for name in "abcdef"] == got.tolist()
    assert not (got < 20).any()
    assert sentence.value.startswith(f"head:medium:tail 2:2:2 in thirds, {len(rows):,} of 2,000 images")
    for slider in sliders.children:  # no setting of them is refused
        for value in (slider.min, slider.max):
            slider.value = value
    few = long_tail_sampler(np.eye(3, dtype=bool), list("abc"))
    assert "3 of 3 images" in few.children[1].value
