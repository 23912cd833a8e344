"""AP against scikit-learn, and what the metrics of a run hold."""

import numpy as np
import pytest
from interval_coverage import weighted_average_precision
from sklearn.metrics import average_precision_score

from lmptlib.evaluation.average_precision import average_precision, summarise
from lmptlib.evaluation.intervals import class_intervals, mean_interval, resampled_means
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


@pytest.mark.parametrize("digits", [1, 2, 9])
def test_ap_of_many_images_is_scikit_learns(digits):
    """From many ties to none; a class of one image and one of all but one."""
    rng = np.random.default_rng(digits)
    labels = rng.permuted(np.arange(5000)[:, None] < [1, 7, 60, 2000, 4999], axis=0)
    scores = (rng.normal(size=labels.shape) + labels).round(digits).astype(np.float32)
    expected = [average_precision_score(y, s) for y, s in zip(labels.T, scores.T)]
    np.testing.assert_allclose(average_precision(labels, scores), expected, rtol=0, atol=1e-9)


def test_scores_that_are_nan_have_no_ap():
    labels, scores = example()
    assert np.isnan(average_precision(labels, scores)[4])
    scores[3, 1] = np.nan
    with pytest.raises(ValueError, match="not numbers"):
        average_precision(labels, scores)


def test_metrics_leave_out_and_count_classes_without_positives():
    labels, cosine = example()
    groups = np.array(["head", "head", "medium", "medium", "tail"])
    metrics = evaluate(labels, cosine, 10.0, tuple("abcde"), groups)
    assert metrics["n_scored_classes"] == 4 and metrics["n_pos"]["e"] == 0
    cos = metrics["scores"]["logit"]
    assert cos["per_class"]["e"] is None and cos["tail"] is None and cos["ci95"]["tail"] is None
    expected = [100 * average_precision_score(labels[:, c], cosine[:, c]) for c in range(4)]
    assert cos["total"] == pytest.approx(np.mean(expected), abs=1e-3)
    assert cos["head"] == pytest.approx(np.mean(expected[:2]), abs=1e-3)
    low, high = cos["ci95"]["total"]
    assert low < cos["total"] < high


def test_intervals_are_those_of_each_ranking_in_percent():
    labels, scores = example()
    found = evaluated()
    for ranking, ranked in (("logit", scores), ("softmax", softmax_scores(scores, 10.0))):
        entry, means = found[ranking], resampled_means(labels, ranked, GROUPS_OF_FIVE)
        for name in ("total", "head"):
            np.testing.assert_allclose(entry["ci95"][name], 100 * mean_interval(means[name]), atol=1e-4)
        ends = [entry["per_class_ci95"][name] for name in "ab"]
        np.testing.assert_allclose(ends, 100 * class_intervals(labels, ranked)[:2], atol=1e-4)
        # 8, 3 and 0 positives
        assert [entry["per_class_ci95"][name] for name in "cde"] == [None] * 3
        assert entry["ci95"]["medium"] is entry["ci95"]["tail"] is None and entry["medium"] is not None


GROUPS_OF_FIVE = np.array(["head", "head", "medium", "medium", "tail"])


def evaluated(logit_scale=10.0, groups=GROUPS_OF_FIVE) -> dict:
    return evaluate(*example(), logit_scale, tuple("abcde"), groups)["scores"]


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


def test_group_means_ignore_missing_classes():
    ap = np.array([0.5, np.nan, 0.1])
    means = summarise(ap, np.array(["head", "head", "tail"]))
    assert means["total"] == pytest.approx(0.3) and means["head"] == 0.5 and np.isnan(means["medium"])
