"""Label Studio's exports JSON and JSON-MIN."""

import filecmp
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import StrictBool, StrictStr, TypeAdapter

from lmptlib.data.formats.files import beginning, checked, is_picture, one_line, read_json, shown
from lmptlib.data.rows import Reading, Row, is_file
from lmptlib.data.text import plain_spaces
from lmptlib.errors import DataError, few, printable, shorten

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
# The last word of a name in a project, `animal_class` or `caption 2`: `class_version` and `context` tell of something else.
_LABEL_WORDS = {"choice", "choices", "label", "labels", "class", "classes", "tag", "tags", "category", "categories"}
_CAPTION_WORDS = {"caption", "captions", "text", "texts", "description", "descriptions"}
# What JSON-MIN tells of each annotation besides.
_ABOUT = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time")


@dataclass
class _Result:
    type: StrictStr
    from_name: StrictStr | None = None
    value: dict[StrictStr, Any] = field(default_factory=dict)


@dataclass
class _Annotation:
    result: list[_Result]
    was_cancelled: StrictBool | None = None


@dataclass
class _Task:
    data: dict[StrictStr, Any]
    annotations: list[_Annotation]


_TASK, _FLAT = TypeAdapter(_Task), TypeAdapter(dict[StrictStr, Any])


@dataclass
class _Told:
    """What one annotation says."""

    data: dict[str, Any]
    controls: set[str] = field(default_factory=set)
    labels: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def is_label_studio(path: Path) -> bool:
    return path.suffix.lower() == ".json" and beginning(path).startswith("[")


def read_label_studio(path: Path, root: Path | None = None) -> Reading:
    """What an export says: labels by choices, boxes, polygons and brushes, captions by text areas.

    Of a task with several annotations the first that was not cancelled counts; without any, it is left out. Images are found
    below the root by the path that the task gives, by the end of it, or without the 8 letters before an uploaded file's name.
    Raises DataError.
    """
    tasks = read_json(path)
    if not isinstance(tasks, list):
        raise DataError([f"{path}: an export of Label Studio is a list of tasks, not {shown(tasks)}"])
    reading = Reading(path, root or path.parent, [])
    counts: Counter[str] = Counter()
    places: set[str] = set()
    controls: set[str] = set()
    for i, task in enumerate(tasks):
        number = task.get("id") if isinstance(task, dict) else None
        place = f"task {shown(number)}" if isinstance(number, (int, str)) else f"[{i}]"
        try:
            told = _task(task, f"{path} {place}", counts)
            if told and place in places:
                counts["annotations of a task besides its first, left out"] += 1
            elif told:
                image = _image(told.data, reading.root, f"{path} {place}")
                labels = tuple(dict.fromkeys(map(plain_spaces, told.labels)))
                reading.rows.append(Row(path, place, image, labels, " ".join(map(one_line, told.texts))))
                places.add(place)
                controls |= told.controls
        except DataError as error:
            reading.problems.extend(error.problems)
    reading.notes.append(f"Label Studio: {len(tasks):,} tasks, {len(reading.rows):,} annotated")
    if len(controls) > 1:
        reading.notes.append(f"labels of {few(sorted(map(shown, controls)), 8)} are taken together")
    reading.notes.extend(f"{what}: {count:,}" for what, count in counts.items() if count)
    return reading


def _task(task: Any, where: str, counts: Counter[str]) -> _Told | None:
    """What the first annotation of a task says; None where it has none. Raises DataError."""
    if not isinstance(task, dict) or "annotations" not in task:
        return _flat_task(checked(_FLAT, task, where), where, counts)
    found = checked(_TASK, task, where)
    valid = [annotation for annotation in found.annotations if not annotation.was_cancelled]
    counts.update({"annotations that were cancelled, left out": len(found.annotations) - len(valid)})
    if not valid:
        counts["tasks without an annotation, left out"] += 1
        return None
    counts.update({"annotations of a task besides its first, left out": len(valid) - 1})
    told = _Told(found.data)
    for result in valid[0].result:
        if result.type == "choices" or result.type.endswith("labels"):
            told.labels += _texts(result.value.get(result.type), result.type, where)
            told.controls.add(result.from_name or result.type)
        elif result.type == "textarea":
            told.texts += _texts(result.value.get("text"), "text", where)
        else:
            counts[f"results of type {shown(result.type)}, left out"] += 1
    return told


def _texts(value: Any, name: str, where: str) -> list[str]:
    """A text or a list of texts. Raises DataError."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError([f"{where}: {shorten(printable(name))} must be a list of texts, not {shown(value)}"])
    return texts


def _flat_task(task: dict[str, Any], where: str, counts: Counter[str]) -> _Told:
    """What JSON-MIN says: choices, regions with labels, and texts under the names that they have in the project."""
    told = _Told({key: value for key, value in task.items() if isinstance(value, str)})
    for key, value in task.items():
        regions = value if isinstance(value, list) else [value]
        if key in _ABOUT or value in (None, "") or (isinstance(value, str) and is_picture(_path_in(value))):
            continue
        if all(isinstance(region, dict) for region in regions):
            for name, inner in ((name, region[name]) for region in regions for name in region):
                if name == "choices" or name.endswith("labels"):
                    told.labels += _texts(inner, name, where)
                elif name == "text":
                    told.texts += _texts(inner, name, where)
        elif all(isinstance(part, str) for part in regions) and _last_word(key) in _CAPTION_WORDS:
            told.texts += regions
            counts[f"values of {shown(key)}, read as captions"] += 1
        elif all(isinstance(part, str) for part in regions) and _last_word(key) in _LABEL_WORDS:
            told.labels += regions
            counts[f"values of {shown(key)}, read as labels"] += 1
        else:
            counts[f"values of {shown(key)}, left out"] += 1
    return told


def _last_word(key: str) -> str:
    return ["", *filter(None, re.split(r"[_\W\d]+", key.lower()))][-1]


def _image(data: dict[str, Any], root: Path, where: str) -> str:
    """The path below the root of a task's image. Raises DataError."""
    paths = {key: _path_in(value) for key, value in data.items() if isinstance(value, str)}
    named = [path for key, path in paths.items() if is_picture(path)]
    if len(named) != 1 and not paths.get("image"):
        what = "no path of an image" if not named else f"{len(named)} paths of images"
        raise DataError([f"{where}: {what} in its data, and none is called 'image'"])
    path = paths.get("image") or named[0]
    there = [name for name in _candidates(path) if is_file(root / name)]
    for one, other in pairwise(there):
        if not filecmp.cmp(root / one, root / other, shallow=False):
            raise DataError(
                [f"{where}: its image is {printable(one)} or {printable(other)}, and they differ: keep one of them"]
            )
    return there[0] if there else path.split("/")[-1]


def _path_in(value: str) -> str:
    """The path in a URL of any kind: of `/data/local-files/?d=photos/a%20cat.jpg` it is `photos/a cat.jpg`."""
    value = value.replace("\\", "/")
    try:
        url = urlsplit(value)
        if url.path.startswith("/data/local-files"):
            return parse_qs(url.query).get("d", [""])[0]
    except ValueError:
        return value
    return unquote(url.path) if url.scheme or value.startswith("/data/") else value


def _candidates(path: str) -> Iterator[str]:
    """A path, its ends, and its name without what an upload puts before it."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    yield from (os.path.join(*parts[start:]) for start in range(len(parts)))
    if parts and _UPLOADED.match(parts[-1]):
        yield _UPLOADED.sub("", parts[-1], count=1)
