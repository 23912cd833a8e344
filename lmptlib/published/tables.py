"""The numbers that papers printed, and an audit of them: do they agree with each other and with their own text?

`published.csv` has one line a printed row; `claims.yaml` has the rows that are one experiment printed twice,
and what the papers' text says about their tables. A cell is called by its address: `lmpt/1/clip_b16 total` is source,
table, row and column. Sources: lmpt (arXiv:2305.04536), pg (Lin, "Probability Guided Loss"), poster (BALLAD and TACKLE),
dp_vlpa (AAAI 2026).
"""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from lmptlib.data.dataset import GROUPS, MANY_TO_FEW

KEY = ["source", "table", "row", "dataset"]
COLUMNS = ["total", *GROUPS]
# Classes in the head, medium and tail group.
SIZES = {"voc-lt": (6, 6, 8), "coco-lt": (22, 33, 25), "imagenet-lt": (385, 479, 136)}
ROUNDING = {"mAP": 0.005, "accuracy": 0.05}  # half of the last printed digit


def published() -> pd.DataFrame:
    """Every printed row: source, table, dataset, row, address (source/table/row), method, backbone, metric, ranking, total,
    head, medium, tail, note.

    Numbers are in percent; of accuracies, head, medium and tail are many, medium and few. A cell that is not in print is
    NaN, and `note` says why. `ranking` is empty where nobody states it.
    """
    table = pd.read_csv(Path(__file__).with_name("published.csv"), dtype=dict.fromkeys(COLUMNS, float) | {"table": str})
    table.insert(4, "address", table["source"] + "/" + table["table"] + "/" + table["row"])
    return table.fillna(dict.fromkeys(("backbone", "ranking", "note"), ""))


def statements() -> dict[str, list[dict]]:
    """What should hold: `equal`, rows that are one experiment, and `claims`, what the text says about the tables."""
    return yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8"))


def audit() -> pd.DataFrame:
    """Every check of the printed numbers: kind, source, where, what, printed, computed, difference, verdict.

    Kinds: `total` against the mean of its groups, `equal` cells of one experiment, and `claim` of a text against its
    tables. The verdict is agrees, differs (by more than rounding explains), or cannot be checked (a cell is missing).
    """
    table, stated = published(), statements()
    found = [*_totals(table), *_equals(table, stated["equal"]), *_claims(table, stated["claims"])]
    findings = pd.DataFrame(found, columns=["kind", "source", "where", "what", "printed", "computed", "slack"])
    difference = (findings["printed"] - findings["computed"]).round(6)
    agrees = np.where(difference.abs() <= findings.pop("slack") + 1e-6, "agrees", "differs")
    findings["difference"], findings["verdict"] = difference, np.where(difference.isna(), "cannot be checked", agrees)
    without_number = findings["printed"].isna() & findings["computed"].notna()
    gain = (findings["kind"] == "claim") & without_number  # a claim that says no more than "better"
    findings.loc[gain, "verdict"] = np.where(findings.loc[gain, "computed"] > 0, "agrees", "differs")
    return findings


def _totals(table: pd.DataFrame) -> list[tuple]:
    """The total of all classes is the mean of the groups, weighted by their sizes. A single missing group is derived."""
    findings = []
    comparable = table["dataset"].isin(list(SIZES)) & (table[list(GROUPS)].notna().sum(axis=1) >= 2)
    for row in table[comparable].to_dict("records"):
        where, source, total = f"{row['address']} {row['dataset']}", row["source"], row["total"]
        sizes, groups = np.array(SIZES[row["dataset"]]), np.array([row[group] for group in GROUPS])
        for group in np.flatnonzero(np.isnan(groups)):
            derived = (sizes.sum() * total - np.nansum(sizes * groups)) / sizes[group]
            findings.append(("total", source, where, f"{GROUPS[group]}, from the total", np.nan, derived, 0.0))
        if not np.isnan(groups).any():
            mean = (sizes * groups).sum() / sizes.sum()
            what = "total = mean of the groups by size"
            findings.append(("total", source, where, what, total, mean, 2 * ROUNDING[row["metric"]]))
    return findings


def _equals(table: pd.DataFrame, equal: list[dict]) -> list[tuple]:
    """Rows of one experiment have the same cells: each row against the first, in every data set that both have."""
    findings = []
    for entry in equal:
        first, *others = (_row(table, address) for address in entry["rows"])
        for address, other in zip(entry["rows"][1:], others):
            for dataset in first.index.intersection(other.index):
                where = f"{entry['rows'][0]} = {address} {dataset}"
                for column in COLUMNS:
                    pair = first[column][dataset], other[column][dataset]
                    if not np.isnan(pair).all():
                        what = f"{column}: {entry['why']}"
                        findings.append(("equal", address.split("/")[0], where, what, *pair, 0.0))
    return findings


def _claims(table: pd.DataFrame, claims: list[dict]) -> list[tuple]:
    """What a text says, computed from the cells that `how` names; a claim without a `value` is a gain of any size."""
    findings = []
    for claim in claims:
        cells = [_cell(table, address, claim["dataset"]) for address in claim["how"].split(" - ")]
        computed = cells[0] - sum(cells[1:])
        text = str(claim.get("value", "nan"))
        printed_to = 10.0 ** -len(text.partition(".")[2])
        slack = 0.5 * printed_to + len(cells) * (0.05 if claim["source"] == "poster" else 0.005)
        where, what = f"{claim['place']}, {claim['dataset']}", f"{claim['what']}: {claim['how']}"
        findings.append(("claim", claim["source"], where, what, float(text), computed, slack))
    return findings


def _row(table: pd.DataFrame, address: str) -> pd.DataFrame:
    """The cells of one row (`lmpt/1/clip_b16`), by data set."""
    rows = table[table["address"] == address].set_index("dataset")
    if rows.empty:
        raise KeyError(f"published.csv has no row {address}")
    return rows[COLUMNS]


def _cell(table: pd.DataFrame, address: str, dataset: str) -> float:
    """One cell (`lmpt/1/clip_b16 tail`, of accuracies `few`); the column `mean` is that of total, head, medium and tail."""
    row, column = address.split()
    cells = _row(table, row).T[dataset]
    named = cells.rename({group: shown for group, shown in MANY_TO_FEW.items() if column == shown})
    return cells.mean(skipna=False) if column == "mean" else named[column]
