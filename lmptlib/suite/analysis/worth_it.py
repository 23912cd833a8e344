"""Is prompt tuning worth it? What trainings cost, what few images of a class are enough for, and the answer in words."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from lmptlib.clip.loading import load_clip
from lmptlib.config import Config, trials_of
from lmptlib.data.dataset import GROUPS
from lmptlib.errors import nearest
from lmptlib.evaluation.intervals import TOO_FEW
from lmptlib.evaluation.measures import MEASURES
from lmptlib.evaluation.rankings import ranking_scores
from lmptlib.methods import METHODS
from lmptlib.methods.coop import CoOp
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run
from lmptlib.runs.tables import with_grouping
from lmptlib.training.folds import N_FOLDS, FoldInputs
from lmptlib.training.inputs import Inputs
from lmptlib.training.loop import fit
from lmptlib.training.plan import plan_run
from lmptlib.training.state import TrainState

LEAST_STEPS = 100  # of a training on few images: with fewer, prompts stay about where they start
ALL = "all"  # where numbers of images are: the whole training list
_BINS = [1, 2, 4, 8, 16, np.inf]  # images of a class, up to each


class Fitted(NamedTuple):
    """What a training gave: AP (C,) of the test images in percent, its seconds, and how many numbers it set."""

    ap: np.ndarray
    seconds: float
    n_learned: int


def tunes_prompts(method: str) -> bool:
    """Whether a method learns tokens of a prompt, alone or beside other things."""
    return issubclass(METHODS[method], CoOp)


def settled(run: Run) -> Config:
    """The configuration that a run was trained under at last, with what folds chose, and nothing left to choose by them."""
    config = run.trained_config
    by_folds = config.learning and config.learning.select == "folds"
    return config.with_settings(select="last", trials="") if by_folds else config


def read_inputs(configs: Mapping[str, Config], out: str | Path | None = None) -> dict[str, Inputs]:
    """What each row's training reads, from features that are there or computed now; rows share what they can."""
    memory: dict = {}
    shared: dict[tuple, Inputs] = {}
    found = {}
    for row, config in configs.items():
        plan = plan_run(config, out, memory)
        enrichment = (config.tackle, config.tackle_to, config.tackle_tau)
        kind = (config.model, config.weights, config.preprocess, config.precision, config.views, *enrichment)
        if kind not in shared:
            towers = config.model, config.weights, plan.config.device, print, config.preprocess, config.precision
            clip = load_clip(*towers)
            shared[kind] = Inputs(plan.enriched(clip), clip, plan.cache, print, config.views, config.extraction)
        found[row] = shared[kind]
    return found


def of_methods(configs: Mapping[str, Config], methods: str) -> dict[str, Config]:
    """The first row of each method that a text names, as `zero_shot, lda`. Raises ValueError for one that no row has."""
    by_method: dict[str, str] = {}
    for row, config in configs.items():
        by_method.setdefault(config.method, row)
    names = [name.strip() for name in methods.split(",")]
    for name in names:
        if name not in by_method:
            raise ValueError(f"no row has the method '{name}'.{nearest(name, by_method)}")
    return {by_method[name]: configs[by_method[name]] for name in names}


def fitted(config: Config, inputs: Inputs, ranking: str = "logit") -> Fitted:
    """Train without a run folder, from features that are read before the clock starts."""
    inputs.whole(("images", *METHODS[config.method].reads))
    if METHODS[config.method].captions:
        inputs.captions  # noqa: B018 - read before the clock starts
    started = time.perf_counter()
    state = TrainState(config, inputs)
    fit([state], lambda state: None)
    state.finish()
    seconds = time.perf_counter() - started
    scores = ranking_scores(state.evaluate("test")[0], ranking, state.method.logit_scale)
    by_class = MEASURES[inputs.dataset.task.kind].by_class
    return Fitted(100 * by_class(inputs.labels("test"), scores), seconds, count_learned(state))


def count_learned(state: TrainState) -> int:
    """How many numbers training sets: parameters that steps move; without steps, all that is kept beside CLIP's text features."""
    groups = [group for phase in state.phases for group in phase.parameters]
    if groups:
        return sum({id(p): p.numel() for group in groups for p in group["params"]}.values())
    kept = state.method.state_dict().items()
    return sum(tensor.numel() for name, tensor in kept if name.rpartition(".")[2] != "text")


def costs(configs: Mapping[str, Config], chosen: Mapping[str, Config], inputs: Mapping[str, Inputs]) -> pd.DataFrame:
    """A line a row: prompts (tuned or not), learned (numbers), seconds of a training, and searched, with the choice of settings.

    chosen: the rows as `settled` gives them. A closed form chooses within its seconds; elsewhere each trial is as many
    trainings as there are folds, each on the images of the others.
    """
    rows = {}
    for row, config in configs.items():
        of_row = fitted(chosen[row], inputs[row])
        factor = 1 + len(trials_of(config)) * (N_FOLDS - 1)
        told = {"prompts": tunes_prompts(config.method), "learned": of_row.n_learned, "seconds": of_row.seconds}
        rows[row] = told | {"searched": factor * of_row.seconds}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("row")


def scores_and_costs(runs: Mapping[str, Sequence[Run | Ensemble]], cost: pd.DataFrame, ranking: str) -> pd.DataFrame:
    """One row a label and group that has classes: mAP with its interval over the test images (means over seeds), and the costs."""
    table = []
    for row in cost.index:
        entries = [run.metrics["scores"][ranking] for run in runs[row]]
        for group in ("total", *GROUPS):
            if entries[0][group] is None:
                continue
            ends = np.array([entry["ci95"][group] or (np.nan, np.nan) for entry in entries]).mean(0)
            mean = np.mean([entry[group] for entry in entries])
            table.append({"row": row, "group": group, "mean": mean, "low": ends[0], "high": ends[1], **cost.loc[row]})
    return with_grouping(pd.DataFrame(table), (run for part in runs.values() for run in part))


def cost_summary(table: pd.DataFrame, runs: Mapping[str, Sequence[Run | Ensemble]]) -> pd.DataFrame:
    """`scores_and_costs` for reading: a line a row, mAP with its interval by group, the figure out of fold, and the costs."""
    text = table.assign(
        text=[
            f"{mean:.1f} " + (f"({TOO_FEW})" if np.isnan(low) else f"[{low:.1f}, {high:.1f}]")
            for mean, low, high in table[["mean", "low", "high"]].to_numpy(float)
        ]
    )
    wide = text.pivot(index="row", columns="group", values="text").reindex(
        index=table["row"].unique(), columns=table["group"].unique()
    )
    first = table.drop_duplicates("row").set_index("row")
    totals = [(runs[row][0].metrics.get("out_of_fold") or {}).get("total") for row in wide.index]
    wide["out of fold"] = ["" if total is None else f"{total:.1f}" for total in totals]
    wide["seconds"], wide["with search"] = (first[of].map("{:.1f}".format) for of in ("seconds", "searched"))
    wide["numbers learned"] = first["learned"].map("{:,}".format)
    return wide.rename_axis(columns=None)


# ------------------------------------------------------------------------------------------------- few images of a class


def read_shots(text: str) -> list[int]:
    """Numbers of images from a text like `1, 2, 4`, each once, fewest first. Raises ValueError, one line."""
    try:
        shots = sorted({int(part) for part in text.split(",")})
    except ValueError:
        shots = []
    if not shots or shots[0] < 1:
        raise ValueError(f"shots must be like '1, 2, 4', not '{text}'")
    return shots


def draw_few(labels: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Rows of labels (N, C), bool, drawn so that each class has k of them, or all that it has: rarest class first.

    Images that rarer classes brought count. An image shows several classes, so a frequent one may end with more than k;
    of a class's images those come first that show fewest classes with k already, at random where several do.
    """
    place = np.random.default_rng(seed).permutation(len(labels))
    drawn = np.zeros(len(labels), bool)
    for c in np.argsort(labels.sum(0), kind="stable"):
        while labels[drawn, c].sum() < k and (left := np.flatnonzero(labels[:, c] & ~drawn)).size:
            full = labels[drawn].sum(0) >= k
            drawn[left[np.lexsort([place[left], labels[left][:, full].sum(1)])[0]]] = True
    return np.flatnonzero(drawn)


def learning_curves(
    configs: Mapping[str, Config],
    inputs: Mapping[str, Inputs],
    shots: Iterable[int],
    n_draws: int,
    seed: int = 0,
    ranking: str = "logit",
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """AP (of single labels accuracy) of the test images after training on a few images of each class, and on all.

    One line a row, number of images (`shots`, the last is ALL), draw and class: columns row, shots, draw, n_images, class,
    group, train (its images in the draw), ap (percent). Draw d of a number of images is the same for all rows, and d is
    added to the seed of what learns step by step; that goes on to LEAST_STEPS steps where its epochs are fewer.
    """
    tables = []
    for k in (*shots, None):
        for draw in range(n_draws):
            for row, config in configs.items():
                part, given = inputs[row], {}
                labels = part.dataset.train.labels
                if k is not None:
                    kept = np.isin(np.arange(len(labels)), draw_few(labels, k, seed + draw))
                    part = FoldInputs(part, kept)
                if config.learning:
                    given = {"seed": seed + draw, "epochs": _epochs(config, len(labels), len(part.dataset.train))}
                ap = fitted(config.with_settings(**given), part, ranking).ap
                told = part.dataset.class_table()[["class", "group", "train"]].assign(ap=ap)
                tables.append(told.assign(row=row, shots=str(k or ALL), draw=draw, n_images=len(part.dataset.train)))
        held = f"a class has {told['train'].min()} to {told['train'].max()}"
        log(f"{k or ALL} images of each class: {len(part.dataset.train)} images, {held}")
    return pd.concat(tables, ignore_index=True)


def _epochs(config: Config, n_images: int, n_drawn: int) -> int:
    """Epochs over a draw: as many as over all images, and more where they would be less than LEAST_STEPS."""
    epochs, size = config.flat()["epochs"], config.flat()["batch_size"]
    least = min(LEAST_STEPS, epochs * -(-n_images // size))
    return max(epochs, -(-least // -(-n_drawn // size)))


def curve_table(curves: pd.DataFrame) -> pd.DataFrame:
    """mAP by row, shots and group: columns mean, low and high, the 95% t interval over draws; NaN with one draw."""
    table = _over_draws(_by_draw(curves), ["row", "shots", "group"])
    table.attrs |= curves.attrs
    return table


def gap_table(curves: pd.DataFrame, row: str, rival: str) -> pd.DataFrame:
    """mAP of a row less a rival's, on the same draws: columns shots, group, mean, low, high, the 95% t interval over draws."""
    keys = ["shots", "group", "draw"]
    of = {name: part.set_index(keys)["ap"] for name, part in _by_draw(curves).groupby("row")}
    gaps = (of[row] - of[rival]).loc[of[row].index].reset_index()
    return _over_draws(gaps, ["shots", "group"])


def prior_table(curves: pd.DataFrame, without: str, with_prior: str) -> pd.DataFrame:
    """What a text prior adds to a class's AP, by how many images the class has in a draw.

    Columns images (as `3 to 4`), pairs (of a class and a draw), without, with, and mean, low, high: the difference and its
    95% t interval over draws, of the mean over their classes. The whole list, which is no draw, is left out.
    """
    drawn = curves[(curves["shots"] != ALL) & (curves["train"] > 0)].dropna(subset="ap")
    edges = [0, *_BINS]
    names = [_range(low + 1, high) for low, high in zip(edges, _BINS)]
    drawn = drawn.assign(images=pd.cut(drawn["train"], edges, labels=names))
    cells = drawn.pivot_table("ap", ["images", "draw", "shots", "class"], "row", observed=True)[[without, with_prior]]
    means = cells.groupby(["images", "draw"], observed=True).mean()
    table = _over_draws((means[with_prior] - means[without]).rename("ap").reset_index(), ["images"])
    told = means.groupby("images", observed=True).mean().to_numpy().T
    pairs = cells.groupby("images", observed=True).size().to_numpy()
    return table.assign(images=table["images"].astype(str), pairs=pairs, **{"without": told[0], "with": told[1]})


def prior_by_class(curves: pd.DataFrame, without: str, with_prior: str) -> pd.DataFrame:
    """What the text prior adds to each class on the whole list, rarest first: columns class, group, train, without, with, gain."""
    whole = curves[curves["shots"] == ALL]
    wide = whole.pivot_table("ap", ["class", "group", "train"], "row")[[without, with_prior]].set_axis(
        ["without", "with"], axis=1
    )
    table = wide.assign(gain=wide["with"] - wide["without"]).reset_index().sort_values("train", kind="stable")
    table.attrs |= curves.attrs
    return table


def _by_draw(curves: pd.DataFrame) -> pd.DataFrame:
    """mAP of each row, shots, draw and group (total, head, medium, tail where there are classes with test images)."""
    known = curves.dropna(subset="ap")
    parts = [known.assign(group="total"), *(known[known["group"] == group] for group in GROUPS)]
    return pd.concat(parts).groupby(["row", "shots", "group", "draw"], sort=False)["ap"].mean().reset_index()


def _over_draws(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean of column ap over draws, and its 95% t interval, in columns mean, low, high."""
    values = table.groupby(keys, sort=False, observed=True)["ap"]
    mean, n = values.mean(), values.size()
    half = stats.t.ppf(0.975, np.maximum(n - 1, 1)) * values.std() / np.sqrt(n)
    return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half}).reset_index()


def _range(low: float, high: float) -> str:
    if high == np.inf:
        return f"{low:.0f} or more"
    return f"{high:.0f}" if low == high else f"{low:.0f} to {high:.0f}"


# ------------------------------------------------------------------------------------------------------- in words


def pick_rows(table: pd.DataFrame, runs: Mapping[str, Sequence[Run | Ensemble]]) -> tuple[str, str]:
    """The rows that the answer compares: the best that tunes prompts, and the best that learns without.

    The first is picked by its total on the test images, in its favour; the second by its figure out of fold, the test images
    have no say. table: `scores_and_costs`. Raises ValueError where there is no row of one kind.
    """
    totals = table[table["group"] == "total"].set_index("row")
    prompts = totals[totals["prompts"]]["mean"]
    out_of_fold = {
        row: runs[row][0].metrics["out_of_fold"]["total"]
        for row in totals.index
        if not totals.loc[row, "prompts"] and (runs[row][0].metrics.get("out_of_fold") or {}).get("total") is not None
    }
    if prompts.empty or not out_of_fold:
        raise ValueError("the answer needs a row that tunes prompts, and one without whose settings folds have chosen")
    return str(prompts.idxmax()), max(out_of_fold, key=lambda row: out_of_fold[row])


def judged(table: pd.DataFrame, key: str) -> dict[str, list[str]]:
    """Of which lines of differences what can be said: `ahead`, `behind`, `open` (the interval holds zero) or `few`.

    table: columns mean, low, high and `key`. `few`: a difference without an interval. Lines without a difference are left out.
    """
    found: dict[str, list[str]] = {"ahead": [], "behind": [], "open": [], "few": []}
    for line in table.dropna(subset="mean").to_dict("records"):
        kind = "ahead" if line["low"] > 0 else "behind" if line["high"] < 0 else "open"
        kind = "few" if np.isnan(line["low"]) else kind
        found[kind].append(str(line[key]))
    return found


def curve_sentence(gaps: pd.DataFrame, row: str, rival: str) -> str:
    """With how many images of each class a row is ahead of a rival, and from where on it stays behind. gaps: `gap_table`."""
    total = gaps[gaps["group"] == "total"]
    found, shots = judged(total, "shots"), total["shots"].tolist()
    words = {"ahead": "ahead", "open": "not told apart", "behind": "behind", "few": "without an interval"}
    parts = [f"{words[kind]} with {_listed(found[kind])}" for kind in words if found[kind]]
    start = next((place for place in range(len(shots)) if set(shots[place:]) <= set(found["behind"])), None)
    more = "" if start is None else f", and stays so from {shots[start]} on" if start else ": throughout"
    return f"By images of each class, '{row}' against '{rival}' is {'; '.join(parts)}{more}."


def answer(compared: pd.DataFrame, cost: pd.DataFrame, row: str, rival: str, zero_shot: str, where: str) -> str:
    """A paragraph: whether tuning prompts was worth it, for which groups, and what it took.

    compared: `lmptlib.runs.comparison.compare` against `rival`, which tunes none, with `row`, which does, and `zero_shot`.
    cost: `costs`. where: data set, model and ranking.
    """
    columns = {"difference": "mean", "difference_low": "low", "difference_high": "high"}
    means = compared[compared["group"] == "total"].set_index("row")["mean"]
    gaps = compared.loc[compared["row"] == row, ["group", *columns]].rename(columns=columns).dropna(subset="mean")
    found = judged(gaps, "group")
    (total,) = [kind for kind, groups in found.items() if "total" in groups]
    verdict = {"ahead": "Yes, in total", "behind": "No, not in total", "open": "Not shown in total"}
    words = {
        "ahead": "ahead in",
        "behind": "behind in",
        "open": "not told apart in",
        "few": f"with {TOO_FEW} in",
    }
    parts = [f"{words[kind]} {_listed(groups)}" for kind, groups in found.items() if groups]
    texts = [f"{line['group']} {_gap_text(line)}" for line in gaps.to_dict("records")]
    spent, numbers = (cost.loc[[row, rival], of] for of in ("searched", "learned"))
    ratio = spent[row] / spent[rival]
    times = f"{ratio:.1f} times as long" if ratio > 1 else f"{1 / ratio:.1f} times as fast"
    return (
        f"{verdict.get(total, 'It cannot be told')}. On {where}, '{row}' has mAP {means[row]:.1f}, the most of the rows that tune "
        f"prompts; '{rival}', the first of the others out of fold, {means[rival]:.1f}; '{zero_shot}' {means[zero_shot]:.1f}. "
        f"'{row}' is {'; '.join(parts)} (differences: {', '.join(texts)}). It sets {numbers[row]:,} numbers in "
        f"{_seconds(spent[row])}, the choice of settings included; '{rival}' sets {numbers[rival]:,} in "
        f"{_seconds(spent[rival])}: {times}."
    )


def _gap_text(line: Mapping) -> str:
    text = f"{line['mean']:+.1f}"
    return text if np.isnan(line["low"]) else f"{text} [{line['low']:+.1f}, {line['high']:+.1f}]"


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
