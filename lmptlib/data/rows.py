"""From what a file says of its images to splits: the checks that are the same whatever the format."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from lmptlib.data.dataset import Split, label_table
from lmptlib.data.images import SUFFIXES
from lmptlib.data.stratified import draw_test
from lmptlib.data.text import invisible, made_of_others, possible_slips, sharing_parts, spoken, visible
from lmptlib.errors import DataError, few, shorten

SPLITS = ("train", "val", "test")
OTHER_SPLIT_NAMES = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}
_SHOWN = 5
_LONGEST_LABEL = 200


class Row(NamedTuple):
    """One image as a file tells of it.

    source: the file. place: where in it (`line 3`), or nothing. image: its path below the root, as it is written. labels:
    class names. split: as it is written; None where the file knows of no splits.
    """

    source: Path
    place: str
    image: str
    labels: tuple[str, ...]
    caption: str = ""
    split: str | None = None

    def __str__(self) -> str:
        return f"{self.source} {self.place}".rstrip()


@dataclass(frozen=True)
class Reading:
    """All that a reader has found in `source`: images below `root`, and what is worth a note.

    class_names: in the order of their ids; None where the labels are all that is known of them, so in alphabetical order.
    problems: what keeps it from being a data set, a line each; `assemble` raises them with those that it finds.
    """

    source: Path
    root: Path
    rows: list[Row]
    class_names: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def assemble(reading: Reading, check_images: bool = True) -> tuple[tuple[str, ...], dict[str, Split], list[str]]:
    """Class names, splits and notes of what was read. Raises DataError with every problem, a line each.

    Without splits, a fifth of each class is drawn for testing.
    """
    rows = [row._replace(image=os.path.normpath(row.image)) for row in reading.rows]
    rows, renamed = _usual_splits(rows)
    notes = [*reading.notes, *renamed]
    problems = [*reading.problems, *_row_problems(rows, reading.root), *_across_rows(rows)]
    if check_images:
        problems += missing_images(rows, reading.root)
    class_names = reading.class_names or tuple(sorted({label for row in rows for label in row.labels}))
    if not problems and not class_names:
        problems.append(f"{reading.source}: no {'labels' if rows else 'images'} in it")
    if not problems and len(rows) == 1:
        problems.append(f"{reading.source}: one image is no data set")
    if problems:
        raise DataError(problems)
    if reading.class_names is None:
        notes += _doubtful_names(rows)
    labels = label_matrix(rows, class_names)
    rows, drawn = _drawn(rows, labels)
    return class_names, _splits(rows, labels, reading.root), notes + drawn


def label_matrix(rows: Sequence[Row], class_names: Sequence[str]) -> csr_array:
    """Labels (N, C), bool, sparse."""
    column = {name: c for c, name in enumerate(class_names)}
    ends = np.cumsum([0, *(len(row.labels) for row in rows)])
    columns = [column[label] for row in rows for label in row.labels]
    return csr_array((np.ones(len(columns), bool), columns, ends), shape=(len(rows), len(class_names)))


def _usual_splits(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Rows with train, val or test for `Train`, `validation` and such, and a note that names them."""
    written = {row.split for row in rows if row.split is not None} - set(SPLITS)
    usual = {name: OTHER_SPLIT_NAMES.get(name.lower(), name.lower()) for name in written}
    usual = {name: split for name, split in usual.items() if split in SPLITS}
    if not usual:
        return rows, []
    notes = [f"split '{name}' is read as {split}" for name, split in sorted(usual.items())]
    return [row._replace(split=usual.get(row.split or "", row.split)) for row in rows], notes


def _row_problems(rows: list[Row], root: Path) -> list[str]:
    """What is wrong within a row; what is wrong in the same way in several, once."""
    found = []
    for row in rows:
        split = f"split is train, val or test, not '{shorten(row.split)}'" if row.split not in (None, *SPLITS) else None
        found += [
            (row, problem) for problem in (_path_problem(row, root), _label_problem(row.labels), split) if problem
        ]
    return _told_once(found)


def _told_once(problems: Sequence[tuple[Row, str]]) -> list[str]:
    """A line for each different problem: of the row that has it first, and how many others do."""
    of_problem: dict[str, list[Row]] = {}
    for row, problem in problems:
        of_problem.setdefault(problem, []).append(row)
    return [
        f"{rows[0]}: {problem}" + (f" (and {len(rows) - 1:,} more alike)" if len(rows) > 1 else "")
        for problem, rows in of_problem.items()
    ]


def _path_problem(row: Row, root: Path) -> str | None:
    if row.image == ".":
        return "no image in it"
    if os.path.isabs(row.image) or row.image.split(os.sep)[0] == "..":
        return f"{shorten(row.image)} is not below {root}; paths are written from there on, and data_root names another folder"
    control = not row.image.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in row.image)
    return f"a control character in the image path {shorten(row.image)!r}" if control else None


def _label_problem(labels: tuple[str, ...]) -> str | None:
    written = shorten(";".join(labels))
    if "" in labels:
        return f"labels '{written}': write names with ';' between them"
    for label in labels:
        if len(label) > _LONGEST_LABEL:
            return f"label '{shorten(label)}' has {len(label):,} letters, more than {_LONGEST_LABEL}"
        if {"\n", "\t"} & set(label):
            return f"labels {written!r}: a line break or a tab in them; write names with ';' between them"
        if mark := invisible(label):
            return f"label '{shorten(visible(label))}' has an invisible {mark} in it: take it out"
    return f"a label stands twice in '{written}'" if len(set(labels)) < len(labels) else None


def _across_rows(rows: list[Row]) -> list[str]:
    """What is wrong between rows: an image twice, one class under two spellings."""
    problems: list[tuple[Row, str]] = []
    first: dict[str, Row] = {}
    spelt: dict[str, str] = {}
    for row in rows:
        before = first.setdefault(row.image, row)
        if before is not row:
            place = f"{before.place} already" if before.source == row.source else f"{before.source.name} too"
            problems.append((row, f"{shorten(row.image)} is in {place}"))
        for label in row.labels:
            name = spelt.setdefault(spoken(label), label)
            if name != label:
                problems.append((row, f"label '{label}' is '{name}' elsewhere; write one of them"))
    return _told_once(problems)


def _doubtful_names(rows: list[Row]) -> list[str]:
    """A note for each label that may be several, or another one misspelt; of more than five the first, and their number."""
    counts = Counter(label for row in rows for label in row.labels)
    made = made_of_others(counts)
    notes = [f"'{name}' is made of other class names: do you mean '{';'.join(parts)}'?" for name, parts in made.items()]
    shared = [
        f"labels share parts: {few([repr(name) for name in names])}; if '{separator}' separates labels there, write ';'"
        for separator, names in sharing_parts(counts.keys() - made.keys()).items()
    ]
    slips = [
        f"label '{rare}' ({counts[rare]}) is close to '{name}' ({counts[name]}): is it a slip?"
        for rare, name in possible_slips(counts)
    ]
    numbers = [name for name in counts if name.isdecimal()]
    if numbers and len(numbers) == len(counts):
        shared.append(f"labels are numbers ({few(sorted(numbers))}): prompts are made of class names, so write names")
    return [*_first_few(notes), *shared, *_first_few(slips)]


def _first_few(notes: list[str]) -> list[str]:
    more = [f"... and {len(notes) - _SHOWN:,} more labels like these"] if len(notes) > _SHOWN else []
    return notes[:_SHOWN] + more


def _drawn(rows: list[Row], labels: csr_array) -> tuple[list[Row], list[str]]:
    """Rows that all have a split: as they say, else drawn, with a note. Raises DataError where some say it and some do not."""
    without = [row for row in rows if row.split is None]
    if not without:
        return rows, []
    if len(without) < len(rows):
        raise DataError([f"{without[0]}: it is of no split, and other images are"])
    test = draw_test(label_table(labels, str(rows[0].source)), [row.image for row in rows])
    told = f"no splits: {test.sum():,} of {len(rows):,} images, a fifth of each class, drawn for testing"
    return [row._replace(split="test" if drawn else "train") for row, drawn in zip(rows, test)], [told]


def _splits(rows: list[Row], labels: csr_array, root: Path) -> dict[str, Split]:
    """The splits of rows and their labels (N, C). Raises DataError."""
    splits = {}
    for key in SPLITS:
        chosen = [i for i, row in enumerate(rows) if row.split == key]
        part = [rows[i] for i in chosen]
        if part:
            names = tuple(row.image for row in part)
            captions = tuple(row.caption for row in part) if key == "train" else ()
            places, paths = tuple(row.place for row in part), tuple(root / name for name in names)
            kept = captions if any(captions) else None
            splits[key] = Split(part[0].source, places, names, paths, labels[chosen], kept)
    problems = [f"{rows[0].source}: no image has split '{key}'" for key in ("train", "test") if key not in splits]
    if "train" in splits and splits["train"].captions:
        bare = [row for row in rows if row.split == "train" and not row.caption]
        problems += _told_once([(row, "no caption, and other training images have one") for row in bare])
    if problems:
        raise DataError(problems)
    return splits


def is_file(path: Path) -> bool:
    """Whether a file is there; no name is too long or too strange to ask."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def missing_images(rows: Sequence[Row], root: Path) -> list[str]:
    """A line for each missing image, with the file that is there under a like name; of more than five of one file the
    first three, and how many there are."""
    lines = []
    for source in dict.fromkeys(row.source for row in rows):
        listed = [row for row in rows if row.source == source]
        missing = [row for row in listed if not _path_problem(row, root) and not is_file(root / row.image)]
        shown = missing if len(missing) <= _SHOWN else missing[:3]
        lines += [f"{row}: no image {shorten(str(root / row.image))}{_offer(root, row.image)}" for row in shown]
        if len(shown) < len(missing):
            lines.append(f"{source}: {len(missing):,} of its {len(listed):,} images are missing below {root}")
    return lines


def _offer(root: Path, name: str) -> str:
    """`; there is img/0.jpg` where a file is called so but for capitals, slashes, accents' coding, its suffix or its folder."""
    parts = [part for part in re.split(r"[\\/]", name) if part]
    if max(map(len, parts), default=0) > 255:
        return f"; its name has {len(name)} characters, more than a file's can have"
    folders = [root, *sorted(folder for folder in root.iterdir() if folder.is_dir())] if root.is_dir() else []
    for folder in folders:
        for start in range(len(parts)):
            if found := _like(folder, parts[start:]):
                there = str((folder / found).relative_to(root))
                same = unicodedata.normalize("NFC", there) == unicodedata.normalize("NFC", name)
                return f"; there is {there}{', its accents coded otherwise' if same else ''}"
    return ""


def _like(root: Path, parts: Sequence[str]) -> str | None:
    """The path below `root` that is alike, part by part."""
    folder = root
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        entries = sorted(os.listdir(folder)) if folder.is_dir() else []
        alike = [entry for entry in entries if spoken(entry) == spoken(part)]
        if last and not alike:
            pictures = [entry for entry in entries if entry.lower().endswith(SUFFIXES)]
            alike = [entry for entry in pictures if spoken(Path(entry).stem) == spoken(Path(part).stem)]
        alike = [entry for entry in alike if (folder / entry).is_file() == last]
        if not alike:
            return None
        folder /= alike[0]
    return str(folder.relative_to(root))
