"""A folder of images for each class: `cat/1.jpg`, or `train/cat/1.jpg` and `test/cat/2.jpg`."""

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from lmptlib.data.formats.files import files_below, is_hidden, is_picture, name_problems, split_named, with_test
from lmptlib.data.rows import Reading, Row
from lmptlib.data.text import plain_spaces
from lmptlib.errors import DataError, few, printable, shorten

_WORDNET = re.compile(r"n\d{8}")
# Beside the folders such a file may be what tells of the images.
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".xml", ".xlsx")


def is_image_folder(path: Path) -> bool:
    return path.is_dir() and any(is_picture(name) and os.sep in name for name in files_below(path))


def read_folders(path: Path, root: Path | None = None) -> Reading:
    """One label an image: the name of the folder below the root, or below the split's folder, however deep it lies in it.

    The first folders are splits where all are called so, or `train/` has folders with images. Files that are no images, and
    hidden ones, are left out.
    Raises DataError.
    """
    root = root or path
    names = list(files_below(root))
    images = [name for name in names if is_picture(name) and not is_hidden(name)]
    splits = _splits_of(images)
    rows, classless = [], []
    for name in images:
        *folders, _ = PurePath(name).parts
        split = splits[folders[0]] if folders else None
        folders = folders[1:] if split else folders
        if folders:
            rows.append(Row(path, "", name, (plain_spaces(folders[0]),), split=split))
        else:
            classless.append(name)
    classes = sorted({row.labels[0] for row in rows})
    tables = [name for name in names if os.sep not in name and name.lower().endswith(_TABLES)]
    if problems := [*_folder_problems(path, splits, classless), *_class_problems(path, classes, tables)]:
        raise DataError(problems)
    rows, notes = with_test(rows)
    skipped = len(names) - len(images)
    told = f"image folders: {len(rows):,} images of {len(classes):,} classes, one each"
    told += f"; files that are no images, left out: {skipped:,}" if skipped else ""
    if tables:
        notes.append(f"{printable(few(tables))} beside the folders: name it where it tells of the images")
    if classes and all(_WORDNET.fullmatch(name) for name in classes):
        notes.append(f"classes are called {classes[0]}, ...: prompts are made of their names, so words do better")
    return Reading(path, root, rows, None, [told, *notes])


def _splits_of(images: Iterable[str]) -> dict[str, str | None]:
    """The split that each first folder is; None for all where they are classes."""
    inside = [PurePath(name).parts for name in images if os.sep in name]
    splits = {parts[0]: split_named(parts[0]) for parts in inside}
    if all(splits.values()) or any(splits[parts[0]] == "train" for parts in inside if len(parts) > 2):
        return splits
    return dict.fromkeys(splits)


def _folder_problems(path: Path, splits: dict[str, str | None], classless: list[str]) -> list[str]:
    """A line for each folder beside splits that is none, and one for the images of no class."""
    others = sorted(name for name, split in splits.items() if not split) if any(splits.values()) else []
    problems = [
        f"{path}: folder '{printable(name)}' is beside train/ and no split (train, val, test)" for name in others
    ]
    if classless:
        told = shorten(printable(few(classless)))
        problems.append(f"{path}: images that lie in no class's folder ({len(classless):,}): {told}")
    return problems


def _class_problems(path: Path, classes: list[str], tables: list[str]) -> list[str]:
    problems = name_problems(path, classes)
    if len(classes) == 1:
        yolo = (path / "labels").is_dir()
        hint = "YOLO needs a data.yaml with 'names' too" if yolo else "make a folder for each class"
        hint = f"do you mean {printable(few(tables))} beside it?" if tables else hint
        problems.append(f"{path}: all images are of one class, folder '{printable(classes[0])}'; {hint}")
    return problems
