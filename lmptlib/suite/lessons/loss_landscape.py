"""Notebook 08: what a loss asks of a logit."""

import pandas as pd

from lmptlib.data.dataset import Dataset
from lmptlib.losses import CSELoss, effective_settings
from lmptlib.losses.probability_guided import FACTORS
from lmptlib.suite.lessons.questions import Choice, Guess, Number, Order
from lmptlib.suite.lessons.wording import by_group, listed, most_and_least

EASY = -2.2  # the logit of a negative that is believed to 90 %
NOT_SINGLE = "its losses judge each class by itself, logit by logit; 10_loss_table compares losses over the classes."


def opening(dataset: Dataset, bce: pd.DataFrame) -> str:
    """How many small pushes stand against how few pulls. bce: its landscape."""
    counts, n_images = dataset.class_counts, len(dataset.train)
    _, rarest = most_and_least(counts)
    push = _at(bce, "negative", EASY).iloc[0]
    return (
        f"**{dataset.class_names[rarest]}** is in {counts[rarest]:,} training images and not in {n_images - counts[rarest]:,}. "
        f"BCE pushes a negative that is already believed to 90 % with {push:.2f} of full force: many small pushes against few pulls. "
        "What do other losses do?"
    )


def _at(table: pd.DataFrame, side: str, z: float) -> pd.Series:
    """The size of each loss's gradient at a logit, by loss; of the first group where there are several."""
    near = table["z"].iloc[(table["z"] - z).abs().argmin()]
    part = table[(table["side"] == side) & (table["z"] == near)]
    return part.groupby("loss", sort=False)["gradient"].first().abs()


def easy_guess(negatives: pd.DataFrame) -> Guess:
    """How hard each loss pushes an easy negative, beside BCE. negatives: the landscape of one group, BCE among it."""
    pushes = _at(negatives, "negative", EASY)
    others = pushes.drop("bce")
    return Guess(
        "easy",
        "**Predict.** A negative at $z = -2.2$ is believed to 90 %. Grey is BCE's push on it. How hard do NTR and the focal loss push? "
        "Move the outlines, then reveal.",
        {str(loss): push for loss, push in others.items()},
        "gradient at z = −2.2",
        (0, 1.5 * float(pushes.max())),
        known=dict.fromkeys(map(str, others.index), float(pushes["bce"])),
        known_name="bce",
    )


def pushes(negatives: pd.DataFrame) -> pd.DataFrame:
    """What each loss does to easy and to hard negatives: a row a loss. negatives: as in `easy_guess`."""
    part = negatives[negatives["side"] == "negative"].reset_index(drop=True)
    tops = part.iloc[part.groupby("loss", sort=False)["gradient"].idxmax().to_numpy()].set_index("loss")
    easy = _at(negatives, "negative", EASY).round(3)
    table = {"push at z = −2.2": easy, "strongest push": tops["gradient"].round(2), "at z =": tops["z"].round(1)}
    return pd.DataFrame(table).reset_index()


def strongest(table: pd.DataFrame) -> pd.DataFrame:
    """The size of the strongest gradient of each loss: a row a loss, columns side and group."""
    sizes = table.assign(size=table["gradient"].abs())
    found = sizes.pivot_table(index="loss", columns=["side", "group"], values="size", aggfunc="max", sort=False)
    return found.reindex(table["loss"].unique())


def push_order(table: pd.DataFrame) -> Order:
    """The losses by their strongest push on a negative of the rarest class."""
    group = table["group"].iloc[-1]
    return Order(
        "push",
        f"**Predict.** Which loss pushes a negative of the {group} hardest, wherever on z that is? Drag the losses into order, hardest "
        "on top, then reveal. Equal ones may stand either way.",
        strongest(table)["negative"][group].round(2).to_dict(),
        "strongest push",
    )


def blind(table: pd.DataFrame) -> list[str]:
    """The losses that have one curve for all groups."""
    shape = table.pivot_table(index=["loss", "side", "z"], columns="group", values="gradient", sort=False)
    spread = (shape.max(axis=1) - shape.min(axis=1)).groupby("loss").max()
    return [loss for loss in table["loss"].unique() if spread[loss] < 1e-9]


def traits(table: pd.DataFrame, bce: pd.DataFrame) -> pd.DataFrame:
    """The strongest pull and push of each loss in units of BCE's, and what the most wrong negative gets: a row a loss.

    bce: its landscape.
    """
    sizes, base = strongest(table), strongest(bce).iloc[0]
    columns = {
        f"{words}, {group}": (sizes[side, group] / base[side, group]).round(2)
        for side, words in (("positive", "pull on positives"), ("negative", "push on negatives"))
        for group in table["group"].unique()
    }
    group, z = table["group"].iloc[0], table["z"].max()
    left = (_at(table, "negative", z) / sizes["negative", group]).round(2)
    return (
        pd.DataFrame(columns | {f"at z = {z:g}, share of strongest push, {group}": left})
        .rename_axis("loss")
        .reset_index()
    )


def company(ratio: pd.DataFrame) -> str:
    """Which losses look at an image's other labels, and what they make of them. ratio: a row a loss, columns side and group."""
    changed = ratio[((ratio - 1).abs() > 0.005).any(axis=1)]
    same = [f"`{loss}`" for loss in ratio.index.difference(changed.index, sort=False)]
    said = [f"{listed(same)} {'does' if len(same) == 1 else 'do'} not look at the image."] if same else []
    for loss, row in changed.iterrows():
        said.append(f"`{loss}` multiplies its gradients by {row.min():.2f} to {row.max():.2f}.")
    return " ".join(said)


def peaks(moments: pd.DataFrame) -> str:
    """How hard hard negatives of the rarest group are pushed at each moment."""
    group = moments["group"].iloc[-1]
    found = strongest(moments)["negative"][group]
    said = ", ".join(f"{loss}: {value:.2f}" for loss, value in found.items())
    return f"The strongest push on a negative ({group}), by loss and mean confidences p̄+ / p̄−: {said}."


def margins(dataset: Dataset, cse: CSELoss) -> str:
    """What margin and weight are for the rarest and the most frequent class, and what the groups share."""
    classes = dataset.class_table().assign(margin=cse.margin.numpy(), weight=cse.weight.numpy()).query("train > 0")
    classes = classes.sort_values("train")
    ends = [classes.iloc[0], classes.iloc[-1]]
    said = [
        f"**{row['class']}** ({row['train']:,} images) has the margin {row['margin']:.2f}: a caption is near when its cosine with "
        f"this foreign prompt is above {1 - row['margin']:.2f}."
        for row in ends
    ]
    shares = classes.groupby("group")["weight"].sum() / classes["weight"].sum()
    return " ".join(said) + f" Of the sum of weights the groups hold: {by_group(100 * shares, '{:.0f} %')}."


def same_as_bce() -> Number:
    return Number(
        "lam",
        "**Exercise 1.** Choose `ntr` in the explorer above and set its shift `kappa` to 0. At which `lam` do its curves lie on BCE's?",
        1,
        0.01,
        r"NTR on a negative is $\frac{1}{\lambda} \log(1 + e^{\lambda (z - v)})$, and $v$ is 0 now",
    )


def exponent(preset: str | None, means: tuple[float, float]) -> Number:
    """APAF's focal exponent of negatives at the mean confidences of the parameters cell."""
    l0 = effective_settings("apaf", preset)["l0"]
    ratio = min(max(means[0] / max(means[1], 1e-6), 1 / 4), 4)
    return Number(
        "exponent",
        f"**Exercise 2.** At `positive_mean` {means[0]:g} and `negative_mean` {means[1]:g}, as the parameters cell has them, which focal "
        f"exponent does APAF use on negatives? Its `l0` is {l0:g}.",
        l0 / ratio,
        0.06,
        r"$R$ first, with its bounds; then $\gamma^- = l_0 / R$",
    )


def quiz(table: pd.DataFrame) -> tuple[Choice, ...]:
    names, same = list(table["loss"].unique()), blind(table)
    others = [name for name in names if name not in same]
    subsets = [same, others, names, []]
    written = [listed(subset) if subset else "None of them." for subset in subsets]
    return (
        Choice(
            "blind",
            "**Quiz 1.** Which of the losses drawn above have one curve for all groups, and so do not know how frequent a class is?",
            tuple(dict.fromkeys(written)),
            "the others take the class counts into their shift, weights or factors.",
            "in which colours do the panels of head, medium and tail differ?",
        ),
        Choice(
            "sign",
            "**Quiz 2.** At some logit the gradient on a positive is −0.8. What does a step of training do?",
            ("It raises the logit.", "It lowers the logit.", "It leaves the logit and changes the label's weight."),
            "a step goes against the gradient: down the loss.",
            "training goes down the loss; which way is that on z?",
        ),
        Choice(
            "easy-why",
            "**Quiz 3.** Why does it matter that BCE still pushes easy negatives a little?",
            (
                "A rare class has so many of them that together they outweigh its few positives.",
                "A small gradient makes training stop.",
                "Easy negatives are wrong labels.",
            ),
            "which is why NTR and the focal loss make them quiet.",
            "compare the two numbers of images in the sentence below the first figure",
        ),
    )


def take_away(table: pd.DataFrame) -> tuple[str, ...]:
    group = table["group"].iloc[-1]
    found = strongest(table)["negative"][group]
    return (
        "What training sees of a loss is its gradient: how hard it pulls positives up and pushes negatives down.",
        f"Here the strongest push on a negative of the {group} is `{found.idxmax()}`'s ({found.max():.2f}) and the weakest "
        f"`{found.idxmin()}`'s ({found.min():.2f}).",
        "Losses differ in what they know: the class's count, the image's other labels, how far the batch is believed.",
    )


def pg_factors(preset: str | None) -> str:
    """Which of PG's factors are others in the tail than in the head."""
    settings = effective_settings("pg", preset)
    factors = {name: settings[name] for name in FACTORS if isinstance(settings[name], tuple)}
    said = [f"`{name}` is {', '.join(f'{value:g}' for value in values)}" for name, values in factors.items()]
    if not said:
        return "PG's factors are the same for head, medium and tail here."
    return f"PG's factors for head, medium and tail: {'; '.join(said)}; the others are the same for all."
