"""AP and intervals against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from lmptlib.evaluation.average_precision import average_precision, summarise, weighted_average_precision
from lmptlib.evaluation.metrics import evaluate
from lmptlib.evaluation.rankings import softmax_scores


def example(n_images=80, ties=False):
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(n_images, 5)).astype(np.float32)
    labels = rng.random((n_images, 5)) < [0.5, 0.2, 0.1, 0.03, 0.0]
    labels[0, 3] = True
    return labels, scores.round(1) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_ap_is_scikit_learns(ties):
    labels, scores = example(ties=ties)
    weights = np.random.default_rng(1).multinomial(80, np.full(80, 1 / 80), size=12)
    ours = weighted_average_precision(labels, scores, weights)
    for r, w in enumerate(weights):
        for c in range(5):
            if (w * labels[:, c]).sum() == 0:
                assert np.isnan(ours[r, c])
            else:
                assert ours[r, c] == pytest.approx(
                    average_precision_score(labels[:, c], scores[:, c], sample_weight=w), abs=1e-9
                )


def test_unit_weights_give_the_plain_ap():
    labels, scores = example(ties=True)
    ours = weighted_average_precision(labels, scores, np.ones((1, 80)))[0]
    np.testing.assert_allclose(ours, average_precision(labels, scores), atol=1e-12)
    assert np.isnan(ours[4])


def test_metrics_leave_out_and_count_classes_without_positives():
    labels, cosine = example()
    groups = np.array(["head", "head", "medium", "medium", "tail"])
    metrics = evaluate(labels, cosine, 10.0, tuple("abcde"), groups, resamples=200)
    assert metrics["n_scored_classes"] == 4 and metrics["n_pos"]["e"] == 0
    cos = metrics["scores"]["logit"]
    assert cos["per_class"]["e"] is None and cos["tail"] is None and cos["ci95"]["tail"] is None
    expected = [100 * average_precision_score(labels[:, c], cosine[:, c]) for c in range(4)]
    assert cos["total"] == pytest.approx(np.mean(expected), abs=1e-3)
    assert cos["head"] == pytest.approx(np.mean(expected[:2]), abs=1e-3)
    low, high = cos["ci95"]["total"]
    assert low < cos["total"] < high


def test_interval_covers_as_often_as_it_says():
    """Fresh test sets from one population: the 95% interval holds the population's AP about 95% of the time."""
    rng = np.random.default_rng(0)

    def draw(n):
        labels = rng.random((n, 1)) < 0.3
        return labels, rng.normal(size=(n, 1)) + labels

    truth = average_precision(*draw(200_000))[0]
    covered = 0
    for _ in range(200):
        labels, scores = draw(150)
        weights = rng.multinomial(150, np.full(150, 1 / 150), size=200)
        low, high = np.nanpercentile(weighted_average_precision(labels, scores, weights), [2.5, 97.5])
        covered += low <= truth <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_softmax_is_stable_and_scale_matters_to_the_ranking():
    cosine = np.array([[0.5, 0.1, 0.45], [0.5, 0.35, 0.35]], np.float32)
    soft, sharp = softmax_scores(cosine, 1.0), softmax_scores(cosine, 100.0)
    np.testing.assert_allclose(soft.sum(1), 1)
    assert soft[0, 0] > soft[1, 0] and sharp[0, 0] < sharp[1, 0], "the order of two images turns round"
    assert np.isfinite(softmax_scores(cosine, 1e4)).all()


def test_group_means_ignore_missing_classes():
    ap = np.array([0.5, np.nan, 0.1])
    means = summarise(ap, np.array(["head", "head", "tail"]))
    assert means["total"] == pytest.approx(0.3) and means["head"] == 0.5 and np.isnan(means["medium"])
