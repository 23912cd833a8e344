"""Rankings of zero-shot scores: offsets, the softmax as a subtraction, templates, and the explorer."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from lmptlib.evaluation.average_precision import average_precision
from lmptlib.evaluation.intervals import bootstrap
from lmptlib.evaluation.rankings import centred, ranking_scores, relative, softmax_scores
from lmptlib.suite.analysis.zero_shot import offsets, ranking_table, read_templates
from lmptlib.suite.widgets.zero_shot import zero_shot_explorer

RNG = np.random.default_rng(0)
COSINE = RNG.normal(0.2, 0.1, (60, 5))
LABELS = RNG.random((60, 5)) < 0.3
GROUPS = np.array(["head", "medium", "tail", "tail", "tail"])


def soft_rival(row: np.ndarray, c: int, scale: float) -> float:
    """What a class's cosine is measured against, as a sum written out."""
    others = [row[j] for j in range(len(row)) if j != c]
    return np.log(sum(np.exp(scale * z) for z in others) / len(others)) / scale


@pytest.mark.parametrize("scale", [0.5, 20.0, 300.0])
def test_relative_is_the_cosine_less_a_soft_mean_of_the_others(scale):
    expected = [[row[c] - soft_rival(row, c, scale) for c in range(5)] for row in COSINE]
    np.testing.assert_allclose(relative(COSINE, scale), expected, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 20.0, 100.0])
def test_the_softmax_is_its_sigmoid(scale):
    sigmoid = 1 / (1 + np.exp(-(scale * relative(COSINE, scale) - np.log(4))))
    np.testing.assert_allclose(sigmoid, softmax_scores(COSINE, scale), atol=1e-13)


def test_the_ends_of_the_scale_are_the_mean_and_the_strongest_of_the_others():
    mean = [[row[c] - np.delete(row, c).mean() for c in range(5)] for row in COSINE]
    strongest = [[row[c] - np.delete(row, c).max() for c in range(5)] for row in COSINE]
    for scale, expected in ((0, mean), (1e-6, mean), (np.inf, strongest), (1e6, strongest)):
        np.testing.assert_allclose(relative(COSINE, scale), expected, atol=1e-5)
    np.testing.assert_allclose(relative(COSINE, 0), 5 / 4 * centred(COSINE))
    with pytest.raises(ValueError, match="two classes"):
        relative(COSINE[:, :1], 1.0)


def test_a_softmax_that_saturates_still_ranks():
    """At a large scale p is 1 for every clear image in double precision; the subtraction keeps their order."""
    confident = np.array([[0.9, 0.1], [0.8, 0.1], [0.7, 0.1], [0.1, 0.5]])
    assert (softmax_scores(confident, 1000.0)[:3, 0] == 1).all()
    np.testing.assert_allclose(relative(confident, 1000.0)[:, 0], [0.8, 0.7, 0.6, -0.4])


def test_which_offset_a_ranking_sees():
    by_class, by_image = RNG.normal(0, 0.3, 5), RNG.normal(0, 0.3, (60, 1))
    ap = {
        (name, kind): average_precision(LABELS, ranking_scores(COSINE + shift, name, 20.0))
        for name in ("logit", "centred", "softmax")
        for kind, shift in (("none", 0), ("class", by_class), ("image", by_image))
    }
    for name, blind_to in (("logit", "class"), ("centred", "class"), ("centred", "image"), ("softmax", "image")):
        np.testing.assert_allclose(ap[name, blind_to], ap[name, "none"])
    for name, sees in (("logit", "image"), ("softmax", "class")):
        assert np.abs(ap[name, sees] - ap[name, "none"]).max() > 0.02
    with pytest.raises(ValueError, match="none of logit"):
        ranking_scores(COSINE, "cosin", 20.0)


def test_the_variance_falls_into_its_parts():
    pure = np.add.outer(np.array([0.0, 2.0]), np.array([0.0, 4.0, 8.0]))  # an image offset and a class offset, no rest
    np.testing.assert_allclose(
        offsets(pure)[["image", "class", "rest"]], [1 / (1 + 32 / 3), 32 / 3 / (1 + 32 / 3), 0], atol=1e-12
    )
    assert offsets(COSINE).sum() == pytest.approx(1)


def test_the_table_has_means_and_paired_differences():
    better = COSINE + 0.2 * LABELS
    table = ranking_table(LABELS, {"plain": COSINE, "better": better}, GROUPS, "plain", resamples=200)
    table = table.set_index(["row", "group"])
    by_class = [100 * average_precision_score(y, s) for y, s in zip(LABELS.T, better.T)]
    assert table.loc[("better", "total"), "mean"] == pytest.approx(np.mean(by_class))
    assert table.loc[("better", "tail"), "mean"] == pytest.approx(np.mean(by_class[2:]))
    assert table.loc[("plain", "total"), ["difference", "difference_low"]].isna().all()
    gaps = bootstrap(LABELS, better, GROUPS, 200)["total"] - bootstrap(LABELS, COSINE, GROUPS, 200)["total"]
    found = table.loc[("better", "total"), ["difference_low", "difference_high"]].astype(float)
    np.testing.assert_allclose(found, 100 * np.percentile(gaps, [2.5, 97.5]))
    only_tail = ranking_table(LABELS[:, 2:], {"plain": COSINE[:, 2:]}, GROUPS[2:], resamples=20)
    assert list(only_tail["group"]) == ["total", "tail"]


def test_templates_are_read_and_wrong_ones_named():
    assert read_templates(" a {}. | the {} |") == ("a {}.", "the {}")
    for text in ("", "a photo", "a {} and a {}", "a {name}", "a {0}", "a {"):
        with pytest.raises(ValueError, match=r"templates: '.*' needs one \{\} for the class name"):
            read_templates(text)


def test_the_explorer_follows_its_controls():
    images, plain, other = RNG.normal(size=(60, 8)), RNG.normal(size=(5, 8)), RNG.normal(size=(5, 8))
    explorer = zero_shot_explorer(images, {"plain": plain, "other": other}, LABELS, tuple("abcde"), 20.0)
    (chosen, template), (ranking, slider) = (row.children for row in explorer.children[:2])
    figure = explorer.children[2]
    assert slider.disabled
    chosen.value, template.value, ranking.value, slider.value = 3, "other", "softmax", 2.0
    assert not slider.disabled
    scores = softmax_scores(images @ other.T, 2.0)
    ap = [100 * average_precision_score(y, s) for y, s in zip(LABELS.T, scores.T)]
    assert figure.layout.title.text == f"d: AP {ap[3]:.1f}; mean over all classes {np.mean(ap):.1f}"
    assert figure.layout.annotations[0].text == "softmax, scale 2"
    negatives, positives = figure.data
    drawn = relative(images @ other.T, 2.0)[:, 3]
    for trace, side in ((negatives, ~LABELS[:, 3]), (positives, LABELS[:, 3])):
        assert sum(trace.y) == pytest.approx(1)
        assert sum(np.array(trace.y) * trace.x) == pytest.approx(drawn[side].mean(), abs=np.ptp(drawn) / 80)
