"""COCO's JSON: `annotations/instances_*.json` with `captions_*.json` beside it, one such file alone, and Roboflow's export."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import StrictInt, StrictStr, TypeAdapter

from lmptlib.data.formats.files import (
    beginning,
    checked,
    left_out,
    name_problems,
    one_line,
    read_json,
    shown,
    split_named,
    with_test,
)
from lmptlib.data.rows import SPLITS, Reading, Row, is_file
from lmptlib.data.text import plain_spaces
from lmptlib.errors import DataError, few, shorten

_ROBOFLOW = "_annotations.coco.json"
_TAKEN = ("instances_", "captions_")


@dataclass(slots=True)
class _Image:
    id: StrictInt
    file_name: StrictStr


@dataclass(slots=True)
class _Category:
    id: StrictInt
    name: StrictStr


@dataclass(slots=True)
class _Annotation:
    image_id: StrictInt
    category_id: StrictInt


@dataclass(slots=True)
class _Instances:
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


@dataclass(slots=True)
class _Caption:
    image_id: StrictInt
    caption: StrictStr


@dataclass(slots=True)
class _Captions:
    annotations: list[_Caption]


_INSTANCES, _CAPTIONS = TypeAdapter(_Instances), TypeAdapter(_Captions)
_KEPT = ("images", "categories", "annotations", "id", "file_name", "name", "image_id", "category_id", "caption")


class _Source(NamedTuple):
    """A JSON file, its split, and where below the root its images may lie."""

    file: Path
    split: str | None
    folders: tuple[str, ...]


def is_coco(path: Path) -> bool:
    if path.is_dir():
        return bool(_exported(path) or _official(path))
    return path.suffix.lower() == ".json" and beginning(path).startswith("{")


def _exported(folder: Path) -> list[Path]:
    """Roboflow's files."""
    return sorted(file for file in folder.glob(f"*/{_ROBOFLOW}") if split_named(file.parent.name))


def _official(folder: Path) -> list[Path]:
    """COCO's own files."""
    return sorted(folder.glob("annotations/instances_*.json"))


def read_coco(path: Path, root: Path | None = None) -> Reading:
    """What COCO's JSON says: of a folder with `annotations/`, of one JSON file, or of Roboflow's `train/`, `valid/`, `test/`.

    An image's labels are the categories of its annotations, crowds too; its captions are joined by a blank. Images lie in
    `train2017/` for `instances_train2017.json`, below `images/`, or beside the file. Raises DataError.
    """
    sources, natural = _sources(path)
    reading = Reading(path, root or natural, [])
    names: dict[str, None] = {}
    for source in sources:
        content = _read(source.file)
        if isinstance(content, dict) and not {"images", "annotations"} & content.keys():
            raise DataError([f"{source.file}: no 'images' and 'annotations' in it, as COCO has, and no list of tasks"])
        found = checked(_INSTANCES, content, source.file)
        names |= dict.fromkeys(plain_spaces(category.name) for category in sorted(found.categories, key=lambda c: c.id))
        folder = _image_folder(source, reading.root, found.images)
        labels = _labels(source.file, found, reading.problems)
        captions = _captions(source, {image.id for image in found.images}, reading.notes)
        for image in found.images:
            name = os.path.join(folder, image.file_name.replace("\\", "/"))
            place = f"image {shown(image.id)}"
            of_image = labels[image.id], " ".join(captions.get(image.id, ())), source.split
            reading.rows.append(Row(source.file, place, name, *of_image))
        read = f"{len(found.images):,} images, {len(found.annotations):,} annotations"
        read += f", captions of {len(captions):,} images" if captions else ""
        reading.notes.append(f"COCO, {source.file.name}: {read}")
    others = sorted(file.name for file in path.glob("annotations/*.json") if not file.name.startswith(_TAKEN))
    if others:
        reading.notes.append(f"annotations/ has other files, left out ({len(others):,}): {few(others)}")
    used = {label for row in reading.rows for label in row.labels}
    rows, notes = with_test(reading.rows)
    notes += left_out([name for name in names if name not in used])
    classes = tuple(name for name in names if name in used)
    if problems := name_problems(path, classes):
        raise DataError(problems)
    return Reading(path, reading.root, rows, classes, reading.notes + notes, reading.problems)


def _read(file: Path) -> Any:
    """Only the keys that are needed: of the polygons of a large file nothing stays."""
    return read_json(file, lambda found: {key: found[key] for key in _KEPT if key in found})


def _sources(path: Path) -> tuple[list[_Source], Path]:
    """The JSON files of a data set, and the folder below which its images lie. Raises DataError."""
    if path.name == _ROBOFLOW:
        return [_Source(path, None, ("",))], path.parent
    if not path.is_dir():
        inside = path.parent.name == "annotations"
        return [_Source(path, None, _usual_folders(path))], path.parent.parent if inside else path.parent
    if exported := _exported(path):
        return [_Source(file, split_named(file.parent.name), (file.parent.name,)) for file in exported], path
    named = [(file, split_named(file.stem.removeprefix("instances_"))) for file in _official(path)]
    sources = [_Source(file, split, _usual_folders(file)) for file, split in named]
    for split in SPLITS:
        of_split = [source.file.name for source in sources if source.split == split]
        if len(of_split) > 1:
            raise DataError([f"{path}: {', '.join(of_split)} are all '{split}'; keep one of them there"])
    return sources, path


def _usual_folders(file: Path) -> tuple[str, ...]:
    suffix = file.stem.rpartition("_")[2]
    return suffix, f"images/{suffix}", "", "images", "annotations"


def _image_folder(source: _Source, root: Path, images: Sequence[_Image]) -> str:
    """The folder below the root that has one of the first images; the first folder that is there if none has."""
    for folder in source.folders:
        if any(is_file(root / folder / image.file_name.replace("\\", "/")) for image in images[:10]):
            return folder
    return next(folder for folder in (*source.folders, "") if (root / folder).is_dir() or not folder)


def _labels(file: Path, found: _Instances, problems: list[str]) -> dict[int, tuple[str, ...]]:
    """The class names of each image, by its id, in the order of theirs; problems are added."""
    names: dict[int, str] = {}
    for category in found.categories:
        name = plain_spaces(category.name)
        if names.setdefault(category.id, name) != name:
            problems.append(f"{file}: category id {shown(category.id)} stands twice in 'categories'")
    of_image: dict[int, set[int]] = {}
    for image in found.images:
        if image.id in of_image:
            problems.append(f"{file} image {shown(image.id)}: its id stands twice in 'images'")
        of_image[image.id] = set()
    for i, annotation in enumerate(found.annotations):
        if annotation.image_id not in of_image:
            problems.append(f"{file} annotations[{i}]: image_id {shown(annotation.image_id)} is not in 'images'")
        elif annotation.category_id not in names:
            wrong = f"category_id {shown(annotation.category_id)} is not in 'categories'"
            problems.append(f"{file} annotations[{i}], image {shown(annotation.image_id)}: {wrong}")
        else:
            of_image[annotation.image_id].add(annotation.category_id)
    problems += _same_names(file, {c: names[c] for ids in of_image.values() for c in ids})
    return {image: tuple(dict.fromkeys(names[c] for c in sorted(ids))) for image, ids in of_image.items()}


def _same_names(file: Path, names: dict[int, str]) -> list[str]:
    """A line for each name that two categories with annotations have. Others are no matter: Roboflow's first one has none."""
    ids_of: dict[str, list[int]] = defaultdict(list)
    for category in sorted(names):
        ids_of[names[category]].append(category)
    twice = {name: " and ".join(map(shown, ids)) for name, ids in ids_of.items() if len(ids) > 1}
    return [
        f"{file}: category name '{shorten(name)}' stands twice in 'categories' (ids {ids})"
        for name, ids in twice.items()
    ]


def _captions(source: _Source, images: set[int], notes: list[str]) -> dict[int, list[str]]:
    """The captions of each image, from the file beside; a note on those of other images is added."""
    file = source.file.with_name(source.file.name.replace("instances_", "captions_", 1))
    found: dict[int, list[str]] = defaultdict(list)
    if source.split not in (None, "train") or file == source.file or not is_file(file):
        return found
    others = 0
    for caption in checked(_CAPTIONS, _read(file), file).annotations:
        if caption.image_id in images:
            found[caption.image_id].append(one_line(caption.caption))
        else:
            others += 1
    if others:
        notes.append(f"captions of images that {shorten(source.file.name)} does not have, left out: {others:,}")
    return found
