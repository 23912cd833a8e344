"""Notebook 12: LMPT part by part, with eight exercises."""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from lmptlib.config import Config
from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.evaluation import rankings
from lmptlib.evaluation.average_precision import average_precision
from lmptlib.losses import CSELoss, make_loss, mean_probabilities
from lmptlib.published.tables import published
from lmptlib.runs.comparison import compare
from lmptlib.runs.run import Run
from lmptlib.runs.tables import difference_texts
from lmptlib.suite.lessons.questions import Choice, Guess, Number, Order
from lmptlib.suite.lessons.wording import (
    both_rankings,
    by_group,
    by_name,
    counts_and_question,
    groups_told,
    inside_margin,
    listed,
    verdicts,
)

_PERCENT = "mAP (%), {} ranking"
NOT_SINGLE = (
    "LMPT re-balances the several labels of an image; 10_loss_table and 06_per_class_ap compare what is for one label."
)


def opening(dataset: Dataset) -> str:
    question = counts_and_question(
        dataset, "LMPT has a part for what makes the second one hard. Which of its parts help, and whom?"
    )
    return f"{question}\n\n{groups_told(dataset.task.attrs)}"


def captions_missing(dataset: Dataset) -> str:
    """What is left out of the lesson where a data set has no captions."""
    return (
        ""
        if dataset.train.captions
        else f"{dataset.name} has no captions: the parts that need them are equations alone."
    )


# Part 0: CLIP as it comes


def clip_guess(classes: pd.DataFrame, ranking: str) -> Guess:
    """mAP of zero-shot CLIP by group. classes: of `class_table`."""
    means = classes.groupby("group")["ap"].mean().dropna()
    return Guess(
        "clip",
        "**Predict.** CLIP has not seen our training list. Is its mAP higher for classes that are frequent in it? Set three "
        "bars, then reveal.",
        {group: means[group] for group in GROUPS if group in means},
        _PERCENT.format(ranking),
        (0, 100),
    )


def clip_says(classes: pd.DataFrame) -> str:
    """Whether CLIP's AP goes with the number of training images."""
    classes = classes.dropna(subset="ap")
    means = classes.groupby("group")["ap"].mean()
    said = f"mAP {classes['ap'].mean():.1f}: {by_group(means)}."
    if classes["train"].nunique() < 3 or classes["ap"].nunique() < 2:
        return said
    rank, chance = stats.spearmanr(classes["train"], classes["ap"])
    if chance > 0.05:
        meant = "which chance alone does as well: a class is rare in a training list, and not in CLIP's"
    elif rank > 0:
        meant = "so that frequent classes rank better before anything is learned: they are easier for CLIP"
    else:
        meant = "so that rare classes rank better before anything is learned: they are easier for CLIP"
    return f"{said} The rank correlation of a class's AP with its number of training images is {rank:+.2f}, {meant}."


def six_in_a_row(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Six neighbours in the ranking of N images by scores (N,), best first, as near as can be to three positives, mixed.

    labels (N,) bool. The first such six of the ranking, as indices.
    """
    order = np.argsort(-scores, kind="stable")
    windows = np.lib.stride_tricks.sliding_window_view(labels[order], min(6, len(labels)))
    in_front = windows[:, :3].sum(1) == windows.sum(1)  # an AP of 1 asks nothing
    start = int((np.abs(windows.sum(1) - 3) + 0.5 * in_front).argmin())
    return order[start : start + 6]


def six_images(clip: Run) -> tuple[int, np.ndarray]:
    """The class that most test images show, and `six_in_a_row` of it under CLIP."""
    labels, cosine = clip.ranking_scores("logit")
    shown = int(labels.sum(0).argmax())
    return shown, six_in_a_row(labels[:, shown], cosine[:, shown])


def precision(clip: Run) -> Number:
    """The AP of six images."""
    (labels, cosine), (shown, six) = clip.ranking_scores("logit"), six_images(clip)
    places = ", ".join(f"{place} {'yes' if there else 'no'}" for place, there in enumerate(labels[six, shown], 1))
    return Number(
        "ap",
        f"**Exercise 1.** Six neighbours in the ranking for **{clip.class_rows['class'][shown]}**, best first, and whether the "
        f"image shows it: {places}. If the test set were these six, what would the AP be?",
        average_precision(labels[six][:, [shown]], cosine[six][:, [shown]])[0],
        0.01,
        "the precision at the place of each 'yes', and the mean over these places alone",
    )


# Part 1: a soft prompt


def pull(clip: Run) -> Number:
    """The derivative of BCE at CLIP's own scale."""
    labels, cosine = clip.ranking_scores("logit")
    scale, positive, negative = clip.config["logit_scale"], cosine[labels].mean(), cosine[~labels].mean()
    z = torch.tensor([[scale * positive]], dtype=torch.float64, requires_grad=True)
    make_loss("bce", [1], 2).elementwise(z, torch.ones_like(z)).sum().backward()
    expected = z.grad.item() if z.grad is not None else math.nan
    return Number(
        "gradient",
        rf"**Exercise 2.** CLIP's scale is {scale:.1f}. The mean cosine of test images with a class that they show is "
        rf"{positive:.3f}, with one that they do not {negative:.3f}. BCE of a positive is $-\log p$. What is its derivative "
        "by $z$ at the mean positive?",
        expected,
        0.05 * abs(expected),
        r"$\frac{d}{dz}(-\log \mathrm{sigmoid}(z)) = \mathrm{sigmoid}(z) - 1$, with $z$ the scale times the cosine; mind the sign",
    )


def _ends(dataset: Dataset) -> tuple[int, int]:
    """The most frequent class and the rarest that has training images."""
    kept = np.flatnonzero(dataset.class_counts)
    by_count = kept[np.argsort(dataset.class_counts[kept], kind="stable")]
    return by_count[-1], by_count[0]


def _told(dataset: Dataset, c: int) -> str:
    return f"**{dataset.class_names[c]}** ($n = {dataset.class_counts[c]}$)"


def rebalancing(dataset: Dataset, config: Config) -> Number:
    """The weight of a frequent class beside a rare one."""
    loss: Any = make_loss("r_bce", dataset.class_counts, len(dataset.train), config.flat()["preset"], allow_empty=True)
    frequent, rarest = _ends(dataset)
    both = torch.zeros(1, len(dataset.class_names), dtype=torch.float64)
    both[0, [frequent, rarest]] = 1
    return Number(
        "re-balanced",
        rf"**Exercise 3.** An image shows {_told(dataset, frequent)} and {_told(dataset, rarest)}. With $\alpha = {loss.alpha}$, "
        rf"$\beta = {loss.beta}$, $\mu = {loss.mu}$, what weight $\hat r$ does the first have in it?",
        loss.weights(both)[0, frequent].item(),
        0.01,
        "the sum has two terms, 1/n of each class in the image; most of it is the rare one's",
    )


def prompt_guess(made: dict[str, list[Run]], ranking: str) -> Guess:
    """mAP by group under a soft prompt, beside CLIP's."""
    rows = {row: made[row] for row in ("CLIP", "soft prompt")}
    table = compare(rows, None, ranking).dropna(subset="mean")
    before, after = (by_name(table[table["row"] == row].set_index("group")["mean"]) for row in rows)
    return Guess(
        "soft prompt",
        "**Predict.** Free vectors for each class, learned from few images in the tail: who gains on CLIP (grey), who loses?",
        after,
        _PERCENT.format(ranking),
        (0, 100),
        known=before,
        known_name="CLIP",
    )


def measured(steps: pd.DataFrame, row: str) -> pd.DataFrame:
    """What one row adds to the row before it, for reading: a line a ranking, `difference_text` by group.

    steps: of `step_table`. Empty where the row was not made.
    """
    part = steps[steps["row"] == row].dropna(subset="difference")
    wide = part.assign(text=difference_texts(part)).pivot(index="ranking", columns="group", values="text")
    return wide.reindex(columns=["total", *GROUPS]).dropna(axis=1, how="all").rename_axis(columns=None)


def step_says(steps: pd.DataFrame, row: str) -> str:
    """What a row shows against the row before it, in words."""
    part = steps[steps["row"] == row]
    seeds = " One seed: another may say something else." if part["n_seeds"].max() == 1 else ""
    return f"**{row}** against **{part['before'].iloc[0]}**. {both_rankings(part)}{seeds}"


def tail_moves(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """The tail's classes that lose and gain most. before, after: of `class_table`, a line a class."""
    tail = before.assign(change=after.set_index("class")["ap"].reindex(before["class"]).to_numpy() - before["ap"])
    tail = tail[(tail["group"] == "tail") & tail["change"].notna()].sort_values("change")
    if len(tail) < 2:
        return ""
    worst, best = (
        f"{line['class']} ({line['train']} images) by {line['change']:+.1f}"
        for _, line in tail.iloc[[0, -1]].iterrows()
    )
    return f"In the tail {worst} and {best} move furthest apart: a few images may stand for their class, or not."


def free_bar(made: dict[str, list[Run]]) -> str:
    """CLIP's centred cosines, which cost nothing, beside the soft prompt."""
    labels, cosine = made["CLIP"][0].ranking_scores("logit")
    centred = 100 * np.nanmean(average_precision(labels, rankings.centred(cosine)))
    learned = np.mean([run.metrics["scores"]["logit"]["total"] for run in made["soft prompt"]])
    side = "more than" if centred > learned else "less than"
    return (
        f"A bar that costs nothing: CLIP's cosines, each less its image's mean over classes, have mAP {centred:.1f}, {side} "
        f"the soft prompt's {learned:.1f} under logit."
    )


def confidence(clip: Run, tuned: Run) -> Number:
    """PG's mean confidence in the true label over the negatives of six images."""
    shown, six = six_images(clip)
    logits = torch.from_numpy(tuned.scores()["logits"][six][:, [shown]]).double()
    truth = torch.from_numpy(tuned.scores()["labels"][six][:, [shown]])
    listing = ", ".join(f"{'yes' if there else 'no'} {z:.2f}" for there, z in zip(truth[:, 0], logits[:, 0].tolist()))
    return Number(
        "confidence",
        f"**Exercise 4.** The six images again, now with the soft prompt's logits $z$: {listing}. What is "
        r"$\bar p_-$ over them?",
        mean_probabilities(logits, truth)[1].item(),
        0.015,
        "sigmoid of z for each 'no', one minus that, and the mean over the 'no' alone",
    )


# Part 2: the embedding loss


def change_guess(steps: pd.DataFrame, row: str, ranking: str, ask: str) -> Guess:
    """The change of mAP by a part, in total and by group."""
    part = steps[(steps["row"] == row) & (steps["ranking"] == ranking)].dropna(subset="difference")
    truth = by_name(part.set_index("group")["difference"])
    most = max(5.0, 5 * math.ceil(max(map(abs, truth.values()), default=0) / 5))
    return Guess(row, ask, truth, f"change of mAP (points), {ranking} ranking", (-most, most))


def distances_say(table: pd.DataFrame) -> str:
    """What the embedding loss did to captions and prompts. table: of `caption_distances`, rows in order."""
    median = table.pivot(index="row", columns="side", values="median")
    before, after = (median.loc[row] for row in ("soft prompt", "+ embedding loss"))
    own, other = (after[side] - before[side] for side in ("own", "other"))
    more = "own classes" if abs(own) > abs(other) else "other classes"
    return (
        f"The median distance of a caption to prompts of its own classes goes from {before['own']:.3f} to {after['own']:.3f}, "
        f"to those of others from {before['other']:.3f} to {after['other']:.3f}: it is the distance to {more} that moves more."
    )


# Part 3: a margin for each class


def margin_ratio(dataset: Dataset, cse: CSELoss) -> Number:
    frequent, rarest = _ends(dataset)
    expected = (cse.margin[rarest] / cse.margin[frequent]).item()
    return Number(
        "margin",
        rf"**Exercise 5.** How many times the margin of {_told(dataset, frequent)} is that of {_told(dataset, rarest)}?",
        expected,
        0.02 * expected,
        r"$\eta$ falls out; the fourth root is the square root of the square root",
    )


def margins_say(kept: pd.DataFrame) -> str:
    """For whom the room grows. kept: columns group, margin."""
    wider = (
        kept.assign(wider=kept["margin"] > kept["margin"].mean() + 1e-9).groupby("group")["wider"].agg(["sum", "size"])
    )
    shares = listed(
        f"{row['sum']} of {row['size']} {group}" for group, row in wider.reindex(GROUPS).dropna().astype(int).iterrows()
    )
    return f"Against one margin for all, the room is wider for {shares} classes."


def inside_guess(made: dict[str, list[Run]]) -> Guess:
    """The share of negatives that lie inside their margin, over the epochs."""
    curves = {row: 100 * made[row][0].history["inside_margin"] for row in ("+ embedding loss", "+ soft margin")}
    guess = Guess.of_curves(
        "inside",
        "**Predict.** A margin acts on the negatives inside it. The points are their share in the first epoch, with one margin "
        "for all and with one for each class. Where does it end?",
        {row: values.tolist() for row, values in curves.items()},
        "negatives inside (%)",
        (0, 100),
    )
    return dataclasses.replace(guess, step="epochs after the first")


def inside_says(made: dict[str, list[Run]]) -> str:
    """On how many negatives the margins act."""
    shares = {row: part[0].history["inside_margin"] for row, part in made.items() if "inside_margin" in part[0].history}
    last = shares["+ soft margin"].iloc[-1]
    acts = f"one negative in {1 / last:,.0f}" if last > 0 else "no negative at all"
    return f"{inside_margin(shares)} At the end the soft margin acts on {acts}."


# Part 4: a weight for each class


def weight_ratio(dataset: Dataset, cse: CSELoss, config: Config) -> Number:
    (frequent, rarest), gamma = _ends(dataset), config.flat()["gamma"]
    expected = (cse.weight[rarest] / cse.weight[frequent]).item()
    return Number(
        "weight",
        rf"**Exercise 6.** With $\gamma = {gamma}$, how many times the weight of {_told(dataset, frequent)} is that "
        f"of {_told(dataset, rarest)}?",
        expected,
        0.02 * expected,
        "in the ratio of two weights the sum falls out",
    )


def weights_say(kept: pd.DataFrame) -> str:
    """How the weight lies. kept: columns group, weight."""
    shares = kept.groupby("group")["weight"].agg(["sum", "size"]).reindex(GROUPS).dropna()
    told = listed(f"{int(row['size'])} {group} classes {row['sum']:.1%}" for group, row in shares.iterrows())
    return f"Of the whole weight have {told}."


def given_back(steps: pd.DataFrame, ranking: str) -> str:
    """What the head gained by the embedding loss, and has after re-weighting; of the total where there is no head."""
    wide = steps[steps["ranking"] == ranking].pivot(index="row", columns="group", values="difference").dropna(axis=1)
    group = "head" if "head" in wide else "total"
    change = by_name(wide[group])
    brought, then = change["+ embedding loss"], change["+ re-weighting"]
    return f"In the {group}, under {ranking}, the embedding loss brought {brought:+.1f}, and re-weighting {then:+.1f}."


def short_caption(labels: np.ndarray, inside: np.ndarray) -> int:
    """The image whose CSE loss has the fewest terms, with a class of its own and another inside the margin (else the first).

    labels, inside (N, C) bool: the classes of the images, and what lies within the margins.
    """
    foreign = inside & ~labels
    terms = labels.sum(1) + foreign.sum(1)
    return int(np.where(labels.any(1) & foreign.any(1), terms, labels.shape[1] + 1).argmin())


def caption_loss(
    dataset: Dataset, cse: CSELoss, captions: Tensor | None, prompts: Tensor | None
) -> tuple[pd.DataFrame, Number]:
    """A caption's classes and the five others nearest to their margins; its CSE loss. captions (N, D), prompts (C, D)."""
    ask = (
        "**Exercise 7.** All parts at once: what is the CSE loss of one caption against CLIP's own prompts, before any "
        "training? The table has the classes of its image and the five others that are nearest to their margins; the rest is "
        "further off."
    )
    expected, table = math.nan, pd.DataFrame()
    if captions is not None and prompts is not None and dataset.train.captions:
        there, distance = dataset.train.labels, 1 - (captions @ prompts.T).numpy()
        k = short_caption(there, distance < cse.margin.numpy())
        expected = cse(captions[[k]], prompts, torch.from_numpy(there[[k]])).item()
        table = pd.DataFrame({"class": dataset.class_names, "there": there[k], "D": distance[k]})
        table = table.assign(margin=cse.margin.numpy(), weight=cse.weight.numpy())[dataset.class_counts > 0]
        room = (table["D"] - table["margin"]).where(~table["there"], -np.inf)
        table = table.loc[room.sort_values(kind="stable").index].head(there[k].sum() + 5).round(4).set_index("class")
        ask += f"\n\nIts caption: “{dataset.train.captions[k]}”"
    hint = r"$w D$ for each class that is there, $w (\mu - D)$ for each other with $D$ below $\mu$, nothing for the rest; the sum"
    return table, Number("caption", ask, expected, 0.02 * abs(expected), hint)


# What can be believed


def parts_order(steps: pd.DataFrame, ranking: str) -> Order:
    total = steps[(steps["ranking"] == ranking) & (steps["group"] == "total")]
    return Order(
        "parts",
        f"**Predict.** Which part adds most to the one before it, in total mAP under {ranking}? Put the greatest on top.",
        by_name(total.set_index("row")["difference"]),
        "points of mAP",
    )


def parts_say(steps: pd.DataFrame, ranking: str) -> str:
    """Which parts of LMPT an interval tells from nothing, in total."""
    total = steps[(steps["ranking"] == ranking) & (steps["group"] == "total")]
    named = verdicts(total.assign(group=total["row"]))
    return f"In total, under {ranking}: {named}."


def seeds_needed(difference: float, sd: float) -> float:
    """The fewest seeds (2 to 100,000, or inf) at which the 95% t interval of a mean difference is without zero.

    difference: the mean of the paired differences; sd: their standard deviation over seeds.
    """
    seeds = np.arange(2, 100_001)
    enough = stats.t.ppf(0.975, seeds - 1) * sd / np.sqrt(seeds) < abs(difference)
    return int(seeds[enough.argmax()]) if enough.any() else math.inf


def seeds() -> Number:
    """How many seeds a printed difference would need."""
    printed = published().set_index(["address", "dataset"])["total"]
    gap = printed["lmpt/3/margin", "voc-lt"] - printed["lmpt/3/embedding", "voc-lt"]
    expected = seeds_needed(gap, 2**0.5)
    return Number(
        "seeds",
        f"**Exercise 8.** LMPT prints one number a row, without seeds. On VOC-LT its soft margin adds {gap:+.2f} points of total "
        r"mAP. The authors of VOC-LT say that a total moves by about 1 point with the seed, so a difference of two runs by "
        r"$\sqrt{2}$. How many seeds would a 95% interval of the mean difference need, to be without zero?",
        expected,
        0.05 * expected,
        r"the interval is the difference $\pm\, t \cdot \mathrm{sd} / \sqrt{n}$; with so many seeds $t$ is about 2",
    )


def quiz(steps: pd.DataFrame, ranking: str) -> tuple[Choice, ...]:
    last = steps[(steps["row"] == steps["row"].iloc[-1]) & (steps["ranking"] == ranking)].dropna(subset="difference")
    (line,) = last[last["group"] == ("tail" if "tail" in set(last["group"]) else "total")].to_dict("records")
    low, high = line["difference_low"], line["difference_high"]
    sides = [
        "It gains, and its interval is clear of zero.",
        "It loses, and its interval is clear of zero.",
        "It cannot be told: its interval holds zero, or there is none.",
    ]
    right = sides.pop(0 if low > 0 else 1 if high < 0 else 2)
    return (
        Choice(
            "last",
            f"**Quiz 1.** What does **{line['row']}** do to the {line['group']}, under {ranking}?",
            (right, *sides),
            f"{difference_texts(last[last['group'] == line['group']])[0]}.",
            "look at the last figure with intervals",
        ),
        Choice(
            "outside",
            "**Quiz 2.** A caption is further from another class's prompt than that class's margin. What does the embedding "
            "loss do with the pair?",
            (
                "Nothing: it costs nothing and has no gradient.",
                "It pushes the prompt further away, with the class's weight.",
                "It draws the prompt back to the margin.",
            ),
            r"$\max(0, w_i (\mu_i - D_{ik}))$ is zero where $D_{ik}$ is above $\mu_i$, and so is its slope.",
            "put a $D$ above $\\mu$ into the equation of part 2",
        ),
        Choice(
            "gamma",
            r"**Quiz 3.** What becomes of the weights at $\gamma = 0$?",
            ("All classes have the same weight.", "The rarest class has all of the weight.", "All weights are zero."),
            "$n^0 = 1$ for every class, and the sum makes it one over the number of classes.",
            r"put $\gamma = 0$ into the equation of part 4",
        ),
    )


def take_away(steps: pd.DataFrame, ranking: str) -> tuple[str, ...]:
    total = steps[(steps["ranking"] == ranking) & (steps["group"] == "total")].set_index("row")["difference"]
    far = str(total.abs().idxmax())
    return (
        f"The step that moves the total most is **{far}**, {total[far]:+.1f} points under {ranking}.",
        parts_say(steps, ranking),
        "A part acts where its loss has a gradient, and helps where an interval says so. An equation that sounds right is not a "
        "result.",
    )
