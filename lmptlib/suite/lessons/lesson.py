"""A notebook's lesson: questions as widgets where somebody sits before it, the truth alone in batch."""

import re
from pathlib import Path
from typing import Any

import ipywidgets
import pandas as pd
import plotly.graph_objects as go
from IPython.display import HTML, Image, Markdown, display

from lmptlib.suite.lessons.answers import Answers
from lmptlib.suite.lessons.questions import Choice, Guess, Number, Order, Question
from lmptlib.suite.lessons.views import GuessView, OrderView, Result, guess_figure, html, order_table, view
from lmptlib.suite.widgets.tables import Paged, paged_table, table_html


class Lesson:
    """What a notebook asks and says. notebook: its name with its number; out: the folder whose `answers.json` keeps answers."""

    def __init__(self, notebook: str, out: str | Path | None = None, interactive: bool = True):
        self.notebook, self.interactive, self.answers = notebook, interactive, Answers.of(out)
        self._asked: dict[str, str] = {}  # key -> how its question begins
        self._guesses: dict[str, GuessView | OrderView] = {}
        self._open = False  # a line of progress stands there, which the next one overwrites

    def log(self, line: str) -> None:
        """Print a line of a training; epochs and features take one line, each in the place of the one before."""
        # the figures at the end is for whoever has guessed
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
        display(Markdown("\n\n".join(filter(None, sentences))))

    def predict(self, question: Guess | Order, *results: Result) -> None:
        """Ask for a guess; `results` (figures, tables, pictures, Markdown) come with the truth, and in batch at once."""
        self._remember(question)
        if self.interactive:
            shown = view(question, self.notebook, self.answers, results)
            self._guesses[question.key] = shown
            display(shown)
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
        if self.interactive:
            display(ipywidgets.VBox([view(question, self.notebook, self.answers) for question in questions]))
        else:
            self.say(*map(_written, questions))

    def work_out(self, question: Number, *results: Result) -> None:
        """Ask for a number that `results` would tell: they come when it is right, or on a button; in batch at once."""
        self._remember(question)
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

    def take_away(self, *sentences: str) -> None:
        """The box at the end: what to remember; where somebody guesses, once all is revealed."""
        box = "> **Take away**\n>\n" + "\n".join(f"> - {sentence}" for sentence in sentences)
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
