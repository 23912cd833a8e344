"""Exercises: a right answer passes and wrong ones do not, on values worked out apart from the library."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from lmptlib.suite import notebooks
from lmptlib.suite.analysis import lessons
from lmptlib.suite.widgets.exercise import exercise


def test_an_answer_is_right_within_the_tolerance_and_else_gets_the_hint(capsys):
    for given, said in ((0.5, "right"), (0.51, "right"), (0.48, "not yet: halve it"), (None, "not answered yet")):
        lessons.check("exercise 1", given, 0.5, 0.011, "halve it")
        assert capsys.readouterr().out == f"exercise 1: {said}\n"
    lessons.check("exercise 1", 0.5, math.nan, 0.011, "halve it")
    assert "cannot be asked" in capsys.readouterr().out
    assert lessons.verdict(0.0, 1e-3, 1e-4, "smaller") == "not yet: smaller"


def test_the_answer_in_the_field_is_checked_by_the_button():
    row, answer = exercise("exercise 1", 0.5, 0.01, "halve it").children
    field, button = row.children
    assert answer.value == "not answered yet"
    for value, said in ((0.7, "not yet: halve it"), (0.5, "right"), (-0.5, "not yet: halve it")):
        field.value = value
        button.click()
        assert answer.value == said


def test_six_in_a_row_are_neighbours_with_three_positives():
    labels = np.array([1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0], bool)
    scores = np.arange(11.0, 0, -1)
    np.testing.assert_array_equal(lessons.six_in_a_row(labels, scores), [1, 2, 3, 4, 5, 6])
    shuffled = np.random.default_rng(0).permutation(11)
    found = lessons.six_in_a_row(labels[shuffled], scores[shuffled])
    np.testing.assert_array_equal(shuffled[found], [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(lessons.six_in_a_row(np.zeros(8, bool), np.arange(8.0)), [7, 6, 5, 4, 3, 2])
    assert len(lessons.six_in_a_row(np.array([True, False]), np.array([0.1, 0.2]))) == 2


@pytest.mark.parametrize("difference, sd", [(0.34, 2**0.5), (-1.0, 0.3), (2.0, 0.01)])
def test_seeds_needed_is_where_the_interval_leaves_zero(difference, sd):
    def holds_zero(n: int) -> bool:
        sample = np.linspace(-1, 1, n)
        sample = difference + sd * (sample - sample.mean()) / sample.std(ddof=1)
        low, high = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
        return low <= 0 <= high

    n = lessons.seeds_needed(difference, sd)
    assert not holds_zero(n)
    assert n == 2 or holds_zero(n - 1)


def test_no_number_of_seeds_shows_a_difference_of_zero():
    assert lessons.seeds_needed(0.0, 1.0) == math.inf


def test_answers_are_read_by_their_numbers():
    assert lessons.read_answers("1: 0.7, 5: 3e-1", 5) == {1: 0.7, 5: 0.3} and lessons.read_answers(None, 5) == {}
    for text in ("0.7", "one: 0.7", "1: 0.7; 5: 0.3", "1: ?"):
        with pytest.raises(ValueError, match=r"answers must be like '1: 0\.7, 5: 0\.3', not"):
            lessons.read_answers(text, 5)
    with pytest.raises(ValueError, match="no exercise 6 to answer: they are 1 to 5"):
        lessons.read_answers("6: 1", 5)


def test_short_caption_has_few_terms_and_a_foreign_class_inside():
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    inside = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]], bool)
    assert lessons.short_caption(labels, inside) == 2
    assert lessons.short_caption(labels, np.zeros_like(inside)) == 0


def test_caption_distances_are_those_of_own_and_other_classes():
    captions = np.array([[1.0, 0.0], [0.6, 0.8]])
    prompts = {"before": np.array([[1.0, 0.0], [0.0, 1.0]])}
    table = lessons.caption_distances(captions, prompts, np.array([[True, False], [True, False]])).set_index("side")
    assert table.loc["own", "median"] == pytest.approx((0 + 0.4) / 2)
    assert table.loc["other", "median"] == pytest.approx((1 + 0.2) / 2)


def code_cells(name: str) -> list[str]:
    cells = json.loads(notebooks.find_notebook(name).read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def by_hand(seen: dict) -> dict[int, float]:
    """The answers, with pencil and paper: from what the notebook shows, and no function of the library."""
    answers, counts = {}, [int(n) for n in seen["counts"]]
    frequent, rarest = max(counts), min(counts)
    there = [bool(y) for y in seen["labels"][seen["six"], seen["shown"]]]
    precisions = [sum(there[: i + 1]) / (i + 1) for i, y in enumerate(there) if y]
    answers[1] = sum(precisions) / len(precisions)
    answers[2] = sigmoid(seen["scale"] * seen["mean_cosine"]) - 1
    share = (1 / frequent) / (1 / frequent + 1 / rarest)
    answers[3] = 0.1 + sigmoid(10 * (share - 0.3))
    negatives = [1 - sigmoid(float(z)) for z, y in zip(seen["logits"][:, 0], there) if not y]
    answers[4] = sum(negatives) / len(negatives)
    answers[5] = 1 / math.sqrt(math.sqrt(rarest))
    answers[6] = frequent / rarest
    whole = sum(1 / n for n in counts)
    terms = []
    for c, n in enumerate(counts):
        far = float(seen["distance"][seen["k"], c])
        terms.append(far if seen["there"][seen["k"], c] else max(0, n**-0.25 - far))
        terms[-1] *= 1 / n / whole
    answers[7] = sum(terms)
    answers[8] = (1.99 * 2**0.5 / (87.62 - 87.28)) ** 2
    return answers


def test_the_walkthrough_takes_right_answers_and_no_others(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("plotly.graph_objects.Figure.show", lambda figure: None)
    cells = code_cells("walkthrough")
    settings = {"dataset": str(tiny.path), "epochs": 1, "batch_size": 8, "preset": "voc-lt", "out": str(tmp_path)}

    def said(answers: dict[int, float]) -> tuple[dict, list[str]]:
        seen = {"display": lambda *shown: None}
        exec(cells[0], seen)
        written = ", ".join(f"{number}: {answer}" for number, answer in answers.items())
        seen |= settings | {"answers": written, "interactive": False}
        for cell in cells[1:]:
            exec(cell, seen)
        return seen, [line for line in capsys.readouterr().out.splitlines() if line.startswith("exercise ")]

    seen, lines = said({})
    assert [line.partition(": ")[2] for line in lines] == 8 * ["not answered yet"]
    right = by_hand(seen)
    _, lines = said(right)
    assert lines == [f"exercise {i}: right" for i in range(1, 9)]
    _, lines = said({name: 1.2 * value for name, value in right.items()})
    assert len(lines) == 8 and all(": not yet: " in line for line in lines)
