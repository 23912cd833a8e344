"""What notebook 09 says and asks follows from its runs: on curves made by hand, and on two real runs."""

import numpy as np
import pandas as pd
import pytest

from lmptlib.data.loading import load_dataset
from lmptlib.suite.analysis import probabilities
from lmptlib.suite.analysis.landscape import landscape
from lmptlib.suite.lessons import probability_control
from lmptlib.sweeps.grid import read_sweep


class Curves:
    """Stands in for a run of two epochs whose groups have the same curves, but for the tail, which has no classes."""

    def __init__(self, positive, negative):
        self.ends = positive, negative

    def probabilities(self, every):
        steps = pd.DataFrame({"step": [0, 1], "positive": [0.5, self.ends[0]], "negative": [0.5, self.ends[1]]})
        tail = steps.assign(positive=np.nan, negative=np.nan, group="tail")
        return pd.concat([steps.assign(group="head"), steps.assign(group="medium"), tail])


@pytest.fixture
def made():
    rows = {row: [Curves(0.6, 0.8)] for row in read_sweep("probabilities").rows}
    rows |= {"figure 3: l1- 5": [Curves(0.3, 0.4)], "figure 1: pg": [Curves(0.6, 0.7)]}
    return {
        "prompts": rows,
        "linear probe": {**rows, "figure 3: l1- 5": [Curves(0.8, 0.4)], "figure 1: bce": [Curves(0.9, 0.95)]},
    }


def test_arrows_in_words(made):
    pushed = pd.concat({kind: probabilities.arrows(rows) for kind, rows in made.items()}, names=["run"])
    prompts, probe = probability_control.agreement(pushed).split("With **linear probe**")
    assert "λ1− on positives" not in prompts and "λ1− on positives, printed ↓, measured ↑" in probe
    down = probability_control.both_down(pushed)
    assert "With **prompts** both fall in head and medium." in down
    assert "With **linear probe** there is no group in which both fall; in the others: head (positives +0.10" in down
    # half of the move, for the area below a straight line
    assert probability_control.factor_guess(pushed).truth["λ1−"] == pytest.approx((0.3 - 0.6) / 2)


def test_the_papers_sentences_and_their_verdicts(made):
    tables = {kind: probabilities.statements(rows) for kind, rows in made.items()}
    counted = probability_control.count(tables)
    assert f"{(tables['prompts']['verdict'] == 'holds').sum()} hold" in counted
    shown = probability_control.sentences(tables)
    assert shown.loc[0, "prompts"] == "0.700 < 0.600: does not hold" and shown.loc[0, "linear probe"].endswith(
        ": holds"
    )
    assert "does not hold with prompts. A likely reason" in probability_control.reasons(tables)
    asked = probability_control.quiz(tables)[0]
    verdicts = {kind: table.set_index("statement")["verdict"] for kind, table in tables.items()}
    right, *wrong = asked.options
    assert all(table[right] == "holds" for table in verdicts.values())
    assert wrong and all("does not hold" in {table[option] for table in verdicts.values()} for option in wrong)
    guess = probability_control.gap_guess(made)
    assert guess.truth["pg"] == pytest.approx(0.1 / 2) and guess.known["bce"] == pytest.approx(0.05 / 2)
    assert "0.60 in the end" in probability_control.starts(made) and "0.90 in the end" in probability_control.starts(
        made
    )


def test_trust_in_probabilities():
    rows = [("bce", 0.1, 0.1, 90), ("bce", 0.8, 0.7, 10), ("pg", 0.4, 0.1, 90), ("pg", 0.7, 0.9, 10)]
    table = pd.DataFrame(rows, columns=["run", "stated", "observed", "count"]).assign(panel="linear probe")
    trust = probability_control.trust(table)
    assert trust["distance"].tolist() == pytest.approx([0.01, 0.9 * 0.3 + 0.1 * 0.2])
    said = probability_control.trusted(trust)
    assert "`bce` is nearest" in said and "`bce` promise too much; `pg` promise too little" in said
    assert probability_control.half(table).verdict("70 %")[0]


def test_every_question_has_a_key_of_its_own(made):
    tables = {kind: probabilities.statements(rows) for kind, rows in made.items()}
    pushed = pd.concat({kind: probabilities.arrows(rows) for kind, rows in made.items()}, names=["run"])
    reliability = pd.DataFrame([["linear probe", "bce", 0.5, 0.5]], columns=["panel", "run", "stated", "observed"])
    guesses = probability_control.gap_guess(made), probability_control.factor_guess(pushed)
    numbers = probability_control.half(reliability), probability_control.slope()
    keys = [question.key for question in (*guesses, *numbers, *probability_control.quiz(tables))]
    assert len(set(keys)) == len(keys)
    assert guesses[1].bounds == (-1, 1), "a probability may change by one"


def test_factors_by_their_formula(tiny):
    steep = probability_control.steep_negatives(load_dataset(str(tiny.path)))
    assert steep["loss"].nunique() == 3 and "multiplies the push" in probability_control.opening(steep)
    at_shift = landscape(
        ["pr"],
        np.array([200]),
        400,
        settings={"pr": {"l1_neg": 5.0, "l2_neg": 1.0, "l1_pos": 1.0, "l2_pos": 1.0}},
        z=[0.0],
    )
    pushed = at_shift.query("side == 'negative'")["gradient"].item()
    assert probability_control.slope().expected == pytest.approx(pushed)


def test_the_ranking_has_the_sign_of_the_difference(make_run):
    rows = {f"figure 1: {loss}": [make_run(method="coop", loss=loss)] for loss in ("bce", "focal")}
    totals = [runs[0].metrics["scores"]["logit"]["total"] for runs in rows.values()]
    assert f"`focal` {totals[1] - totals[0]:+.1f}" in probability_control.ranking({"prompts": rows})
