"""Which labels a run says that an image has: those whose score reaches a threshold that no test image had a say in."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmptlib.evaluation.calibration import thresholds
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run

_ON = {"val": "the validation images", "fold": "the training images, each scored by a fit without its fold"}


@dataclass(frozen=True)
class LabelRule:
    """From which score on a run says a label.

    thresholds (C,): of the scores, class by class; None where there are no images to choose them on: then a label is said
    from a probability of a half on. told: which it is, in words. single: the class of the highest score is said, and no other.
    """

    thresholds: np.ndarray | None
    told: str
    single: bool = False

    def says(self, scores: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Labels said, (N, C) bool, from scores of the rule's ranking and logits (N, C)."""
        if self.single:
            return np.arange(scores.shape[1]) == scores.argmax(1)[:, None]
        return logits >= 0 if self.thresholds is None else scores >= self.thresholds


def label_rule(run: Run | Ensemble, ranking: str = "logit") -> LabelRule:
    """The thresholds of best F1 on validation images; without these on training images out of fold, where folds chose.

    A method that learned from an image scores it too well, so that training images by themselves choose no threshold: where
    there is neither, a label is said from a probability of a half on, under either ranking.
    """
    if run.task == "single-label":
        return LabelRule(None, "the class of the highest score is said", single=True)
    parts = [part for _, part in run.parts] if isinstance(run, Ensemble) else [run]
    split = "val" if run.has_val else "fold" if all(part.out_of_fold for part in parts) else None
    if split is None:
        return LabelRule(None, "a label is said from a probability of a half on: no validation images, no folds")
    return LabelRule(
        thresholds(*run.ranking_scores(ranking, split)),
        f"a label is said from the score on that gives its class the best F1 on {_ON[split]}",
    )


def labels_said(run: Run | Ensemble, ranking: str = "logit") -> np.ndarray:
    """The labels that a run says of its test images, (N, C) bool, by its `label_rule`."""
    return label_rule(run, ranking).says(run.ranking_scores(ranking)[1], _logits(run))


def _logits(run: Run | Ensemble) -> Any:
    """Logits (N, C) of the test images; of an ensemble their weighted sum."""
    if isinstance(run, Ensemble):
        return sum(weight * _logits(part) for weight, part in run.parts)
    return run.scores()["logits"]
