"""What went wrong, in one line: the errors of the library, faults of YAML, nearest names, and words for what a setting may be."""

import difflib
import types
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}


def printable(text: str) -> str:
    """A text without what ends a line, moves the cursor or is not seen: escapes stand for it.

    >>> from lmptlib.errors import printable
    >>> print(printable("two\\nlines"))
    two\\nlines
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class DataError(ValueError):
    """What is wrong with a data set: one line a problem."""

    def __init__(self, problems: Iterable[str], shown: int = 20):
        self.problems = [printable(problem) for problem in problems]
        lines = self.problems[:shown]
        if len(self.problems) > shown:
            lines.append(f"... and {len(self.problems) - shown:,} more problems like these")
        super().__init__("\n".join(lines))


def nearest(name: str, names: Iterable[str]) -> str:
    """` Did you mean 'x'?` when one of the names is near, else the list of all."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(names)}."


def first_line(error: BaseException) -> str:
    """An exception's message, cut to its first line."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def shorten(text: str, longest: int = 100) -> str:
    """A text that fits in a line: of a longer one the beginning and the end.

    >>> from lmptlib.errors import shorten
    >>> shorten("a" * 50 + "b" * 50, 20)
    'aaaaaaaaaaaaa…bbbbbb'
    """
    return text if len(text) <= longest else f"{text[: longest - longest // 3 - 1]}…{text[-(longest // 3) :]}"


def few(names: Sequence[str], shown: int = 3) -> str:
    """The first of some names, and that there are more.

    >>> from lmptlib.errors import few
    >>> few(["a", "b", "c", "d"])
    'a, b, c, ...'
    """
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")


def read_yaml(text: str) -> Any:
    """What a text in YAML holds. Raises ValueError, one line: what is wrong, and in which line."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{line}{getattr(error, 'problem', None) or first_line(error)}") from None
    # a day that no month has, lists in lists without end
    except (ValueError, RecursionError) as error:
        raise ValueError(first_line(error)) from None


def type_words(hint: Any) -> str:
    """A type in words.

    >>> from lmptlib.errors import type_words
    >>> type_words(float | None)
    'a number or none'
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_words(parts[0])
    if origin in (Union, types.UnionType):
        return " or ".join(type_words(part) for part in parts)
    if origin is Literal:
        return WORDS["str"]
    if hint is types.NoneType:
        return "none"
    return "a list" if origin else WORDS[hint.__name__]


def literals(hint: Any) -> tuple[str, ...]:
    """The texts that a type holds, by itself or in a list; none where it holds any."""
    parts = get_args(hint)
    return parts if get_origin(hint) is Literal else tuple(text for part in parts for text in literals(part))


def limits(field: FieldInfo) -> str:
    """What a number may be, in words: `above 0`, `from 0 to 1`; empty where it may be any."""
    parts = [limit for part in get_args(field.annotation) for limit in getattr(part, "__metadata__", ())]
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    found = {key: getattr(limit, key) for limit in (*field.metadata, *parts) for key in words if hasattr(limit, key)}
    if {"ge", "le"} <= found.keys():
        return f"from {found['ge']:g} to {found['le']:g}"
    return " and ".join(f"{words[key]} {bound:g}" for key, bound in found.items())


class NonFiniteLoss(RuntimeError):
    """The loss became infinite or NaN; the run stands at its last whole epoch."""
