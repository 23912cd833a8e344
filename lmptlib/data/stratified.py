"""Drawing test images so that every class has its share."""

import hashlib
from collections.abc import Sequence

import numpy as np


def draw_test(labels: np.ndarray, names: Sequence[str], share: float = 0.2) -> np.ndarray:
    """Which images (N,) of labels (N, C) are for testing: `share` of each class, rarest first, the same draw each time.

    At least one image of a class with two or more, where that leaves every class one for training. A class is dealt out
    before more frequent ones are, as in Sechidis et al., "On the stratification of multi-label data" (2011); within a
    class by a hash of the images' names, so that a few images more or fewer change the draw of few others.
    """
    order = np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in names])
    counts = labels.sum(0)
    test, open_, left = np.zeros(len(labels), bool), np.ones(len(labels), bool), counts.copy()
    kinds = [labels[:, c] for c in np.argsort(counts, kind="stable")] + [~labels.any(1)]
    for of_class in kinds:
        wanted = max(round(share * of_class.sum()), int(of_class.sum() > 1)) - (test & of_class).sum()
        for image in order[(of_class & open_)[order]]:
            if wanted <= 0:
                break
            if (left[labels[image]] > 1).all():
                test[image] = True
                left -= labels[image]
                wanted -= 1
        open_ &= ~of_class
    return test


def draw_folds(labels: np.ndarray, digests: Sequence[str], n_folds: int = 5) -> np.ndarray:
    """The fold (N,) of each image of labels (N, C), 0 to n_folds - 1: each class spread evenly, rarest first.

    The rule of `draw_test`, with digests of the images' bytes for their names: images that are the same share a fold. An
    image of the class in turn goes where that class has fewest images, then where all have.
    """
    pictures, picture = np.unique(np.asarray(digests), return_inverse=True)
    shown = np.zeros((len(pictures), labels.shape[1] + 1), int)  # images of each class, and of all in the last column
    np.add.at(shown, picture, np.column_stack([labels, np.ones(len(labels), int)]))
    folds, held = np.full(len(pictures), -1), np.zeros((n_folds, shown.shape[1]), int)
    for kind in (*np.argsort(labels.sum(0), kind="stable"), -1):
        for new in np.flatnonzero((shown[:, kind] > 0) & (folds < 0)):
            folds[new] = np.lexsort([held[:, -1], held[:, kind]])[0]
            held[folds[new]] += shown[new]
    return folds[picture]
