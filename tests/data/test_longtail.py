"""The rule that cut VOC-LT and COCO-LT."""

from types import SimpleNamespace

import numpy as np
import pytest

from lmptlib.data.formats.lists import read_classes, read_list
from lmptlib.data.loading import load_dataset
from lmptlib.data.longtail import class_order, conditional, pareto_counts, sample_long_tail, sample_table
from lmptlib.data.rows import label_matrix
from lmptlib.suite.figures import count_figures


@pytest.fixture(scope="module")
def voc2012(shared):
    classes, _ = read_classes(shared / "lists" / "voc_labels.txt")
    rows, _, _ = read_list(shared / "lists" / "voc2012_trainval_labels.txt", classes, "train")
    return SimpleNamespace(names=[row.image for row in rows], labels=label_matrix(rows, classes).toarray())


@pytest.fixture
def labels() -> np.ndarray:
    """500 images of eight classes, each the rarer the higher its number, small for testing."""
    rng = np.random.default_rng(0)
    labels = rng.random((500, 8)) < 0.6 / np.arange(1, 9)
    labels[~labels.any(1), 0] = True
    return labels


def test_voc_lt_is_rebuilt_image_by_image(shared, voc2012):
    official = load_dataset("voc-lt", shared, check_images=False)
    counts = pareto_counts(20, b=6, largest=800)
    rows = sample_long_tail(voc2012.labels, counts)
    assert {voc2012.names[row] for row in rows} == set(official.train.names)
    table = sample_table(voc2012.labels, official.class_names, counts, rows).set_index("class")
    expected = official.class_table().set_index("class")
    assert table["images"].to_dict() == expected["train"].to_dict()
    assert table["group"].to_dict() == expected["group"].to_dict()
    assert list(table.index[:3]) == ["person", "chair", "car"]
    assert list(table["wanted"].iloc[[0, 1, -1]]) == [800, 529, 4]


def test_the_counts_follow_the_papers_rule():
    """x^-(b + 1) on even steps from 1 to the quantile 0.99, which is 0.01^(-1/b), by hand."""
    for n_classes, b, largest, smallest in ((20, 6, 800, 1), (80, 6, 1200, 1), (10, 2.5, 300, 20)):
        steps = [1 + i / (n_classes - 1) * (0.01 ** (-1 / b) - 1) for i in range(n_classes)]
        expected = [int(x ** -(b + 1) * (largest - smallest) + smallest) for x in steps]
        assert pareto_counts(n_classes, b, largest, smallest).tolist() == expected
    assert pareto_counts(80, 6, 1200)[[0, -1]].tolist() == [1200, 6]  # COCO-LT has 6 to 1,128
    for wrong in ({"b": 0}, {"smallest": 11}, {"tail": 1.0}):
        with pytest.raises(ValueError, match="no Pareto counts"):
            pareto_counts(5, **({"b": 6, "largest": 10} | wrong))


def test_conditional_counts_one_class_within_another():
    labels = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], bool)
    np.testing.assert_allclose(conditional(labels)[:2], [[1, 2 / 3, 0], [2 / 3, 1, 0]])
    assert np.isnan(conditional(labels)[2]).all()
    assert class_order(labels)[-1] == 2


def test_without_company_every_class_gets_what_is_wanted():
    alone = np.eye(4, dtype=bool).repeat([30, 20, 10, 3], axis=0)
    rows = sample_long_tail(alone, [25, 12, 10, 8])
    assert alone[rows].sum(0).tolist() == [25, 12, 10, 3]  # all of the last, where there are not enough
    assert len(set(rows)) == len(rows)


def test_the_last_class_has_its_count_and_a_seed_is_a_draw(labels):
    wanted = pareto_counts(8, 6, 200, 2)
    first, again, other = (sample_long_tail(labels, wanted, seed) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()
    for rows in (first, other):
        table = sample_table(labels, [f"class {i}" for i in range(8)], wanted, rows)
        assert table["wanted"].tolist() == wanted.tolist()
        assert table["images"].iloc[-1] == wanted[-1]  # nobody has a turn behind it
        counts = dict(zip(table["class"], table["images"]))
        assert [counts[f"class {i}"] for i in range(8)] == labels[rows].sum(0).tolist()


def test_the_figures_show_the_numbers(labels):
    names = list("abcdefgh")
    wanted = pareto_counts(8, 6, 200, 2)
    table = sample_table(labels, names, wanted, sample_long_tail(labels, wanted))
    bars = count_figures.long_tail(table).data
    assert list(bars[0].y) == wanted.tolist()
    got = np.nansum([bar.y for bar in bars[1:]], axis=0)
    assert got.tolist() == table["images"].tolist()
    for bar in bars[1:]:
        assert set(table["class"][~np.isnan(bar.y)]) == set(table["class"][table["group"] == bar.name.split()[-1]])
