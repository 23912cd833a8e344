"""How sure a mean of average precisions is, over test images."""

import numpy as np

from lmptlib.evaluation.average_precision import summarise, weighted_average_precision


def bootstrap(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, resamples: int = 1000
) -> dict[str, np.ndarray]:
    """mAP total and by group, (R,) each in [0, 1], over R resamples of the test images.

    The resamples depend on the number of images alone, so that runs on the same images share them: differences of two
    runs are paired.
    """
    weights = np.random.default_rng(0).multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=resamples)
    return summarise(weighted_average_precision(labels, scores, weights), groups)
