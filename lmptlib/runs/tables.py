"""Tables of many runs: settings, curves, groups, classes, results."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.calibration import f1_scores
from lmptlib.evaluation.intervals import TOO_FEW
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.methods import learns
from lmptlib.runs.decisions import label_rule
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run

_PLACES = ("dataset", "data_root", "cache")  # settings that say where things lie


def by_dataset(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs by the name of their data set, most runs first; data sets of one name have a bit of their hash behind it."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.dataset, run.data_fingerprint[:6]), []).append(run)
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
        settings = {name: "none" if value is None else value for name, value in run.settings.items()}
        settings |= {name: Path(settings[name]).stem for name in ("model", "weights")}
        hidden = _PLACES if learns(settings["method"]) else (*_PLACES, "recipe")
        used[run.folder.name] = {name: value for name, value in settings.items() if name not in hidden}
    table = pd.DataFrame.from_dict(used, orient="index").astype(object)
    differ = [name for name in table if table[name].dropna().astype(str).nunique() > 1]
    return table[differ].where(table[differ].notna(), "")


def curve_table(runs: Iterable[Run], quantity: str = "probability") -> pd.DataFrame:
    """Means over the seeds of each label, epoch by epoch: columns run, panel, side, epoch, value.

    quantity: `probability` (exact, over the training set: a panel a group, sides positive and negative) or `loss` (panels
    loss, loss_cls and loss_cse, without sides).
    """
    tables, marked = [], labelled(runs)
    for label, run in marked:
        if quantity == "loss":
            table = run.history.reindex(columns=["epoch", "loss", "loss_cls", "loss_cse"])
            table = table.melt("epoch", var_name="panel").assign(side="")
        else:
            table = run.probabilities("epoch").rename(columns={"step": "epoch", "group": "panel"})
            table = table.melt(["epoch", "panel"], var_name="side")
        tables.append(table.assign(run=label))
    keys = ["run", "panel", "side", "epoch"]
    table = pd.concat(tables).dropna().groupby(keys, sort=False)["value"].mean().reset_index()
    return with_grouping(table, (run for _, run in marked))


def group_table(runs: Iterable[Run], ranking: str = "softmax") -> pd.DataFrame:
    """One row a run and group (total, head, medium, tail): columns run, name, value, low, high in percent.

    low and high are the 95% interval over test images, NaN with too few positives.
    """
    rows, marked = [], labelled(runs)
    for label, run in marked:
        scores = run.metrics["scores"][ranking]
        for name in ("total", *GROUPS):
            low, high = scores["ci95"][name] or (np.nan, np.nan)
            rows.append({"run": label, "name": name, "value": scores[name], "low": low, "high": high})
    table = pd.DataFrame(rows).astype({"value": float, "low": float, "high": float})
    return with_grouping(table, (run for _, run in marked))


def purpose_table(run: Run, ranking: str = "logit") -> pd.DataFrame:
    """What a run's figures are for, as text: mAP out of fold, where it has that, and of the test images, with 95% intervals.

    A group whose classes have too few positives for an interval says so; one without classes is left out. Where it is to
    be said how groups came, a line says it.
    """
    figures = {run.out_of_fold["name"]: (run.out_of_fold, "choosing settings")} if run.out_of_fold else {}
    figures[f"test images, {ranking} ranking"] = (run.metrics["scores"][ranking], "telling how good it is")
    rows = {
        name: {group: _with_interval(entry, group) for group in ("total", *GROUPS)} | {"for": purpose}
        for name, (entry, purpose) in figures.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("mAP (%)")
    table = table.loc[:, (table != "").any()]
    return table.rename_axis(columns=run.grouping) if run.grouping else table


def _with_interval(entry: dict[str, Any], group: str) -> str:
    """A group's mAP and its interval; nothing where it has none."""
    if entry[group] is None:
        return ""
    ends = entry["ci95"][group]
    return f"{entry[group]:.1f} " + (f"[{ends[0]:.1f}, {ends[1]:.1f}]" if ends else f"({TOO_FEW})")


def class_table(runs: Iterable[Run], ranking: str = "softmax") -> pd.DataFrame:
    """One row a run and class: columns run, class, group, train, ap, low, high in percent.

    low and high are the 95% interval over test images, NaN with too few positives.
    """
    names = {ranking: "ap", f"{ranking} low": "low", f"{ranking} high": "high"}
    columns = ["run", "class", "group", "train", "ap", "low", "high"]
    tables = [run.classes.rename(columns=names).assign(run=label)[columns] for label, run in labelled(runs)]
    return pd.concat(tables, ignore_index=True)


def interval_text(low: float, high: float) -> str:
    """A 95% interval for reading, `12.3–45.6`; `too few positives` where there is none."""
    return TOO_FEW if np.isnan(low) else f"{low:.1f}–{high:.1f}"


def difference_text(difference: float, low: float, high: float) -> str:
    """A difference and its 95% interval for reading, `+1.2 [-0.3, +2.7]`; `+1.2 (too few positives)` without one."""
    interval = f"({TOO_FEW})" if np.isnan(low) else f"[{low:+.1f}, {high:+.1f}]"
    return f"{difference:+.1f} {interval}"


def difference_texts(table: pd.DataFrame) -> list[str]:
    """`difference_text` of each line of a table of differences, as of `compare`; empty in a line without one."""
    of_lines = table[["difference", "difference_low", "difference_high"]].to_numpy(float)
    return ["" if np.isnan(of[0]) else difference_text(*of) for of in of_lines]


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A table of differences for reading: numbers with two places, each difference and its interval in one column."""
    shown = table.drop(columns=["difference_low", "difference_high"]).round(2)
    return shown.assign(difference=difference_texts(table))


def with_grouping(table: pd.DataFrame, runs: Iterable[Run | Ensemble]) -> pd.DataFrame:
    """A table whose `attrs["grouping"]` says how the classes of its runs came into groups, where that is to be said."""
    table.attrs["grouping"] = next((run.grouping for run in runs), "")
    return table


def f1_table(rows: dict[str, list[Run]], ranking: str = "logit") -> pd.DataFrame:
    """CF1 and OF1 of the test images in percent, mean and deviation over seeds, with thresholds from the validation split.

    Where the data set has none, from training images out of fold, for rows whose settings folds chose; other rows are left
    out: thresholds are never chosen on the test images.
    """
    table = []
    for label, part in rows.items():
        for run in part:
            rule = label_rule(run, ranking)
            if rule.thresholds is not None:
                labels, scores = run.ranking_scores(ranking)
                table.append({"row": label, **f1_scores(labels, scores >= rule.thresholds)})
    if not table:
        return pd.DataFrame(columns=["CF1", "OF1"])
    return 100 * pd.DataFrame(table).groupby("row", sort=False).agg(["mean", "std"])


def check_same_data(runs: Iterable[Run | Ensemble]) -> list:
    """The runs as a list. Raises ValueError when they are not of one data set: their numbers do not compare."""
    runs = list(runs)
    for run in runs:
        if run.data_fingerprint != runs[0].data_fingerprint:
            names = f"{run.folder.name} and {runs[0].folder.name}"
            raise ValueError(f"{names} are of different data: compare runs on one data set")
    return runs


def labelled(runs: Iterable[Run]) -> list[tuple[str, Run]]:
    """Runs with labels that tell them apart by every setting but the seed: seeds of one configuration share a label.

    Raises ValueError when the runs are not of one data set: their numbers do not compare.
    """
    runs = check_same_data(runs)
    settings = pd.DataFrame([run.settings for run in runs], dtype=object)
    labels = pd.Series([run.label for run in runs])
    for name in settings.columns.drop(["seed", *_PLACES], errors="ignore"):
        values = settings[name]
        if name in ("model", "weights"):
            values = values.map(lambda value: Path(value).stem if isinstance(value, str) else value)
        if (values.groupby(labels).nunique(dropna=False) > 1).any():
            labels = labels + ["" if value != value else f", {name} {value}" for value in values]
    return list(zip(labels, runs))


def results_table(runs: Iterable[Run]) -> pd.DataFrame:
    """One row a run: what it was, and its mAP in percent: total and by group under each ranking, total out of fold.

    Where it is to be said of a run how its groups came, the last column says it.
    """
    rows, runs = [], list(runs)
    for run in runs:
        settings = run.settings
        row = {"run": run.folder.name, "dataset": run.dataset}
        row |= {"model": Path(settings["model"]).stem, "method": settings["method"]}
        learned = learns(settings["method"])
        row |= {key: settings[key] if learned else "" for key in ("loss", "recipe", "seed")}
        row["recipe"] = settings["recipe"] if "select" in settings else ""  # what is not zero-shot has settings by it
        row["recipe"] += f" ({', '.join(run.marks)})" if run.marks else ""
        for ranking in RANKINGS:
            for name in ("total", *GROUPS):
                row[f"{ranking} {name}"] = run.metrics["scores"][ranking][name]
        rows.append(row | {"out of fold": run.out_of_fold["total"] if run.out_of_fold else None})
    groupings = [run.grouping for run in runs]
    return pd.DataFrame(rows).assign(groups=groupings) if any(groupings) else pd.DataFrame(rows)
