"""The printed numbers are as printed, and the audit finds what is known to be wrong with them."""

import re

import numpy as np
import pytest

from lmptlib.data.dataset import GROUPS
from lmptlib.published.tables import COLUMNS, KEY, SIZES, audit, published, statements
from lmptlib.suite.lessons.paper_audit import single_label

TABLE, FINDINGS = published(), audit()


def finding(kind, where, what=""):
    found = FINDINGS[(FINDINGS["kind"] == kind) & (FINDINGS["where"] == where)]
    found = found[found["what"].str.contains(what, regex=False)]
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize(
    ("source", "table", "rows"),
    [
        ("lmpt", "1", 2 * 21),
        ("lmpt", "2", 2 * 7),
        ("lmpt", "3", 2 * 5),
        ("pg", "2", 2 * 10),
        ("pg", "3", 2 * 4),
        ("pg", "4", 2 * 4),
        ("pg", "5", 2 * 4),
        ("poster", "1", 26),
        ("poster", "2", 12),
        ("poster", "3", 1),
        ("poster", "ensemble", 4),
        ("poster", "backbones", 18),
        ("dp_vlpa", "unknown", 2),
    ],
)
def test_every_row_is_there(source, table, rows):
    assert ((TABLE["source"] == source) & (TABLE["table"] == table)).sum() == rows


def test_rows_have_one_address_each_and_known_words():
    assert not TABLE.duplicated(KEY).any()
    assert set(TABLE["dataset"]) == {*SIZES, "places-lt", "inaturalist-2018"}
    assert set(TABLE["metric"]) == {"mAP", "accuracy"} and set(TABLE["ranking"]) == {"softmax", "logit", ""}
    numbers = TABLE[COLUMNS].to_numpy()
    assert np.nanmin(numbers) > 0 and np.nanmax(numbers) < 100 and TABLE["total"].notna().all()


def test_a_missing_group_is_explained():
    groups_given = TABLE[list(GROUPS)].notna().sum(axis=1)
    partial = TABLE[groups_given.isin([1, 2])]
    assert partial[KEY].values.tolist() == [["lmpt", "2", "focal", "voc-lt"]]
    assert "medium derived 88.37" in partial["note"].item()


@pytest.mark.parametrize(
    ("address", "dataset", "numbers"),
    [
        ("lmpt/1/ldam", "voc-lt", (70.73, 68.73, 80.38, 69.09)),
        ("lmpt/1/clip_rn50", "voc-lt", (84.30, 63.60, 88.03, 97.03)),
        ("lmpt/1/tai_dpt_rn50", "coco-lt", (56.23, 40.52, 58.40, 66.09)),
        ("lmpt/1/lmpt_b16", "coco-lt", (66.19, 44.89, 69.80, 79.08)),
        ("lmpt/2/asl", "voc-lt", (86.40, 69.12, 88.79, 98.07)),
        ("lmpt/2/bce", "coco-lt", (58.04, 41.79, 58.86, 73.90)),
        ("lmpt/3/embedding", "voc-lt", (87.28, 71.07, 89.01, 97.84)),
        ("pg/2/asl", "coco-lt", (50.21, 49.05, 53.65, 46.68)),
        ("pg/3/pr_both", "voc-lt", (78.44, 73.00, 82.50, 79.75)),
        ("pg/4/pr_fixed_adaptive", "coco-lt", (54.18, 51.05, 57.24, 52.80)),
        ("pg/5/apaf", "coco-lt", (50.79, 49.14, 53.88, 49.96)),
        ("poster/ensemble/ctn_l_with_clip", "imagenet-lt", (69.3, 78.8, 65.5, 55.9)),
        ("poster/ensemble/ctn_l", "imagenet-lt", (67.1, 78.5, 62.8, 50.2)),
        ("poster/1/paco_rn50_clip", "imagenet-lt", (60.2,)),
        ("poster/1/ballad_b16_clip", "imagenet-lt", (75.7,)),
        ("poster/3/ballad_rn50_clip", "inaturalist-2018", (74.2,)),
        ("poster/2/tackle_rn152", "places-lt", (42.6,)),
        ("poster/backbones/zero_shot_rn50", "inaturalist-2018", (2.6,)),
    ],
)
def test_numbers_read_by_eye(address, dataset, numbers):
    found = TABLE.set_index(KEY).loc[(*address.split("/"), dataset), COLUMNS]
    assert tuple(found.dropna()) == numbers


def test_totals_against_their_groups():
    assert finding("total", "lmpt/1/ldam voc-lt")["difference"] == pytest.approx(-1.639)
    assert finding("total", "pg/5/apaf coco-lt")["difference"] == pytest.approx(-0.5615)
    assert finding("total", "lmpt/1/erm voc-lt")["verdict"] == "agrees"
    lost = finding("total", "lmpt/2/focal voc-lt")
    assert lost["computed"] == pytest.approx(88.37) and lost["verdict"] == "cannot be checked"
    own = FINDINGS[(FINDINGS["kind"] == "total") & FINDINGS["where"].str.contains("^lmpt/2/|^lmpt/1/lmpt_")]
    assert own["difference"].abs().max() == pytest.approx(0.82575)
    assert set(own["verdict"]) == {"differs", "cannot be checked"}


def test_one_experiment_printed_twice():
    assert finding("equal", "lmpt/2/bce = lmpt/2/mls voc-lt", "total")["difference"] == pytest.approx(-2.12)
    assert finding("equal", "pg/2/pg = pg/5/apr_apaf voc-lt", "tail")["difference"] == pytest.approx(0.26)
    equal = FINDINGS[FINDINGS["kind"] == "equal"]
    for why in (
        "full method with ViT-B/16",
        "copied from one paper",
        "printed twice",
        "CLIP with ViT",
        "CoOp with ViT",
    ):
        assert set(equal.loc[equal["what"].str.contains(why, regex=False), "verdict"]) == {"agrees"}, why


def test_claims_against_their_tables():
    claims = FINDINGS[FINDINGS["kind"] == "claim"]
    assert len(claims) == len(statements()["claims"])
    assert claims["computed"].notna().all() and (claims["verdict"] != "cannot be checked").all()
    assert finding("claim", "Section 1, voc-lt", "LTML")["computed"] == pytest.approx(6.44)
    assert finding("claim", "Section 1, coco-lt", "LTML")["computed"] == pytest.approx(9.29)
    off = claims[(claims["where"].str.startswith("Table 3")) & (claims["verdict"] == "differs")]
    assert off["printed"].tolist() == [0.51] and off["computed"].item() == pytest.approx(1.5375)
    assert finding("claim", "Section 4.4, voc-lt", "margin and re-weighting")["verdict"] == "agrees"


def test_every_address_is_a_row():
    addresses = set(TABLE["source"] + "/" + TABLE["table"] + "/" + TABLE["row"])
    assert {row for entry in statements()["equal"] for row in entry["rows"]} <= addresses


def test_every_legible_cell_of_the_poster(shared):
    """Against its text, as it was read off the print: each line of a method, with its backbone and its accuracy."""
    text = (shared / "papers" / "ballad_tackle_poster.md").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.replace("RALLAD", "BALLAD").splitlines() if line.count("\t") >= 2]
    printed = {
        (re.sub(r" ?\[.*", "", method), backbone, float(number))
        for method, backbone, number, *_ in lines
        if re.fullmatch(r"\d\d\.\d", number) and not method.startswith(("DeiT", "CTN"))
    }
    for backbone, *cells in lines:
        if backbone.startswith(("ResNet-", "ViT-")):
            numbers = [float(cell.split()[0]) for cell in cells if cell != "-"]
            printed |= {(("zero-shot CLIP", "BALLAD")[i % 2], backbone, number) for i, number in enumerate(numbers)}
    poster = TABLE[(TABLE["source"] == "poster") & (TABLE["table"] != "ensemble")]
    ours = {tuple(row) for row in poster[["method", "backbone", "total"]].values}
    # the two rows whose line is torn in the text, and nothing else, are read by eye
    assert ours - printed == {("BALLAD", "RN50×16*", 49.3), ("BALLAD", "RN50*", 74.2)} and printed < ours


def test_a_row_that_stays_printed_only_says_why():
    poster = TABLE[(TABLE["source"] == "poster") & TABLE["table"].isin(["1", "2", "ensemble"])]
    only = poster["note"].str.startswith("printed only: ")
    assert set(poster.loc[~only, "method"]) == {"BALLAD"}
    not_here = poster["note"].str.contains("a method that is not rebuilt here")
    assert set(poster.loc[not_here, "method"]) == {"RIDE", "PaCo", "ResLT", "TADE", "OLTR"}


def test_many_and_few_name_the_groups_of_accuracies():
    gains = FINDINGS[FINDINGS["what"].str.startswith("CLIP's scores add to TACKLE's")].set_index("what")["computed"]
    few = "poster/ensemble/deit_s_with_clip few - poster/ensemble/deit_s few"
    assert len(gains) == 8 and gains[f"CLIP's scores add to TACKLE's: {few}"] == pytest.approx(58.1 - 52.3)
    shown = single_label(TABLE)
    assert {"many", "medium", "few"} < set(shown.columns) and not {"head", "tail"} & set(shown.columns)
    assert shown[["many", "medium", "few"]].notna().sum().tolist() == [4, 4, 4] and len(shown) == 61
