"""A notebook's lesson: questions as widgets where somebody sits before it, the truth alone in batch."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import ipywidgets
import pandas as pd
import plotly.graph_objects as go
from IPython.display import HTML, Image, Markdown, display

from lmptlib.data.dataset import GROUPS
from lmptlib.data.words import group_said, said, shown
from lmptlib.suite.lessons.answers import Answers
from lmptlib.suite.lessons.questions import Choice, Guess, Number, Order, Question
from lmptlib.suite.lessons.views import GuessView, OrderView, Result, guess_figure, html, order_table, view
from lmptlib.suite.widgets.tables import Paged, paged_table, table_html

_Question = TypeVar("_Question", bound=Question)
_SINGLE = (
    "*These data have **single labels**: an image is of one class. Read **many**, **medium** and **few** for head, medium and "
    "tail (LMPT's words, which the text below keeps). In the place of AP stands the **accuracy** of a class, the share of its "
    "test images for which its score is the highest, and in the place of mAP the mean over classes. There is one figure in the "
    "place of two rankings: a softmax keeps the order of an image's classes. A class has an interval however few its test images "
    "are; a group has none with fewer than ten.*"
)


class NotForSingleLabels(ValueError):
    """A notebook's question is none of single labels: it ends with this line, which is no failure in batch."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class Lesson:
    """What a notebook asks and says. notebook: its name with its number; out: the folder whose `answers.json` keeps answers."""

    task = "multi-label"

    def __init__(self, notebook: str, out: str | Path | None = None, interactive: bool = True):
        self.notebook, self.interactive, self.answers = notebook, interactive, Answers.of(out)
        self._asked: dict[str, str] = {}  # key -> how its question begins
        self._guesses: dict[str, GuessView | OrderView] = {}
        self._open = False  # a line of progress stands there, which the next one overwrites

    def of(self, task: str, not_single: str = "") -> None:
        """From here on everything is said in the words of a kind of task; of single labels, which these are.

        not_single: why the notebook is not for single labels. Then it stops here, by NotForSingleLabels.
        """
        self.task = task
        if not_single:
            self.for_several_labels(f"{self.notebook} is not for single labels: {not_single}")
        if task == "single-label":
            display(Markdown(_SINGLE))

    def for_several_labels(self, otherwise: str) -> None:
        """What follows is for images with several labels. Raises NotForSingleLabels, which says `otherwise`, for others."""
        if self.task == "single-label":
            raise NotForSingleLabels(otherwise)

    def said(self, text: str) -> str:
        """A text in the words of the task."""
        return said(text, self.task)

    def shown(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table in the words of the task."""
        return shown(table, self.task)

    def log(self, line: str) -> None:
        """Print a line of a training; epochs and features take one line, each in the place of the one before."""
        if self.interactive:
            # the figure at the end is for whoever has guessed
            line = re.sub(r"^(mAP|accuracy) .*?; ", "", line)
        passing = re.match(r"epoch +\d+/\d+ |crops of |\w+ features\b", line) is not None
        print(
            f"\r{line:<100}" if passing else f"\n{line}" if self._open else line,
            end="" if passing else "\n",
            flush=True,
        )
        self._open = passing

    def say(self, *sentences: str) -> None:
        """Show sentences, Markdown, that were made of the run at hand."""
        display(Markdown(said("\n\n".join(filter(None, sentences)), self.task)))

    def predict(self, question: Guess | Order, *results: Result) -> None:
        """Ask for a guess; `results` (figures, tables, pictures, Markdown) come with the truth, and in batch at once."""
        self._remember(question)
        question, results = self._asked_in_words(question), tuple(map(self._in_words, results))
        if self.interactive:
            asked = view(question, self.notebook, self.answers, results)
            self._guesses[question.key] = asked
            display(asked)
            return
        if isinstance(question, Order):
            truth: Result = order_table(question)
        else:
            truth = guess_figure(question, None, shown=True)
        for result in (question.ask, truth, *results):
            display(_static(result))

    def ask(self, *questions: Number | Choice) -> None:
        """Ask for numbers or choices; in batch the questions stand there without their answers."""
        for question in questions:
            self._remember(question)
        questions = tuple(map(self._asked_in_words, questions))
        if self.interactive:
            display(ipywidgets.VBox([view(question, self.notebook, self.answers) for question in questions]))
        else:
            self.say(*map(_written, questions))

    def work_out(self, question: Number, *results: Result) -> None:
        """Ask for a number that `results` would tell: they come when it is right, or on a button; in batch at once."""
        self._remember(question)
        question, results = self._asked_in_words(question), tuple(map(self._in_words, results))
        if self.interactive:
            display(view(question, self.notebook, self.answers, results))
            return
        for result in (_written(question), *results):
            display(_static(result))

    def _remember(self, question: Question) -> None:
        """Raises ValueError where another question has the key, and so the place in the file of answers."""
        begins = question.ask[:24]
        if self._asked.setdefault(question.key, begins) != begins:
            raise ValueError(f"{self.notebook}: two questions are called '{question.key}'")

    def _asked_in_words(self, question: _Question) -> _Question:
        """A question in the words of the task; its key stays."""
        if self.task == "multi-label":
            return question
        asked = {field.name: getattr(question, field.name) for field in fields(question) if field.name != "key"}
        return replace(question, **{name: self._part_in_words(part) for name, part in asked.items()})

    def _part_in_words(self, part: Any) -> Any:
        match part:
            case str():
                return said(part, self.task)
            case tuple() if all(isinstance(option, str) for option in part):
                return tuple(said(option, self.task) for option in part)
            case Mapping() if set(part) <= {"total", *GROUPS}:
                return {group_said(name, self.task): value for name, value in part.items()}
            case _:
                return part

    def _in_words(self, result: Result) -> Result:
        """A result in the words of the task; figures have them from their tables."""
        match result:
            case str():
                return said(result, self.task)
            case Paged():
                return result._replace(table=self.shown(result.table))
            case pd.DataFrame():
                return self.shown(result)
            case _:
                return result

    def take_away(self, *sentences: str) -> None:
        """The box at the end: what to remember; where somebody guesses, once all is revealed."""
        box = said("> **Take away**\n>\n" + "\n".join(f"> - {sentence}" for sentence in sentences), self.task)
        if all(guess.revealed for guess in self._guesses.values()):
            display(Markdown(box))
            return
        place = ipywidgets.HTML(html("> **Take away**: it stands here when you have revealed every guess above."))

        def show(_: dict) -> None:
            if all(guess.revealed for guess in self._guesses.values()):
                place.value = html(box)

        for guess in self._guesses.values():
            guess.button.observe(show, names="disabled")
        display(place)


def _static(result: Result) -> Any:
    match result:
        case go.Figure():
            return result
        case Paged():
            return paged_table(*result)
        case Path():
            return Image(result.read_bytes())
        case pd.DataFrame():
            return HTML(table_html(result))
        case _:
            return Markdown(result)


def _written(question: Number | Choice) -> str:
    options = question.shown if isinstance(question, Choice) else ()
    return "\n".join([question.ask, "", *(f"- {option}" for option in options)])
