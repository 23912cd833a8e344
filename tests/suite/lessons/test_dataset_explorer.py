"""What notebook 01 says and asks follows from the data."""

import numpy as np
import pytest

from lmptlib.data.loading import load_dataset
from lmptlib.suite.lessons import dataset_explorer as lesson


def test_counts_are_those_of_the_data(tiny):
    dataset = load_dataset(str(tiny.path))
    labels = dataset.train.labels.tolist()
    shown = [sum(row) for row in labels]
    counts = list(map(sum, zip(*labels)))
    opening = lesson.opening(dataset)
    assert f"in {min(counts)} of tiny's 24 training images" in opening and f"in {max(counts)}:" in opening
    assert lesson.several(dataset).expected == pytest.approx(100 * sum(n > 1 for n in shown) / len(shown))
    # without a validation split the test images are asked for
    rarest = dataset.class_names[int(np.argmin(dataset.class_counts))]
    column = dataset.class_names.index(rarest)
    lone = [row for row in dataset.test.labels.tolist() if row[column] and sum(row) == 1]
    assert rarest in lesson.alone(dataset).ask and lesson.alone(dataset).verdict(str(len(lone)))[0]


@pytest.mark.parametrize(
    ("train", "test", "told", "right"),
    [
        (90, 22, "more often in training than after", "more often in training"),
        (22, 90, "fuller", "less often"),
        (50, 52, "agree", "equally"),
    ],
)
def test_the_words_follow_the_shares(train, test, told, right):
    shares = {"training": train, "test": test, "all images": train, "the sample": test}
    assert told in lesson.company_told("dog", shares) and f"{train}%" in lesson.company_told("dog", shares)
    assert right in lesson.quiz("dog", shares)[0].options[0] and len(set(lesson.quiz("dog", shares)[0].options)) == 3
    cut = lesson.cut_told("dog", shares)
    assert f"from {train}% to {test}%" in cut and ("keep company" in cut) == (test - train > 10)
    assert lesson.company_guess("dog", shares).truth["test"] == test
    assert list(lesson.cut_guess("dog", shares).truth.values()) == [test]
    assert any(f"from {train}% to {test}%" in sentence for sentence in lesson.take_away("dog", shares))


def test_nothing_is_asked_where_no_test_image_shows_a_rare_class():
    shares = {"training": 40.0, "test": float("nan"), "all images": 40.0, "the sample": 50.0}
    assert "No test image" in lesson.company_told("dog", shares)
    assert [choice.key for choice in lesson.quiz("dog", shares)] == ["near-miss", "rule"]
    assert not any("nan" in sentence for sentence in lesson.take_away("dog", shares))
    assert "cannot be told" in lesson.cut_told("dog", shares | {"the sample": float("nan")})
