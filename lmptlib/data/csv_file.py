"""A CSV file as a data set: columns `image`, `labels`, `caption` and `split`."""

import csv
import difflib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmptlib.data.dataset import Split
from lmptlib.data.lists import IMAGE_LINE, name_missing, spoken
from lmptlib.errors import DataError, first_line, nearest

_COLUMNS = ("image", "labels", "caption", "split")
_SPLITS = ("train", "val", "test")


class _Row(NamedTuple):
    """One image: the line on which it begins, and its fields as they are written; no split where there is no column."""

    line: int
    image: str
    label_text: str
    caption: str
    split: str | None

    @property
    def labels(self) -> list[str]:
        return [label.strip() for label in self.label_text.split(";")] if self.label_text else []


def read_csv(path: Path, root: Path, check_images: bool = True) -> tuple[tuple[str, ...], dict[str, Split], list[str]]:
    """Class names, splits and warnings of a CSV file with columns image and labels, and caption and split where wanted.

    image: a path below `root`. labels: class names with `;` between them, or nothing. caption: text, of training images.
    split: train, val or test; without the column a fifth of each class is drawn for testing. Classes are in alphabetical
    order. Raises DataError with every problem.
    """
    rows, problems = _parse(path)
    problems += _check(rows, path, root, check_images)
    class_names = tuple(sorted({label for row in rows for label in row.labels}))
    if not problems and not class_names:
        problems.append(f"{path}: no labels in it" if rows else f"{path}: no images in it")
    if not problems and len(rows) == 1:
        problems.append(f"{path}: one image is no data set")
    if problems:
        raise DataError(problems)
    labels = np.array([[name in row.labels for name in class_names] for row in rows])
    parts, warnings = _parts(rows, labels)
    return class_names, _split(rows, labels, parts, path, root), warnings + _possible_slips(class_names, labels)


def _parse(path: Path) -> tuple[list[_Row], list[str]]:
    """The rows of a CSV file, and problems. Raises DataError for its columns."""
    rows, problems = [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = [name.strip() for name in next(reader, [])]
            _check_columns(columns, path)
            line = reader.line_num + 1
            for fields in reader:
                fields = [field.strip() for field in fields]
                if any(fields) and len(fields) != len(columns):
                    wanted = f"not {len(columns)} fields, as the first line has; quote commas"
                    problems.append(f"{path} line {line}: {wanted}")
                elif any(fields):
                    row = dict(zip(columns, fields))
                    image = os.path.normpath(row["image"])
                    rows.append(_Row(line, image, row["labels"], row.get("caption", ""), row.get("split")))
                line = reader.line_num + 1
    except FileNotFoundError:
        raise DataError([f"{path}: no such file"]) from None
    except (UnicodeDecodeError, OSError, csv.Error) as error:
        raise DataError([f"{path}: cannot be read as a CSV file in UTF-8 ({first_line(error)})"]) from None
    return rows, problems


def _check_columns(columns: list[str], path: Path) -> None:
    if len(columns) == 1 and ("\t" in columns[0] or ";" in columns[0]):
        raise DataError([f"{path}: columns are separated by ',' and not as in '{columns[0]}': save it so"])
    wrong = [f"{path}: unknown column '{n}'.{nearest(n, _COLUMNS)}" for n in columns if n not in _COLUMNS]
    wrong = wrong or [f"{path}: no column '{name}'" for name in _COLUMNS[:2] if name not in columns]
    wrong += [f"{path}: column '{n}' stands twice" for n in sorted(set(columns)) if columns.count(n) > 1]
    if wrong:
        raise DataError(wrong)


def _check(rows: list[_Row], path: Path, root: Path, check_images: bool) -> list[str]:
    """The problems of all rows."""
    problems: list[str] = []
    missing: list[str] = []
    seen: dict[str, int] = {}
    spelt: dict[str, str] = {}
    for row in rows:
        where = f"{path} line {row.line}"
        wrong = _image_problems(row, root, seen)
        if not wrong and check_images and not (root / row.image).is_file():
            missing.append(f"{where}: no image {root / row.image}")
        wrong += _label_problems(row)
        if row.split is not None and row.split not in _SPLITS:
            wrong.append(f"split is train, val or test, not '{row.split}'")
        wrong += _spelling_problems(row, spelt)
        problems += [f"{where}: {problem}" for problem in wrong]
    return problems + name_missing(missing, len(rows), path, root)


def _image_problems(row: _Row, root: Path, seen: dict[str, int]) -> list[str]:
    """What is wrong with a row's path, one line at most. `seen`: images of the rows before and their lines; it grows."""
    match = IMAGE_LINE.match(row.image)
    before = seen.setdefault(row.image, row.line)
    if not match or match[2]:
        return [f"'{row.image}' is not an image path (.jpg, .png, ...)"]
    if os.path.isabs(row.image) or row.image.startswith(".."):
        return [f"{row.image} is not below {root}; data_root names another folder"]
    return [f"{row.image} is in line {before} already"] if before != row.line else []


def _label_problems(row: _Row) -> list[str]:
    if any(not label.isprintable() or not label or "," in label or "|" in label for label in row.labels):
        return [f"labels '{row.label_text}': write names with ';' between them"]
    twice = len(set(row.labels)) < len(row.labels)
    return [f"a label stands twice in '{row.label_text}'"] if twice else []


def _spelling_problems(row: _Row, spelt: dict[str, str]) -> list[str]:
    """Labels that earlier rows write otherwise. `spelt`: each class by its `spoken` name, as first written; it grows."""
    first = {label: spelt.setdefault(spoken(label), label) for label in row.labels}
    other = {label: name for label, name in first.items() if name != label}
    return [f"label '{label}' is '{name}' elsewhere; write one of them" for label, name in other.items()]


def _parts(rows: list[_Row], labels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Which split each row (N,) is of: as its column says, else drawn, with a warning."""
    if rows[0].split is not None:
        return np.array([row.split for row in rows]), []
    test = draw_test(labels, [row.image for row in rows])
    drawn = f"{test.sum():,} of {len(rows):,} images, a fifth of each class, drawn for testing"
    return np.where(test, "test", "train"), [f"no column 'split': {drawn}"]


def _possible_slips(class_names: tuple[str, ...], labels: np.ndarray) -> list[str]:
    """A warning for each label of one or two images that is close to a more frequent one."""
    counts = dict(zip(class_names, labels.sum(0)))
    slips = []
    for rare in (name for name in class_names if counts[name] <= 2):
        frequent = [name for name in class_names if counts[name] > counts[rare]]
        for name in difflib.get_close_matches(rare, frequent, n=1, cutoff=0.8):
            slips.append(f"label '{rare}' ({counts[rare]}) is close to '{name}' ({counts[name]}): is it a slip?")
    return slips


def _split(rows: list[_Row], labels: np.ndarray, parts: np.ndarray, path: Path, root: Path) -> dict[str, Split]:
    """The splits of rows (N,) and labels (N, C) by the name of each row's split (N,). Raises DataError."""
    splits = {}
    for key in _SPLITS:
        chosen = np.flatnonzero(parts == key)
        part = [rows[i] for i in chosen]
        if part:
            lines, names = tuple(row.line for row in part), tuple(row.image for row in part)
            paths = tuple(root / name for name in names)
            captions = tuple(row.caption for row in part) if key == "train" else ()
            splits[key] = Split(path, lines, names, paths, labels[chosen], captions if any(captions) else None)
    problems = [f"{path}: no image has split '{key}'" for key in ("train", "test") if key not in splits]
    if "train" in splits and splits["train"].captions:
        bare = [row for row, key in zip(rows, parts) if key == "train" and not row.caption]
        other = "has no caption, and other training images have"
        problems += [f"{path} line {row.line}: {row.image} {other}" for row in bare]
    if problems:
        raise DataError(problems)
    return splits


def draw_test(labels: np.ndarray, names: Sequence[str], share: float = 0.2) -> np.ndarray:
    """Which images (N,) of labels (N, C) are for testing: `share` of each class, rarest first, the same draw each time.

    At least one image of a class with two or more, where that leaves every class one for training. A class is dealt out
    before more frequent ones are, as in Sechidis et al., "On the stratification of multi-label data" (2011); within a
    class by a hash of the images' names, so that a few images more or fewer change the draw of few others.
    """
    order = np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in names])
    counts = labels.sum(0)
    test, open_, left = np.zeros(len(labels), bool), np.ones(len(labels), bool), counts.copy()
    kinds = [labels[:, c] for c in np.argsort(counts, kind="stable")] + [~labels.any(1)]
    for of_class in kinds:
        wanted = max(round(share * of_class.sum()), int(of_class.sum() > 1)) - (test & of_class).sum()
        for image in order[(of_class & open_)[order]]:
            if wanted <= 0:
                break
            if (left[labels[image]] > 1).all():
                test[image] = True
                left -= labels[image]
                wanted -= 1
        open_ &= ~of_class
    return test
