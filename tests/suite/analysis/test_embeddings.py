"""The map of images and prompts, and its explorer."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA

from lmptlib.data.loading import load_dataset
from lmptlib.suite.analysis.embeddings import PROJECTIONS, caption_distances, map_points, ranking_errors
from lmptlib.suite.figures.map_figures import embedding_map
from lmptlib.suite.figures.style import COLOURS
from lmptlib.suite.widgets.embeddings import EmbeddingExplorer


@pytest.fixture
def mapped(tiny):
    """The tiny data set, random scores (N, C), and its maps from random unit vectors."""
    dataset, rng = load_dataset(str(tiny.path)), np.random.default_rng(0)
    images, before, after, scores = (rng.normal(size=(n, d)) for n, d in ((12, 6), (4, 6), (4, 6), (12, 4)))
    maps = {
        name: map_points(images, dataset.test.labels, before, after, dataset, projection=name, scores=scores)
        for name in PROJECTIONS
    }
    return dataset, scores, maps, (images, before, after)


def test_errors_are_those_counted_by_hand():
    labels = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0]], bool)
    scores = np.array([[0.9, 0.8, 0.1, 0.0], [0.4, 0.1, 0.3, 0.2], [0.6, 0.7, 0.1, 0.2]])
    by_hand = [1 - (1 / 1 + 2 / 3) / 2, 1 - 1 / 4, 0]  # own classes stand 1st and 3rd; 4th; 1st and 2nd
    np.testing.assert_allclose(ranking_errors(labels, scores), by_hand)


def test_every_row_of_a_map_is_the_image_it_names(mapped):
    dataset, scores, maps, vectors = mapped
    for points in maps.values():
        images = points[points["kind"] == "image"]
        assert sorted(images["image"]) == list(range(12))
        for row in images.itertuples():
            own = np.flatnonzero(dataset.test.labels[row.image])
            assert row.label == ", ".join(dataset.class_names[c] for c in own)
            rarest = min(own, key=lambda c: dataset.class_counts[c])
            assert (row[4], row.group) == (dataset.class_names[rarest], dataset.groups[rarest])
            assert row.error == ranking_errors(dataset.test.labels[[row.image]], scores[[row.image]])[0]
        prompts = points[points["kind"] != "image"]
        assert prompts["label"].tolist() == 2 * list(dataset.class_names) and prompts["error"].isna().all()
    place = maps["PCA"]["image"].to_numpy()[:12]
    centred = [vectors[0][place] - vectors[0].mean(0), *(text - text.mean(0) for text in vectors[1:])]
    centred = np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True) for part in centred])
    np.testing.assert_allclose(maps["PCA"][["x", "y"]], PCA(2).fit_transform(centred), atol=1e-9)
    with pytest.raises(ValueError, match=r"no projection 'umap'\. Known: t-SNE, PCA"):
        map_points(*vectors[:1], dataset.test.labels, *vectors[1:], dataset, projection="umap")


def test_colours_say_group_class_and_error(mapped):
    maps = mapped[2]
    points = maps["PCA"]
    of_tail = points[(points["kind"] == "image") & (points["group"] == "tail")]
    tail, *_, after = embedding_map(points).data[2:]
    assert set(tail.marker.color) == {COLOURS["tail"]}
    tail, *_, after = embedding_map(points, "class").data[2:]
    colour = dict(zip(points.loc[points["kind"] == "after", "class"], after.marker.color))
    assert len(set(colour.values())) == 4
    assert list(tail.marker.color) == [colour[name] for name in of_tail["class"]]
    figure = embedding_map(points, "error")
    assert figure.layout.coloraxis.showscale
    np.testing.assert_array_equal(figure.data[2].marker.color, of_tail["error"])


@pytest.fixture
def explorer(mapped):
    dataset, scores, maps, _ = mapped
    controls, row = EmbeddingExplorer(maps, dataset, scores).children
    (figure,), panel = row.children[0].children, row.children[1]
    return {widget.description: widget for widget in controls.children}, figure, panel.children


def test_the_chosen_class_is_drawn_larger(mapped, explorer):
    maps = mapped[2]
    controls, figure, _ = explorer
    points = maps["t-SNE"]
    controls["class"].value = "dog"
    for group, trace in zip(("head", "medium", "tail"), figure.data):
        labels = points.loc[(points["kind"] == "image") & (points["group"] == group), "label"]
        assert list(trace.marker.size or ()) == [11 if "dog" in label.split(", ") else 3 for label in labels]
    assert {3, 11} <= {size for trace in figure.data[:3] for size in trace.marker.size or ()}
    controls["class"].value = "all"
    assert {size for trace in figure.data[:3] for size in trace.marker.size or ()} == {6}


def test_colour_map_and_prompts_are_chosen(mapped, explorer):
    maps = mapped[2]
    controls, figure, _ = explorer
    controls["colour"].value, controls["map"].value = "class", "PCA"
    fresh = embedding_map(maps["PCA"], "class")
    for trace, same in zip(figure.data, fresh.data):
        np.testing.assert_array_equal(trace.x, same.x)
        np.testing.assert_array_equal(trace.y, same.y)
        assert list(trace.marker.color or ()) == list(same.marker.color or ())
    *_, lines, before, after = figure.data
    controls["prompts"].value = "after"
    assert (lines.visible, before.visible, after.visible) == (False, False, True)
    controls["prompts"].value = "before and after"
    assert (lines.visible, before.visible, after.visible) == (True, True, True)
    controls["lines from before to after"].value = False
    assert not lines.visible and before.visible


def test_a_click_shows_photograph_labels_and_scores(mapped, explorer):
    dataset, scores, maps, _ = mapped
    controls, figure, (picture, words) = explorer
    controls["the picture follows the mouse (else: click)"].value = False
    points = maps["t-SNE"]
    tail = points[(points["kind"] == "image") & (points["group"] == "tail")]

    def happens(event: str, place: int) -> None:
        indexes = {"point_indexes": [place], "trace_indexes": [2], "xs": [0.0], "ys": [0.0]}
        figure._js2py_pointsCallback = {"event_type": event, "points": indexes, "device_state": None, "selector": None}

    happens("plotly_hover", 1)
    assert picture.value == b""
    happens("plotly_click", 1)
    image = tail["image"].iat[1]
    shown = np.asarray(Image.open(io.BytesIO(picture.value)), float)
    original = np.asarray(Image.open(dataset.test.paths[image]).convert("RGB"), float)
    assert np.abs(shown - original).mean() < 8  # JPEG twice
    assert dataset.test.names[image] in words.value and f"<b>{tail['label'].iat[1]}</b>" in words.value
    best = scores[image].argmax()
    assert f"{scores[image, best]:.3f}" in words.value
    assert words.value.count("✓") == dataset.test.labels[image].sum()
    happens("plotly_hover", 2)
    assert dataset.test.names[image] in words.value


def test_caption_distances_are_those_of_own_and_other_classes():
    captions = np.array([[1.0, 0.0], [0.6, 0.8]])
    prompts = {"before": np.array([[1.0, 0.0], [0.0, 1.0]])}
    table = caption_distances(captions, prompts, np.array([[True, False], [True, False]])).set_index("side")
    assert table.loc["own", "median"] == pytest.approx((0 + 0.4) / 2)
    assert table.loc["other", "median"] == pytest.approx((1 + 0.2) / 2)
