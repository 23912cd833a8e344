"""What notebook 02 says and asks follows from the cosines."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from lmptlib.data.loading import load_dataset
from lmptlib.suite.analysis.zero_shot import ranking_table
from lmptlib.suite.lessons import zero_shot as lesson


@pytest.fixture
def table() -> pd.DataFrame:
    """Scores that an offset of the image spoils, and the same without it."""
    rng = np.random.default_rng(0)
    labels = rng.random((200, 3)) < 0.3
    clean = labels + rng.normal(0, 0.3, labels.shape)
    spoiled = clean + rng.normal(0, 3, (200, 1))
    scores = {"logit": spoiled, "centred": clean, "softmax": clean}
    return ranking_table(labels, scores, np.array(["head", "medium", "tail"]), "logit")


def mirrored(table: pd.DataFrame) -> pd.DataFrame:
    low, high = -table["difference_high"], -table["difference_low"]
    return table.assign(difference=-table["difference"], difference_low=low, difference_high=high)


def test_words_follow_the_sign_of_the_difference(table):
    assert "cannot be told" not in lesson.rankings_told(table) and lesson.rankings_told(table).count("+") >= 2
    assert "raises" in lesson.quiz(table)[0].options[0] and "lowers" in lesson.quiz(mirrored(table))[0].options[0]
    held = table.assign(difference_low=-1.0, difference_high=1.0)
    assert "cannot be told" in lesson.quiz(held)[0].options[0] and "cannot be told" in lesson.rankings_told(held)
    assert "cannot be judged" in lesson.rankings_told(table.assign(difference_low=np.nan, difference_high=np.nan))
    total = table[table["group"] == "total"].set_index("row")["mean"]
    guess = lesson.rankings_guess(table)
    assert guess.truth == {name: total[name] for name in ("centred", "softmax")}
    assert set(guess.known.values()) == {total["logit"]}
    spread = {"logit": 2.0, "centred": 0.6, "softmax": 0.5}
    assert any(f"{total['centred'] - total['logit']:+.1f}" in told for told in lesson.take_away(table, spread))


def test_chance_is_the_mean_share_of_positives(tiny):
    dataset = load_dataset(str(tiny.path))
    share = 100 * sum(sum(row) for row in dataset.test.labels.tolist()) / dataset.test.labels.size
    assert f"about {share:.1f}%" in lesson.opening(dataset, 50)


@pytest.mark.parametrize(("value", "words"), [(5, "worse than chance"), (9, "cannot be told"), (12, "better than")])
def test_the_offset_is_told_beside_chance(value, words):
    assert words in lesson.offset_told(value, 8, 10)


def test_crowded_images_and_losers():
    offset = np.arange(20.0)
    assert "less like every text" in lesson.crowded_told(-offset, offset) and "-1.00" in lesson.crowded_told(
        -offset, offset
    )
    assert "nearer to every text" in lesson.crowded_told(offset, offset)
    assert "nothing to compare" in lesson.crowded_told(offset, np.ones(20))
    # a rank correlation of -0.4 of five images
    assert "cannot be told" in lesson.crowded_told(np.arange(5.0), np.array([3.0, 4, 5, 1, 2]))
    gains = pd.DataFrame({"class": list("abcdef"), "gain": [5.0, 4, 3, 2, 1, -1], "lead": [-3.0, -2, -1, 0, 1, 2]})
    told = lesson.losers_told(gains)
    assert "1 of 6" in told and "f -1.0 (lead: place 1)" in told and "the less" in told
    assert "the more" in lesson.losers_told(gains.assign(lead=-gains["lead"]))
    assert "None of 6" in lesson.losers_told(gains.assign(gain=gains["gain"] + 2))
    assert "cannot be told" in lesson.losers_told(gains.assign(lead=[1.0, -1, 2, -2, 3, -3]))
    assert "+1.00 under" in lesson.leaning("a", offset, 2 * offset, -offset) and "-1.00 c" in lesson.leaning(
        "a", offset, 2 * offset, -offset
    )


def test_numbers_to_work_out():
    shares, total = np.array([0.0, 0.5, 1.0]), np.array([30.0, 44.0, 43.0])
    assert lesson.best_share(shares, total).verdict("0,5")[0] and not lesson.best_share(shares, total).verdict("1")[0]
    rng = np.random.default_rng(0)
    labels, cosine = rng.random((9, 4)) < 0.5, rng.normal(size=(9, 4))
    labels[0] = [True, False, False, False]
    expected = [100 * average_precision_score(y, s) for y, s in zip(labels, cosine) if y.any()]
    assert lesson.within_images(labels, cosine).expected == pytest.approx(np.mean(expected))


def test_shifts_and_templates():
    rows = {
        "as it is": {"logit": 35.0, "softmax": 44.0},
        "+ a number a class": {"logit": 35.0, "softmax": 43.0},
        "+ a number an image": {"logit": 30.0, "softmax": 44.0},
    }
    assert lesson.shift_guess(rows).truth == rows["+ a number an image"]
    assert "image: logit -5.0, softmax +0.0" in lesson.shift_told(rows) and "softmax -1.0" in lesson.shift_told(rows)
    assert "alone sees" in lesson.templates_told({"logit": 2.0, "centred": 0.6, "softmax": 0.5})
    assert "alone sees" not in lesson.templates_told({"logit": 1.1, "centred": 0.6, "softmax": 0.5})
    assert "more than" not in lesson.templates_told({"logit": 1.1, "centred": 0.6, "softmax": 0.5})
    assert "alone sees" not in lesson.templates_told({"logit": 0.5, "centred": 0.6, "softmax": 2.0})
    assert lesson.templates_guess({"logit": 12.3, "centred": 0.6}, 9).bounds == (0, 13)
