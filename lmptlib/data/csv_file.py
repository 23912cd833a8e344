"""A CSV file as a data set: columns `image`, `labels`, `caption` and `split`."""

import csv
import difflib
import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lmptlib.data.dataset import Split
from lmptlib.data.lists import IMAGE_LINE, spoken
from lmptlib.errors import DataError, first_line, nearest

_COLUMNS = ("image", "labels", "caption", "split")


def read_csv(path: Path, root: Path, check_images: bool = True) -> tuple[tuple[str, ...], dict[str, Split], list[str]]:
    """Class names, splits and warnings of a CSV file with columns image and labels, and caption and split where wanted.

    image: a path below `root`. labels: class names with `;` between them, or nothing. caption: text, of training images.
    split: train, val or test; without the column a fifth of each class is drawn for testing. Classes are in alphabetical
    order. Raises DataError with every problem.
    """
    rows, problems = _csv_rows(path)
    seen: dict[str, int] = {}
    known: dict[str, str] = {}  # class names by what is said of them
    labels, missing = [], []
    for number, row in rows:
        where, given = f"{path} line {number}", row.get("split", "train")
        name = row["image"] = os.path.normpath(row["image"])
        found = [label.strip() for label in row["labels"].split(";")] if row["labels"] else []
        bad = [label for label in found if not label.isprintable() or not label or "," in label or "|" in label]
        match = IMAGE_LINE.match(name)
        if not match or match[2]:
            problems.append(f"{where}: '{name}' is not an image path (.jpg, .png, ...)")
        elif os.path.isabs(name) or name.startswith(".."):
            problems.append(f"{where}: {name} is not below {root}; data_root names another folder")
        elif name in seen:
            problems.append(f"{where}: {name} is in line {seen[name]} already")
        elif check_images and not (root / name).is_file():
            missing.append(f"{where}: no image {root / name}")
        if bad:
            problems.append(f"{where}: labels '{row['labels']}': write names with ';' between them")
        elif len(set(found)) < len(found):
            problems.append(f"{where}: a label stands twice in '{row['labels']}'")
        if given not in ("train", "val", "test"):
            problems.append(f"{where}: split is train, val or test, not '{given}'")
        for label in found:
            if known.setdefault(spoken(label), label) != label:
                problems.append(f"{where}: label '{label}' is '{known[spoken(label)]}' elsewhere; write one of them")
        seen.setdefault(name, number)
        labels.append(found)
    if len(missing) > 5:
        missing = [*missing[:3], f"{path}: {len(missing):,} of its {len(rows):,} images are missing below {root}"]
    problems += missing
    if not problems and not known:
        problems.append(f"{path}: no labels in it" if rows else f"{path}: no images in it")
    if problems:
        raise DataError(problems)
    class_names = tuple(sorted(known.values()))
    table = np.array([[name in found for name in class_names] for found in labels])  # (N, C)
    warnings = []
    if "split" in rows[0][1]:
        where = np.array([row["split"] for _, row in rows])
    else:
        where = np.where(draw_test(table, seen), "test", "train")
        warnings.append(
            f"no column 'split': {(where == 'test').sum():,} of {len(rows):,} images, a fifth of each class, drawn for testing"
        )
    counts = dict(zip(class_names, table.sum(0)))
    for rare in (name for name in class_names if counts[name] <= 2):
        close = difflib.get_close_matches(rare, [n for n in class_names if counts[n] > counts[rare]], n=1, cutoff=0.8)
        warnings += [f"label '{rare}' ({counts[rare]}) is close to '{n}' ({counts[n]}): is it a slip?" for n in close]
    splits = {}
    for key in ("train", "val", "test"):
        chosen = np.flatnonzero(where == key)
        if len(chosen):
            part = [rows[i] for i in chosen]
            names = tuple(row["image"] for _, row in part)
            captions = tuple(row.get("caption", "") for _, row in part) if key == "train" else None
            paths = tuple(root / name for name in names)
            splits[key] = Split(path, tuple(number for number, _ in part), names, paths, table[chosen], captions)
        elif key != "val":
            problems.append(
                f"{path}: no image has split '{key}'" if len(rows) > 1 else f"{path}: one image is no data set"
            )
    if "train" in splits and not any(splits["train"].captions):
        splits["train"] = replace(splits["train"], captions=None)
    elif "train" in splits:
        train = splits["train"]
        problems += [
            f"{path} line {number}: {name} has no caption, and other training images have"
            for number, name, caption in zip(train.lines, train.names, train.captions)
            if not caption
        ]
    if problems:
        raise DataError(problems)
    return class_names, splits, warnings


def _csv_rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """The rows of a CSV file with the line on which each begins, and problems. Raises DataError for its columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = [name.strip() for name in next(reader, [])]
            if len(columns) == 1 and ("\t" in columns[0] or ";" in columns[0]):
                raise DataError([f"{path}: columns are separated by ',' and not as in '{columns[0]}': save it so"])
            wrong = [f"{path}: unknown column '{n}'.{nearest(n, _COLUMNS)}" for n in columns if n not in _COLUMNS]
            wrong = wrong or [f"{path}: no column '{name}'" for name in _COLUMNS[:2] if name not in columns]
            wrong += [f"{path}: column '{n}' stands twice" for n in sorted(set(columns)) if columns.count(n) > 1]
            if wrong:
                raise DataError(wrong)
            rows, problems, number = [], [], reader.line_num + 1
            for fields in reader:
                fields = [field.strip() for field in fields]
                if any(fields) and len(fields) != len(columns):
                    problems.append(
                        f"{path} line {number}: not {len(columns)} fields, as the first line has; quote commas"
                    )
                elif any(fields):
                    rows.append((number, dict(zip(columns, fields))))
                number = reader.line_num + 1
    except FileNotFoundError:
        raise DataError([f"{path}: no such file"]) from None
    except (UnicodeDecodeError, OSError, csv.Error) as error:
        raise DataError([f"{path}: cannot be read as a CSV file in UTF-8 ({first_line(error)})"]) from None
    return rows, problems


def draw_test(labels: np.ndarray, names: Iterable[str], share: float = 0.2) -> np.ndarray:
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
