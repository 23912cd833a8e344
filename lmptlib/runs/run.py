"""The run folder: what a run leaves behind, written at once and read back as DataFrames.

outputs/<run>/config.json            the resolved configuration, fingerprints, versions, classes
              history.jsonl          a line an epoch: losses, learning rate, gradient norms, seconds
              probabilities.npz      mean probabilities of positives and negatives per class (PG Eq. 6)
              metrics.json           AP per class and group under both scorings, with intervals
              scores.npz             scores and labels of test and validation images
              prompts.safetensors    contexts, head, text features before and after
              notebook.ipynb         the executed notebook, where one made the run
              checkpoint.pt          of a run that was stopped: where it goes on from
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save
from scipy import stats
from torch import Tensor

from lmptlib import __version__
from lmptlib.config import Config
from lmptlib.data.loading import GROUPS, nearest
from lmptlib.evaluation.metrics import SCORINGS, bootstrap, evaluate, f1_scores, softmax_scores, thresholds
from lmptlib.methods.prompts import METHODS
from lmptlib.paths import home, replace_folder

_WITHOUT_LEARNING = ("head", "centred", "preprocess", "device")  # settings that matter to methods that learn nothing


def outputs_folder(out: str | Path | None = None) -> Path:
    """The folder that holds the runs: `out`, or `outputs/`."""
    return Path(out) if out else home() / "outputs"


def run_key(config: Config, fingerprints: dict[str, str]) -> str:
    """What a run's result depends on, as a hash: configuration, data, weights and version."""
    settings = dataclasses.asdict(config)
    for place in ("dataset", "data_root", "model", "weights"):
        settings.pop(place)  # their content counts, by its fingerprint, and not where it lies
    if not METHODS[config.method].learns:
        settings = {name: settings[name] for name in ("method", *_WITHOUT_LEARNING)}
    return hashlib.sha256(json.dumps([settings, fingerprints, __version__], sort_keys=True).encode()).hexdigest()


def run_name(config: Config, dataset_name: str, key: str) -> str:
    """A folder's name: what the run is, for the eye, and the beginning of its key."""
    learned = [config.loss, config.recipe, f"s{config.seed}"] if METHODS[config.method].learns else []
    return safe_name("-".join([dataset_name, config.method, *learned, key[:12]]))


def safe_name(text: str) -> str:
    """A text as a file name: everything but letters, digits, `.`, `-` and `_` becomes `_`."""
    return re.sub(r"[^\w.-]+", "_", text)


def write_run(
    folder: Path,
    config: dict,
    history: list[dict],
    probabilities: dict[str, np.ndarray],
    metrics: dict,
    scores: dict[str, np.ndarray],
    prompts: dict[str, Tensor],
    checkpoint: dict | None = None,
) -> Path:
    """Write a run folder in one step: it appears whole or not at all, in place of an earlier one of its name."""
    with replace_folder(folder) as draft:
        (draft / "config.json").write_text(json.dumps(config, indent=2))
        (draft / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
        (draft / "metrics.json").write_text(json.dumps(metrics, indent=2))
        np.savez_compressed(draft / "probabilities.npz", **probabilities)
        np.savez_compressed(draft / "scores.npz", **scores)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in prompts.items()}
        (draft / "prompts.safetensors").write_bytes(save(tensors))
        if checkpoint:
            torch.save(checkpoint, draft / "checkpoint.pt")
    return folder


def is_finished(folder: Path, key: str) -> bool:
    """Whether the folder holds the finished run of this key."""
    return _holds(folder, key) and not Run(folder).stopped


def checkpoint(folder: Path, key: str) -> Path | None:
    """Where the run of this key goes on from, if the folder holds it and it was stopped."""
    return folder / "checkpoint.pt" if _holds(folder, key) and Run(folder).stopped else None


def _holds(folder: Path, key: str) -> bool:
    return (folder / "metrics.json").is_file() and Run(folder).config["key"] == key


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
        """One row a class: class, group, train (images), n_pos (test images) and AP in percent under each scoring."""
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

    def ranking(self, scoring: str, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """Labels and scores (N, C) of the test or `val` images under a ranking, softmax or cosine.

        Raises ValueError where there is no validation split.
        """
        prefix, scores = "" if split == "test" else "val_", self.scores()
        if f"{prefix}labels" not in scores:
            raise ValueError(f"{self.folder.name}: the data set has no validation split")
        cosine = scores[f"{prefix}cosine"]
        ranked = softmax_scores(cosine, self.config["logit_scale"]) if scoring == "softmax" else cosine
        return scores[f"{prefix}labels"], ranked

    def scores(self) -> dict[str, np.ndarray]:
        """Test `cosine` (N, C) and `labels` (N, C); with a validation split `val_cosine` and `val_labels`.

        `cosine` is what the run ranks by: the cosine of image and prompt, a probe's W f + b, or, with a `residual`, the logit.
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
    `cosine` by the average itself.
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

    def ranking(self, scoring: str, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """As `Run.ranking`."""
        logits = 0.0
        for weight, run in self.parts:
            labels, cosine = run.ranking("cosine", split)
            logits = logits + weight * run.config["logit_scale"] * cosine
        return labels, softmax_scores(logits, 1.0) if scoring == "softmax" else logits

    @cached_property
    def metrics(self) -> dict:
        labels, logits = self.ranking("cosine")
        classes = self.config["classes"]
        groups = np.array([row["group"] for row in classes])
        return evaluate(labels, logits, 1.0, tuple(row["class"] for row in classes), groups)


def _class_rows(run: "Run | Ensemble") -> pd.DataFrame:
    table = pd.DataFrame(run.config["classes"])
    table["n_pos"] = table["class"].map(run.metrics["n_pos"])
    for scoring in SCORINGS:
        table[scoring] = table["class"].map(run.metrics["scores"][scoring]["per_class"]).astype(float)
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


def by_dataset(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs by the name of their data set, most runs first; data sets of one name have a bit of their hash behind it."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.config["dataset"], run.config["fingerprints"]["dataset"][:6]), []).append(run)
    names = [name for name, _ in found]
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return {name if names.count(name) == 1 else f"{name} {digest}": part for (name, digest), part in ordered}


def by_label(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs by their label among each other: the seeds of one configuration together, as `compare` takes them."""
    rows: dict[str, list[Run]] = {}
    for label, run in labelled(runs):
        rows.setdefault(label, []).append(run)
    return rows


def settings_table(runs: Iterable[Run]) -> pd.DataFrame:
    """One row a run, by its folder's name: the settings in which the runs differ; empty where one has no effect."""
    used = {}
    for run in runs:
        settings = {name: "none" if value is None else value for name, value in run.config["settings"].items()}
        settings |= {name: Path(settings[name]).stem for name in ("model", "weights")}
        shown = set(settings) - {"dataset", "data_root"}
        if not METHODS[settings["method"]].learns:
            shown &= {"method", "model", "weights", *_WITHOUT_LEARNING}
        used[run.folder.name] = {name: value for name, value in settings.items() if name in shown}
    table = pd.DataFrame.from_dict(used, orient="index").astype(object)
    differ = [name for name in table if table[name].dropna().astype(str).nunique() > 1]
    return table[differ].where(table[differ].notna(), "")


def curve_table(runs: Iterable[Run], quantity: str = "probability") -> pd.DataFrame:
    """Means over the seeds of each label, epoch by epoch: columns run, panel, side, epoch, value.

    quantity: `probability` (exact, over the training set: a panel a group, sides positive and negative) or `loss` (panels
    loss, loss_cls and loss_cse, without sides).
    """
    tables = []
    for label, run in labelled(runs):
        if quantity == "loss":
            table = run.history.reindex(columns=["epoch", "loss", "loss_cls", "loss_cse"])
            table = table.melt("epoch", var_name="panel").assign(side="")
        else:
            table = run.probabilities("epoch").rename(columns={"step": "epoch", "group": "panel"})
            table = table.melt(["epoch", "panel"], var_name="side")
        tables.append(table.assign(run=label))
    keys = ["run", "panel", "side", "epoch"]
    return pd.concat(tables).dropna().groupby(keys, sort=False)["value"].mean().reset_index()


def group_table(runs: Iterable[Run], scoring: str = "softmax") -> pd.DataFrame:
    """One row a run and group (total, head, medium, tail): columns run, name, value, low, high in percent."""
    rows = []
    for label, run in labelled(runs):
        scores = run.metrics["scores"][scoring]
        for name in ("total", *GROUPS):
            low, high = scores["ci95"][name] or (np.nan, np.nan)
            rows.append({"run": label, "name": name, "value": scores[name], "low": low, "high": high})
    return pd.DataFrame(rows).astype({"value": float, "low": float, "high": float})


def class_table(runs: Iterable[Run], scoring: str = "softmax") -> pd.DataFrame:
    """One row a run and class: columns run, class, group, train, ap in percent."""
    columns = ["run", "class", "group", "train", "ap"]
    tables = [run.classes.assign(run=label, ap=run.classes[scoring])[columns] for label, run in labelled(runs)]
    return pd.concat(tables, ignore_index=True)


def compare(rows: dict[str, list[Run]], baseline: str | None = None, scoring: str = "cosine") -> pd.DataFrame:
    """One row a label and group (total, head, medium, tail), in percent of mAP over the label's seeds.

    Columns row, group, n_seeds, mean, sd, low, high (the 95% t interval of the mean over seeds) and, against the
    baseline, difference, difference_low, difference_high: paired on seeds and test images. Its 95% interval adds, in
    squares, the t interval over seeds and the bootstrap interval over test images; with one seed it is over test images
    alone. A row without seeds of its own (zero-shot) is paired with every seed. NaN where nothing can be said. Raises
    ValueError on different data, an unknown baseline or rows that share no seed.
    """
    labelled([run for part in rows.values() for run in part])  # refuses different data
    if baseline is not None and baseline not in rows:
        raise ValueError(f"no row '{baseline}' to compare with.{nearest(baseline, rows)}")
    names = ("total", *GROUPS)
    spread = {label: [_resampled(run, scoring) for run in part] for label, part in rows.items()} if baseline else {}
    table = []
    for label, part in rows.items():
        values = pd.DataFrame([run.metrics["scores"][scoring] for run in part])[list(names)].astype(float)
        seeds = [run.config["settings"]["seed"] for run in part]
        for name in names:
            mean, sd = values[name].mean(), values[name].std()
            half = _half_width(values[name]) if len(part) > 1 else np.nan
            row = {"row": label, "group": name, "n_seeds": len(part), "mean": mean, "sd": sd}
            row |= {"low": mean - half, "high": mean + half}
            if baseline and label != baseline:
                theirs = [run.config["settings"]["seed"] for run in rows[baseline]]
                row |= _difference(spread[label], spread[baseline], seeds, theirs, name)
            table.append(row)
    columns = ["row", "group", "n_seeds", "mean", "sd", "low", "high"]
    return pd.DataFrame(table, columns=[*columns, "difference", "difference_low", "difference_high"])


def _resampled(run: Run, scoring: str) -> pd.DataFrame:
    """mAP in percent, total and by group: row 0 as measured, the others over resamples of the test images."""
    labels, scores = run.ranking(scoring)
    groups = np.array([row["group"] for row in run.config["classes"]])
    measured = run.metrics["scores"][scoring]
    resampled = pd.DataFrame(bootstrap(labels, scores, groups)) * 100
    return pd.concat([pd.DataFrame([{name: measured[name] for name in resampled}]), resampled], ignore_index=True)


def _difference(ours: list[pd.DataFrame], theirs: list[pd.DataFrame], our_seeds, their_seeds, name: str) -> dict:
    """The mean paired difference and its 95% interval, over seeds and test images."""
    if len(ours) == 1 or len(theirs) == 1:
        pairs = [(a, b) for a in ours for b in theirs]
    else:
        both = [seed for seed in our_seeds if seed in their_seeds]
        pairs = [(ours[our_seeds.index(seed)], theirs[their_seeds.index(seed)]) for seed in both]
    if not pairs:
        raise ValueError(f"no seed in common to compare on: {our_seeds} and {their_seeds}")
    gaps = np.array([(a[name] - b[name]).to_numpy(float) for a, b in pairs])  # (seeds, 1 + R)
    gap, resampled = gaps[:, 0].mean(), gaps[:, 1:].mean(0)
    low, high = np.nanpercentile(resampled, [2.5, 97.5]) if not np.isnan(resampled).all() else (np.nan, np.nan)
    over_seeds = _half_width(gaps[:, 0]) if len(gaps) > 1 else 0.0
    low, high = gap - np.hypot(gap - low, over_seeds), gap + np.hypot(high - gap, over_seeds)
    return {"difference": gap, "difference_low": low, "difference_high": high}


def _half_width(values: Sequence[float]) -> float:
    """Half the 95% t interval of the mean of two or more values."""
    return stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))


def f1_table(rows: dict[str, list[Run]], scoring: str = "cosine") -> pd.DataFrame:
    """CF1 and OF1 of the test images in percent, mean and deviation over seeds, with thresholds from the validation split.

    Empty where the data set has no validation split: thresholds are never chosen on the test images.
    """
    table = []
    for label, part in rows.items():
        for run in part:
            if run.config["n_val"]:
                labels, scores = run.ranking(scoring)
                table.append({"row": label, **f1_scores(labels, scores >= thresholds(*run.ranking(scoring, "val")))})
    if not table:
        return pd.DataFrame(columns=["CF1", "OF1"])
    return 100 * pd.DataFrame(table).groupby("row", sort=False).agg(["mean", "std"])


def labelled(runs: Iterable[Run]) -> list[tuple[str, Run]]:
    """Runs with labels that tell them apart by every setting but the seed: seeds of one configuration share a label.

    Raises ValueError when the runs are not of one data set: their numbers do not compare.
    """
    runs = list(runs)
    for run in runs:
        if run.config["fingerprints"]["dataset"] != runs[0].config["fingerprints"]["dataset"]:
            names = f"{run.folder.name} and {runs[0].folder.name}"
            raise ValueError(f"{names} are of different data: compare runs on one data set")
    settings = pd.DataFrame([run.config["settings"] for run in runs], dtype=object)
    labels = pd.Series([run.label for run in runs])
    for name in settings.columns.drop(["seed", "dataset", "data_root"]):
        values = settings[name]
        if name in ("model", "weights"):
            values = values.map(lambda value: Path(value).stem if isinstance(value, str) else value)
        if (values.groupby(labels).nunique(dropna=False) > 1).any():
            labels = labels + [f", {name} {value}" for value in values]
    return list(zip(labels, runs))


def results_table(runs: Iterable[Run]) -> pd.DataFrame:
    """One row a run: what it was, and its mAP total and by group under each scoring, in percent."""
    rows = []
    for run in runs:
        settings = run.config["settings"]
        row = {"run": run.folder.name, "dataset": run.config["dataset"]}
        row |= {"model": Path(settings["model"]).stem, "method": settings["method"]}
        learned = METHODS[settings["method"]].learns
        row |= {key: settings[key] if learned else "" for key in ("loss", "recipe", "seed")}
        row["recipe"] += f" ({', '.join(run.marks)})" if run.marks else ""
        for scoring in SCORINGS:
            for name in ("total", *GROUPS):
                row[f"{scoring} {name}"] = run.metrics["scores"][scoring][name]
        rows.append(row)
    return pd.DataFrame(rows)
