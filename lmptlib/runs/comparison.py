"""Runs against each other: means over seeds, and paired differences with intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from lmptlib.data.dataset import GROUPS
from lmptlib.errors import nearest
from lmptlib.evaluation.intervals import half_width
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.labels import check_same_data, with_grouping
from lmptlib.runs.run import Run


def compare(
    rows: Mapping[str, Sequence[Run | Ensemble]], baseline: str | None = None, ranking: str = "logit"
) -> pd.DataFrame:
    """One row a label and group (total, head, medium, tail), in percent of mAP over the label's seeds.

    Columns row, group, n_seeds, mean, sd, low, high (the 95% t interval of the mean over seeds) and, against the
    baseline, difference, difference_low, difference_high: paired on seeds and test images. Its 95% interval adds, in
    squares, the t interval over seeds and the interval over test images (`lmptlib.evaluation.intervals`); with one seed it
    is over test images alone. A row without seeds of its own (zero-shot) is paired with every seed. NaN where nothing can
    be said: of an interval of a difference, with too few positives. Raises ValueError on different data, an unknown
    baseline or rows that share no seed.
    """
    runs = check_same_data(run for part in rows.values() for run in part)
    if baseline is not None and baseline not in rows:
        raise ValueError(f"no row '{baseline}' to compare with.{nearest(baseline, rows)}")
    names = ("total", *GROUPS)
    spread = {label: [_resampled(run, ranking) for run in part] for label, part in rows.items()} if baseline else {}
    table = []
    for label, part in rows.items():
        values = pd.DataFrame([run.metrics["scores"][ranking] for run in part])[list(names)].astype(float)
        seeds = [run.seed for run in part]
        for name in names:
            mean, sd = values[name].mean(), values[name].std()
            half = _over_seeds(values[name]) if len(part) > 1 else np.nan
            row = {"row": label, "group": name, "n_seeds": len(part), "mean": mean, "sd": sd}
            row |= {"low": mean - half, "high": mean + half}
            if baseline and label != baseline:
                theirs = [run.seed for run in rows[baseline]]
                row |= _difference(spread[label], spread[baseline], seeds, theirs, name)
            table.append(row)
    columns = ["row", "group", "n_seeds", "mean", "sd", "low", "high"]
    shown = pd.DataFrame(table, columns=[*columns, "difference", "difference_low", "difference_high"])
    return with_grouping(shown, runs)


def compare_rankings(rows: Mapping[str, Sequence[Run | Ensemble]], baseline: str | None = None) -> pd.DataFrame:
    """`compare` under all rankings of the task, below each other: column ranking, then those of `compare`."""
    runs = [run for part in rows.values() for run in part]
    rankings = runs[0].measure.rankings if runs else RANKINGS
    table = pd.concat([compare(rows, baseline, ranking).assign(ranking=ranking) for ranking in rankings])
    return with_grouping(table[["ranking", *table.columns.drop("ranking")]].reset_index(drop=True), runs)


def mean_texts(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `compare_rankings` for reading: a line a ranking and row (the index), `mean ± sd` by group."""
    texts = [
        "" if mean != mean else f"{mean:.1f}" + (f" ± {sd:.1f}" if sd == sd else "")
        for mean, sd in zip(table["mean"], table["sd"])
    ]
    wide = table.assign(text=texts).pivot_table("text", ["ranking", "row"], "group", aggfunc="first", sort=False)
    found = wide[["total", *GROUPS]].rename_axis(columns=None)
    found.attrs |= table.attrs
    return found


def _resampled(run: Run | Ensemble, ranking: str) -> pd.DataFrame:
    """mAP in percent, total and by group: row 0 as measured, the others `resampled_means` of the test images."""
    measured = run.metrics["scores"][ranking]
    resampled = pd.DataFrame(run.resampled_means(ranking)) * 100
    return pd.concat([pd.DataFrame([{name: measured[name] for name in resampled}]), resampled], ignore_index=True)


def _difference(
    ours: list[pd.DataFrame], theirs: list[pd.DataFrame], our_seeds: list[int], their_seeds: list[int], name: str
) -> dict:
    """The mean paired difference and its 95% interval, over seeds and test images."""
    if len(ours) == 1 or len(theirs) == 1:
        pairs = [(a, b) for a in ours for b in theirs]
    else:
        both = [seed for seed in our_seeds if seed in their_seeds]
        pairs = [(ours[our_seeds.index(seed)], theirs[their_seeds.index(seed)]) for seed in both]
    if not pairs:
        raise ValueError(f"no seed in common to compare on: {our_seeds} and {their_seeds}")
    if len({len(table) for pair in pairs for table in pair}) > 1:
        raise ValueError(
            "some of these runs were judged class by class and others at once: make the others anew (--force)"
        )
    gaps = np.array([(a[name] - b[name]).to_numpy(float) for a, b in pairs])  # (seeds, 1 + R)
    gap = gaps[:, 0].mean()
    over_seeds = _over_seeds(gaps[:, 0]) if len(gaps) > 1 else 0.0
    half = np.hypot(half_width(gaps[:, 1:].mean(0)), over_seeds)
    return {"difference": gap, "difference_low": gap - half, "difference_high": gap + half}


def _over_seeds(values: np.ndarray | pd.Series) -> float:
    """Half the 95% t interval of the mean of two or more values."""
    return stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(len(values))
