"""Single images: what is found, fixed and broken, against plain loops over sorted lists; the figures and the explorer."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lmptlib.config import fitting, resolve
from lmptlib.data.loading import load_dataset
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run
from lmptlib.suite.analysis.cases import (
    Cases,
    changes,
    class_summary,
    image_changes,
    most_telling,
    places,
    read_cases,
    rule_lines,
    run_summary,
    top_classes,
)
from lmptlib.suite.figures import case_figures
from lmptlib.suite.widgets.cases import CaseExplorer
from lmptlib.training.training import train

CLASSES = pd.DataFrame({"class": list("abcdef"), "group": ["head", "head", "medium", "medium", "tail", "tail"]})
CLASSES["train"] = [300, 120, 60, 30, 9, 4]


def random_cases(n: int = 40) -> Cases:
    """Images with up to four labels, or none, under two runs."""
    rng = np.random.default_rng(0)
    labels = rng.random((n, 6)) < 0.3
    labels[:3] = False
    scores = {run: (rng.normal(size=(n, 6)) + 2 * labels).round(1) for run in ("A", "B")}  # rounded: there are ties
    return Cases((), CLASSES, labels, scores, {run: of_run >= 1.5 for run, of_run in scores.items()})


def said(cases: Cases, run: str, image: int) -> set[int]:
    return {c for c, score in enumerate(cases.scores[run][image]) if score >= 1.5}


def test_what_is_found_and_right():
    cases = random_cases()
    assert (places(np.array([[0.2, 0.9, 0.9, -1.0]])) == [[3, 1, 2, 4]]).all()
    right = []
    for run in cases.scores:
        for image, label in enumerate(cases.labels):
            wanted = set(np.flatnonzero(label))
            assert set(np.flatnonzero(cases.found[run][image])) == said(cases, run, image) & wanted
            assert cases.right[run][image] == (said(cases, run, image) == wanted)
            right.append((bool(wanted), bool(cases.right[run][image])))
    assert set(right) == {(True, True), (True, False), (False, True), (False, False)}


def test_what_is_fixed_and_broken():
    cases = random_cases()
    words = {(False, True): "fixed", (True, False): "broke", (True, True): "both", (False, False): "neither"}
    expected, of_images = [], []
    for image, label in enumerate(cases.labels):
        wanted = set(np.flatnonzero(label))
        parts = [said(cases, run, image) for run in "AB"]
        of_images.append(words[tuple(part == wanted for part in parts)])
        expected += [(image, "abcdef"[c], words[tuple(c in part for part in parts)]) for c in sorted(wanted)]
    table = changes(cases, "A", "B")
    assert list(table[["image", "class", "change"]].itertuples(index=False, name=None)) == expected
    assert image_changes(cases, "A", "B").tolist() == of_images
    assert set(table["change"]) == set(of_images) == set(words.values())
    assert (table["group"] == table["class"].map(CLASSES.set_index("class")["group"])).all()

    back = changes(cases, "B", "A")
    swapped = {"fixed": "broke", "broke": "fixed", "both": "both", "neither": "neither"}
    assert (back["change"] == table["change"].map(swapped)).all() and (back["place_a"] == table["place_b"]).all()

    summary = class_summary(cases, "A").query("run == 'B'").set_index("class")
    counts = table.groupby(["class", "change"]).size().unstack(fill_value=0).loc[summary.index]
    assert (summary[["fixed", "broke"]] == counts[["fixed", "broke"]]).all(axis=None)
    assert (summary["found"] == counts["fixed"] + counts["both"]).all()
    assert (summary["shown"] == counts.sum(axis=1)).all()
    assert (summary["missed"] == counts["broke"] + counts["neither"]).all()
    added = [len(said(cases, "B", image) - set(np.flatnonzero(label))) for image, label in enumerate(cases.labels)]
    assert (summary["added"] == summary["said"] - summary["found"]).all() and summary["added"].sum() == sum(added)
    row = run_summary(cases, "A").loc["B"]
    assert (row["fixed"], row["broke"]) == (of_images.count("fixed"), of_images.count("broke"))
    assert (row["images"], row["added"]) == (40, sum(added))
    tail = table[table["group"] == "tail"]["change"].isin(["fixed", "both"])
    assert row["found tail (%)"] == pytest.approx(100 * tail.mean())


def test_the_most_telling_moved_most_and_are_of_many_classes():
    rows = [(0, "a", 9, 1), (1, "a", 8, 1), (2, "b", 3, 1), (0, "c", 7, 2), (3, "c", 5, 2)]
    table = pd.DataFrame(rows, columns=["image", "class", "place_a", "place_b"]).assign(change="fixed")
    table = pd.concat([table, table.assign(image=9, change="broke", place_a=99)])
    found = most_telling(table, "fixed", 3)
    assert list(zip(found["image"], found["class"])) == [(0, "a"), (3, "c"), (2, "b")]  # image 0 once
    assert list(most_telling(table, "fixed", 9)["image"]) == [0, 3, 2, 1]
    assert most_telling(table, "both", 2).empty


def test_labels_and_what_is_said_below_the_best_classes_are_listed_too():
    labels = np.array([[True, False, False, False, True, False]])
    scores = {"A": np.array([[0.9, 0.8, 0.7, 0.6, 0.1, 0.5]]), "B": np.array([[0.1, 0.2, 0.3, 0.4, 0.6, 0.5]])}
    named = {"A": np.array([[True, True, False, True, False, False]]), "B": np.zeros((1, 6), bool)}
    top = top_classes(Cases((), CLASSES, labels, scores, named), 0, k=2)
    shown = list(top[["run", "place", "class", "said", "right"]].itertuples(index=False, name=None))
    of_a = [
        ("A", 1, "a", True, True),
        ("A", 2, "b", True, False),
        ("A", 4, "d", True, False),
        ("A", 6, "e", False, True),
    ]
    assert shown == [*of_a, ("B", 1, "e", False, True), ("B", 2, "f", False, False), ("B", 6, "a", False, True)]
    assert list(top["score"]) == [0.9, 0.8, 0.6, 0.1, 0.6, 0.5, 0.1]


@pytest.fixture
def trained(tiny, tmp_path):
    asked = {"zero-shot": {"method": "zero_shot"}, "coop": {"method": "coop"}, "lmpt": {"method": "lmpt"}}
    common = {"dataset": str(tiny.path), "epochs": 2, "batch_size": 8}
    runs = {
        name: Run(train(resolve(**fitting({**common, **s})), tmp_path, log=lambda line: None))
        for name, s in asked.items()
    }
    both = Ensemble(((0.5, runs["zero-shot"]), (0.5, runs["lmpt"])))
    return runs | {"both": both}, load_dataset(str(tiny.path))


def test_runs_are_read_under_each_ranking(trained, tmp_path):
    runs, dataset = trained
    read = {ranking: read_cases(runs, dataset, ranking) for ranking in RANKINGS}
    for name, run in runs.items():
        _, cosine = run.ranking_scores("logit")
        np.testing.assert_array_equal(read["logit"].scores[name], cosine)
        np.testing.assert_array_equal(read["softmax"].scores[name], run.ranking_scores("softmax")[1])
        np.testing.assert_array_equal(read["softmax"].places[name], read["logit"].places[name])  # one order
        # no validation images and no folds: a probability of a half
        parts = run.parts if isinstance(run, Ensemble) else [(1, run)]
        half = sum(weight * part.scores()["logits"] for weight, part in parts) >= 0
        assert (read["logit"].said[name] == half).all() and (read["softmax"].said[name] == half).all()
    rule = "a label is said from a probability of a half on: no validation images, no folds"
    assert rule_lines(runs) == [f"zero-shot, coop, lmpt, both: {rule}"]
    assert read["logit"].paths == dataset.test.paths
    with pytest.raises(ValueError, match="no ranking 'sofmax'; known: softmax, logit"):
        read_cases(runs, dataset, "sofmax")
    other = load_dataset(str(dataset.test.source.with_name("card.yaml")))
    other.test.labels[0] = ~other.test.labels[0]
    with pytest.raises(ValueError, match=r"zero_shot-.* was not tested on the test images of tiny"):
        read_cases(runs, other)


def test_the_figure_marks_what_is_right():
    labels = np.array([[True, False, True, False, False, False]])
    named = {"A": np.array([[False, True, True, False, False, False]])}
    cases = Cases((), CLASSES, labels, {"A": np.array([[0.4, 0.5, 0.6, -0.2, 0.0, 0.1]])}, named)
    figure = case_figures.case_figure([Image.new("RGB", (900, 600), "red")], ["a title"], [top_classes(cases, 0, 4)])
    bars, texts = figure.data
    assert list(bars.x) == [0.6, 0.5, 0.4, 0.1] and [colour == "white" for colour in bars.marker.color] == [
        *(False, False),
        *(True, True),
    ]
    lines = [text.replace("<b>", "").replace("</b>", "").strip() for text in texts.text]
    assert lines == ["1. ✓ c (M) 0.60", "2. ✗ b (H) 0.50", "3. ✓ a (H) 0.40", "4. ✗ f (T) 0.10"]
    assert [note.text for note in figure.layout.annotations] == ["a title", "A"]
    picture = base64.b64decode(figure.layout.images[0].source.partition(",")[2])
    assert Image.open(io.BytesIO(picture)).size == (320, 213)


def test_fixed_is_right_and_broken_left_in_the_figure():
    table = class_summary(random_cases(), "A")
    figure = case_figures.case_changes(table, "A")
    drawn = {"fixed": {}, "broke": {}}
    for trace in figure.data:
        drawn[trace.name.split(",")[0]] |= {label.split()[0]: x for label, x in zip(trace.y, trace.x)}
    rows = table[table["run"] == "B"].set_index("class")
    assert drawn == {"fixed": rows["fixed"].to_dict(), "broke": (-rows["broke"]).to_dict()}


def test_the_explorer_shows_the_chosen_images(trained):
    runs, dataset = trained
    *rows, caption, box = CaseExplorer(runs, dataset).children
    (figure,) = box.children
    (a, b, ranking), (which, of_class), (back, on, number) = (row.children for row in rows)
    assert (a.value, b.value, number.max) == ("zero-shot", "both", 12)
    b.value = "lmpt"
    labels = dataset.test.labels

    def hits(name: str, image: int) -> set[int]:
        return set(np.flatnonzero(runs[name].scores()["logits"][image] >= 0))

    for kind, (before, after) in {"fixed": (False, True), "broke": (True, False), "neither": (False, False)}.items():
        which.value = kind
        for name in ("all", *dataset.class_names):
            of_class.value = name
            expected = []
            for image, label in enumerate(labels):
                if name == "all":
                    found = [hits(run, image) == set(np.flatnonzero(label)) for run in ("zero-shot", "lmpt")]
                else:
                    c = dataset.class_names.index(name)
                    found = [c in hits(run, image) for run in ("zero-shot", "lmpt")]
                if found == [before, after] and (name == "all" or label[c]):
                    expected.append(image)
            shown = []
            for place in range(1, len(expected) + 1):
                number.value = place
                shown.append(dataset.test.names.index(caption.value.split(": ")[1].split(",")[0]))
            assert shown == expected
            assert (box.layout.display == "flex") == bool(expected)
            assert expected or caption.value == "no such image"

    which.value, of_class.value, ranking.value = "all", "all", "softmax"
    on.click()
    on.click()
    back.click()
    assert number.value == 2 and caption.value.startswith("2 of 12")
    for name, bars in zip(runs, figure.data[::2]):
        np.testing.assert_allclose(bars.x, -np.sort(-runs[name].ranking_scores("softmax")[1][1]))
    back.click()
    back.click()
    assert number.value == 1
