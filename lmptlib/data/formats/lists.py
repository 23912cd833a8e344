"""The lists of long tails: classes `name id`, images `path id id ...`, captions `path caption`."""

import itertools
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmptlib.data.images import SUFFIXES
from lmptlib.data.rows import Row
from lmptlib.data.text import invisible, plain_spaces, read_text, spoken, visible
from lmptlib.errors import DataError, shorten

_SUFFIX = "|".join(map(re.escape, SUFFIXES))
# A path ends where nothing but numbers follows it: `set.jpg files/0.jpg 3` is one.
_IMAGE_LINE = re.compile(rf"(.+?(?:{_SUFFIX}))((?:\s+\d+)*)", re.IGNORECASE)
_CAPTION_LINE = re.compile(rf"(.+?(?:{_SUFFIX}))(?:\s+(.*))?", re.IGNORECASE)
_LONGEST_ID = 9


def _read_lines(path: Path) -> tuple[list[tuple[int, str]], list[str]]:
    """The lines that are not blank, with their numbers, and notes. A line ends as it does in an editor, at \\n, \\r\\n or \\r."""
    text, notes = read_text(path)
    return [(i, line.strip()) for i, line in enumerate(text.split("\n"), 1) if line.strip()], notes


def read_classes(path: Path) -> tuple[tuple[str, ...], list[str]]:
    """Class names in the order of their ids, from lines `name id`, and notes. Raises DataError."""
    names: dict[int, str] = {}
    seen: set[str] = set()
    problems = []
    lines, notes = _read_lines(path)
    for number, line in lines:
        name, _, class_id = plain_spaces(line).rpartition(" ")
        name, where = name.strip(), f"{path} line {number}"
        if not name or not class_id.isdecimal() or len(class_id) > _LONGEST_ID:
            problems.append(f"{where}: '{shorten(line)}' is not 'name id'")
        elif mark := invisible(name):
            problems.append(f"{where}: class '{shorten(visible(name))}' has an invisible {mark} in it: take it out")
        elif int(class_id) in names:
            problems.append(f"{where}: id {class_id} is taken by '{names[int(class_id)]}'")
        elif spoken(name) in seen:
            problems.append(f"{where}: class '{name}' stands twice")
        else:
            names[int(class_id)] = name
            seen.add(spoken(name))
    if not problems and not names:
        problems.append(f"{path}: no classes in it; write one 'name id' a line")
    if problems:
        raise DataError(problems)
    return in_order(names, path), notes


def in_order(names: Mapping[int, str], path: Path) -> tuple[str, ...]:
    """Names in the order of their ids, of which there is at least one. Raises DataError where these leave a gap."""
    if len(names) <= max(names):
        count = max(names) + 1 - len(names)
        first = list(itertools.islice((i for i in range(max(names)) if i not in names), 5))
        more = f", ... ({count:,} in all)" if count > len(first) else ""
        raise DataError([f"{path}: ids must run from 0 without gaps; missing: {', '.join(map(str, first))}{more}"])
    return tuple(names[i] for i in range(len(names)))


def read_folders(path: Path) -> tuple[str, ...]:
    """The folder that the images of each class lie in, in the order of ids, by a list of single labels. Raises DataError.

    Lines that are none of an image and an id are left to `read_list`, which names them.
    """
    first: dict[int, tuple[str, int]] = {}
    problems = []
    for number, line in _read_lines(path)[0]:
        match = _IMAGE_LINE.fullmatch(line)
        if not match or not match[2].strip().isdecimal() or len(match[2].strip()) > _LONGEST_ID:
            continue
        class_id, folder = int(match[2]), os.path.dirname(match[1])
        before, where = first.setdefault(class_id, (folder, number))
        if folder != before:
            told = f"class {class_id} is in {shorten(folder)}, and in {shorten(before)} in line {where}"
            problems.append(f"{path} line {number}: {told}; a class has one folder here, and its name is made of it")
    if not problems and not first:
        problems.append(f"{path}: no lines 'path id' in it")
    if problems:
        raise DataError(problems)
    return in_order({class_id: folder for class_id, (folder, _) in first.items()}, path)


def read_list(path: Path, class_names: Sequence[str], split: str) -> tuple[list[Row], list[str], list[str]]:
    """The images of a list, lines `path id id ...`, notes and problems; a line may have no id. Raises DataError.

    A number 0 or 1 for each class, on every line, is read as such, where it cannot be ids.
    """
    lines, notes = _read_lines(path)
    if not lines:
        raise DataError([f"{path}: no images in it"])
    found = [(f"line {number}", line, _IMAGE_LINE.fullmatch(line)) for number, line in lines]
    ids = [match[2].split() if match else [] for _, _, match in found]
    if all(match for *_, match in found) and _are_flags(ids, len(class_names)):
        notes.append(f"{path.name}: a 0 or 1 for each class, not ids")
        ids = [[str(c) for c, flag in enumerate(of_line) if flag == "1"] for of_line in ids]
    rows, problems = [], []
    for (place, line, match), of_line in zip(found, ids):
        problem = _id_problem(of_line, len(class_names)) if match else _line_problem(line, len(class_names))
        if problem:
            problems.append(f"{path} {place}: {problem}")
        elif match:
            rows.append(Row(path, place, match[1], tuple(class_names[int(i)] for i in of_line), split=split))
    return rows, notes, problems


def _are_flags(ids: Sequence[Sequence[str]], n_classes: int) -> bool:
    """Whether every line has a 0 or a 1 for each class, and one of them cannot be ids: a number twice, or 1 of one class."""
    if any(len(of_line) != n_classes or not {"0", "1"}.issuperset(of_line) for of_line in ids):
        return False
    return any(len(set(of_line)) < n_classes or (n_classes == 1 and of_line == ["1"]) for of_line in ids)


def _line_problem(line: str, n_classes: int) -> str:
    match = _CAPTION_LINE.fullmatch(line)
    if match and match[2]:
        word = next((word for word in match[2].split() if not word.isdecimal()), match[2])
        return f"'{shorten(word)}' is not a class id; ids run from 0 to {n_classes - 1}"
    return f"'{shorten(line)}' does not begin with an image path (.jpg, .png, ...) and a space"


def _id_problem(ids: Sequence[str], n_classes: int) -> str | None:
    bad = [i for i in ids if len(i) > _LONGEST_ID or int(i) >= n_classes]
    if bad:
        return f"'{shorten(bad[0])}' is not a class id; ids run from 0 to {n_classes - 1}"
    return "a class id stands twice" if len(set(map(int, ids))) < len(ids) else None


def with_captions(rows: Sequence[Row], path: Path) -> tuple[list[Row], list[str], list[str]]:
    """Training images with their captions, from lines `path caption`, notes and problems. Raises DataError."""
    problems: list[str] = []
    captions: dict[str, str] = {}
    images = {_one_spelling(row.image) for row in rows}
    lines, notes = _read_lines(path)
    for number, line in lines:
        where = f"{path} line {number}"
        name, caption = _split_caption(line, images)
        if not name:
            problems.append(
                f"{where}: '{shorten(line)}' does not begin with an image path (.jpg, .png, ...) and a space"
            )
        elif name not in images:
            problems.append(f"{where}: {shorten(name)} is not in the training list {rows[0].source.name}")
        elif not caption:
            problems.append(f"{where}: no caption behind {shorten(name)}")
        elif name in captions:
            problems.append(f"{where}: a second caption for {shorten(name)}; one each, please")
        captions.setdefault(name, caption)
    for row in rows:
        if _one_spelling(row.image) not in captions:
            problems.append(f"{row}: {shorten(row.image)} has no caption in {path.name}")
    named = [row._replace(caption=captions.get(_one_spelling(row.image), "")) for row in rows]
    return named, notes, problems


def _split_caption(line: str, images: set[str]) -> tuple[str, str]:
    """An image's path and its caption: the longest path of the list that the line begins with, else up to a suffix."""
    ends = [match.start() for match in re.finditer(r"\s", line)] + [len(line)]
    for end in reversed(ends):
        if (name := _one_spelling(line[:end])) in images:
            return name, line[end:].strip()
    match = _CAPTION_LINE.fullmatch(line)
    return (os.path.normpath(match[1]), match[2] or "") if match else ("", "")


def _one_spelling(image: str) -> str:
    """An image's path as another file may write it: `./a.jpg`, `img\\a.jpg`, accents coded otherwise."""
    return os.path.normpath(unicodedata.normalize("NFC", image).replace("\\", "/"))
