"""Data sets: one table type, read from the list format of VOC-LT and COCO-LT or from a CSV file.

Three files describe a data set: image lists `path id id ...`, captions `path caption`, classes `name id`. `load_dataset`
finds them for a built-in name (`emoji-lt`, `voc-lt`, `coco-lt`) or through a YAML card of your own; a CSV file with columns
`image`, `labels`, `caption` and `split` says all of it at once. Every line is checked before anything else happens.
"""

import csv
import difflib
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import yaml
from PIL import Image, ImageOps, UnidentifiedImageError

from lmptlib.data import emoji
from lmptlib.paths import home

GROUPS = ("head", "medium", "tail")
_IMAGE_LINE = re.compile(r"(.+?\.(?:jpe?g|png|webp|bmp|gif|tiff?))(?:\s+(.*))?$", re.IGNORECASE)


class DataError(ValueError):
    """What is wrong with a data set: one line a problem."""

    def __init__(self, problems: Iterable[str], shown: int = 20):
        self.problems = list(problems)
        lines = self.problems[:shown]
        if len(self.problems) > shown:
            lines.append(f"... and {len(self.problems) - shown:,} more problems like these")
        super().__init__("\n".join(lines))


@dataclass(frozen=True)
class Split:
    """The images of one list, with their labels and, for training, their captions."""

    source: Path  # the list file
    lines: tuple[int, ...]  # the line of each image in it
    names: tuple[str, ...]  # paths as the list writes them
    paths: tuple[Path, ...]
    labels: np.ndarray  # (N, C) bool
    captions: tuple[str, ...] | None = None

    @cached_property
    def digests(self) -> list[str]:
        """A hash of each image file's bytes."""
        with ThreadPoolExecutor() as pool:
            return list(
                pool.map(lambda path: hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest(), self.paths)
            )

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class Dataset:
    """Images, labels, captions and class names of a long-tailed multi-label data set."""

    name: str
    class_names: tuple[str, ...]  # as the classes file writes them
    train: Split
    test: Split
    val: Split | None = None
    warnings: tuple[str, ...] = ()
    class_counts: np.ndarray = field(init=False)  # (C,) training images of each class
    groups: np.ndarray = field(init=False)  # (C,) head, medium or tail

    def __post_init__(self):
        object.__setattr__(self, "class_counts", self.train.labels.sum(0))
        object.__setattr__(self, "groups", class_groups(self.class_counts))

    @property
    def splits(self) -> dict[str, Split]:
        return {"train": self.train} | ({"val": self.val} if self.val else {}) | {"test": self.test}

    def class_table(self) -> pd.DataFrame:
        """One row a class: its training count, group and numbers of validation and test images."""
        table = pd.DataFrame({"class": self.class_names, "group": self.groups})
        for name, split in self.splits.items():
            table[name] = split.labels.sum(0)
        return table

    def fingerprint(self) -> str:
        """A hash of all that a result depends on: class names, lists, captions and the bytes of every image."""
        digest = hashlib.sha256(repr((self.class_names, [s.captions for s in self.splits.values()])).encode())
        for split in self.splits.values():
            digest.update(split.labels.tobytes())
            digest.update("".join(split.digests).encode())
        return digest.hexdigest()


def class_groups(class_counts: np.ndarray) -> np.ndarray:
    """head: at least 100 training images, medium: 20 to 99, tail: fewer than 20 (LMPT section 4.2, with >= for its >)."""
    return np.where(class_counts >= 100, "head", np.where(class_counts >= 20, "medium", "tail"))


def open_image(path: Path | str, content: BinaryIO | None = None) -> Image.Image:
    """The image at `path`, or in `content` which goes by that name, upright, in RGB. ValueError, one line, where it is none."""
    try:
        with Image.open(content or path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be decoded as an image ({first_line(error)})") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` when a known name is near, else the list of all."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(known)}."


def first_line(error: BaseException) -> str:
    """An exception's message, cut to its first line."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


# ------------------------------------------------------------------------------------------- reading files


def _read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError([f"{path}: no such file"]) from None
    except (UnicodeDecodeError, OSError) as error:
        raise DataError([f"{path}: cannot be read as UTF-8 text ({first_line(error)})"]) from None
    return [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1) if line.strip()]


def _spoken(name: str) -> str:
    """What two spellings of one class name have in common."""
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
        elif _spoken(name) in map(_spoken, names.values()):
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


def _image_lines(path: Path, problems: list[str]) -> Iterator[tuple[int, str, str]]:
    """Line number, image path and what follows it, for each line; a line without an image path is a problem."""
    for number, line in _read_lines(path):
        match = _IMAGE_LINE.match(line)
        if match:
            yield number, os.path.normpath(match[1]), match[2] or ""
        else:
            problems.append(
                f"{path} line {number}: '{line[:80]}' does not begin with an image path (.jpg, .png, ...) and a space"
            )


def read_list(path: Path, root: Path, n_classes: int, check_images: bool = True) -> Split:
    """An image list, lines `path id id ...` with paths below `root`; a line may have no id. Raises DataError."""
    problems, rows, seen, missing = [], [], {}, []
    for number, name, rest in _image_lines(path, problems):
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
    if len(missing) > 5:
        missing = [*missing[:3], f"{path}: {len(missing):,} of its {len(rows):,} images are missing below {root}"]
    problems += missing
    if not problems and not rows:
        problems.append(f"{path}: no images in it")
    if problems:
        raise DataError(problems)
    labels = np.zeros((len(rows), n_classes), bool)
    for label, (_, _, ids) in zip(labels, rows):
        label[ids] = True
    numbers, names, _ = zip(*rows)
    return Split(path, numbers, names, tuple(root / name for name in names), labels)


def read_captions(path: Path, train: Split) -> tuple[str, ...]:
    """One caption for each training image, in the list's order, from lines `path caption`. Raises DataError."""
    problems, captions = [], {}
    known = set(train.names)
    for number, name, caption in _image_lines(path, problems):
        where = f"{path} line {number}"
        if not caption:
            problems.append(f"{where}: no caption behind {name}")
        elif name not in known:
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
        match = _IMAGE_LINE.match(name)
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
            if known.setdefault(_spoken(label), label) != label:
                problems.append(f"{where}: label '{label}' is '{known[_spoken(label)]}' elsewhere; write one of them")
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


# ---------------------------------------------------------------------------------------- finding data sets

_OFFICIAL = {"voc-lt": "voc", "coco-lt": "coco"}
BUILT_IN = {
    "emoji-lt": "20 VOC classes drawn from emoji, drawn at first use (the default)",
    "voc-lt": "VOC-LT, 1,142 + 4,952 images: official lists and VOCdevkit/ under data/ or data_root",
    "coco-lt": "COCO-LT, 1,909 + 5,000 images: official lists and train2017/, val2017/ under data/ or data_root",
}
_CARD_KEYS = {
    "name": str, "root": str, "train": str, "test": str, "classes": str, "captions": str, "val": str,
    "allow_empty": bool, "version": int,
}  # fmt: skip
_REQUIRED = ("name", "root", "train", "test", "classes")


def read_card(path: Path) -> dict:
    """A data set's YAML card with its paths made absolute. Raises DataError."""
    try:
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError([f"{path}: no such card"]) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise DataError(
            [f"{path}{line}: not a YAML card ({getattr(error, 'problem', None) or first_line(error)})"]
        ) from None
    if not isinstance(card, dict):
        raise DataError([f"{path}: a card is a list of 'key: value' lines; needed: {', '.join(_REQUIRED)}"])
    problems = [f"{path}: unknown key '{key}'.{nearest(str(key), _CARD_KEYS)}" for key in card if key not in _CARD_KEYS]
    problems += [f"{path}: '{key}' is missing" for key in _REQUIRED if key not in card]
    for key, kind in _CARD_KEYS.items():
        if key in card and not isinstance(card[key], kind):
            problems.append(f"{path}: '{key}' must be a {kind.__name__}, not {card[key]!r}")
    if problems:
        raise DataError(problems)
    for key in ("root", "train", "test", "classes", "captions", "val"):
        if key in card:
            card[key] = path.parent / card[key]
    if not card["root"].is_dir():
        raise DataError([f"{path}: root {card['root']} is not a folder"])
    return card


def official_card(name: str, root: Path) -> dict:
    """The files of VOC-LT or COCO-LT below `root`: the lists lie in it, or in voc/ or coco/ or lists/ below it."""
    short = _OFFICIAL[name]
    folders = [root, root / short, root / "lists"]
    files = {
        "train": f"{short}_lt_train.txt", "test": f"{short}_lt_test.txt",
        "captions": f"{short}_lt_captions.txt", "classes": f"{short}_labels.txt",
    }  # fmt: skip
    card: dict = {"name": name, "root": root}
    problems = []
    for key, file in files.items():
        found = [folder / file for folder in folders if (folder / file).is_file()]
        if found:
            card[key] = found[0]
        else:
            looked = ", ".join(str(folder) for folder in folders)
            problems.append(f"{name}: {file} is missing; looked in {looked}. See data/README.md for where to get it")
    if problems:
        raise DataError(problems)
    return card


def _find_card(dataset: str, data_root: str | Path | None) -> dict:
    """The card of a built-in data set or of a YAML file; for a CSV file its place."""
    if dataset == "emoji-lt":
        return read_card(emoji.write_emoji_lt(Path(data_root or home() / "data") / "emoji-lt"))
    if dataset in _OFFICIAL:
        return official_card(dataset, Path(data_root or home() / "data"))
    path = Path(dataset).expanduser()
    if path.suffix in (".yaml", ".yml"):
        if data_root:
            raise DataError([f"data_root is for built-in data sets; the card {path} says its own root"])
        return read_card(path)
    if path.suffix.lower() == ".csv":
        return {"name": path.stem, "csv": path, "root": Path(data_root or path.parent)}
    raise DataError([
        f"unknown dataset '{dataset}'.{nearest(dataset, BUILT_IN)} Your own: the path of a .csv file or a .yaml card"
    ])  # fmt: skip


def _read_lists(card: dict, check_images: bool) -> tuple[tuple[str, ...], dict[str, Split], list[str]]:
    """Class names, splits and warnings of a card's lists. Raises DataError with the problems of all of them."""
    class_names = read_classes(card["classes"])
    problems: list[str] = []
    splits: dict[str, Split] = {}
    for key in ("train", "val", "test"):
        if key in card:
            try:
                splits[key] = read_list(card[key], card["root"], len(class_names), check_images)
            except DataError as error:
                problems += error.problems
    if "train" in splits and "captions" in card:
        try:
            captions = read_captions(card["captions"], splits["train"])
            splits["train"] = replace(splits["train"], captions=captions)
        except DataError as error:
            problems += error.problems
    owner: dict[str, str] = {}
    for split in splits.values():
        for number, name in zip(split.lines, split.names):
            if name in owner:
                problems.append(f"{split.source} line {number}: {name} is in {owner[name]} too")
            owner[name] = split.source.name
    if problems:
        raise DataError(problems)
    return class_names, splits, []


def load_dataset(dataset: str = "emoji-lt", data_root: str | Path | None = None, check_images: bool = True) -> Dataset:
    """Read and check a data set by its name, by the path of its YAML card or by that of a CSV file.

    `data_root` is where a built-in data set lies (default `data/`), or the folder of a CSV file's images (default: its own).
    Every problem is reported at once, one line each, in a DataError: bad lines, unknown ids, duplicate or missing images,
    captions that do not match, classes without a training image (unless the card says `allow_empty: true`). Classes
    without a test image are warnings.
    """
    card = _find_card(dataset, data_root)
    if "csv" in card:
        class_names, splits, warnings = read_csv(card["csv"], card["root"], check_images)
    else:
        class_names, splits, warnings = _read_lists(card, check_images)
    train, test = splits["train"], splits["test"]
    empty = [name for name, count in zip(class_names, train.labels.sum(0)) if not count]
    if empty and not card.get("allow_empty"):
        what = "add one" if "csv" in card else "add one, or 'allow_empty: true' to the card"
        raise DataError([f"{train.source}: class '{name}' has no training image; {what}" for name in empty])
    if empty:
        warnings.append(f"left out of the class weights, no training image: {', '.join(empty)}")
    unlabelled = [line for line, label in zip(train.lines, train.labels) if not label.any()]
    if unlabelled:
        lines = ", ".join(map(str, unlabelled[:5])) + (", ..." if len(unlabelled) > 5 else "")
        warnings.append(
            f"training images without a label ({len(unlabelled)}, {train.source.name} line {lines}) "
            "count as negatives of every class"
        )
    if train.captions is None:
        warnings.append("no captions: zero_shot and coop can be run, lmpt cannot")
    untested = [name for name, count in zip(class_names, test.labels.sum(0)) if not count]
    if untested:
        warnings.append(f"no AP, no test image: {', '.join(untested)}")
    warnings = tuple(f"{card['name']}: {warning}" for warning in warnings)
    return Dataset(card["name"], class_names, train, test, splits.get("val"), warnings)


def check_dataset(dataset: str, data_root: str | Path | None = None) -> Dataset:
    """`load_dataset`, and every image decoded as well. Raises DataError with all that was found."""
    loaded = load_dataset(dataset, data_root)
    problems = [problem for split in loaded.splits.values() for problem in undecodable(split)]
    if problems:
        raise DataError(problems)
    return loaded


def undecodable(split: Split) -> list[str]:
    """One line for each image of a split that cannot be decoded."""

    def problem(item: tuple[int, Path]) -> str | None:
        try:
            open_image(item[1])
        except ValueError as error:
            return f"{split.source} line {item[0]}: {error}"
        return None

    with ThreadPoolExecutor() as pool:
        return [line for line in pool.map(problem, zip(split.lines, split.paths)) if line]
