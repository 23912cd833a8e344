"""AP and intervals against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from lmptlib.evaluation.average_precision import average_precision, summarise, weighted_average_precision
from lmptlib.evaluation.intervals import bootstrap
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


GROUPS_OF_FIVE = np.array(["head", "head", "medium", "medium", "tail"])


def evaluated(logit_scale=10.0, groups=GROUPS_OF_FIVE, resamples=50) -> dict:
    return evaluate(*example(), logit_scale, tuple("abcde"), groups, resamples)["scores"]


def test_the_logit_scale_changes_the_softmax_ranking_alone():
    low, high = evaluated(1.0), evaluated(100.0)
    assert low["logit"] == high["logit"] and low["softmax"] != high["softmax"]
    labels, scores = example()
    for scale, metrics in ((1.0, low), (100.0, high)):
        ap = 100 * average_precision(labels, softmax_scores(scores, scale))
        np.testing.assert_allclose(list(metrics["softmax"]["per_class"].values())[:4], ap[:4], atol=1e-4)


def test_groups_change_their_means_and_nothing_else():
    one, other = (evaluated(groups=groups)["logit"] for groups in (GROUPS_OF_FIVE, GROUPS_OF_FIVE[::-1]))
    assert one["total"] == other["total"] and one["per_class"] == other["per_class"]
    assert (other["tail"], other["head"]) == (other["per_class"]["a"], other["per_class"]["d"])
    assert one["tail"] is None and one["head"] != other["head"]


def test_resamples_change_the_intervals_alone():
    few, many = evaluated(resamples=20)["softmax"], evaluated(resamples=400)["softmax"]
    assert few.pop("ci95") != many.pop("ci95")
    assert few == many


def test_resamples_depend_on_the_images_number_alone():
    """So that runs on the same images are paired: what ranks alike has the same mAP in each resample."""
    labels, scores = example()
    first = bootstrap(labels, scores, GROUPS_OF_FIVE, 30)
    assert {name: values.shape for name, values in first.items()} == dict.fromkeys(first, (30,))
    for name, values in bootstrap(labels, 2 * scores + 1, GROUPS_OF_FIVE, 30).items():
        np.testing.assert_array_equal(values, first[name])
    assert first["total"].std() > 0.01
    weights = np.random.default_rng(0).multinomial(80, np.full(80, 1 / 80), size=30)
    by_hand = [average_precision(labels[rows], scores[rows]) for rows in (np.repeat(np.arange(80), w) for w in weights)]
    np.testing.assert_allclose(first["head"], [ap[:2].mean() for ap in by_hand])


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


def test_group_means_ignore_missing_classes():
    ap = np.array([0.5, np.nan, 0.1])
    means = summarise(ap, np.array(["head", "head", "tail"]))
    assert means["total"] == pytest.approx(0.3) and means["head"] == 0.5 and np.isnan(means["medium"])
