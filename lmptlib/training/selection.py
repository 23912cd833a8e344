"""What folds of the training images chose, and what they say of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Selection:
    """The settings that folds chose, what they chose among, and scores of the training images by fits without them.

    folds (N,): the fold of each training image. scores, logits (N, C): out of fold, under the chosen settings. trials:
    each one's settings and its `total`, the mean AP out of fold in [0, 1].
    """

    folds: np.ndarray
    scores: np.ndarray
    logits: np.ndarray
    chosen: dict[str, Any]
    trials: list[dict[str, Any]]
