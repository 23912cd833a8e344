"""What the readers share: JSON and YAML in their types, pictures below a folder, splits by a folder's name."""

import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from lmptlib.data.images import SUFFIXES
from lmptlib.data.rows import OTHER_SPLIT_NAMES, SPLITS, Row
from lmptlib.data.text import invisible, plain_spaces, read_text, spoken
from lmptlib.errors import WORDS, DataError, few, first_line, read_yaml, shorten

Kind = TypeVar("Kind")

_WORDS = WORDS | {"string": WORDS["str"], "list": "a list"}


def read_json(path: Path, hook: Callable[[dict], Any] | None = None) -> Any:
    """What a JSON file holds. hook: what is kept of each object, as soon as it is read. Raises DataError, one line."""
    return parse_json(read_text(path)[0], str(path), hook)


def parse_json(text: str, where: str, hook: Callable[[dict], Any] | None = None) -> Any:
    """What a JSON text says. Raises DataError, one line."""
    try:
        return json.loads(text, object_hook=hook)
    except (ValueError, RecursionError) as error:
        raise DataError([f"{where}: cannot be read as JSON ({first_line(error)})"]) from None


def read_yaml_file(path: Path) -> Any:
    """What a YAML file holds. Raises DataError, one line."""
    text, _ = read_text(path)
    try:
        return read_yaml(text)
    except ValueError as error:
        raise DataError([f"{path}: not a YAML file ({error})"]) from None


def checked(kind: TypeAdapter[Kind], value: Any, where: object) -> Kind:
    """What a file holds, in its types. Raises DataError, a line for each value of another type."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        raise DataError([f"{where}: {_complaint(problem)}" for problem in problems]) from None


def _complaint(problem: Any) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]]
    name = shorten("".join(parts).removeprefix("."))
    if problem["type"] == "missing":
        return f"'{name}' is missing"
    words = _WORDS.get(problem["type"].split("_")[0], "a list of 'key: value'")
    return f"{name or 'what is in it'} must be {words}, not {shown(problem['input'])}"


def shown(value: Any) -> str:
    """A value as it stands in a line: short, and with nothing in it that cannot be printed."""
    if isinstance(value, (dict, list)):
        return "{...}" if isinstance(value, dict) else "[...]"
    try:
        return shorten(repr(value))
    except ValueError:
        return "a number of thousands of digits"


def one_line(text: str) -> str:
    """A caption: its words with one blank between them, and nothing that cannot be printed."""
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in text)
    return " ".join(plain_spaces(text).split())


def name_problems(where: object, names: Iterable[str]) -> list[str]:
    """What is wrong with class names, a line each."""
    problems, seen = [], set()
    for name in names:
        if mark := invisible(name):
            problems.append(f"{where}: class {shown(name)} has an invisible {mark} in it: take it out")
        elif not name:
            problems.append(f"{where}: a class without a name")
        elif spoken(name) in seen:
            problems.append(f"{where}: class '{shorten(name)}' stands twice")
        seen.add(spoken(name))
    return problems


def left_out(names: Sequence[str]) -> list[str]:
    """A note on the classes that no image has; their first names."""
    return [f"classes without an image, left out ({len(names):,}): {few(names, 5)}"] if names else []


def split_named(name: str) -> str | None:
    """train, val or test, where a folder is called so, or `Train`, `valid`, `testing`, `train2017`."""
    name = name.lower().rstrip("0123456789")
    name = OTHER_SPLIT_NAMES.get(name, name)
    return name if name in SPLITS else None


def with_test(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Rows with a test split, and notes: val stands for it, or, where all are of one split, it is drawn later."""
    splits = {row.split for row in rows}
    if len(splits) == 1 and splits != {None}:
        return [row._replace(split=None) for row in rows], [f"all are of split '{splits.pop()}'"]
    if "test" in splits or "val" not in splits:
        return rows, []
    told = "no split 'test': the images of 'val' are for testing, and nothing is chosen on them"
    return [row._replace(split="test") if row.split == "val" else row for row in rows], [told]


def beginning(path: Path) -> str:
    """How a file begins, whatever else is in it, without the blanks before. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(65_536)
    coding = "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return start.decode(coding, "replace").lstrip()


def is_picture(name: str) -> bool:
    """Whether a file's suffix is that of pictures."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder that it lies in, is hidden: begins with a dot."""
    return any(part.startswith(".") for part in PurePath(name).parts)


def files_below(folder: Path) -> Iterator[str]:
    """The paths of all files below a folder, in order. Links are followed, but not in a circle."""
    waiting: list[tuple[str, frozenset[str]]] = [("", frozenset())]
    while waiting:
        below, above = waiting.pop()
        real = os.path.realpath(folder / below)
        if real in above:
            continue
        inner = []
        try:
            names = sorted(os.listdir(real))
        except OSError as error:
            raise DataError([f"{folder / below}: cannot be read ({first_line(error)})"]) from None
        for name in names:
            if os.path.isdir(os.path.join(real, name)):
                inner.append((os.path.join(below, name), above | {real}))
            else:
                yield os.path.join(below, name)
        waiting += reversed(inner)
