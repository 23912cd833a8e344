"""Notebook 04: what a loss does to the probabilities of positives and negatives."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import expit as sigmoid

from lmptlib.config import Config, read_loss_settings
from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.runs.comparison import compare
from lmptlib.runs.run import Run
from lmptlib.suite.analysis.landscape import landscape
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import by_group, judged, listed

# By kind of task, what is compared where nobody says it.
LOSSES = {"multi-label": "bce,db_focal", "single-label": "ce,balanced_softmax"}
_TIE = 0.01  # a difference of mean probabilities that counts as none


def asked_of_a_positive(configs: Mapping[str, Config], dataset: Dataset) -> pd.DataFrame:
    """What each loss asks of a label of the rarest class, over the logit: columns as of `landscape`, and the probability p."""
    tables = []
    for name, config in configs.items():
        flat = config.flat()
        settings = {name: read_loss_settings(flat["loss_settings"])}
        tables.append(landscape([name], dataset.class_counts, len(dataset.train), flat["preset"], settings))
    table = pd.concat(tables)
    # the other logits are 0
    rivals = len(dataset.class_names) - 1 if dataset.task.single else 1
    table["p"] = sigmoid(table["z"] - np.log(max(rivals, 1)))
    return table[table["group"] == table["group"].iloc[-1]]


def opening(table: pd.DataFrame) -> str:
    """How hard each loss pulls a positive that is believed rather well. table: of `asked_of_a_positive`."""
    positive = table[table["side"] == "positive"]
    z, p = positive[["z", "p"]].iloc[(positive["p"] - 0.7).abs().argmin()]
    pulls = positive[positive["z"] == z].set_index("loss")["gradient"].abs()
    said = listed(f"`{loss}` pulls with {pull:.2f}" for loss, pull in pulls.items())
    return (
        f"A positive that is believed to {p:.0%} is still pulled up: {said}. Where do the probabilities end when a whole "
        "training follows such pulls?"
    )


def rarest(run: Run) -> str:
    """The last of head, medium, tail that has curves."""
    table = run.probabilities("epoch").dropna()
    return [group for group in GROUPS if (table["group"] == group).any()][-1]


def curve(run: Run, group: str, side: str = "positive") -> list[float]:
    """Mean probability of a group's true labels before the first step and after each epoch."""
    table = run.probabilities("epoch")
    return table[table["group"] == group].sort_values("step")[side].astype(float).tolist()


def ends(trained: Mapping[str, Run]) -> pd.DataFrame:
    """The last epoch's means: a row a loss and group, columns positive and negative."""
    tables = {name: run.probabilities("epoch").query("step == step.max()") for name, run in trained.items()}
    table = pd.concat(tables, names=["loss"]).reset_index("loss").dropna()
    return table[["loss", "group", "positive", "negative"]].reset_index(drop=True)


def gaps(trained: Mapping[str, Run], group: str) -> pd.Series:
    """Negatives minus positives in a group after the last epoch, by loss."""
    table = ends(trained).query("group == @group").set_index("loss")
    return table["negative"] - table["positive"]


def positive_guess(trained: Mapping[str, Run]) -> Guess:
    """Where the rarest group's positives end under each loss."""
    group = rarest(next(iter(trained.values())))
    return Guess.of_curves(
        "positives",
        f"**Predict.** The dots are the mean probability of the {group}'s positives before the first step. Where does each loss "
        "leave it? Move the ends, then reveal.",
        {name: curve(run, group) for name, run in trained.items()},
        f"mean probability, positives, {group}",
        (0, 1),
    )


def start(trained: Mapping[str, Run]) -> str:
    """Where the curves begin, which no loss has touched yet."""
    table = next(iter(trained.values())).probabilities("epoch").query("step == 0").set_index("group")
    sides = [f"{side}s {by_group(table[side], '{:.2f}')}" for side in ("positive", "negative")]
    return f"**Before the first step** the true labels are believed: {'; '.join(sides)}. No loss has acted yet."


def course(trained: Mapping[str, Run]) -> str:
    """How the rarest group's positives move, and where its negatives end: a sentence a loss."""
    said = []
    for name, run in trained.items():
        group = rarest(run)
        values, negatives = curve(run, group), curve(run, group, "negative")
        said.append(
            f"With **{name}** the {group}'s positives {moved(values)}; its negatives {moved(negatives)}, and end "
            f"{'above' if negatives[-1] > values[-1] else 'below'} the positives."
        )
    return " ".join(said)


def moved(values: list[float]) -> str:
    """A curve in words: where it begins, turns and ends."""
    first, last = values[0], values[-1]
    low, high = min(values), max(values)
    below, above = min(first, last) - low, high - max(first, last)
    if above > max(below, _TIE):
        return f"rise from {first:.2f} to {high:.2f} (epoch {values.index(high)}) and fall to {last:.2f}"
    if below > _TIE:
        return f"fall from {first:.2f} to {low:.2f} (epoch {values.index(low)}) and rise to {last:.2f}"
    if abs(last - first) < _TIE:
        return f"stay at {last:.2f}"
    return f"{'rise' if last > first else 'fall'} from {first:.2f} to {last:.2f}"


def gap(trained: Mapping[str, Run]) -> Number:
    """An exercise on the gap of the most frequent group under the first loss."""
    name, run = next(iter(trained.items()))
    table = ends({name: run})
    group = table["group"].iloc[0]
    return Number(
        "gap",
        f"**Exercise.** The gap is negatives minus positives: how much more the model believes in absence than in presence. How wide "
        f"is it in the {group} with `{name}`?",
        float(table["negative"].iloc[0] - table["positive"].iloc[0]),
        0.006,
        f"take the two means in the row of `{name}` and {group}, and mind the sign",
    )


def pull(trained: Mapping[str, Run]) -> Number:
    """An exercise on the plain loss's gradient at the start, which a saturated probability makes small."""
    run = next(iter(trained.values()))
    group, plain = rarest(run), "CE" if run.task == "single-label" else "BCE"
    size = 1 - curve(run, group)[0]
    return Number(
        "pull",
        rf"**Exercise.** {plain}'s gradient on a positive is $\partial L / \partial z = p - 1$. What is its size for a positive of "
        f"the {group} that is believed as its group is on average before the first step?",
        size,
        # near zero where the sigmoid is saturated
        0.05 * size + 0.0005,
        "read the start of the solid line of that group, or the sentence about the start; size means without the sign",
    )


def ranking(trained: Mapping[str, Run]) -> str:
    """What became of mAP: each loss against the first."""
    first = next(iter(trained))
    said = []
    for name in reversed(trained[first].measure.rankings):
        table = compare({loss: [run] for loss, run in trained.items()}, first, name).query("group == 'total'")
        lines = [line for _, line in table.iterrows() if line["row"] != first]
        said += [f"mAP of `{line['row']}` minus that of `{first}`, {name} ranking: {judged(line)}." for line in lines]
    return " ".join(said)


def quiz(trained: Mapping[str, Run]) -> tuple[Choice, ...]:
    group = rarest(next(iter(trained.values())))
    found = gaps(trained, group).abs().sort_values(ascending=False)
    equal = "It is the same with all, to a hundredth."
    options = [str(name) for name in found.index]
    right = [*options, equal] if len(found) > 1 and found.iloc[0] - found.iloc[1] >= _TIE else [equal, *options]
    widest = Choice(
        "widest",
        f"**Quiz 1.** Which of these losses leaves the widest gap between the {group}'s positives and negatives, after the last epoch?",
        tuple(right),
        ", ".join(f"`{name}` {value:.2f}" for name, value in found.items()) + ".",
        "the solid and the dotted line of that group at their right ends, in each panel",
    )
    return (
        *((widest,) if len(found) > 1 else ()),
        Choice(
            "batches",
            "**Quiz 2.** Why do the thin lines of a rare group have gaps?",
            (
                "Many batches hold no positive of its classes, and a mean of none is no number.",
                "Its gradient is zero there.",
                "Its probabilities are too small to be drawn.",
            ),
            "a batch is a handful of images, and a rare class is in few of them.",
            "what is averaged for one point of a thin line?",
        ),
        *(() if next(iter(trained.values())).task == "single-label" else (_order(),)),
    )


def _order() -> Choice:
    """What the order of images alone decides; accuracy is none of that, for there an image's classes compete."""
    return Choice(
        "order",
        "**Quiz 3.** All probabilities of a class are squared, so that they get smaller. What happens to its AP?",
        ("Nothing.", "It falls.", "It rises."),
        "squaring keeps the order of probabilities, and AP depends on the order alone.",
        "do two images change places?",
    )


def take_away(trained: Mapping[str, Run]) -> tuple[str, ...]:
    group = rarest(next(iter(trained.values())))
    found = gaps(trained, group).abs()
    maps = {name: run.metrics["scores"]["logit"]["total"] for name, run in trained.items()}
    narrow, best = found.idxmin(), max(maps, key=maps.__getitem__)
    said = f"Here the gap in the {group} ends narrowest with `{narrow}` ({found.min():.2f})"
    same = "which has the highest mAP as well" if narrow == best else f"and mAP is highest with `{best}`"
    return (
        "A loss decides how far positives and negatives are believed; the curves show it epoch by epoch.",
        f"{said}, {same} ({', '.join(f'{name} {value:.1f}' for name, value in maps.items())}; logit ranking, one seed).",
        "Probability and ranking are two questions: one may change without the other.",
    )
