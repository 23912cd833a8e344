"""Evaluation class by class against the one of whole arrays."""

import numpy as np
import pytest
from interval_coverage import known_aps, mean_sets, weighted_average_precision
from scipy import stats
from scipy.sparse import csr_array

from lmptlib.evaluation.average_precision import average_precision
from lmptlib.evaluation.by_class import Judged, evaluate_by_class, judge
from lmptlib.evaluation.intervals import half_width, mean_interval
from lmptlib.evaluation.metrics import evaluate
from lmptlib.evaluation.places import Places
from lmptlib.evaluation.rankings import softmax_rows, softmax_scores

COUNTS = np.array([400, 300, 90, 60, 30, 12, 5, 4, 0])
GROUPS = np.repeat(["head", "medium", "tail"], 3)
NAMES = tuple("abcdefghi")


def example(seed: int = 0, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """1,000 images of nine classes: labels and float32 scores (N, C)."""
    rng = np.random.default_rng(seed)
    labels = rng.random((1000, len(COUNTS))).argsort(0) < COUNTS
    scores = (rng.normal(size=labels.shape) + 1.5 * labels).astype(np.float32)
    return labels, scores.round(1) if ties else scores


def judged(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, task: str = "multi-label") -> Judged:
    """By the logit ranking, from labels and scores (N, C)."""
    return judge(csr_array(labels), scores.T.copy(), 1.0, groups, task).judged["logit"]


def without_means(metrics: dict) -> dict:
    """Metrics but for the intervals of the means."""
    return metrics | {"scores": {name: entry | {"ci95": None} for name, entry in metrics["scores"].items()}}


def check_means(found: dict, expected: dict, middle: float) -> None:
    """Intervals against those of 200 draws, which know a deviation to 5% and more or less; middle: how near, in halves."""
    assert list(found) == list(expected)
    for name, interval in found.items():
        if expected[name] is None:
            assert interval is None
            continue
        half = np.diff(interval)[0] / 2
        assert np.mean(expected[name]) == pytest.approx(np.mean(interval), abs=middle * half)
        assert np.diff(expected[name])[0] / 2 == pytest.approx(half, rel=0.2)


@pytest.mark.parametrize("ties", [False, True])
def test_all_is_the_same_but_the_intervals_of_means_are_of_influences(ties, tmp_path):
    labels, scores = example(ties=ties)
    # a perfect class
    scores[labels[:, 4], 4] += 20
    np.save(tmp_path / "scores.npy", np.ascontiguousarray(scores.T))
    mapped = np.load(tmp_path / "scores.npy", mmap_mode="r")
    expected = evaluate(labels, scores, 3.0, NAMES, GROUPS)
    found = evaluate_by_class(csr_array(labels), mapped, 3.0, NAMES, GROUPS)
    assert without_means(found) == without_means(expected)
    assert list(found["scores"]["logit"]) == list(expected["scores"]["logit"])
    for ranking in ("logit", "softmax"):
        check_means(found["scores"][ranking]["ci95"], expected["scores"][ranking]["ci95"], middle=0.15)
        assert found["scores"][ranking]["ci95"]["tail"] is None


def test_single_labels_are_the_same_too():
    rng = np.random.default_rng(1)
    labels = np.eye(9, dtype=bool)[rng.choice(9, size=600, p=np.array([*range(9, 1, -1), 0]) / 44)]
    scores = (rng.normal(size=labels.shape) + 1.5 * labels).astype(np.float32).round(1)
    expected = evaluate(labels, scores, 3.0, NAMES, GROUPS, "single-label")
    found = evaluate_by_class(csr_array(labels), scores.T, 3.0, NAMES, GROUPS, "single-label")
    assert without_means(found) == without_means(expected)
    check_means(found["scores"]["logit"]["ci95"], expected["scores"]["logit"]["ci95"], middle=1e-3)


def test_figures_are_exact_before_they_are_rounded():
    labels, scores = example()
    for ranked in (scores, softmax_scores(scores, 30.0), scores.round(1)):
        places = [Places(np.flatnonzero(y), s) for y, s in zip(labels.T, ranked.T) if y.any()]
        np.testing.assert_allclose(
            [of.average_precision for of in places], average_precision(labels, ranked)[:-1], atol=1e-12
        )
    row = softmax_rows(scores.T, 30.0)
    np.testing.assert_allclose(np.stack([row(c) for c in range(9)]).T, softmax_scores(scores, 30.0), rtol=1e-12)


def test_a_means_deviation_is_the_jackknifes():
    """Images left out one by one, each class's AP computed again; classes of one group, so many that nothing is stretched."""
    labels, scores = (each[:300, :3] for each in example())
    spread = judged(labels, scores, np.full(3, "head")).spread
    without = weighted_average_precision(labels, scores, 1 - np.eye(300)).mean(1)
    assert half_width(spread["head"]) == pytest.approx(2.1 * np.sqrt(300) * without.std(), rel=0.03)
    assert np.isnan(spread["tail"]).all()


def test_few_positives_have_the_interval_of_t():
    labels, scores = np.arange(500)[:, None] < [10], np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32)
    scores[:10] += 1
    spread = judged(labels, scores, np.array(["tail"])).spread["tail"]
    places = Places(np.arange(10), scores[:, 0])
    half = stats.t.ppf(0.975, 9) * np.sqrt(10 / 9 * (places.influences() ** 2).sum())
    assert half_width(spread) == pytest.approx(half)
    assert spread.mean() == pytest.approx(places.unbiased)


def test_a_single_positive_deviates_from_the_mean_of_all():
    """Wherever it stands, its own AP says nothing of where else it could have stood."""
    labels, scores = np.arange(500)[:, None] < [12, 1], np.random.default_rng(0).normal(size=(500, 2))
    first, last = (judged(labels, scores + labels * [1, shift], np.full(2, "tail")) for shift in (9, -9))
    for found, apart in ((first, 1), (last, 1 / 500)):
        # that which stands first moves others as if it stood last
        many, single = (Places(np.arange(n), of + y * by) for n, of, y, by in zip((12, 1), scores.T, labels.T, (1, -9)))
        moves = np.sqrt(12 / 11) * many.influences() + np.sqrt(2) * single.influences()
        moves[0] += apart - found.by_class.mean()
        half = stats.t.ppf(0.975, 11) * np.linalg.norm(moves - moves.mean()) / 2
        assert half_width(found.spread["tail"]) == pytest.approx(half)


def test_the_bias_of_few_positives_is_taken_off():
    """Over many sets: AP is too high on average, what the other positives say is not."""
    found = []
    for labels, scores, _ in mean_sets(300, np.full(6, 12), 1, n_sets=300):
        places = [Places(np.flatnonzero(y), s) for y, s in zip(labels.T, scores.T)]
        found.append([np.mean([of.average_precision for of in places]), np.mean([of.unbiased for of in places])])
    error = np.std(found, axis=0) / np.sqrt(len(found))
    measured, unbiased = np.mean(found, axis=0) - known_aps(6)[0].mean()
    assert measured > 3 * error[0] and abs(unbiased) < 2.5 * error[1]


def test_intervals_of_means_and_differences_cover():
    """100 test sets: 95% less three standard errors; more are in docs/intervals.md."""
    counts, groups = np.array([5, 8, 14, 30, 80, 300]), np.full(6, "head")
    true, other = (aps.mean() for aps in known_aps(6))
    held = []
    for labels, *both in mean_sets(1000, counts, 1, n_sets=100):
        ours, theirs = (judged(labels, scores, groups) for scores in both)
        gap = theirs.by_class.mean() - ours.by_class.mean()
        low, high = mean_interval(ours.spread["head"])
        held.append(
            [low <= true <= high, abs(gap - (other - true)) <= half_width(theirs.spread["head"] - ours.spread["head"])]
        )
    assert np.min(np.mean(held, axis=0)) >= 0.885


def test_runs_that_rank_alike_do_not_differ():
    labels, scores = example()
    ours, same = (judged(labels, of, GROUPS).spread["head"] for of in (scores, 2 * scores))
    assert half_width(ours) > 0.01 and half_width(ours - same) == 0


def test_single_label_runs_that_are_right_alike_may_differ():
    """As with draws: by the four images more that each has."""
    labels = np.eye(3, dtype=bool)[np.arange(60) % 3]
    groups = np.array(["head", "medium", "tail"])
    ours, theirs = (judged(labels, by * labels, groups, "single-label").spread["total"] for by in (1.0, 2.0))
    assert half_width(ours) == pytest.approx(half_width(theirs)) and half_width(ours) > 0.02
    assert half_width(ours - theirs) > 0.02


@pytest.mark.parametrize(
    ("labels", "scores", "task", "told"),
    [
        (
            np.eye(4, 3),
            np.zeros((4, 3)),
            "multi-label",
            r"labels \(4, 3\) .* scores \(4, 3\) are not \(classes, images\)",
        ),
        (np.eye(4, 3), np.zeros((3, 4)), "single-label", "an image without a label, or with several"),
    ],
)
def test_what_does_not_match_is_said(labels, scores, task, told):
    with pytest.raises(ValueError, match=told):
        evaluate_by_class(csr_array(labels.astype(bool)), scores, 1.0, NAMES[:3], GROUPS[:3], task)
