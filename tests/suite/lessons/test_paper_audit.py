"""What notebook 13 says, against the printed tables and their audit."""

import pytest

from lmptlib.published.tables import audit, published
from lmptlib.suite.figures import printed_figures
from lmptlib.suite.lessons import paper_audit


@pytest.fixture(scope="module")
def findings():
    return audit()


@pytest.fixture(scope="module")
def totals(findings):
    return paper_audit.total_checks(findings, paper_audit.multi_label(published()))


def claims(findings, what, where=""):
    found = findings[(findings["kind"] == "claim") & findings["what"].str.startswith(what)]
    return found[found["where"].str.startswith(where)].set_index("where")


def test_each_row_is_of_one_kind():
    rows = paper_audit.multi_label(published()).set_index("address")
    kinds = rows["kind"].groupby(level=0).first()
    expected = {
        "lmpt/1/ltml": "copied",
        "pg/2/asl": "copied",
        "lmpt/1/coop_b16": "CLIP, others",
        "lmpt/3/clip": "CLIP, others",
    }
    expected |= {"lmpt/2/bce": "LMPT's own", "lmpt/1/lmpt_rn50": "LMPT's own", "pg/2/db_focal": "PG's own"}
    assert {address: kinds[address] for address in expected} == expected
    assert set(rows["kind"]) - set(paper_audit.KINDS) == {""} and set(rows.index[rows["kind"] == ""]) == {
        "dp_vlpa/unknown/dp_vlpa"
    }


def test_shares_and_sentences_are_those_of_the_audit(totals):
    # counted by hand from the printed tables
    assert totals.groupby("kind").size().to_dict() == {
        "copied": 38,
        "CLIP, others": 20,
        "LMPT's own": 23,
        "PG's own": 28,
    }
    guess = paper_audit.shares_guess(totals)
    assert guess.truth == pytest.approx(
        {"copied": 3400 / 38, "CLIP, others": 75, "LMPT's own": 0, "PG's own": 500 / 28}
    )
    told = paper_audit.totals_say(totals)
    assert "0 of 23 agree" in told and "5 of 28 agree" in told and "lmpt/1/ldam voc-lt -1.64" in told
    assert paper_audit.quiz(published(), totals)[0].options[0] == paper_audit.KINDS["LMPT's own"]
    assert "Of 109 printed totals, 55" in paper_audit.take_away(totals)[0]
    figure = printed_figures.total_differences(totals)
    assert sum(len(trace.x) for trace in figure.data) == len(totals)


def test_single_cells(totals):
    table = published()
    assert paper_audit.mean_of_groups(table).expected == pytest.approx((6 * 72.10 + 6 * 89.26 + 8 * 98.49) / 20)
    assert "84.30, which is to the digit" in paper_audit.mls_say(table, totals)
    changed = table.assign(total=table["total"].where(table["address"] != "lmpt/1/clip_rn50", 84.31))
    assert "which is not" in paper_audit.mls_say(changed, totals)
    assert "73.67 is 442/6, 83.83 is 503/6, 82.88 is 663/8" in paper_audit.fractions_say(table)
    assert "a tail of 48.16, printed is 49.96" in paper_audit.apaf_say(table)
    assert "5 of the 7 losses" in paper_audit.losses_say(table)


def test_pairs_are_counted(findings):
    equal = findings[findings["kind"] == "equal"].copy()
    equal[["column", "why"]] = equal["what"].str.split(": ", n=1, expand=True)
    told = paper_audit.equal_say(equal)
    assert "8 of 8 cells differ, totals by -3.22 to -2.12" in told
    same = told.splitlines()[-1]
    assert "copied from one paper" in same and "MLS" not in same


def test_what_the_notebook_says_of_the_claims(findings):
    """Sentences without numbers that stand in its text."""
    for what in ("above the former best, LTML", "above zero-shot CLIP"):
        gains = claims(findings, what, "Section 1")
        assert list(gains["computed"].round()) == list(gains["printed"])[::-1] and gains["verdict"].eq("differs").all()
    assert (claims(findings, "head and tail rise together, read against zero-shot")["computed"] > 0).all()
    assert claims(findings, "head and tail rise together, read against the former")["verdict"].eq("differs").sum() == 2
    assert claims(findings, "average gain")["verdict"].eq("differs").sum() == 1
    tail = claims(findings, "zero-shot CLIP's tail")
    assert (tail["computed"] > tail["printed"]).all()
    assert (claims(findings, "above the former best, read against LTML")["computed"] < 0).all()
    poster = findings[(findings["source"] == "poster") & (findings["kind"] == "claim")]
    assert poster["verdict"].eq("agrees").all()


def test_figures_hold_every_row():
    rows = paper_audit.multi_label(published())
    cells = printed_figures.printed_cells(rows)
    assert sum(len(trace.y) for trace in cells.data) == rows[["total", "head", "medium", "tail"]].notna().sum().sum()
    main = rows[rows["table"] == "1"].assign(label=rows["address"])
    assert {label for trace in printed_figures.printed_rows(main).data for label in trace.y} == set(main["label"])
