"""Notebook 13: what papers printed, against itself."""

import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS, MANY_TO_FEW
from lmptlib.published.tables import SIZES
from lmptlib.suite.lessons.questions import Choice, Guess, Number

# Kind of a row -> what that is.
KINDS = {
    "copied": "image-only rows, copied from earlier papers",
    "CLIP, others": "LMPT's rows of other methods with CLIP",
    "LMPT's own": "rows trained with LMPT's method, in all of its tables",
    "PG's own": "rows trained by PG",
}

SLIPS = (
    "That so many totals of one method miss are hardly slips of the pen; it looks as if totals and groups were taken at "
    "different epochs or from different runs. The paper does not say. LMPT and PG print the same copied cells."
)


def multi_label(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of VOC-LT and COCO-LT, with a column `kind`, one of KINDS. table: `published`."""
    rows = table[table["dataset"].isin(["voc-lt", "coco-lt"])]
    with_clip = rows["backbone"].str.startswith("CLIP")
    others = (rows["table"] == "1") & (rows["method"] != "LMPT (ours)") | rows["row"].isin(["clip", "soft_prompt"])
    copied = rows["note"].str.startswith("copied") | (rows["source"] == "lmpt") & ~with_clip
    chosen = [copied, (rows["source"] == "lmpt") & others, rows["source"] == "lmpt", rows["source"] == "pg"]
    return rows.assign(kind=np.select(chosen, list(KINDS), ""))


def single_label(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of accuracies, best first in each data set, with columns many, medium and few. table: `published`."""
    rows = table[table["metric"] == "accuracy"].sort_values(["dataset", "total"], ascending=[True, False])
    shown = ["source", "table", "row", "dataset", "total", *GROUPS, "method", "backbone", "note"]
    return rows[shown].rename(columns=MANY_TO_FEW)


def total_checks(findings: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The checks of totals that could be made, with the kind of their row. findings: `audit`; rows: `multi_label`."""
    kinds = dict(zip(rows["address"] + " " + rows["dataset"], rows["kind"]))
    totals = findings[findings["kind"] == "total"].dropna(subset="difference")
    totals = totals.assign(kind=totals["where"].map(kinds)).dropna(subset="kind")
    return totals.sort_values("kind", key=lambda kinds: kinds.map(list(KINDS).index), kind="stable")


def opening(rows: pd.DataFrame) -> str:
    """How much the papers print."""
    cells = int(rows[["total", *GROUPS]].notna().sum().sum())
    return (
        f"Papers print {cells:,} mAP of multi-label data sets in {len(rows)} rows, to two decimals. A total is a mean "
        "of its groups, and one experiment has one number. Do the digits agree?"
    )


def shares_guess(totals: pd.DataFrame) -> Guess:
    kinds = "; ".join(f"**{kind}**: {told}" for kind, told in KINDS.items())
    return Guess(
        "shares",
        f"**Predict.** {kinds}. Of how many rows of each kind is the total the mean of its groups, up to rounding? Move the "
        "outlines, then reveal.",
        _shares(totals),
        "rows that agree (%)",
        (0, 100),
    )


def totals_say(totals: pd.DataFrame) -> str:
    """How many rows of each kind agree, and which do not."""
    lines = []
    for kind, part in totals.groupby("kind", sort=False):
        differ = part[part["verdict"] == "differs"].sort_values("difference", key=abs, ascending=False)
        named = [f"{where} {gap:+.2f}" for where, gap in zip(differ["where"], differ["difference"])]
        more = f", and {len(named) - 6} with less" if len(named) > 6 else ""
        told = f": {', '.join(named[:6])}{more}" if named else ""
        lines.append(f"- **{KINDS[str(kind)]}**: {len(part) - len(differ)} of {len(part)} agree{told}")
    return "\n".join(lines)


def mls_say(table: pd.DataFrame, totals: pd.DataFrame) -> str:
    """What is odd about MLS in LMPT's Table 2."""
    gap = totals.set_index("where")["difference"]["lmpt/2/mls voc-lt"]
    mls, clip = (_cell(table, address, "voc-lt", "total") for address in ("lmpt/2/mls", "lmpt/1/clip_rn50"))
    same = "which is to the digit" if mls == clip else "which is not"
    return (
        f"**MLS** on VOC-LT is {gap:+.2f} from the mean of its groups. Its total is {mls:.2f}, {same} that of zero-shot CLIP "
        "with ResNet-50 in Table 1."
    )


def fractions_say(table: pd.DataFrame) -> str:
    """PG's groups as sums of whole percents."""
    cells = [_cell(table, "pg/2/pg", "voc-lt", group) for group in GROUPS]
    told = ", ".join(f"{cell:.2f} is {round(cell * size)}/{size}" for cell, size in zip(cells, SIZES["voc-lt"]))
    return f"The row of the full PG loss on VOC-LT: {told}."


def apaf_say(table: pd.DataFrame) -> str:
    """APAF on COCO-LT: the tail that its total asks for, and what one other digit would make of it."""
    sizes = np.array(SIZES["coco-lt"])
    groups = np.array([_cell(table, "pg/5/apaf", "coco-lt", group) for group in GROUPS])
    total = _cell(table, "pg/5/apaf", "coco-lt", "total")
    needed = (sizes.sum() * total - sizes[:2] @ groups[:2]) / sizes[2]
    slipped = groups - [0, 0, 2]
    return (
        f"**APAF** on COCO-LT has a total {total - sizes @ groups / sizes.sum():+.2f} from the mean of its groups. The total "
        f"asks for a tail of {needed:.2f}, printed is {groups[2]:.2f}. With {slipped[2]:.2f} in its place, one digit away, the "
        f"mean would be {sizes @ slipped / sizes.sum():.2f} beside the printed {total:.2f}."
    )


def equal_say(equal: pd.DataFrame) -> str:
    """Of each kind of pair, how many cells differ, and totals by how much. equal: findings with columns column and why."""
    lines, same = [], []
    for why, part in equal.groupby("why", sort=False):
        differ = part[part["verdict"] == "differs"]
        if differ.empty:
            same.append(str(why))
            continue
        gaps = differ.loc[differ["column"] == "total", "difference"]
        of_totals = f", totals by {gaps.min():+.2f} to {gaps.max():+.2f}" if len(gaps) else ""
        lines.append(f"- **{why}**: {len(differ)} of {len(part)} cells differ{of_totals}")
    return "\n".join([*lines, f"- Without a slip: {'; '.join(same)}"])


def losses_say(table: pd.DataFrame) -> str:
    """How many of Table 2's losses lie as close together as one loss does to itself."""
    of_table = table[(table["source"] == "lmpt") & (table["table"] == "2") & (table["dataset"] == "voc-lt")]
    totals = of_table["total"].to_numpy()
    gap = _loss_gap(table)
    most = max(int(((totals >= low) & (totals <= low + gap)).sum()) for low in totals)
    return (
        f"BCE and MLS are {gap:.1f} points apart on VOC-LT. {most} of the {len(totals)} losses of Table 2 lie within so many "
        "points of each other there."
    )


def mean_of_groups(table: pd.DataFrame) -> Number:
    """The exercise: a total from its groups."""
    groups = [_cell(table, "lmpt/1/lmpt_b16", "voc-lt", group) for group in GROUPS]
    printed = ", ".join(f"{group} {cell:.2f}" for group, cell in zip(GROUPS, groups))
    return Number(
        "mean_of_groups",
        f"**Exercise.** LMPT's row with ViT-B/16 on VOC-LT prints {printed}. What total do these groups give?",
        float(np.average(groups, weights=SIZES["voc-lt"])),
        0.006,
        "a mean over classes: each group counts by the number of its classes",
    )


def quiz(table: pd.DataFrame, totals: pd.DataFrame) -> tuple[Choice, ...]:
    shares = _shares(totals)
    order = sorted(shares, key=shares.__getitem__)
    return (
        Choice(
            "least",
            "**Quiz 1.** Whose totals agree least often with their groups?",
            tuple(KINDS[kind] for kind in order),
            f"{shares[order[0]]:.0f} percent of them agree.",
            "the bars of your guess have it",
        ),
        Choice(
            "tells",
            "**Quiz 2.** A printed total is not the mean of its groups. What does that tell for certain?",
            (
                "Not all of the printed digits can be right.",
                "The method does not work.",
                "The groups are right and the total is wrong.",
                "Somebody chose numbers.",
            ),
            "which of the cells is wrong, and why, the print does not tell.",
            "a check of sums sees digits, and no reasons",
        ),
        Choice(
            "one_loss",
            f"**Quiz 3.** MLS and BCE are one loss, printed {_loss_gap(table):.1f} points apart. What follows?",
            (
                "A difference of that size need not come from the loss.",
                "MLS is the better loss.",
                "All losses of the table are equally good.",
                "The table has no true number.",
            ),
            "something else moved the total as much; seeds and an interval would have told.",
            "what else may differ between two trainings?",
        ),
    )


def take_away(totals: pd.DataFrame) -> tuple[str, ...]:
    differ = int((totals["verdict"] == "differs").sum())
    return (
        f"Of {len(totals)} printed totals, {differ} are not the means of their groups by more than rounding.",
        "A failed check is a slip of print until something else is shown; it tells how far a digit can be trusted.",
        "Before two rows are compared: the same ranking, the same protocol, and how far one loss lies from itself.",
    )


def _shares(totals: pd.DataFrame) -> dict[str, float]:
    """Percent of the rows of each kind that agree."""
    agree = 100 * (totals["verdict"] == "agrees").groupby(totals["kind"], sort=False).mean()
    return {str(kind): float(share) for kind, share in agree.items()}


def _cell(table: pd.DataFrame, address: str, dataset: str, column: str) -> float:
    return float(table[(table["address"] == address) & (table["dataset"] == dataset)][column].item())


def _loss_gap(table: pd.DataFrame) -> float:
    """How far MLS and BCE are apart on VOC-LT."""
    return abs(_cell(table, "lmpt/2/mls", "voc-lt", "total") - _cell(table, "lmpt/2/bce", "voc-lt", "total"))
