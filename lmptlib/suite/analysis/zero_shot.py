"""What zero-shot scores are made of, and rankings of them side by side."""

import string

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.average_precision import average_precision, summarise
from lmptlib.evaluation.intervals import half_width, mean_interval, resampled_means


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


def offsets(cosine: np.ndarray) -> pd.Series:
    """Share of the variance of cosines (N, C) that is the class's offset, the image's, and the rest; they add up to 1."""
    about = cosine - cosine.mean()
    by_class, by_image = about.mean(0), about.mean(1)
    rest = about - by_class - by_image[:, None]
    parts = {"class": by_class.var(), "image": by_image.var(), "rest": rest.var()}
    return pd.Series(parts) / about.var()


def ranking_table(
    labels: np.ndarray, scores: dict[str, np.ndarray], groups: np.ndarray, baseline: str | None = None
) -> pd.DataFrame:
    """mAP in percent of several scores (N, C) on the same labels (N, C), with 95% intervals over the images.

    Columns row, group (total, head, medium, tail where they have classes), mean, low, high and, against the baseline,
    difference, difference_low, difference_high, paired on the images. An interval is NaN where there are too few positives.
    """
    means = {row: summarise(average_precision(labels, values), groups) for row, values in scores.items()}
    drawn = {row: resampled_means(labels, values, groups) for row, values in scores.items()}
    table = []
    for row in scores:
        for group in ("total", *GROUPS):
            if np.isnan(means[row][group]):
                continue
            low, high = mean_interval(drawn[row][group])
            entry = {"row": row, "group": group, "mean": means[row][group], "low": low, "high": high}
            if baseline is not None and row != baseline:
                gap = means[row][group] - means[baseline][group]
                half = half_width(drawn[row][group] - drawn[baseline][group])
                entry |= {"difference": gap, "difference_low": gap - half, "difference_high": gap + half}
            table.append(entry)
    numbers = ["mean", "low", "high", "difference", "difference_low", "difference_high"]
    shown = pd.DataFrame(table, columns=["row", "group", *numbers])
    shown[numbers] = 100 * shown[numbers].astype(float)
    return shown
