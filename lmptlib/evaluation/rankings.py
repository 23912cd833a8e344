"""From scores to rankings: what a score is relative to.

AP ranks images class by class. A number added to a class (all images of one column) changes no ranking by cosine; a
number added to an image (all classes of one row) does. Centred and softmax scores are free of the second."""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

RANKINGS = ("softmax", "logit")


def softmax_scores(cosine: np.ndarray, logit_scale: float) -> np.ndarray:
    """Softmax over classes of CLIP's own logits, (N, C): its scale matters to the ranking."""
    logits = logit_scale * cosine.astype(np.float64)
    exp = np.exp(logits - logits.max(1, keepdims=True))
    return exp / exp.sum(1, keepdims=True)


def softmax_rows(scores: np.ndarray, logit_scale: float) -> Callable[[int], np.ndarray]:
    """`softmax_scores` class by class: from scores (C, N), read once now, a function of a class to its row (N,)."""
    highest, total = np.full(scores.shape[1], -np.inf), np.zeros(scores.shape[1])
    for row in scores:
        logits = logit_scale * row.astype(np.float64)
        higher = np.maximum(highest, logits)
        # the sum so far, and the new logit, relative to the highest of both
        total *= np.exp(highest - higher)
        total += np.exp(logits - higher)
        highest = higher
    return lambda c: np.exp(logit_scale * scores[c].astype(np.float64) - highest) / total


ZERO_SHOT_RANKINGS = ("logit", "centred", "softmax")
ALL_RANKINGS = (*RANKINGS, "centred")


def centred(cosine: np.ndarray) -> np.ndarray:
    """Cosines (N, C) less each image's mean over the classes.

    >>> import numpy as np
    >>> from lmptlib.evaluation.rankings import centred
    >>> centred(np.array([[0.25, 0.75]]))
    array([[-0.25,  0.25]])
    """
    return cosine - cosine.mean(1, keepdims=True)


def relative(cosine: np.ndarray, scale: float) -> np.ndarray:
    """Cosines (N, C) less a soft mean of the image's other classes: cos_c - log(mean over j != c of exp(s cos_j)) / s.

    Its sigmoid at s * value - log(C - 1) is the softmax of s * cos, so that the two rank alike at every scale s. At s = 0
    the soft mean is the mean, C / (C - 1) times the centred score; at s = inf it is the largest.
    """
    n_classes = cosine.shape[1]
    if n_classes < 2:
        raise ValueError("a score relative to other classes needs two classes at least")
    cosine = cosine.astype(np.float64)
    if scale == 0:
        return centred(cosine) * n_classes / (n_classes - 1)
    top = np.arange(n_classes) == cosine.argmax(1)[:, None]
    below = np.where(top, -np.inf, cosine)
    if scale == np.inf:
        return cosine - np.where(top, below.max(1, keepdims=True), cosine.max(1, keepdims=True))
    total = logsumexp(scale * cosine, axis=1, keepdims=True)
    share = np.where(top, 0, np.exp(scale * cosine - total))  # at most 1/2: what is left is no difference of equals
    others = np.where(top, logsumexp(scale * below, axis=1, keepdims=True), total + np.log1p(-share))
    return cosine - (others - np.log(n_classes - 1)) / scale


def ranking_scores(scores: np.ndarray, ranking: str, scale: float) -> np.ndarray:
    """What a ranking sorts by, (N, C), from scores (N, C): the one place where rankings are made.

    softmax: over classes, of `scale` times the scores. logit: each class by itself. centred: less the image's mean. A
    single class has no others to be relative to: its scores rank by themselves, where softmax and centred scores would all
    be equal. Raises ValueError for another ranking.
    """
    if ranking not in ALL_RANKINGS:
        raise ValueError(f"no ranking '{ranking}'; known: {', '.join(ALL_RANKINGS)}")
    if scores.shape[1] == 1 and ranking in ("softmax", "centred"):
        return scores
    if ranking == "softmax":
        return softmax_scores(scores, scale)
    if ranking == "centred":
        return centred(scores)
    return scores
