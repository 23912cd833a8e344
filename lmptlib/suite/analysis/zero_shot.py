"""From cosines to rankings: what a score is relative to.

AP ranks images class by class. A number added to a class (all images of one column) changes no ranking by cosine; a
number added to an image (all classes of one row) does. Centred and softmax scores are free of the second.
"""

import string

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from lmptlib.data.loading import GROUPS
from lmptlib.evaluation.metrics import average_precision, bootstrap, summarise

RANKINGS = ("cosine", "centred", "softmax")


def read_templates(text: str) -> tuple[str, ...]:
    """Templates from a text, separated by `|`, each with one `{}` where the class name goes. Raises ValueError, one line."""
    templates = tuple(part.strip() for part in text.split("|") if part.strip())
    for template in templates or ("",):
        try:
            fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
        except ValueError:
            fields = []
        if fields != [""]:
            raise ValueError(f"templates: '{template}' needs one {{}} for the class name, as in 'a photo of a {{}}.'")
    return templates


def centred(cosine: np.ndarray) -> np.ndarray:
    """Cosines (N, C) less each image's mean over the classes."""
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


def ranking_scores(cosine: np.ndarray, ranking: str, scale: float) -> np.ndarray:
    """Scores (N, C) of cosines (N, C) under one of RANKINGS; `softmax` as `relative` has it, which does not saturate."""
    if ranking not in RANKINGS:
        raise ValueError(f"ranking '{ranking}' is none of {', '.join(RANKINGS)}")
    if ranking == "cosine":
        return cosine
    return centred(cosine) if ranking == "centred" else relative(cosine, scale)


def offsets(cosine: np.ndarray) -> pd.Series:
    """Share of the variance of cosines (N, C) that is the class's offset, the image's, and the rest; they add up to 1."""
    about = cosine - cosine.mean()
    by_class, by_image = about.mean(0), about.mean(1)
    rest = about - by_class - by_image[:, None]
    parts = {"class": by_class.var(), "image": by_image.var(), "rest": rest.var()}
    return pd.Series(parts) / about.var()


def ranking_table(
    labels: np.ndarray,
    scores: dict[str, np.ndarray],
    groups: np.ndarray,
    baseline: str | None = None,
    resamples: int = 1000,
) -> pd.DataFrame:
    """mAP in percent of several scores (N, C) on the same labels (N, C), with 95% intervals over the images.

    Columns row, group (total, head, medium, tail where they have classes), mean, low, high and, against the baseline,
    difference, difference_low, difference_high, paired on the resampled images.
    """
    means = {row: summarise(average_precision(labels, values), groups) for row, values in scores.items()}
    spread = {row: bootstrap(labels, values, groups, resamples) for row, values in scores.items()}
    table = []
    for row in scores:
        for group in ("total", *GROUPS):
            if np.isnan(means[row][group]):
                continue
            mean, low, high = _interval(means[row][group], spread[row][group])
            entry = {"row": row, "group": group, "mean": mean, "low": low, "high": high}
            if baseline is not None and row != baseline:
                gap, low, high = _interval(
                    means[row][group] - means[baseline][group], spread[row][group] - spread[baseline][group]
                )
                entry |= {"difference": gap, "difference_low": low, "difference_high": high}
            table.append(entry)
    columns = ["row", "group", "mean", "low", "high", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(table, columns=columns)


def _interval(value: float, resampled: np.ndarray) -> list[float]:
    """A value and its 2.5 and 97.5 percentiles over resamples, in percent."""
    return (100 * np.array([value, *np.nanpercentile(resampled, [2.5, 97.5])])).tolist()
