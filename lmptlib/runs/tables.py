"""Tables of many runs: settings, curves, groups, classes, results."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS
from lmptlib.data.words import said, shown
from lmptlib.evaluation.calibration import f1_scores
from lmptlib.evaluation.intervals import TOO_FEW
from lmptlib.methods import learns
from lmptlib.runs.comparison import compare_rankings, mean_texts
from lmptlib.runs.decisions import label_rule
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.labels import check_same_data, described, differing, labels, with_grouping
from lmptlib.runs.run import Run

_GROUPS = ("total", *GROUPS)


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
    """One row a run, by its folder's name: the settings with an effect in which the runs differ, and the seed; empty where
    a run has none."""
    runs = list(runs)
    table = pd.DataFrame(differing(runs), [run.folder.name for run in runs], dtype=object)
    if len({run.seed for run in runs if learns(run.settings["method"])}) > 1:
        table["seed"] = pd.Series([run.settings.get("seed") for run in runs], table.index, dtype=object)
    return table.where(table.notna(), "")


def curve_table(runs: Iterable[Run], quantity: str = "probability") -> pd.DataFrame:
    """Means over the seeds of each label, epoch by epoch: columns run, panel, side, epoch, value, and those of `_identity`.

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
        tables.append(table.assign(run=label, **_identity(run)))
    keys = ["run", "panel", "side", "epoch"]
    means = pd.concat(tables).dropna().groupby(keys, sort=False)
    table = means.agg({"value": "mean", "configuration": "first", "settings": "first"}).reset_index()
    return with_grouping(table, (run for _, run in marked))


def _identity(run: Run | Ensemble) -> dict[str, str]:
    """What a table of runs knows them by: `configuration`, by which figures give colours, and its `settings` for hovering."""
    return {"configuration": run.configuration, "settings": described(run)}


def group_table(runs: Iterable[Run], ranking: str = "softmax") -> pd.DataFrame:
    """One row a run and group (total, head, medium, tail): columns run, name, value, low, high in percent, and those of
    `_identity`.

    low and high are the 95% interval over test images, NaN with too few positives.
    """
    rows, marked = [], labelled(runs)
    for label, run in marked:
        scores = run.metrics["scores"][ranking]
        for name in _GROUPS:
            low, high = scores["ci95"][name] or (np.nan, np.nan)
            row = {"run": label, "name": name, "value": scores[name], "low": low, "high": high}
            rows.append(row | _identity(run))
    table = pd.DataFrame(rows).astype({"value": float, "low": float, "high": float})
    return with_grouping(table, (run for _, run in marked))


def purpose_table(run: Run, ranking: str = "logit") -> pd.DataFrame:
    """What a run's figures are for, as text: mAP out of fold, where it has that, and of the test images, with 95% intervals.

    A group whose classes have too few positives for an interval says so; one without classes is left out. Where it is to
    be said how groups came, a line says it.
    """
    figures = {run.out_of_fold["name"]: (run.out_of_fold, "choosing settings")} if run.out_of_fold else {}
    figures[said(f"test images, {ranking} ranking", run.task)] = (
        run.metrics["scores"][ranking],
        "telling how good it is",
    )
    rows = {
        name: {group: _with_interval(entry, group) for group in _GROUPS} | {"for": purpose}
        for name, (entry, purpose) in figures.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(f"{run.measure.name} (%)")
    table = shown(table.loc[:, (table != "").any()], run.task)
    return table.rename_axis(columns=run.grouping) if run.grouping else table


def _with_interval(entry: dict[str, Any], group: str) -> str:
    """A group's mAP and its interval; nothing where it has none."""
    if entry[group] is None:
        return ""
    ends = entry["ci95"][group]
    return f"{entry[group]:.1f} " + (f"[{ends[0]:.1f}, {ends[1]:.1f}]" if ends else f"({TOO_FEW})")


def class_table(runs: Iterable[Run], ranking: str = "softmax") -> pd.DataFrame:
    """One row a run and class: columns run, class, group, train, ap, low, high in percent, and those of `_identity`.

    low and high are the 95% interval over test images, NaN with too few positives.
    """
    names = {ranking: "ap", f"{ranking} low": "low", f"{ranking} high": "high"}
    columns = ["run", "class", "group", "train", "ap", "low", "high"]
    named = [(run.classes.rename(columns=names).assign(run=label), run) for label, run in labelled(runs)]
    table = pd.concat([table[columns].assign(**_identity(run)) for table, run in named], ignore_index=True)
    return with_grouping(table, (run for _, run in named))


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
    texts = table.drop(columns=["difference_low", "difference_high"]).round(2)
    return texts.assign(difference=difference_texts(table))


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


def labelled(runs: Iterable[Run]) -> list[tuple[str, Run]]:
    """Runs with the labels that `lmptlib.runs.labels` gives them: seeds of one configuration share a label.

    Raises ValueError when the runs are not of one data set: their numbers do not compare.
    """
    runs = check_same_data(runs)
    return list(zip(labels(runs), runs))


def run_names(runs: Iterable[Run]) -> list[str]:
    """A name a run: its label, with the seed where several share that, and with the folder where they share both."""
    runs = list(runs)
    names = labels(runs)
    for longer in (lambda name, run: f"{name}, seed {run.seed}", lambda name, run: f"{name} ({run.folder.name})"):
        times = Counter(names)
        names = [longer(name, run) if times[name] > 1 else name for name, run in zip(names, runs)]
    return names


def results_table(runs: Iterable[Run], by_run: bool = False, spread: bool = False) -> pd.DataFrame:
    """One row a configuration: its label, mAP in percent under each ranking (`logit total`, ...), the mean over its n seeds.

    Of single labels accuracy, which has one ranking, and over images `top-1` and `top-5`.

    Then `out of fold` where folds chose, the settings that differ, the first seed's folder, and how the groups came where
    that is to be said. by_run: one row a run, each
    seed by itself. spread: behind n, for each mean the deviation over seeds (`logit total sd`) and the ends of its 95%
    interval as in `result_numbers`. Raises ValueError when the runs are not of one data set.
    """
    rows = result_rows(runs, by_run)
    numbers = {(of["row"], of["ranking"], of["group"]): of for of in result_numbers(rows).to_dict("records")}
    table = []
    for row, part in rows.items():
        names = [
            (f"{ranking} {group}", numbers[row, ranking, group])
            for ranking in part[0].measure.rankings
            for group in _GROUPS
        ]
        line = {"run": row} | {name: of["mean"] for name, of in names} | top_accuracies(part) | {"n": len(part)}
        if spread:
            line |= {f"{name} {column}": of[column] for name, of in names for column in ("sd", "low", "high")}
        table.append(line | {"out of fold": out_of_fold(part)})
    numeric = pd.DataFrame(table)
    if numeric["out of fold"].isna().all():
        del numeric["out of fold"]
    found = numeric.join(result_settings(rows, by_run).drop(columns="run"))
    found = with_grouping(found, (part[0] for part in rows.values()))
    grouping = found.attrs["grouping"]
    return found.assign(groups=grouping) if grouping else found


def top_accuracies(seeds: list[Run]) -> dict[str, float]:
    """Of single labels the shares of images, in percent, whose label is the best, and among the five best: means over seeds."""
    found = [run.metrics.get("accuracy", {}) for run in seeds]
    return {f"top-{name[3:]}": float(np.mean([of[name] for of in found])) for name in found[0]}


def out_of_fold(seeds: list[Run]) -> float:
    """The mean mAP of seeds of one configuration out of fold, in percent; NaN where folds chose nothing."""
    return float(np.mean([run.out_of_fold["total"] if run.out_of_fold else np.nan for run in seeds]))


def result_rows(runs: Iterable[Run], by_run: bool = False) -> dict[str, list[Run]]:
    """`by_label`; or each run by itself, by its name among `run_names`."""
    runs = list(runs)
    return {name: [run] for name, run in zip(run_names(runs), runs)} if by_run else by_label(runs)


def result_numbers(rows: dict[str, list[Run]]) -> pd.DataFrame:
    """`compare_rankings` of the rows. A row of one run, which has no interval over seeds, has that over test images."""
    table = compare_rankings(rows)
    for i, line in table[table["n_seeds"] == 1].iterrows():
        ends = rows[line["row"]][0].metrics["scores"][line["ranking"]]["ci95"][line["group"]]
        table.loc[i, ["low", "high"]] = ends or (np.nan, np.nan)
    return table


def result_settings(rows: dict[str, list[Run]], by_run: bool = False) -> pd.DataFrame:
    """The settings that differ among the rows: columns run, then theirs, seed where rows are runs, and the first's folder."""
    table = settings_table([part[0] for part in rows.values()])
    names = [name for name in table if by_run or name != "seed"]
    return (
        table[names].assign(folder=table.index).reset_index(drop=True).assign(run=list(rows))[["run", *names, "folder"]]
    )


def results_text(rows: dict[str, list[Run]]) -> pd.DataFrame:
    """Results for reading, a line a ranking and row: `mean ± sd` over n seeds, by group, and the total's 95% interval."""
    table = result_numbers(rows)
    text, total = mean_texts(table), table[table["group"] == "total"].set_index(["ranking", "row"]).loc
    ends = total[text.index][["low", "high"]]
    text.insert(1, "95% interval", [interval_text(low, high) for low, high in ends.to_numpy(float)])
    text.insert(0, "n", total[text.index]["n_seeds"])
    for row, part in rows.items():
        for name, value in top_accuracies(part).items():
            text.loc[pd.IndexSlice[:, row], name] = f"{value:.1f}"
    return text.reset_index().rename(columns={"row": "run"})
