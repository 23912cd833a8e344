"""A run, read back from its folder; `lmptlib.training.folder` says what lies in it."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from lmptlib.config import Config, saved_config
from lmptlib.data.dataset import GROUPS
from lmptlib.errors import nearest
from lmptlib.evaluation.measures import MEASURES, Measure
from lmptlib.evaluation.metrics import intervals
from lmptlib.evaluation.rankings import RANKINGS, ranking_scores
from lmptlib.methods import learns, method_title
from lmptlib.paths import outputs_folder, write_atomically
from lmptlib.runs.labels import LONGEST, labels
from lmptlib.runs.records import Metrics, Record, read_arrays, read_json, read_lines, read_table, read_tensors
from lmptlib.training import version_0_1
from lmptlib.training.events import Event, event_text

_LABELS = "labels.json"  # of an outputs folder, the users' own by configuration: no part of any run
_PROBABILITIES = [f"{every}_{side}" for every in ("iteration", "epoch") for side in ("positive", "negative")]


@dataclass(frozen=True)
class Run:
    """A run, finished or stopped, read from its folder. Raises ValueError for a folder without one, and for a file that is damaged."""

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not (self.folder / "metrics.json").is_file():
            if (self.folder / "config.json").is_file():
                raise ValueError(f"{self.folder}: a run begun and not finished: train it again to go on")
            raise ValueError(f"{self.folder}: not a run, it has no metrics.json")

    @cached_property
    def config(self) -> dict[str, Any]:
        """What `config.json` says; of a run of version 0.1 in the names of today."""
        return version_0_1.config(read_json(self.folder / "config.json", Record))

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` says, as `lmptlib.evaluation.metrics.evaluate` does.

        Percentiles of resampled images, which stand there in runs of 0.1, do not cover: their intervals are those of today,
        from the run's scores.
        """
        metrics = version_0_1.metrics(read_json(self.folder / "metrics.json", Metrics))
        names, groups = tuple(self.class_rows["class"]), self.class_rows["group"].to_numpy()
        for ranking, entry in metrics["scores"].items():
            if "per_class_ci95" not in entry:
                entry |= intervals(*self.ranking_scores(ranking), names, groups, self.task)
        return metrics

    @property
    def out_of_fold(self) -> dict[str, Any] | None:
        """What folds of the training images say, where they chose settings: mAP by group, `chosen` and `trials`."""
        return self.metrics.get("out_of_fold")

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings by name: those of every run, and those that its method has, as folds chose them for its training.

        An edited run has one more, `edited`, which no other run has: it is no seed of any configuration.
        """
        settings = self.config["settings"]
        edits = "; ".join(map(event_text, self.events))
        edited = {"edited": f"{edits} ({self.config['key'][-6:]})"} if edits else {}
        return settings | self.config.get("chosen", {}) | edited if learns(settings["method"]) else settings

    @cached_property
    def asked(self) -> Config:
        """Its configuration, as it was asked for."""
        learns(self.config["settings"]["method"])
        try:
            return saved_config(self.config["settings"])
        except ValueError as error:
            raise ValueError(f"{self.folder}: {error}") from None

    @property
    def trained_config(self) -> Config:
        """Its configuration, with the settings that folds chose where a method that learns was trained under them."""
        config, chosen = self.asked, self.config.get("chosen", {})
        return config.with_settings(**chosen) if config.learning and chosen else config

    @property
    def task(self) -> str:
        """What was to be told of an image: multi-label or single-label."""
        return self.config.get("task", "multi-label")

    @property
    def measure(self) -> Measure:
        """What it is judged by."""
        return MEASURES[self.task]

    @property
    def seed(self) -> int:
        """0 where nothing was drawn."""
        return self.settings.get("seed", 0)

    @property
    def dataset(self) -> str:
        return self.config["dataset"]

    @property
    def data_fingerprint(self) -> str:
        """A hash of its data: numbers compare where it is the same."""
        return self.config["fingerprints"]["dataset"]

    @property
    def has_val(self) -> bool:
        return bool(self.config["n_val"])

    @property
    def class_rows(self) -> pd.DataFrame:
        """One row a class: class, group, train (images); with its `attrs`."""
        table = pd.DataFrame(self.config["classes"])
        table.attrs |= self.attrs
        return table

    @property
    def grouping(self) -> str:
        """How its data's classes came into groups, in words; empty where it was by the usual cut-offs."""
        return self.config.get("grouping", "")

    @property
    def attrs(self) -> dict[str, str]:
        """What a table of its numbers says of the task: kind, and how the groups came."""
        return {"task": self.task, "grouping": self.grouping}

    @cached_property
    def effective(self) -> dict[str, Any]:
        """The settings that its numbers depend on, by name, as they were asked for; without the seed, with `edited`."""
        asked = {name: value for name, value in self.asked.effective().items() if name != "seed"}
        return asked | ({"edited": self.settings["edited"]} if self.events else {})

    @property
    def configuration(self) -> str:
        """What it is, but for the seed: the method and a hash of all that its numbers depend on. Seeds have the same."""
        content = json.dumps([self.effective, self.config["fingerprints"], self.marks], sort_keys=True)
        return f"{self.settings['method']}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def title(self) -> str:
        """Its method, for reading."""
        return method_title(self.settings["method"])

    @property
    def label(self) -> str:
        """Its label where it stands alone; among others, `lmptlib.runs.tables.labelled` tells them apart."""
        return labels([self])[0]

    @property
    def own_label(self) -> str:
        """The label that a user gave it, or nothing."""
        return _own_labels(self.folder.parent).get(self.configuration, "")

    @property
    def marks(self) -> list[str]:
        """What whoever reads its numbers must know."""
        known = self.config.get("marks", []) + (["TEST-SET LEAKAGE"] if self.leaks else [])
        known += ["edited"] if self.events else []
        return known + ([f"stopped after {self.stopped} of {self._epochs} epochs"] if self.stopped else [])

    @property
    def _epochs(self) -> int:
        """Epochs of all phases that it was asked for."""
        return self.asked.all_epochs

    @property
    def events(self) -> list[Event]:
        """The settings that were changed while it trained: epoch, setting, before, after."""
        return self.config.get("events", [])

    @property
    def stopped(self) -> int | None:
        """The epochs that it had when it was stopped; None for a finished run."""
        return self.config.get("stopped_after")

    @property
    def leaks(self) -> bool:
        """Whether its epoch was chosen on the test images, so that its numbers are no results."""
        return self.settings.get("select") == "test"

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch."""
        return pd.DataFrame(read_lines(self.folder / "history.jsonl"))

    @cached_property
    def classes(self) -> pd.DataFrame:
        """One row a class, as `class_scores` has it."""
        return class_scores(self)

    def probabilities(self, every: str = "iteration") -> pd.DataFrame:
        """Mean probabilities by group (PG Eq. 6): columns step, group, positive, negative.

        every: `iteration` (over the batch, before its step) or `epoch` (exact, over the training set; 0 is before
        training). A group's value is the mean over its classes that are present; NaN where none is. These are the model
        in training: before `hand_written` mixes its prompts, before `ema` averages its weights.
        """
        arrays = self.class_probabilities()
        positive, negative = arrays[f"{every}_positive"], arrays[f"{every}_negative"]
        rows = self.class_rows
        group = rows["group"].to_numpy()
        columns = {"positive": pd.DataFrame(positive), "negative": pd.DataFrame(negative)}
        apart = self.config.get("recorded_every", 1) if every == "iteration" else 1
        tables = []
        for name in GROUPS:
            members = np.flatnonzero(group == name)
            table = pd.DataFrame({kind: values[members].mean(axis=1) for kind, values in columns.items()})
            tables.append(table.assign(step=apart * np.arange(len(positive)), group=name))
        found = pd.concat(tables, ignore_index=True)[["step", "group", "positive", "negative"]]
        found.attrs |= rows.attrs
        return found

    def class_probabilities(self) -> dict[str, np.ndarray]:
        """Mean probabilities (steps, C), NaN where a class is absent: `iteration_` and `epoch_`, `positive` and `negative`."""
        return read_arrays(self.folder / "probabilities.npz", _PROBABILITIES)

    def ranking_scores(self, ranking: str, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """Labels and scores (N, C) of the test or `val` images under a ranking, softmax or logit; `fold`: of training
        images out of fold.

        Raises ValueError where there is no validation split, and no figure out of fold.
        """
        prefix, scores = {"test": "", "val": "val_", "fold": "fold_"}[split], self.scores()
        if f"{prefix}labels" not in scores:
            lacks = "the data set has no validation split" if split == "val" else "folds chose nothing"
            raise ValueError(f"{self.folder.name}: {lacks}")
        ranked = ranking_scores(scores[f"{prefix}scores"], ranking, self.config["logit_scale"])
        return scores[f"{prefix}labels"], ranked

    @cached_property
    def fetched(self) -> pd.DataFrame:
        """One row an image from the pool that it was trained on, too: class, image (its path below the pool), p, rank.

        Raises ValueError for a run without a pool.
        """
        if not self.asked.enriches:
            raise ValueError(f"{self.folder.name}: no pool enriched its classes (setting tackle)")
        return read_table(self.folder / "fetched.csv", ("class", "image", "p", "rank"))

    def scores(self) -> dict[str, np.ndarray]:
        """`scores`, `logits` and `labels` (N, C) of the test images; with a validation split `val_scores` and so on.

        Where folds chose, `fold_scores` and so on are of the training images by fits without them, and `folds` (N,) says which.

        `scores` is what the run ranks by: the cosine of image and prompt, or a probe's logit. The sigmoid of `logits` is
        its probability.
        """
        if (self.folder / "test_scores.npy").exists():
            told = (
                f"scores of {self.config['n_test']:,} images by {len(self.class_rows):,} classes are not read at once"
            )
            opened = "numpy.load(..., mmap_mode='r') opens test_scores.npy, a row a class"
            raise ValueError(f"{self.folder.name}: {told}: {opened}")
        return version_0_1.scores(read_arrays(self.folder / "scores.npz", ["labels"]), self._tensors)

    def resampled_means(self, ranking: str) -> dict[str, np.ndarray]:
        """What differences of means to other runs on the same test images have their intervals from, in [0, 1], by group.

        Draws of the images (`lmptlib.evaluation.intervals.resampled_means`), or the spread of influences where they are very
        many (`lmptlib.evaluation.by_class`).
        """
        if (path := self.folder / "spread.npz").exists():
            spread = read_arrays(path, [f"{ranking}_total"])
            return {group: spread[f"{ranking}_{group}"].astype(float) for group in ("total", *GROUPS)}
        labels, scores = self.ranking_scores(ranking)
        return self.measure.resampled_means(labels, scores, self.class_rows["group"].to_numpy())

    def prompts(self) -> dict[str, Tensor]:
        """The method's weights by name, and text features (a probe's weights) (C, D) `before` and `after` training."""
        return version_0_1.tensors(self._tensors())

    def towers(self) -> dict[str, Tensor]:
        """The weights of CLIP's towers in open_clip's names, where it tuned them; else none."""
        path = self.folder / "tuned.safetensors"
        return read_tensors(path) if path.is_file() else {}

    def _tensors(self) -> dict[str, Tensor]:
        return read_tensors(self.folder / "prompts.safetensors")


def class_scores(run: Any) -> pd.DataFrame:
    """One row a class of a run or an ensemble: class, group, train (images), n_pos (test images), and under each ranking
    AP in percent (column `logit`) and the ends of its 95% interval (`logit low`, `logit high`), NaN with too few positives.
    """
    table = run.class_rows.copy()
    table["n_pos"] = table["class"].map(run.metrics["n_pos"])
    for ranking in RANKINGS:
        scores = run.metrics["scores"][ranking]
        table[ranking] = table["class"].map(scores["per_class"]).astype(float)
        ends = [scores["per_class_ci95"][name] or (np.nan, np.nan) for name in table["class"]]
        table[[f"{ranking} low", f"{ranking} high"]] = ends
    return table


def give_label(run: Run, text: str, runs: Iterable[Run]) -> list[Run]:
    """Give a run's configuration a label of the user's own; an empty text takes it away.

    It is that of every seed below the run's outputs folder, of one that is trained later too. Returns the run and those of
    `runs` that are such seeds. Raises ValueError for a text that is no short line.
    """
    text = text.strip()
    if len(text) > LONGEST or not text.isprintable():
        raise ValueError(f"a label is one line of at most {LONGEST} letters")
    out, called = run.folder.parent, run.configuration
    with FileLock(out / f".{_LABELS}.lock"):
        others = {key: label for key, label in _own_labels(out).items() if key != called}
        content = json.dumps(others | ({called: text} if text else {}), indent=2, ensure_ascii=False)
        write_atomically(out / _LABELS, content.encode())
    return [run, *(other for other in runs if other != run and _is_seed(other, run))]


def _is_seed(run: Run, of: Run) -> bool:
    return run.folder.parent == of.folder.parent and run.configuration == of.configuration


def _own_labels(out: Path) -> dict[str, str]:
    """The users' own labels in an outputs folder, by configuration. Raises ValueError where their file is damaged."""
    try:
        content = (out / _LABELS).read_bytes()
    except FileNotFoundError:
        return {}
    try:
        found = TypeAdapter(dict[str, str]).validate_json(content)
    except ValidationError:
        raise ValueError(f"{out / _LABELS}: damaged: mend it, or take it away") from None
    return {key: " ".join(label.split())[:LONGEST] for key, label in found.items()}


def find_runs(out: str | Path | None = None) -> list[Run]:
    """Every run below the outputs folder that has its metrics, oldest first."""
    folders = _folders("metrics.json", out)
    return [Run(folder) for folder in sorted(folders, key=lambda f: ((f / "metrics.json").stat().st_mtime, f.name))]


def count_unfinished(out: str | Path | None = None) -> int:
    """How many runs below the outputs folder were begun and have no metrics: killed, broken off, or in training now."""
    return len(_folders("config.json", out) - _folders("metrics.json", out))


def _folders(holding: str, out: str | Path | None) -> set[Path]:
    found = {path.parent for path in outputs_folder(out).glob(f"*/{holding}")}
    return {folder for folder in found if not folder.name.startswith(".")}


def pick_runs(names: str, out: str | Path | None = None) -> list[Run]:
    """Runs by the names of their folders, comma-separated, or `all`. Raises ValueError for one that is not there."""
    found = {run.folder.name: run for run in find_runs(out)}
    wanted = list(found) if names.strip() == "all" else [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in found:
            raise ValueError(f"no run '{name}' in {outputs_folder(out)}.{nearest(name, found)}")
    return [found[name] for name in wanted]
