"""Where a class's positives stand among all images, and what follows: its AP, how it moves with each image, and its bias."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor, from_numpy
from torch.nn.functional import embedding_bag


class Places:
    """The places of a class's positives, from their rows (n,), at least one, and the scores (N,) of all images.

    Images are compared with the positives alone, in N log n steps and without a sort of them all. Of equal scores, all
    count at each.
    """

    def __init__(self, rows: np.ndarray, scores: np.ndarray) -> None:
        self.rows = rows
        # how many positives an image ranks no lower than, (N,): it is in the precision of as many, the lowest first
        self.reach = np.searchsorted(np.sort(scores[rows]), scores, side="right")
        # images and positives that rank no lower than each positive, (n,), the lowest positive first
        self.images, self.positives = (
            np.bincount(reach, minlength=len(rows) + 1)[:0:-1].cumsum()[::-1]
            for reach in (self.reach, self.reach[rows])
        )

    @property
    def precision(self) -> np.ndarray:
        """At each positive, (n,), the lowest first."""
        return self.positives / self.images

    @property
    def average_precision(self) -> float:
        return float(self.precision.mean())

    @property
    def unbiased(self) -> float:
        """AP by what the other positives say of each one's place, which on average is that of infinitely many images.

        Of A others and B negatives that rank no lower than one of n positives, A n / (n - 1) are expected of n positives,
        so that its precision is A n / (n - 1) / (A n / (n - 1) + B) [ours]; 1 where nothing ranks above. AP itself, in which
        a positive counts in its own precision too, is higher.
        """
        n = len(self.rows)
        others = (self.positives - 1) * n / max(n - 1, 1)
        above = others + self.images - self.positives
        return float(np.divide(others, above, out=np.ones(n), where=above > 0).mean())

    def weights_no_lower(self, weights: Tensor, rows: np.ndarray) -> np.ndarray:
        """The summed weights (n, R) of those of the images `rows` that rank no lower than each positive, the lowest first.

        weights (N, R) float32, whole numbers, whose sums are exact below 2^24.
        """
        # within each place in the order of memory
        rows = rows[np.argsort(self.reach[rows].astype(np.min_scalar_type(len(self.rows))), kind="stable")]
        # images between a positive and the next one are a bag: those below all positives are in none
        starts = np.searchsorted(self.reach[rows], np.arange(1, len(self.rows) + 1))
        bags = embedding_bag(from_numpy(rows[starts[0] :]), weights, from_numpy(starts - starts[0]), mode="sum")
        return bags.int().numpy()[::-1].cumsum(0)[::-1]

    def without_the_last(self, scores: np.ndarray) -> "Places":
        """The same, were the last positive the last of all images; from the same scores (N,)."""
        scores = scores.copy()
        scores[self.rows[scores[self.rows].argmin()]] = -np.inf
        return Places(self.rows, scores)

    def influences(self) -> np.ndarray:
        """How AP changes with the weight of each image, at equal weights of 1: (N,); their sum is 0.

        The derivative of the weighted AP, sum_i w_i P_i / sum_i w_i over positives i with P_i the weighted precision at i's
        place. An image more changes the precision at each positive j that ranks no higher, by (1 - P_j) / images_j where it
        is a positive, else by -P_j / images_j.
        """
        n, precision = len(self.rows), self.precision
        gained, lost = (np.append(0, np.cumsum(part / self.images)) / n for part in (np.ones(n), precision))
        moves = -lost[self.reach]
        own = self.reach[self.rows]
        moves[self.rows] += gained[own] + (precision[own - 1] - precision.mean()) / n
        return moves


def places_by_class(labels: np.ndarray, scores: np.ndarray) -> Iterator[tuple[int, Places]]:
    """The places of each class that has positives, behind its number, from labels and scores (N, C)."""
    for c in np.flatnonzero(labels.any(0)):
        yield int(c), Places(np.flatnonzero(labels[:, c]), scores[:, c])
