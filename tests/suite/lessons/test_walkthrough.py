"""Notebook 12: a right answer passes and wrong ones do not, on values worked out apart from the library; its sentences."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lmptlib.suite import notebooks
from lmptlib.suite.lessons import walkthrough
from lmptlib.suite.lessons.lesson import Lesson
from lmptlib.suite.lessons.questions import Guess, Number, Order
from lmptlib.suite.lessons.wording import verdicts


def test_six_in_a_row_are_neighbours_with_three_positives():
    labels = np.array([1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0], bool)
    scores = np.arange(11.0, 0, -1)
    np.testing.assert_array_equal(walkthrough.six_in_a_row(labels, scores), [1, 2, 3, 4, 5, 6])
    shuffled = np.random.default_rng(0).permutation(11)
    found = walkthrough.six_in_a_row(labels[shuffled], scores[shuffled])
    np.testing.assert_array_equal(shuffled[found], [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(walkthrough.six_in_a_row(np.zeros(8, bool), np.arange(8.0)), [7, 6, 5, 4, 3, 2])
    assert len(walkthrough.six_in_a_row(np.array([True, False]), np.array([0.1, 0.2]))) == 2


@pytest.mark.parametrize("difference, sd", [(0.34, 2**0.5), (-1.0, 0.3), (2.0, 0.01)])
def test_seeds_needed_is_where_the_interval_leaves_zero(difference, sd):
    def holds_zero(n: int) -> bool:
        sample = np.linspace(-1, 1, n)
        sample = difference + sd * (sample - sample.mean()) / sample.std(ddof=1)
        low, high = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
        return low <= 0 <= high

    n = walkthrough.seeds_needed(difference, sd)
    assert not holds_zero(n)
    assert n == 2 or holds_zero(n - 1)


def test_no_number_of_seeds_shows_a_difference_of_zero():
    assert walkthrough.seeds_needed(0.0, 1.0) == math.inf


def test_short_caption_has_few_terms_and_a_foreign_class_inside():
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    inside = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]], bool)
    assert walkthrough.short_caption(labels, inside) == 2
    assert walkthrough.short_caption(labels, np.zeros_like(inside)) == 0


def steps(**changes) -> pd.DataFrame:
    """Steps of total and tail under both rankings, as `step_table`, from row -> (difference, half of its interval)."""
    rows = [
        {"ranking": ranking, "before": "before", "row": row, "group": group, "n_seeds": 1, "difference": gap,
         "difference_low": gap - half, "difference_high": gap + half}
        for ranking in ("softmax", "logit") for row, (gap, half) in changes.items() for group in ("total", "tail")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_words_follow_the_sign_of_a_difference_and_its_interval():
    for gap, half, said in (
        (2.0, 1.0, "a gain in"), (-2.0, 1.0, "a loss in"), (-2.0, 3.0, "holds zero in"), (2.0, math.nan, "too few positives"),
    ):  # fmt: skip
        table = steps(part=(gap, half))
        assert said in walkthrough.step_says(table, "part") and "One seed" in walkthrough.step_says(table, "part")
        assert said in walkthrough.parts_say(table, "logit")
        right = walkthrough.quiz(table, "logit")[0].options[0]
        assert {"a gain in": "It gains", "a loss in": "It loses"}.get(said, "It cannot be told") in right
    assert verdicts(steps(part=(math.nan, math.nan))) == ""


def test_guesses_and_the_take_away_have_the_measured_steps():
    table = steps(first=(7.0, 1.0), second=(-1.0, 2.0))
    order = walkthrough.parts_order(table, "logit")
    assert order.right == ["first", "second"] and order.truth == {"first": 7.0, "second": -1.0}
    guess = walkthrough.change_guess(table, "first", "logit", "?")
    assert guess.truth == {"total": 7.0, "tail": 7.0} and guess.bounds == (-10, 10)
    assert "**first**, +7.0" in walkthrough.take_away(table, "logit")[0]
    assert "**second**, -9.0" in walkthrough.take_away(steps(first=(7.0, 1.0), second=(-9.0, 2.0)), "logit")[0]


def test_clip_is_said_to_know_of_the_list_only_where_its_ap_goes_with_it():
    classes = pd.DataFrame({"group": "head", "train": np.arange(2, 22), "ap": np.linspace(10, 90, 20)})
    assert "frequent classes rank better" in walkthrough.clip_says(classes)
    assert "rare classes rank better" in walkthrough.clip_says(classes.assign(ap=classes["ap"][::-1].to_numpy()))
    assert "chance alone" in walkthrough.clip_says(classes.assign(ap=np.tile([10.0, 20.0, 20.0, 10.0], 5)))


def test_classes_of_the_tail_that_move_furthest():
    before = pd.DataFrame(
        {"class": ["a", "b", "c"], "group": ["tail", "tail", "head"], "train": [4, 5, 99], "ap": [50.0, 60, 70]}
    )
    after = before.assign(ap=[40.0, 66, 99])
    assert "a (4 images) by -10.0 and b (5 images) by +6.0" in walkthrough.tail_moves(before, after)
    assert walkthrough.tail_moves(before.assign(group="head"), after) == ""


def code_cells(name: str) -> list[str]:
    cells = json.loads(notebooks.find_notebook(name).read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def by_hand(seen: dict) -> dict[str, float]:
    """The answers, with pencil and paper: from the runs, and no function of the library that makes them."""
    clip, tuned = (seen["made"][row][0].scores() for row in ("CLIP", "soft prompt"))
    labels, counts = clip["labels"], [int(n) for n in seen["dataset"].class_counts]
    frequent, rarest = max(counts), min(counts)
    shown, six = walkthrough.six_images(seen["made"]["CLIP"][0])
    there = [bool(y) for y in labels[six, shown]]
    precisions = [sum(there[: i + 1]) / (i + 1) for i, y in enumerate(there) if y]
    scale = seen["made"]["CLIP"][0].config["logit_scale"]
    share = (1 / frequent) / (1 / frequent + 1 / rarest)
    negatives = [1 - sigmoid(float(z)) for z, y in zip(tuned["logits"][six, shown], there) if not y]
    captions, prompts = seen["captions"].double().numpy(), seen["prompts"]["CLIP"].double().numpy()
    # where next to nothing lies inside a margin, the first caption with the fewest terms
    distance, targets = 1 - captions @ prompts.T, seen["dataset"].train.labels
    k = walkthrough.short_caption(targets, distance < np.array(counts) ** -0.25)
    terms = [
        (far if y else max(0, n**-0.25 - far)) / n / sum(1 / m for m in counts)
        for n, far, y in zip(counts, distance[k], targets[k])
    ]
    return {
        "ap": sum(precisions) / len(precisions),
        "gradient": sigmoid(scale * clip["scores"][labels].mean()) - 1,
        "re-balanced": 0.1 + sigmoid(10 * (share - 0.3)),
        "confidence": sum(negatives) / len(negatives),
        "margin": math.sqrt(math.sqrt(frequent / rarest)),
        "weight": frequent / rarest,
        "caption": sum(terms),
        "seeds": (1.99 * 2**0.5 / (87.62 - 87.28)) ** 2,
    }


@pytest.fixture
def run_cells(tiny, tmp_path, monkeypatch):
    """Run the notebook's cells on the tiny card: what they leave, what they ask, and what they say before it."""
    monkeypatch.setattr("plotly.graph_objects.Figure.show", lambda figure: None)

    def run() -> tuple[dict, list, list[str]]:
        asked, said, seen = [], [], {"display": lambda *shown: None}
        monkeypatch.setattr(Lesson, "ask", lambda lesson, *questions: asked.extend(questions))
        for kind in ("predict", "work_out"):
            monkeypatch.setattr(Lesson, kind, lambda lesson, question, *results: asked.append(question))
        monkeypatch.setattr(Lesson, "say", lambda lesson, *sentences: said.extend(filter(None, sentences)))
        first, *rest = code_cells("walkthrough")
        exec(first, seen)
        seen |= {"dataset": str(tiny.path), "epochs": 1, "batch_size": 8, "preset": "voc-lt", "out": str(tmp_path)}
        for cell in rest:
            exec(cell, seen)
        return seen, asked, said

    return run


def test_the_walkthrough_takes_right_answers_and_no_others(run_cells, capsys):
    seen, asked, said = run_cells()
    assert "head from 100 training images on, medium from 20" in said[0]
    numbers = {question.key: question for question in asked if isinstance(question, Number)}
    right = by_hand(seen)
    assert list(numbers) == list(right)
    for key, value in right.items():
        assert numbers[key].verdict(str(value)) == (True, "right"), key
        assert numbers[key].verdict(str(1.2 * value))[1].startswith("not yet: "), key
    printed = capsys.readouterr().out
    assert "5 to make" in printed and "mAP" not in printed, "no result stands there before it was guessed"
    kinds = [type(question) for question in asked if isinstance(question, (Guess, Order))]
    assert kinds == [Guess] * 5 + [Order]


def test_without_captions_the_parts_that_need_them_are_equations(run_cells, tiny):
    tiny.edit(captions=None)
    seen, asked, said = run_cells()
    assert list(seen["made"]) == ["CLIP", "soft prompt"] and any("has no captions" in sentence for sentence in said)
    numbers = {question.key: question for question in asked if isinstance(question, Number)}
    assert numbers["caption"].verdict("1")[0] is None and numbers["margin"].expected > 0
