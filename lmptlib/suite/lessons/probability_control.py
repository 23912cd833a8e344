"""Notebook 09: what the PG paper says that a loss does to probabilities, held against the runs at hand.

made: kind (`prompts`, `linear probe`) -> row of the sweep `probabilities` -> its runs, a seed each.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.runs.comparison import compare
from lmptlib.runs.run import Run
from lmptlib.suite.analysis import probabilities
from lmptlib.suite.analysis.landscape import landscape
from lmptlib.suite.lessons.probability_curves import curve, rarest
from lmptlib.suite.lessons.questions import Choice, Guess, Number
from lmptlib.suite.lessons.wording import by_group, judged, listed

Made = Mapping[str, Mapping[str, Sequence[Run]]]

_FACTORS = {"l1+": "λ1+", "l2+": "λ2+", "l1-": "λ1−", "l2-": "λ2−"}
_PLURAL = {
    "holds": "hold",
    "does not hold": "do not",
    "a tie": "are ties",
    "no classes to tell": "have no classes to tell",
}
_PLAIN = {"l1_pos": 1.0, "l2_pos": 1.0, "l1_neg": 1.0, "l2_neg": 1.0}


def steep_negatives(dataset: Dataset) -> pd.DataFrame:
    """PR's landscape of negatives of the rarest class at three values of its factor l1_neg."""
    parts = []
    for value in (1.0, 2.0, 5.0):
        settings = {"pr": {**_PLAIN, "l1_neg": value}}
        part = landscape(["pr"], dataset.class_counts, len(dataset.train), settings=settings)
        parts.append(part.assign(loss=f"λ1− = {value:g}"))
    table = pd.concat(parts)
    return table[(table["side"] == "negative") & (table["group"] == table["group"].iloc[-1])]


def opening(negatives: pd.DataFrame) -> str:
    """What raising the factor does to a wrong and to an easy negative."""
    first, last = (negatives[negatives["loss"] == loss] for loss in negatives["loss"].unique()[[0, -1]])
    wrong, easy = (_at(last, z) / _at(first, z) for z in (2.0, -2.0))
    return (
        f"Raised from 1 to 5, the factor λ1− multiplies the push on a wrong negative (z = 2) by {wrong:.1f} and that on an easy one "
        f"(z = −2) by {easy:.4f}. Do the probabilities go where such factors push them?"
    )


def _at(table: pd.DataFrame, z: float) -> float:
    return float(table["gradient"].iloc[(table["z"] - z).abs().argmin()])


def _losses(rows: Mapping[str, Sequence[Run]]) -> dict[str, list[Run]]:
    """Figure 1's runs by loss."""
    return {row.partition(": ")[2]: list(runs) for row, runs in rows.items() if row.startswith("figure 1: ")}


def gap_guess(made: Made) -> Guess:
    """The gap between positives and negatives under each loss: that of prompts, beside that of the linear probe."""
    prompts, probe = (
        {loss: float(numbers.loc[(loss, "all"), "gap"]) for loss in numbers.index.unique("row")}
        for numbers in (probabilities.row_numbers(_losses(made[kind])) for kind in ("prompts", "linear probe"))
    )
    return Guess(
        "gaps",
        "**Predict.** The gap is how far the mean confidences in positives and in negatives are apart, here its mean over training. "
        "Grey is that of a linear probe which starts at zero. How wide is it with learned prompts? Move the outlines, then reveal.",
        prompts,
        "mean gap, prompts",
        (0, 1),
        known=probe,
        known_name="linear probe",
    )


def starts(made: Made) -> str:
    """Where BCE's curves begin and what the first epoch does to the rarest group's positives."""
    said = []
    for kind, rows in made.items():
        run = _losses(rows)["bce"][0]
        table = run.probabilities("epoch").query("step == 0").set_index("group")
        sides = "; ".join(f"{side}s {by_group(table[side], '{:.2f}')}" for side in ("positive", "negative"))
        group = rarest(run)
        values = curve(run, group)
        lowest = int(np.argmin(values))
        said.append(
            f"With **{kind}** the curves begin at: {sides}. BCE has the {group}'s positives at {values[min(1, len(values) - 1)]:.2f} "
            f"after the first epoch, lowest at {values[lowest]:.2f} (epoch {lowest}) and at {values[-1]:.2f} in the end."
        )
    return "\n\n".join(said)


def factor_guess(pushed: pd.DataFrame) -> Guess:
    """What raising each factor does to the positives of prompts. pushed: `arrows` of each kind, first index level the kind."""
    table = pushed.loc["prompts"].query("side == 'positive'").set_index("factor")
    changes = (table["after"] - table["before"]).dropna()
    return Guess(
        "factors",
        "**Predict.** One factor at a time is raised from 1 to 5. By how much does that change the mean probability of positives, with "
        "prompts? Below zero it falls. Move the outlines, then reveal.",
        {_FACTORS[str(factor)]: change for factor, change in changes.items()},
        "change of positives",
        (-1, 1),
    )


def agreement(pushed: pd.DataFrame) -> str:
    """How many of PG's arrows are measured, and which are not."""
    said = []
    for kind, table in pushed.groupby(level=0, sort=False):
        lines = table[~table["holds"]].to_dict("records")
        missed = [
            f"{_FACTORS[line['factor']]} on {line['side']}s, printed {line['printed']}, measured {line['measured']}"
            for line in lines
        ]
        others = f"; not so {listed(missed)}" if missed else ""
        said.append(
            f"With **{kind}** {int(table['holds'].sum())} of {len(table)} arrows are measured as printed{others}."
        )
    return " ".join(said)


def both_down(pushed: pd.DataFrame) -> str:
    """In which groups raising λ1− takes positives and negatives down, and where only one of them."""
    said = []
    for kind, table in pushed.query("factor == 'l1-'").groupby(level=0, sort=False):
        changes = table.set_index("side")[list(GROUPS)].dropna(axis=1)
        down = changes.columns[(changes < -0.01).all()]
        rest = changes.drop(columns=down)
        moved = [
            f"{name} (positives {part['positive']:+.2f}, negatives {part['negative']:+.2f})"
            for name, part in rest.items()
        ]
        first = f"both fall in {listed(down)}" if len(down) else "there is no group in which both fall"
        said.append(f"With **{kind}** {first}" + (f"; in the others: {', '.join(moved)}." if moved else "."))
    return "When λ1− is raised: " + " ".join(said)


def sentences(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The paper's statements, each with its two numbers and its verdict by kind. tables: kind -> `statements`."""
    first = next(iter(tables.values()))
    columns = {
        kind: [f"{row.low:.3f} < {row.high:.3f}: {row.verdict}" for row in table.itertuples()]
        for kind, table in tables.items()
    }
    return pd.DataFrame({"statement": first["statement"], **columns})


def count(tables: Mapping[str, pd.DataFrame]) -> str:
    """How many statements hold, by kind, and on how many the kinds agree."""
    said = []
    for kind, table in tables.items():
        counts = table["verdict"].value_counts()
        said.append(f"With **{kind}** {listed(f'{n} {_PLURAL[str(verdict)]}' for verdict, n in counts.items())}.")
    verdicts = pd.DataFrame({kind: table["verdict"] for kind, table in tables.items()})
    agree = int((verdicts.nunique(axis=1) == 1).sum())
    return f"Of {len(verdicts)} sentences: " + " ".join(said) + f" On {agree} the verdict is the same with both."


def reasons(tables: Mapping[str, pd.DataFrame]) -> str:
    """Why two of the statements may fail here, where they do."""
    why = {
        "BCE: positives rise to a big value": "what is learned on frozen features cannot fit every image, as a whole network can, so "
        "that the mean over positives stays lower",
        "focal: positives rise slower than with BCE": "the focal factor weakens the push of the many easy negatives too, which takes "
        "positives down",
    }
    lines = []
    for statement, reason in why.items():
        failed = [kind for kind, table in tables.items() if _verdict(table, statement) == "does not hold"]
        if failed:
            lines.append(f"- *{statement}* does not hold with {listed(failed)}. A likely reason: {reason}.")
    return "\n".join(lines)


def _verdict(table: pd.DataFrame, statement: str) -> str:
    return str(table.set_index("statement").loc[statement, "verdict"])


def trust(table: pd.DataFrame) -> pd.DataFrame:
    """How true probabilities are: a row a panel and run. table: of `reliability_table`, with a column panel.

    distance: mean |stated - observed| over all labels; stated, observed: of the labels believed to more than one half.
    """
    rows = []
    for (panel, run), part in table.groupby(["panel", "run"], sort=False):
        distance = np.average((part["stated"] - part["observed"]).abs(), weights=part["count"])
        sure = part[part["stated"] > 0.5]
        means = [
            np.average(sure[name], weights=sure["count"]) if len(sure) else np.nan for name in ("stated", "observed")
        ]
        rows.append([panel, run, distance, *means])
    return pd.DataFrame(rows, columns=["panel", "run", "distance", "stated", "observed"])


def trusted(trust_table: pd.DataFrame) -> str:
    """Which loss states what comes true, and which promise too much. trust_table: of `trust`."""
    said = []
    for panel, part in trust_table.groupby("panel", sort=False):
        best = part.sort_values("distance").iloc[0]
        beyond = part["stated"] - part["observed"]
        high, low = ([f"`{run}`" for run in part.loc[far > 0.02, "run"]] for far in (beyond, -beyond))
        words = [
            f"{listed(names)} {verb}"
            for names, verb in ((high, "promise too much"), (low, "promise too little"))
            if names
        ]
        sides = f" Of labels believed to more than one half, {'; '.join(words)}." if words else ""
        said.append(
            f"With **{panel}** `{best['run']}` is nearest to the diagonal, {best['distance']:.2f} away on average.{sides}"
        )
    return " ".join(said)


def half(table: pd.DataFrame) -> Number:
    """An exercise on the linear probe's reliability under BCE. table: of `reliability_table`, with a column panel."""
    part = table[(table["panel"] == "linear probe") & (table["run"] == "bce")]
    row = part.iloc[int((part["stated"] - 0.5).abs().argmin())] if len(part) else None
    return Number(
        "half",
        "**Exercise.** The linear probe with `bce`: take the point whose stated probability is nearest to one half. Of the labels there, "
        "which share is present?",
        100 * float(row["observed"]) if row is not None else float("nan"),
        3,
        "move the mouse over the point; the height is the observed share",
        "%",
    )


def slope(l1: float = 5, l2: float = 1) -> Number:
    return Number(
        "slope",
        rf"**Exercise.** With $\lambda_1^- = {l1:g}$ and $\lambda_2^- = {l2:g}$, how large is PR's gradient on a negative at $z = v$?",
        l1 / (2 * l2),
        0.01,
        r"the derivative of $\log(1 + e^{x})$ is the sigmoid of $x$, and $x = \lambda_1^- (z - v)$ has a derivative too",
    )


def ranking(made: Made) -> str:
    """mAP of each loss against BCE's, with intervals."""
    said = []
    for kind, rows in made.items():
        table = compare(_losses(rows), "bce", "logit").query("group == 'total' and row != 'bce'")
        lines = "; ".join(f"`{row['row']}` {judged(row)}" for _, row in table.iterrows())
        said.append(f"With **{kind}**, mAP minus BCE's: {lines}.")
    return "\n\n".join(said)


def quiz(tables: Mapping[str, pd.DataFrame]) -> tuple[Choice, ...]:
    verdicts = pd.DataFrame({kind: table["verdict"] for kind, table in tables.items()})
    statement = next(iter(tables.values()))["statement"]
    both = statement[(verdicts == "holds").all(axis=1)].tolist()
    missed = statement[(verdicts == "does not hold").any(axis=1)].tolist()
    asked = Choice(
        "both",
        "**Quiz 1.** Which of these sentences of the paper holds here with prompts and with the linear probe?",
        (*both[:1], *missed[:3]),
        "the others fail with at least one of the two.",
        "look for the line with the same verdict in both columns",
    )
    return (
        *((asked,) if both and missed else ()),
        Choice(
            "half-why",
            "**Quiz 2.** Why do all curves of the linear probe begin at one half?",
            (
                "Its W and b start at zero, and the sigmoid of 0 is one half.",
                "Half of the labels are positives.",
                "CLIP is right about half of the images.",
            ),
            "prompts begin where CLIP and the bias put them instead.",
            "which logits does a probe give before its first step?",
        ),
        Choice(
            "none",
            "**Quiz 3.** Features say nothing about a class, so that every image has the same logit. Its positives' mean p falls. What "
            "does the negatives' mean 1 − p do?",
            ("It rises by as much.", "It falls as well.", "It stays where it is."),
            "with one p for all images the two always add up to 1.",
            "write down both means for one and the same p",
        ),
    )


def take_away(tables: Mapping[str, pd.DataFrame], pushed: pd.DataFrame) -> tuple[str, ...]:
    arrows = [
        f"{int(table['holds'].sum())} of {len(table)} with {kind}"
        for kind, table in pushed.groupby(level=0, sort=False)
    ]
    held = [f"{int((table['verdict'] == 'holds').sum())} of {len(table)} with {kind}" for kind, table in tables.items()]
    return (
        f"A loss's factors move the probabilities. Of the arrows that the paper prints are measured here: {listed(arrows)}.",
        f"A paper's sentence is about its setting: of the sentences on the figures hold {listed(held)}.",
        "Probabilities that are steered are not yet true, and not yet a better ranking: both have to be measured.",
    )
