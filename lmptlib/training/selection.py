"""What folds of the training images chose, and what they say of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Selection:
    """The settings that folds chose, what they chose among, and scores of the training images by fits without them.

    folds (N,): the fold of each training image, without those from a pool, which are in none. scores, logits (N, C): out of
    fold, under the chosen settings. trials: each one's settings and its `total`, the mean AP out of fold in [0, 1].
    """

    folds: np.ndarray
    scores: np.ndarray
    logits: np.ndarray
    chosen: dict[str, Any]
    trials: list[dict[str, Any]]


def in_words(value: Any) -> str:
    """Settings for reading, those of a part in brackets.

    >>> from lmptlib.training.selection import in_words
    >>> in_words({"gda": {"kappa": 3.0, "ridge": 0.3}, "n": [1, 2]})
    'gda (kappa 3, ridge 0.3), n 1/2'
    """
    if isinstance(value, Mapping):
        parts = {name: f"({in_words(of)})" if isinstance(of, Mapping) else in_words(of) for name, of in value.items()}
        return ", ".join(f"{name} {part}" for name, part in parts.items())
    if isinstance(value, (list, tuple)):
        return "/".join(map(in_words, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
