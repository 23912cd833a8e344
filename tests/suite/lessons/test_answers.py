"""Answers are read as people write them, and their file outlives what happens around it."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lmptlib.suite.cli.main import main
from lmptlib.suite.lessons.answers import Answer, Answers, class_results, given_now, read_number

ANSWER = Answer(kind="number", asked="how many?")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.81", [0.81]), ("0,81", [0.81]), (" .5 ", [0.5]), ("29/36", [29 / 36]), ("29 / 36", [29 / 36]), ("81 %", [0.81]),
        ("81%", [0.81]), ("0,5 %", [0.005]), ("−3", [-3]), ("1e-3", [1e-3]), ("1,142", [1.142, 1142]), ("1 142", [1142]),
        ("", []), ("a lot", []), ("1/0", []), ("nan", []), ("inf", []), ("0.8.1", []), ("1_0", []), ("--1", []), ("%", []),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text, values):
    assert read_number(text) == pytest.approx(values)


def test_percent_stays_percent_where_it_is_asked_for():
    assert read_number("81 %", percent=True) == [81.0] and 81.0 in read_number("81", percent=True)
    assert 81.0 in read_number("0.81", percent=True) and 75.0 in read_number("27/36", percent=True)


@given(st.integers(-999, 999), st.integers(1, 999))
def test_fractions(top, bottom):
    assert read_number(f"{top}/{bottom}") == pytest.approx([float(Fraction(top, bottom))])


def test_the_file_keeps_the_last_answer_and_counts_tries(tmp_path):
    answers = Answers(tmp_path / "out" / "answers.json")
    assert answers.read() == {} and answers.get("00", "ratio") is None
    first = given_now(ANSWER, "3", False)
    answers.put("00", "ratio", first)
    answers.put("00", "ratio", given_now(first, "4", True))
    kept = Answers(answers.path).get("00", "ratio")
    assert (kept.given, kept.right, kept.tries) == ("4", True, 2) and kept.time


def test_answers_that_come_at_once_are_all_kept(tmp_path):
    answers = Answers(tmp_path / "answers.json")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: answers.put("00", f"q{i}", ANSWER), range(40)))
    assert len(answers.read()["00"]) == 40


@pytest.mark.parametrize("text", ["", "[]", "{", '{"00": {"q": {"right": "perhaps"}}}', '{"00": {"q": {"mark": 1}}}'])
def test_a_damaged_file_is_named_and_not_lost(tmp_path, text):
    path = tmp_path / "answers.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"answers.json: not a file of answers.*move it away"):
        Answers(path).put("00", "q", ANSWER)
    assert path.read_text() == text


def _file(path, **right):
    answers = Answers(path / "answers.json")
    for key, value in right.items():
        answers.put("00_start_here", key, ANSWER if value is None else given_now(ANSWER, "1", value))
    answers.put("00_start_here", "groups", given_now(Answer(kind="guess", asked="?"), {"head": 1.0}, None))
    return answers


def test_a_class_is_counted_by_file_and_by_question(tmp_path):
    files = {"a": _file(tmp_path / "a", one=True, two=False), "b": _file(tmp_path / "b", one=True, two=None)}
    by_file, by_question = class_results(files)
    assert by_file["00_start_here"].tolist() == ["1/2", "1/2"] and by_file["right"].tolist() == [1, 1]
    assert by_question["question"].tolist() == ["two", "one"], "the hardest first, and no guess"
    assert by_question["answered"].tolist() == [1, 2] and by_question["right"].tolist() == [0, 2]


def test_the_command_for_the_teacher(tmp_path):
    _file(tmp_path / "anna", one=True), _file(tmp_path / "ben", one=False)
    paths = [str(tmp_path / name / "answers.json") for name in ("anna", "ben")]
    result = CliRunner().invoke(main, ["answers", *paths])
    assert result.exit_code == 0 and "anna" in result.output and "1/1" in result.output and "0/1" in result.output
    bad = tmp_path / "bad.json"
    bad.write_text("no")
    result = CliRunner().invoke(main, ["answers", paths[0], str(bad)])
    assert (
        result.exit_code == 1
        and "bad.json: not a file of answers" in result.output
        and "Traceback" not in result.output
    )
    result = CliRunner().invoke(main, ["answers", str(tmp_path / "none.json")])
    assert result.exit_code == 1 and "no file" in result.output
    table = CliRunner().invoke(main, ["answers", "--csv", *paths]).output
    assert table.splitlines()[0].startswith("file,notebook,question")
