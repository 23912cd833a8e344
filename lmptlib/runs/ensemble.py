"""Runs whose logits are averaged."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lmptlib.evaluation.measures import Measure
from lmptlib.evaluation.metrics import evaluate
from lmptlib.evaluation.rankings import ranking_scores
from lmptlib.methods import learns
from lmptlib.runs.labels import labels
from lmptlib.runs.run import Run, class_scores


@dataclass(frozen=True)
class Ensemble:
    """Runs on the same test images whose logits are averaged with weights; `compare` and the tables read it as a run.

    A run's logits are CLIP's scale times its cosines, or a probe's own. `softmax` ranks by the softmax of the average,
    `logit` by the average itself.
    """

    parts: tuple[tuple[float, Run], ...]  # weight, run

    @property
    def first(self) -> Run:
        return self.parts[0][1]

    @property
    def settings(self) -> dict[str, Any]:
        """None of its own: its label tells what it is."""
        return {}

    @property
    def seed(self) -> int:
        """That of the first part that learns."""
        return next((run.seed for _, run in self.parts if learns(run.settings["method"])), self.first.seed)

    @property
    def task(self) -> str:
        return self.first.task

    @property
    def measure(self) -> Measure:
        return self.first.measure

    @property
    def dataset(self) -> str:
        return self.first.dataset

    @property
    def data_fingerprint(self) -> str:
        return self.first.data_fingerprint

    @property
    def has_val(self) -> bool:
        return self.first.has_val

    @property
    def class_rows(self) -> pd.DataFrame:
        """As `Run.class_rows`."""
        return self.first.class_rows

    @property
    def configuration(self) -> str:
        """As `Run.configuration`."""
        content = json.dumps([(weight, run.configuration) for weight, run in self.parts])
        return f"ensemble-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def title(self) -> str:
        """Its parts, with labels that tell them apart."""
        named = labels([run for _, run in self.parts])
        return " + ".join(f"{weight:g} x ({label})" for (weight, _), label in zip(self.parts, named))

    @property
    def grouping(self) -> str:
        """As `Run.grouping`."""
        return self.first.grouping

    @property
    def attrs(self) -> dict[str, str]:
        """As `Run.attrs`."""
        return self.first.attrs

    @property
    def label(self) -> str:
        return labels([self])[0]

    @property
    def own_label(self) -> str:
        """None."""
        return ""

    @property
    def marks(self) -> list[str]:
        """None of its own: its parts have theirs."""
        return []

    @property
    def leaks(self) -> bool:
        return any(run.leaks for _, run in self.parts)

    @property
    def folder(self) -> Path:
        return self.first.folder

    @property
    def classes(self) -> pd.DataFrame:
        """As `Run.classes`."""
        return class_scores(self)

    def ranking_scores(self, ranking: str, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """As `Run.ranking_scores`."""
        logits: Any = 0.0
        for weight, run in self.parts:
            labels, scores = run.ranking_scores("logit", split)
            logits = logits + weight * run.config["logit_scale"] * scores
        return labels, ranking_scores(logits, ranking, 1.0)

    def resampled_means(self, ranking: str) -> dict[str, np.ndarray]:
        """As `Run.resampled_means`."""
        labels, scores = self.ranking_scores(ranking)
        return self.measure.resampled_means(labels, scores, self.class_rows["group"].to_numpy())

    @cached_property
    def metrics(self) -> dict[str, Any]:
        labels, logits = self.ranking_scores("logit")
        return evaluate(
            labels, logits, 1.0, tuple(self.class_rows["class"]), self.class_rows["group"].to_numpy(), self.task
        )
