"""Linear discriminants that look for the view in which a class is seen."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmptlib.methods.base import Batch, over_views
from lmptlib.methods.lda import LDA, Prepared, statistics

_ROUNDS = 2
# The settings that views are chosen with: once a fold, whatever settings are tried.
_CHOOSING = {"kappa": 4.0, "rho": 0.2}


class MilLDA(LDA):
    """w_c = S^-1 D_c, score (f - m) w_c as in lda, from the view of each image that shows the class best (ours).

    Multiple-instance learning (Andrews et al., NeurIPS 2002): lda scores all views of the training images, the whole and its
    crops. The best view of each class that an image shows is its positive for that class, the image's other views are
    neither positive nor negative for it, and all views of images without the class are negatives. From these comes lda
    again, and once more; views are chosen with kappa 4 and rho 0.2.

    m is the mean of all views. R are the views that are positive or negative for some class, less what being positive
    explains of them: where a label is neither, it explains nothing. Kappa counts against photographs, as in lda. Of single
    labels, views that are no positives count nowhere.
    """

    @classmethod
    def needs_crops(cls, settings: Any) -> bool:
        return True

    def prepare(self, batch: Batch) -> Prepared:
        of_views = super().prepare(batch)
        for _ in range(_ROUNDS):
            self.fit(of_views, _CHOOSING)
            of_views = from_views(batch, over_views(self.raw, batch, None), self.problem.single)
        return of_views


def from_views(batch: Batch, scores: Tensor, single: bool) -> Prepared:
    """What lda takes from all views of the training images, given their scores (N, 1 + V, C)."""
    views = torch.cat([batch.images[:, None], batch.crops], dim=1).double()
    shown = batch.targets.double()[:, None]
    best = F.one_hot(scores.argmax(1), views.shape[1]).transpose(1, 2)
    positive = (shown * best).flatten(0, 1)
    negative = batch.negatives().double()[:, None].expand_as(best).flatten(0, 1)
    whole = batch.is_labelled().repeat_interleave(views.shape[1])
    return statistics(views.flatten(0, 1), positive, negative, whole, shown.sum((0, 1)), single)
