"""Questions in their widgets: checked, told, kept, restored; and the truth alone in batch."""

from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image

from lmptlib.suite.lessons.answers import Answers
from lmptlib.suite.lessons.lesson import Lesson
from lmptlib.suite.lessons.questions import NOT_ASKED, Choice, Guess, Number, Order
from lmptlib.suite.lessons.views import ChoiceView, GuessView, NumberView, OrderView, view
from lmptlib.suite.widgets.tables import Paged

NUMBER = Number("share", "Which **share**?", 29 / 36, 0.01, "count the *yes*")
CHOICE = Choice("side", "Which side?", ("the right one", "a wrong one", "another"), "it is so", "look again")
GUESS = Guess("groups", "Where?", {"head": 60.0, "tail": 20.0}, "mAP (%)", (0, 100), known={"head": 30.0, "tail": 40.0})
ORDER = Order("losses", "Which is best?", {"bce": 3.0, "db": 1.0, "pg": 2.0}, "mAP (%)")


@pytest.fixture
def answers(tmp_path) -> Answers:
    return Answers(tmp_path / "answers.json")


@pytest.mark.parametrize("text", ["0.81", "0,81", "29/36", "81 %", "80.6%"])
def test_a_number_is_right_in_every_spelling(answers, text):
    shown = view(NUMBER, "00", answers)
    assert isinstance(shown, NumberView)
    shown.field.value = text
    shown.field._handle_custom_msg({"event": "submit"}, [])
    assert "✓" in shown.told.value and answers.get("00", "share").right is True


def test_a_wrong_number_has_the_hint_and_editing_takes_it_away(answers):
    shown = NumberView(NUMBER, "00", answers)
    assert answers.get("00", "share").tries == 0, "asked, and open"
    shown.field.value = "0.5"
    shown.check()
    assert "✗" in shown.told.value and "count the" in shown.told.value and "0.80" not in shown.told.value
    shown.field.value = "0.51"
    assert shown.told.value == ""
    shown.field.value = "much"
    shown.check()
    assert "not a number" in shown.told.value and answers.get("00", "share").tries == 1


def test_what_cannot_be_asked_is_said(answers):
    number = Number("share", "?", float("nan"), 0.1, "")
    assert number.verdict("1") == (None, NOT_ASKED)


def test_answers_are_there_again_in_a_new_kernel(answers):
    first = NumberView(NUMBER, "00", answers)
    assert not first.told.value
    first.field.value = "0.81"
    first.check()
    again = NumberView(NUMBER, "00", answers)
    assert again.field.value == "0.81" and "✓" in again.told.value
    ChoiceView(CHOICE, "00", answers).field.value = "a wrong one"
    assert ChoiceView(CHOICE, "00", answers).field.value == "a wrong one"
    first = GuessView(GUESS, "00", answers)
    first.sliders["head"].value = 55
    first.reveal()
    again = GuessView(GUESS, "00", answers)
    assert again.given == {"head": 55, "tail": 40} and again.hidden.layout.display == "flex"
    assert "12.5" in again.told.value, "off by 5 and 20"


def test_an_answer_on_other_data_is_none_to_this_question_and_stays_until_there_is_one(answers):
    first = NumberView(NUMBER, "00", answers)
    first.field.value = "0.81"
    first.check()
    other = NumberView(replace(NUMBER, expected=0.5), "00", answers)
    assert not other.field.value and not other.told.value and answers.get("00", "share").right
    assert NumberView(NUMBER, "00", answers).field.value == "0.81"
    other.field.value = "0.4"
    other.check()
    assert answers.get("00", "share").right is False and not NumberView(NUMBER, "00", answers).field.value


@pytest.mark.parametrize("text", ["81", "81 %", "0.81", "0,81", "81/100"])
def test_what_is_asked_in_percent_is_right_in_every_spelling(text):
    assert Number("share", "?", 81.0, 0.5, "", "%").verdict(text) == (True, "right")


def test_two_questions_of_one_key_are_refused(tmp_path):
    lesson = Lesson("00_start_here", tmp_path, interactive=False)
    lesson.ask(NUMBER)
    lesson.ask(NUMBER)
    with pytest.raises(ValueError, match="two questions are called 'share'"):
        lesson.ask(replace(CHOICE, key="share"))


def test_a_choice_does_not_stand_where_the_right_one_is(answers):
    shown = ChoiceView(CHOICE, "00", answers)
    assert list(shown.field.options) == sorted(CHOICE.options) and shown.field.value is None
    shown.field.value = "the right one"
    assert "it is so" in shown.told.value and answers.get("00", "side").right


def test_a_guess_hides_the_truth_until_it_is_revealed(answers):
    secret = go.Figure(go.Bar(x=["head"], y=[60.0]))
    shown = GuessView(GUESS, "00", answers, (secret, "it was **60**"))
    before = [list(trace.y) for trace in shown.figure.data]
    assert [60.0, 20.0] not in before and shown.hidden.layout.display == "none"
    assert not shown.hidden.children[0].data, "not even hidden in the page"
    axis = shown.figure.layout.yaxis.range
    shown.sliders["tail"].value = 10
    assert [30.0, 10.0] in [list(trace.y) for trace in shown.figure.data]
    shown.reveal()
    assert [60.0, 20.0] in [list(trace.y) for trace in shown.figure.data] and shown.figure.layout.yaxis.range == axis
    assert shown.hidden.layout.display == "flex" and shown.hidden.children[0].data[0].y == (60.0,)


def test_what_tells_the_answer_comes_when_it_is_right_or_asked_for(answers):
    def shown():
        return view(NUMBER, "00", answers, (go.Figure(go.Bar(y=[0.81])), "read it there"))

    first = shown()
    first.field.value = "0.5"
    first.check()
    assert first.hidden.layout.display == "none" and not first.hidden.children[0].data
    first.give_up.click()
    assert first.hidden.layout.display == "flex" and first.hidden.children[0].data[0].y == (0.81,)
    second = shown()
    assert second.hidden.layout.display == "none", "a new kernel asks anew"
    second.field.value = "0.81"
    second.check()
    assert second.hidden.layout.display == "flex" and shown().hidden.layout.display == "flex"
    assert NumberView(NUMBER, "00", answers).give_up.layout.display == "none", "nothing to show"


def test_a_long_table_and_a_picture_come_with_the_truth(answers, tmp_path, monkeypatch):
    picture = tmp_path / "printed.png"
    Image.new("RGB", (4, 4)).save(picture)
    results = Paged(pd.DataFrame({"class": ["tabby"]}), "classes.csv"), picture
    shown = GuessView(GUESS, "00", answers, results)
    table, image = shown.hidden.children
    assert bytes(image.value) == picture.read_bytes() and "tabby" not in str(table.get_state())
    shown.reveal()
    assert "tabby" in str(table.get_state())
    seen = []
    monkeypatch.setattr("lmptlib.suite.lessons.lesson.display", seen.append)
    Lesson("00_start_here", tmp_path, interactive=False).predict(GUESS, *results)
    assert "classes.csv" in seen[-2].data and seen[-1].data == picture.read_bytes()


def test_the_ends_of_curves(answers):
    guess = Guess.of_curves("ends", "Where?", {"+": [0.5, 0.6, 0.7], "-": [0.5, 0.9]}, "p", (0, 1))
    shown = GuessView(guess, "00", answers)
    assert guess.truth == {"+": 0.7, "-": 0.9}
    assert not any(np.isclose(trace.y[-1], 0.7) or len(trace.y) > 2 for trace in shown.figure.data)
    shown.reveal()
    assert any(list(trace.y) == [0.5, 0.6, 0.7] for trace in shown.figure.data)


def test_an_order_is_dragged_and_counted(answers):
    shown = view(ORDER, "00", answers)
    assert isinstance(shown, OrderView) and shown.given == ["bce", "db", "pg"] and not shown.values.value
    assert ORDER.verdict(["bce", "pg", "db"]).startswith("3 of 3") and ORDER.verdict(["db", "pg", "bce"]).startswith(
        "1"
    )
    shown.reveal()
    assert shown.list.fixed and "1 of 3" in shown.told.value
    assert shown.values.value.index("bce") < shown.values.value.index("pg") < shown.values.value.index("db")


def test_in_batch_the_truth_stands_alone(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("lmptlib.suite.lessons.lesson.display", seen.append)
    lesson = Lesson("00_start_here", tmp_path, interactive=False)
    lesson.predict(GUESS, pd.DataFrame({"a": [1]}))
    lesson.predict(ORDER)
    lesson.ask(NUMBER, CHOICE)
    lesson.work_out(NUMBER, "what it is read from")
    figure = next(item for item in seen if isinstance(item, go.Figure))
    assert {trace.name for trace in figure.data} == {"before", "truth"}
    text = "".join(item.data for item in seen if not isinstance(item, go.Figure))
    assert (
        "a wrong one" in text and "what it is read from" in text and "it is so" not in text and "count the" not in text
    )
    assert not (tmp_path / "answers.json").exists()


def test_epochs_take_one_line(capsys):
    lesson = Lesson("00_start_here", None, interactive=False)
    for line in ("note: x", "epoch  1/2  loss", "epoch  2/2  loss", "mAP 3 logit on 9 images; written to x"):
        lesson.log(line)
    lines = capsys.readouterr().out.split("\n")
    assert lines[0] == "note: x" and lines[2:] == ["mAP 3 logit on 9 images; written to x", ""]
    assert [part.rstrip() for part in lines[1].split("\r")] == ["", "epoch  1/2  loss", "epoch  2/2  loss"]
    lesson.interactive = True
    lesson.log("accuracy 3 top1 on 9 images; written to x")
    assert capsys.readouterr().out == "written to x\n", "no result before a guess"
    for line in ("image features of x: 1 of 2", "crops of x: 2 of 2", "written to x"):
        lesson.log(line)
    assert capsys.readouterr().out.count("\n") == 2
