"""What notebook 04 says and asks follows from its runs."""

import numpy as np
import pytest

from lmptlib.config import resolve
from lmptlib.data.loading import load_dataset
from lmptlib.suite.lessons import probability_curves


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.7, 0.3, 0.5], "fall from 0.70 to 0.30 (epoch 1) and rise to 0.50"),
        ([0.5, 0.6, 0.8], "rise from 0.50 to 0.80"),
        ([0.8, 0.7, 0.6], "fall from 0.80 to 0.60"),
        ([0.5, 0.5, 0.502], "stay at 0.50"),
        ([0.5, 0.9, 0.504], "rise from 0.50 to 0.90 (epoch 1) and fall to 0.50"),
        ([0.2, 0.9, 0.5], "rise from 0.20 to 0.90 (epoch 1) and fall to 0.50"),
        ([0.5, 0.48, 0.9, 0.6], "rise from 0.50 to 0.90 (epoch 2) and fall to 0.60"),
        ([0.5, 0.1, 0.52, 0.5], "fall from 0.50 to 0.10 (epoch 1) and rise to 0.50"),
    ],
)
def test_a_curve_in_words(values, words):
    assert probability_curves.moved(values) == words


def test_sentences_and_questions_follow_the_runs(tiny, make_run):
    trained = {loss: make_run(method="coop", loss=loss, lr=lr) for loss, lr in (("bce", 2e-3), ("db_focal", 0.1))}
    arrays = trained["bce"].class_probabilities()
    positive, negative = (np.nanmean(arrays[f"epoch_{side}"], axis=1) for side in ("positive", "negative"))
    guess = probability_curves.positive_guess(trained)
    assert guess.truth["bce"] == pytest.approx(positive[-1]) and guess.curves["bce"][0] == pytest.approx(positive[0])
    assert f"{positive[0]:.2f}" in probability_curves.start(trained)
    assert probability_curves.gap(trained).expected == pytest.approx(negative[-1] - positive[-1])
    assert probability_curves.pull(trained).expected == pytest.approx(1 - positive[0])
    side = "above" if negative[-1] > positive[-1] else "below"
    assert f"and end {side} the positives" in probability_curves.course(trained)
    turned = dict(reversed(trained.items()))
    change = np.subtract(*(run.metrics["scores"]["logit"]["total"] for run in turned.values()))
    assert f"logit ranking: {change:+.1f}" in probability_curves.ranking(trained)
    assert f"logit ranking: {0 - change:+.1f}" in probability_curves.ranking(turned)
    gaps = probability_curves.gaps(trained, probability_curves.rarest(trained["bce"])).abs()
    right = probability_curves.quiz(trained)[0].options[0]
    assert right == (gaps.idxmax() if gaps.max() - gaps.min() >= 0.01 else "It is the same with all, to a hundredth.")
    assert f"ends narrowest with `{gaps.idxmin()}`" in probability_curves.take_away(trained)[1]
    assert [choice.key for choice in probability_curves.quiz({"bce": trained["bce"]})] == ["batches", "order"]


def test_the_opening_has_bces_gradient(tiny):
    configs = {"bce": resolve(dataset=str(tiny.path), method="coop", loss="bce")}
    table = probability_curves.asked_of_a_positive(configs, load_dataset(str(tiny.path)))
    assert "`bce` pulls with 0.30" in probability_curves.opening(table) and table["group"].nunique() == 1


def test_of_single_labels_belief_is_among_all_classes(tiny):
    """Of CE the pull is 1 - p, which a sigmoid of the logit would not be."""
    tiny.single()
    dataset = load_dataset(str(tiny.path))
    table = probability_curves.asked_of_a_positive({"ce": resolve(dataset=str(tiny.path), loss="ce")}, dataset)
    positive = table[table["side"] == "positive"]
    np.testing.assert_allclose(positive["gradient"], positive["p"] - 1, atol=1e-9)
    assert "believed to 70% is still pulled up: `ce` pulls with 0.30" in probability_curves.opening(table)
