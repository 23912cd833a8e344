"""A folder of images for each class: `cat/1.jpg`, or `train/cat/1.jpg` and `test/cat/2.jpg`."""

import os
import re
from pathlib import Path, PurePath

from lmptlib.data.formats.files import files_below, is_picture, name_problems, split_named, with_test
from lmptlib.data.rows import Reading, Row
from lmptlib.data.text import plain_spaces
from lmptlib.errors import DataError, printable, shorten

_WORDNET = re.compile(r"n\d{8}")


def read_folders(path: Path, root: Path | None = None) -> Reading:
    """One label an image: the name of the folder below the root, or below the split's folder, however deep it lies in it.

    The first folders are splits where all are called so, or `train/` has folders with images. Files that are no images, and
    hidden ones, are left out.
    Raises DataError.
    """
    root = root or path
    names = list(files_below(root))
    images = [
        name for name in names if is_picture(name) and not any(part.startswith(".") for part in PurePath(name).parts)
    ]
    splits = {name: split_named(name) for name in {PurePath(name).parts[0] for name in images if os.sep in name}}
    deep = {PurePath(name).parts[0] for name in images if name.count(os.sep) > 1}
    if not any(splits[name] == "train" for name in deep) and not all(splits.values()):
        splits = dict.fromkeys(splits)
    problems = []
    if any(splits.values()):
        others = sorted(name for name, split in splits.items() if not split)
        problems = [
            f"{path}: folder '{printable(name)}' is beside train/ and no split (train, val, test)" for name in others
        ]
    rows, classless = [], []
    for name in images:
        *folders, _ = PurePath(name).parts
        split = splits[folders[0]] if folders else None
        folders = folders[1:] if split else folders
        if folders:
            rows.append(Row(path, "", name, (plain_spaces(folders[0]),), split=split))
        else:
            classless.append(name)
    rows, notes = with_test(rows)
    if classless:
        first = f"{printable(classless[0])}{', ...' if len(classless) > 1 else ''}"
        problems.append(f"{path}: images that lie in no class's folder ({len(classless):,}): {shorten(first)}")
    classes = sorted({row.labels[0] for row in rows})
    problems += name_problems(path, classes)
    if len(classes) == 1:
        hint = (
            "YOLO needs a data.yaml with 'names' too" if (path / "labels").is_dir() else "make a folder for each class"
        )
        problems.append(f"{path}: all images are of one class, folder '{printable(classes[0])}'; {hint}")
    if problems:
        raise DataError(problems)
    skipped = len(names) - len(images)
    told = f"image folders: {len(rows):,} images of {len(classes):,} classes, one each"
    told += f"; files that are no images, left out: {skipped:,}" if skipped else ""
    if classes and all(_WORDNET.fullmatch(name) for name in classes):
        notes.append(f"classes are called {classes[0]}, ...: prompts are made of their names, so words do better")
    return Reading(path, root, rows, None, [told, *notes])
