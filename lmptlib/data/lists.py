"""The list format of VOC-LT and COCO-LT: classes `name id`, images `path id id ...`, captions `path caption`."""

import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lmptlib.data.dataset import Split
from lmptlib.errors import DataError, first_line

IMAGE_LINE = re.compile(r"(.+?\.(?:jpe?g|png|webp|bmp|gif|tiff?))(?:\s+(.*))?$", re.IGNORECASE)


def _read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError([f"{path}: no such file"]) from None
    except (UnicodeDecodeError, OSError) as error:
        raise DataError([f"{path}: cannot be read as UTF-8 text ({first_line(error)})"]) from None
    return [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1) if line.strip()]


def spoken(name: str) -> str:
    """A class name without what spellings of it differ in: capitals, `_` for a blank, the coding of accents.

    >>> from lmptlib.data.lists import spoken
    >>> spoken("Potted_plant") == spoken("potted  plant")
    True
    """
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split()).casefold()


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names in the order of their ids, from lines `name id`. Raises DataError."""
    names: dict[int, str] = {}
    problems = []
    for number, line in _read_lines(path):
        name, _, class_id = line.rpartition(" ")
        name = name.strip()
        if not name or not class_id.isdecimal():
            problems.append(f"{path} line {number}: '{line}' is not 'name id'")
        elif int(class_id) in names:
            problems.append(f"{path} line {number}: id {class_id} is taken by '{names[int(class_id)]}'")
        elif spoken(name) in map(spoken, names.values()):
            problems.append(f"{path} line {number}: class '{name}' stands twice")
        else:
            names[int(class_id)] = name
    if not problems and sorted(names) != list(range(len(names))):
        missing = sorted(set(range(max(names) + 1)) - set(names))
        problems.append(f"{path}: ids must run from 0 without gaps; missing: {', '.join(map(str, missing))}")
    if not problems and not names:
        problems.append(f"{path}: no classes in it; write one 'name id' a line")
    if problems:
        raise DataError(problems)
    return tuple(names[i] for i in range(len(names)))


def image_lines(path: Path, problems: list[str]) -> Iterator[tuple[int, str, str]]:
    """Line number, image path and what follows it, for each line; a line without an image path is a problem."""
    for number, line in _read_lines(path):
        match = IMAGE_LINE.match(line)
        if match:
            yield number, os.path.normpath(match[1]), match[2] or ""
        else:
            wanted = "does not begin with an image path (.jpg, .png, ...) and a space"
            problems.append(f"{path} line {number}: '{line[:80]}' {wanted}")


def name_missing(lines: list[str], n_images: int, path: Path, root: Path) -> list[str]:
    """A line for each missing image; of more than five the first three, and how many there are."""
    if len(lines) <= 5:
        return lines
    return [*lines[:3], f"{path}: {len(lines):,} of its {n_images:,} images are missing below {root}"]


def read_list(path: Path, root: Path, n_classes: int, check_images: bool = True) -> Split:
    """An image list, lines `path id id ...` with paths below `root`; a line may have no id. Raises DataError."""
    problems: list[str] = []
    missing: list[str] = []
    rows: list[tuple[int, str, list[int]]] = []
    seen: dict[str, int] = {}
    for number, name, rest in image_lines(path, problems):
        where, ids = f"{path} line {number}", rest.split()
        bad = [i for i in ids if not i.isdecimal() or int(i) >= n_classes]
        if bad:
            problems.append(f"{where}: '{bad[0]}' is not a class id; ids run from 0 to {n_classes - 1}")
        elif len(set(ids)) < len(ids):
            problems.append(f"{where}: a class id stands twice")
        elif name in seen:
            problems.append(f"{where}: {name} is in line {seen[name]} already")
        else:
            rows.append((number, name, [int(i) for i in ids]))
            if check_images and not (root / name).is_file():
                missing.append(f"{where}: no image {root / name}")
        seen.setdefault(name, number)
    problems += name_missing(missing, len(rows), path, root)
    if not problems and not rows:
        problems.append(f"{path}: no images in it")
    if problems:
        raise DataError(problems)
    labels = np.zeros((len(rows), n_classes), bool)
    for label, (_, _, class_ids) in zip(labels, rows):
        label[class_ids] = True
    numbers, names, _ = zip(*rows)
    return Split(path, numbers, names, tuple(root / name for name in names), labels)


def read_captions(path: Path, train: Split) -> tuple[str, ...]:
    """One caption for each training image, in the list's order, from lines `path caption`. Raises DataError."""
    problems: list[str] = []
    captions: dict[str, str] = {}
    images = set(train.names)
    for number, name, caption in image_lines(path, problems):
        where = f"{path} line {number}"
        if not caption:
            problems.append(f"{where}: no caption behind {name}")
        elif name not in images:
            problems.append(f"{where}: {name} is not in the training list {train.source.name}")
        elif name in captions:
            problems.append(f"{where}: a second caption for {name}; one each, please")
        captions.setdefault(name, caption)
    for number, name in zip(train.lines, train.names):
        if name not in captions:
            problems.append(f"{train.source} line {number}: {name} has no caption in {path.name}")
    if problems:
        raise DataError(problems)
    return tuple(captions[name] for name in train.names)
