"""The kinds of question: a guess before a result, a number, a choice, an order. Text is Markdown with LaTeX."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lmptlib.suite.lessons.answers import read_number

NOT_ASKED = "cannot be asked of these data"


def about(question: "Question") -> str:
    """A short hash of a question and of what is right: of other data, or another run, it is another question."""
    return hashlib.sha256(repr(question).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Number:
    """A number to work out. expected: NaN where the data at hand have nothing to ask. unit `%`: it is asked in percent."""

    key: str
    ask: str
    expected: float
    tolerance: float
    hint: str
    unit: str = ""

    def verdict(self, text: str) -> tuple[bool | None, str]:
        """Whether an answer is right, None where it cannot be said, and what is told."""
        if math.isnan(self.expected):
            return None, NOT_ASKED
        values = read_number(text, percent=self.unit == "%")
        if not values:
            return None, "not a number: write 0.81, 0,81, 29/36 or 81 %"
        # a hair more, for what was rounded to the very edge
        near = self.tolerance * (1 + 1e-9) + 1e-12
        if any(abs(value - self.expected) <= near for value in values):
            return True, "right"
        return False, f"not yet: {self.hint}"


@dataclass(frozen=True)
class Choice:
    """One of several sentences is right. options: the right one stands first, and is shown in a place of its own.

    why: what is told beside the right one; hint: beside a wrong one.
    """

    key: str
    ask: str
    options: tuple[str, ...]
    why: str
    hint: str = "read the figure above once more"

    @property
    def shown(self) -> tuple[str, ...]:
        """The options in the order of the alphabet, which gives nothing away and is the same each time."""
        return tuple(sorted(self.options))

    def verdict(self, option: str) -> tuple[bool, str]:
        right = option == self.options[0]
        return right, f"right: {self.why}" if right else f"not yet: {self.hint}"


@dataclass(frozen=True)
class Guess:
    """Values to guess before they are shown: bars, or the ends of curves (`of_curves`) whose beginning is shown.

    truth: name -> value, those of the run at hand. known: name -> value that is shown beside from the start, called
    `known_name`. bounds: of the axis and of every guess. curves: name -> all its values, a `step` apart.
    """

    key: str
    ask: str
    truth: Mapping[str, float]
    unit: str
    bounds: tuple[float, float]
    known: Mapping[str, float] = field(default_factory=dict)
    known_name: str = "before"
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    step: str = "epoch"

    @classmethod
    def of_curves(
        cls, key: str, ask: str, curves: Mapping[str, Sequence[float]], unit: str, bounds: tuple[float, float]
    ) -> "Guess":
        """The ends of curves over the epochs, each of which begins where it is seen to begin."""
        return cls(key, ask, {name: values[-1] for name, values in curves.items()}, unit, bounds, curves=curves)

    def verdict(self, guess: Mapping[str, float]) -> str:
        """How far a guess is off, in words."""
        misses = {name: abs(guess[name] - value) for name, value in self.truth.items() if not math.isnan(value)}
        if not misses:
            return NOT_ASKED
        worst = max(misses, key=misses.__getitem__)
        mean = sum(misses.values()) / len(misses)
        if len(misses) == 1:
            return f"Your guess is off by {mean:.3g}."
        return f"Your guess is off by {mean:.3g} on average, most at {worst} ({misses[worst]:.3g})."


@dataclass(frozen=True)
class Order:
    """Things to bring into order before it is shown. truth: name -> value; the greatest is to stand on top."""

    key: str
    ask: str
    truth: Mapping[str, float]
    unit: str

    @property
    def right(self) -> list[str]:
        return sorted(self.truth, key=lambda name: -self.truth[name])

    def verdict(self, order: Sequence[str]) -> str:
        """How many stand where they belong, in words; things of one value may change places."""
        values = [self.truth[name] for name in order]
        hits = sum(value == truth for value, truth in zip(values, sorted(values, reverse=True)))
        return f"{hits} of {len(values)} in their places."


Question = Number | Choice | Guess | Order
