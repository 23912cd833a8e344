"""The run folder: what a run leaves behind, written at once and read back as DataFrames.

outputs/<run>/config.json            the resolved configuration, fingerprints, versions, classes
              history.jsonl          a line an epoch: losses, learning rate, gradient norms, seconds
              probabilities.npz      mean probabilities of positives and negatives per class (PG Eq. 6)
              metrics.json           AP per class and group under both rankings, with intervals
              scores.npz             scores and labels of test and validation images
              prompts.safetensors    contexts, head, text features before and after
              notebook.ipynb         the executed notebook, where one made the run
              checkpoint.pt          of a run that was stopped: where it goes on from
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.torch import load_file
from torch import Tensor

from lmptlib.data.dataset import GROUPS
from lmptlib.errors import nearest
from lmptlib.evaluation.metrics import evaluate
from lmptlib.evaluation.rankings import RANKINGS, softmax_scores
from lmptlib.methods.prompts import METHODS
from lmptlib.paths import outputs_folder


@dataclass(frozen=True)
class Run:
    """A run, finished or stopped, read from its folder."""

    folder: Path

    def __post_init__(self):
        if not (self.folder / "metrics.json").is_file():
            raise ValueError(f"{self.folder}: not a run, it has no metrics.json")

    @cached_property
    def config(self) -> dict:
        return json.loads((self.folder / "config.json").read_text())

    @cached_property
    def metrics(self) -> dict:
        return json.loads((self.folder / "metrics.json").read_text())

    @property
    def label(self) -> str:
        """A short name for legends: the method, and with learned prompts the loss and the recipe."""
        settings = self.config["settings"]
        parts = [settings["method"]]
        if METHODS[settings["method"]].learns:
            parts += [settings["loss"], settings["recipe"]]
        return ", ".join([*parts, *self.marks])

    @property
    def marks(self) -> list[str]:
        """What whoever reads its numbers must know."""
        leakage = ["TEST-SET LEAKAGE"] if self.leaks else []
        epochs = self.config["settings"]["epochs"]
        return leakage + ([f"stopped after {self.stopped} of {epochs} epochs"] if self.stopped else [])

    @property
    def stopped(self) -> int | None:
        """The epochs that it had when it was stopped; None for a finished run."""
        return self.config.get("stopped_after")

    @property
    def leaks(self) -> bool:
        """Whether its epoch was chosen on the test images, so that its numbers are no results."""
        settings = self.config["settings"]
        return settings["select"] == "test" and METHODS[settings["method"]].learns

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch."""
        return pd.DataFrame([json.loads(line) for line in (self.folder / "history.jsonl").read_text().splitlines()])

    @cached_property
    def classes(self) -> pd.DataFrame:
        """One row a class: class, group, train (images), n_pos (test images) and AP in percent under each ranking."""
        return _class_rows(self)

    def probabilities(self, every: str = "iteration") -> pd.DataFrame:
        """Mean probabilities by group (PG Eq. 6): columns step, group, positive, negative.

        every: `iteration` (over the batch, before its step) or `epoch` (exact, over the training set; 0 is before
        training). A group's value is the mean over its classes that are present; NaN where none is. These are the model
        in training: before `hand_written` mixes its prompts, before `ema` averages its weights.
        """
        with np.load(self.folder / "probabilities.npz") as file:
            positive, negative = file[f"{every}_positive"], file[f"{every}_negative"]
        group = np.array([row["group"] for row in self.config["classes"]])
        columns = {"positive": pd.DataFrame(positive), "negative": pd.DataFrame(negative)}
        tables = []
        for name in GROUPS:
            members = np.flatnonzero(group == name)
            table = pd.DataFrame({kind: values[members].mean(axis=1) for kind, values in columns.items()})
            tables.append(table.assign(step=np.arange(len(positive)), group=name))
        return pd.concat(tables, ignore_index=True)[["step", "group", "positive", "negative"]]

    def ranking_scores(self, ranking: str, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """Labels and scores (N, C) of the test or `val` images under a ranking, softmax or logit.

        Raises ValueError where there is no validation split.
        """
        prefix, scores = "" if split == "test" else "val_", self.scores()
        if f"{prefix}labels" not in scores:
            raise ValueError(f"{self.folder.name}: the data set has no validation split")
        cosine = scores[f"{prefix}scores"]
        ranked = softmax_scores(cosine, self.config["logit_scale"]) if ranking == "softmax" else cosine
        return scores[f"{prefix}labels"], ranked

    def scores(self) -> dict[str, np.ndarray]:
        """Test `scores` (N, C) and `labels` (N, C); with a validation split `val_scores` and `val_labels`.

        `scores` is what the run ranks by: the cosine of image and prompt, a probe's W f + b, or, with a `residual`, the logit.
        """
        with np.load(self.folder / "scores.npz") as file:
            return dict(file)

    def prompts(self) -> dict[str, Tensor]:
        """What was learned (`context`, or a probe's `weight` and `bias`; the head's `a` and `b`) and text features (C, D)
        `before` and `after` training."""
        return load_file(self.folder / "prompts.safetensors")


@dataclass(frozen=True)
class Ensemble:
    """Runs on the same test images whose logits are averaged with weights; `compare` and the tables read it as a run.

    A run's logits are CLIP's scale times its cosines, or a probe's own. `softmax` ranks by the softmax of the average,
    `logit` by the average itself.
    """

    parts: tuple[tuple[float, Run], ...]  # weight, run

    @property
    def config(self) -> dict:
        """That of the first part, with the seed of the first part that has one of its own."""
        learned = [run for _, run in self.parts if METHODS[run.config["settings"]["method"]].learns]
        seed = (learned or [self.parts[0][1]])[0].config["settings"]["seed"]
        first = self.parts[0][1].config
        return {**first, "settings": {**first["settings"], "seed": seed}}

    @property
    def label(self) -> str:
        return " + ".join(f"{weight:g} x ({run.label})" for weight, run in self.parts)

    @property
    def leaks(self) -> bool:
        return any(run.leaks for _, run in self.parts)

    @property
    def folder(self) -> Path:
        return self.parts[0][1].folder

    @property
    def classes(self) -> pd.DataFrame:
        """As `Run.classes`."""
        return _class_rows(self)

    def ranking_scores(self, ranking: str, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """As `Run.ranking_scores`."""
        logits = 0.0
        for weight, run in self.parts:
            labels, cosine = run.ranking_scores("logit", split)
            logits = logits + weight * run.config["logit_scale"] * cosine
        return labels, softmax_scores(logits, 1.0) if ranking == "softmax" else logits

    @cached_property
    def metrics(self) -> dict:
        labels, logits = self.ranking_scores("logit")
        classes = self.config["classes"]
        groups = np.array([row["group"] for row in classes])
        return evaluate(labels, logits, 1.0, tuple(row["class"] for row in classes), groups)


def _class_rows(run: "Run | Ensemble") -> pd.DataFrame:
    table = pd.DataFrame(run.config["classes"])
    table["n_pos"] = table["class"].map(run.metrics["n_pos"])
    for ranking in RANKINGS:
        table[ranking] = table["class"].map(run.metrics["scores"][ranking]["per_class"]).astype(float)
    return table


def find_runs(out: str | Path | None = None) -> list[Run]:
    """Every run below the outputs folder, oldest first."""
    folders = [
        path.parent for path in outputs_folder(out).glob("*/metrics.json") if not path.parent.name.startswith(".")
    ]
    return [Run(folder) for folder in sorted(folders, key=lambda f: ((f / "metrics.json").stat().st_mtime, f.name))]


def pick_runs(names: str, out: str | Path | None = None) -> list[Run]:
    """Runs by the names of their folders, comma-separated, or `all`. Raises ValueError for one that is not there."""
    found = {run.folder.name: run for run in find_runs(out)}
    wanted = list(found) if names.strip() == "all" else [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in found:
            raise ValueError(f"no run '{name}' in {outputs_folder(out)}.{nearest(name, found)}")
    return [found[name] for name in wanted]
