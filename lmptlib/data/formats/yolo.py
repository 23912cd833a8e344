"""YOLO: `data.yaml` with class names and folders of images, and beside `images/` a `labels/` with a text file an image."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import StrictInt, StrictStr, TypeAdapter

from lmptlib.data.formats.files import (
    checked,
    files_below,
    is_picture,
    left_out,
    name_problems,
    read_yaml_file,
    shown,
    with_test,
)
from lmptlib.data.rows import SPLITS, Reading, Row, is_file
from lmptlib.data.text import plain_spaces, read_text
from lmptlib.errors import DataError, printable, shorten

_NUMBER = re.compile(r"-?\d*\.?\d+([eE][-+]?\d+)?")


@dataclass
class _Data:
    names: Any
    train: Any = None
    val: Any = None
    test: Any = None
    path: StrictStr | None = None
    nc: StrictInt | None = None


_DATA = TypeAdapter(_Data)


def is_yolo(path: Path) -> bool:
    return _described(path) is not None


def read_yolo(path: Path, root: Path | None = None) -> Reading:
    """What `data.yaml` and the label files say: an image's labels are the classes of its boxes or polygons.

    path: the YAML file, or its folder. An image without a label file shows none of the classes. Images lie below the file's
    folder, or below `path` in it; leading `..` are dropped, as in Roboflow's `../train/images`. Raises DataError.
    """
    described = _described(path)
    if described is None:
        raise DataError([f"{path}: no data.yaml with 'names' and 'train' or 'val'"])
    file, content = described
    data = checked(_DATA, content, file)
    names = _names(data, file)
    folders, problems = _folders(data, file)
    base = root or _base(data, file, folders)
    reading = Reading(file, base, [], problems=problems)
    bare = 0
    for split, parts in folders.items():
        images = [image for part in parts for image in _images(base, part, split, file, problems)]
        found = [_labels(base, image, names, file, problems) for image, _ in images]
        missing = sum(labels is None for labels in found)
        bare += missing
        if missing and missing == len(images):
            looked = printable(_label_path(images[0][0]))
            problems.append(
                f"{file}: no image of '{split}' has a label file; looked for {shorten(looked)} below {base}"
            )
        reading.rows.extend(
            Row(file, place, image, labels or (), split=split) for (image, place), labels in zip(images, found)
        )
    used = {label for row in reading.rows for label in row.labels}
    counts = [f"{sum(row.split == split for row in reading.rows):,} {split}" for split in folders]
    told = f"YOLO, {file.name}: {', '.join(counts)} images, {len(names):,} classes"
    told += f"; without a label file, so without objects: {bare:,}" if bare else ""
    rows, notes = with_test(reading.rows)
    notes = [told, *notes, *left_out([name for name in names.values() if name not in used])]
    return Reading(file, base, rows, tuple(name for name in names.values() if name in used), notes, problems)


def _described(path: Path) -> tuple[Path, Any] | None:
    """The YAML file that has names and images, and what is in it: the path itself or one in the folder. Raises DataError."""
    if path.is_dir():
        usual = (path / name for name in ("data.yaml", "data.yml", "dataset.yaml", f"{path.resolve().name}.yaml"))
        return next(filter(None, (_described(file) for file in usual if is_file(file))), None)
    if path.suffix.lower() not in (".yaml", ".yml"):
        return None
    content = read_yaml_file(path)
    fits = isinstance(content, dict) and "names" in content and "classes" not in content
    return (path, content) if fits and ("train" in content or "val" in content) else None


def _names(data: _Data, file: Path) -> dict[int, str]:
    """Class names by their ids, in the order of these. Raises DataError."""
    named = dict(enumerate(data.names)) if isinstance(data.names, list) else data.names
    if not isinstance(named, dict):
        raise DataError([f"{file}: names must be a list, or 'id: name' lines, not {shown(data.names)}"])
    problems = [f"{file}: names: {shown(i)} is no class id" for i in named if type(i) is not int or i < 0]
    problems += [
        f"{file}: names: class {shown(i)} must be text, not {shown(name)}; put it in quotes"
        for i, name in named.items()
        if not isinstance(name, str)
    ]
    if not problems:
        named = {i: plain_spaces(named[i]) for i in sorted(named)}
        problems = name_problems(f"{file}: names", named.values())
    if not problems and data.nc not in (None, len(named)):
        problems = [f"{file}: nc is {shown(data.nc)}, and names has {len(named):,}"]
    if problems:
        raise DataError(problems)
    return named


def _folders(data: _Data, file: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Folders or lists of images of each split, and problems."""
    folders, problems = {}, []
    for split in SPLITS:
        told = getattr(data, split)
        parts = [told] if isinstance(told, str) else told or []
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            absolute = [part for part in parts if os.path.isabs(part) and not Path(part).is_relative_to(file.parent)]
            problems += [f"{file}: {split}: {_elsewhere(part, file.parent)}" for part in absolute]
            below = [os.path.relpath(part, file.parent) if os.path.isabs(part) else _inside(part) for part in parts]
            folders[split] = below if not absolute else []
        else:
            problems.append(f"{file}: {split} must be a folder or a list of folders, not {shown(told)}")
    return {split: parts for split, parts in folders.items() if parts}, problems


def _inside(path: str) -> str:
    """A path without its leading `..`."""
    parts = list(PurePosixPath(path.replace("\\", "/")).parts)
    while parts and parts[0] == "..":
        parts.pop(0)
    return os.path.join("", *parts)


def _elsewhere(part: str, base: Path) -> str:
    return f"{shown(part)} is not below {base}; write it as it is below, and data_root names another folder"


def _base(data: _Data, file: Path, folders: dict[str, list[str]]) -> Path:
    """The folder below which the images lie: `path` in the file's folder, or that folder itself."""
    told = data.path or ""
    below = os.path.relpath(told, file.parent) if os.path.isabs(told) else _inside(told)
    parts = [part for split in folders.values() for part in split]
    for base in (file.parent / below, file.parent):
        if not below.startswith("..") and any((base / part).exists() for part in parts):
            return base
    return file.parent


def _images(base: Path, part: str, split: str, file: Path, problems: list[str]) -> Iterator[tuple[str, str]]:
    """The images of a folder, or of a text file that lists them, each with its place."""
    if (base / part).is_dir():
        names = (os.path.join(part, name) for name in files_below(base / part))
        yield from ((name, split) for name in names if is_picture(name) and not os.path.basename(name).startswith("."))
    elif part.endswith(".txt") and is_file(base / part):
        for number, line in enumerate(read_text(base / part)[0].split("\n"), 1):
            beside = os.path.join(os.path.dirname(part), line.strip())
            if line.strip():
                name = beside if line.startswith("./") or is_file(base / beside) else line.strip()
                yield os.path.normpath(name), f"{printable(part)} line {number}"
    else:
        problems.append(f"{file}: {split}: {_elsewhere(part, base)}")


def _label_path(image: str) -> str:
    """`labels/train/1.txt` for `images/train/1.jpg`; beside the image where no folder is called images."""
    folders = os.path.dirname(image).split(os.sep)
    if "images" in folders:
        folders[len(folders) - 1 - folders[::-1].index("images")] = "labels"
    return os.path.join(*folders, f"{Path(image).stem}.txt")


def _labels(base: Path, image: str, names: dict[int, str], file: Path, problems: list[str]) -> tuple[str, ...] | None:
    """The classes of an image in the order of their ids; None where it has no label file. Problems are added."""
    path = _label_path(image)
    if not is_file(base / path):
        return None
    try:
        lines = read_text(base / path)[0].split("\n")
    except DataError as error:
        problems.extend(error.problems)
        return ()
    found = set()
    for number, line in enumerate(lines, 1):
        class_id, *numbers = line.split() or [""]
        where = f"{base / printable(path)} line {number}"
        if class_id and not (class_id.isdecimal() and len(numbers) >= 4 and all(map(_NUMBER.fullmatch, numbers))):
            problems.append(f"{where}: {shown(line)} is not 'class x y width height' or a polygon")
        elif class_id and (len(class_id) > 9 or int(class_id) not in names):
            ids = f"ids run from {min(names)} to {max(names)}" if names else "there are none"
            problems.append(f"{where}: class {shorten(class_id, 20)} is not in the names of {file.name}; {ids}")
        elif class_id:
            found.add(int(class_id))
    return tuple(names[i] for i in sorted(found))
