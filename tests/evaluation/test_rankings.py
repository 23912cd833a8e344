"""Rankings: what the scale and an offset do to them, and the softmax as a subtraction."""

import numpy as np
import pytest

from lmptlib.evaluation.average_precision import average_precision
from lmptlib.evaluation.rankings import centred, ranking_scores, relative, softmax_scores

RNG = np.random.default_rng(0)
COSINE = RNG.normal(0.2, 0.1, (60, 5))
LABELS = RNG.random((60, 5)) < 0.3


def test_softmax_is_stable_and_scale_matters_to_the_ranking():
    cosine = np.array([[0.5, 0.1, 0.45], [0.5, 0.35, 0.35]], np.float32)
    soft, sharp = softmax_scores(cosine, 1.0), softmax_scores(cosine, 100.0)
    np.testing.assert_allclose(soft.sum(1), 1)
    assert soft[0, 0] > soft[1, 0] and sharp[0, 0] < sharp[1, 0], "the order of two images turns round"
    assert np.isfinite(softmax_scores(cosine, 1e4)).all()


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
    with pytest.raises(ValueError, match="no ranking 'cosin'; known: softmax, logit"):
        ranking_scores(COSINE, "cosin", 20.0)
