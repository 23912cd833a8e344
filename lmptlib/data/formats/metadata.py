"""Image folders of Hugging Face: `metadata.csv` or `metadata.jsonl` with `file_name`, beside the images or in each split's folder."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import StrictStr, TypeAdapter

from lmptlib.data.formats.csv_file import read_csv
from lmptlib.data.formats.files import beginning, checked, one_line, parse_json, shown, split_named, with_test
from lmptlib.data.rows import Reading, Row
from lmptlib.data.text import plain_spaces, read_text
from lmptlib.errors import DataError, few

_FILES = ("metadata.csv", "metadata.jsonl")
_OURS = {"text": "caption"} | dict.fromkeys(("label", "tags", "categories"), "labels")
_COLUMNS, _KEYS = _OURS | {"file_name": "image"}, _OURS | {"objects": "labels"}


@dataclass
class _Line:
    file_name: StrictStr
    labels: Any
    caption: StrictStr | None = None
    split: StrictStr | None = None


_LINE = TypeAdapter(_Line)


def is_metadata(path: Path) -> bool:
    return bool(_metadata_files(path)) if path.is_dir() else _tells_of_files(path)


def _tells_of_files(file: Path) -> bool:
    """Whether it is JSONL, or a metadata.csv of Hugging Face: others have such a name too."""
    return file.suffix.lower() == ".jsonl" or (file.name == "metadata.csv" and "file_name" in _columns(file))


def _columns(file: Path) -> list[str]:
    """The names in the first line of a CSV file, or in the second below Excel's `sep=;`."""
    first, second, *_ = [*beginning(file).splitlines(), "", ""]
    header = second if first.lower().startswith("sep=") else first
    return [plain_spaces(name.strip(' "')) for name in re.split(r"[,;\t|]", header)]


def read_metadata(path: Path, root: Path | None = None) -> Reading:
    """What `metadata.csv` or `.jsonl` says: labels in `labels`, `label`, `tags`, `categories` or `objects`, a caption in `text`.

    path: the file, or a folder that has it, or whose folders train/, test/ ... do. Labels are names, in a text with `;` between
    them or in a list. Without a column `split`, the folders of the images are splits if they are called so. Raises DataError.
    """
    natural = path if path.is_dir() else path.parent
    reading = Reading(path, root or natural, [])
    for file in _metadata_files(path):
        folder = os.path.relpath(file.parent, natural)
        found = _read_jsonl(file) if file.suffix.lower() == ".jsonl" else _read_csv(file)
        split = None if folder == "." else split_named(folder)
        rows = [row._replace(image=os.path.join(folder, row.image), split=row.split or split) for row in found.rows]
        reading.rows.extend(rows)
        reading.notes.extend([f"{os.path.relpath(file, natural)}: {len(rows):,} images", *found.notes])
        reading.problems.extend(found.problems)
    numbers = {label for row in reading.rows for label in row.labels}
    if numbers and all(name.isdecimal() for name in numbers):
        told = f"labels are numbers ({few(sorted(numbers))})"
        raise DataError([f"{path}: {told}: write the names of the classes, for prompts are made of them"])
    rows, notes = with_test(_split_by_folder(reading.rows))
    return Reading(path, reading.root, rows, None, reading.notes + notes, reading.problems)


def _metadata_files(path: Path) -> list[Path]:
    """The file itself, that of a folder, or those of its splits. Raises DataError where one folder has two."""
    if not path.is_dir():
        return [path]
    folders = [path, *(folder for folder in sorted(path.iterdir()) if split_named(folder.name))]
    files = [[folder / name for name in _FILES if (folder / name).is_file()] for folder in folders]
    found = [[file for file in of_folder if _tells_of_files(file)] for of_folder in files]
    if twice := [files[0].parent for files in found if len(files) > 1]:
        raise DataError([f"{twice[0]}: {' and '.join(_FILES)}; keep one of them there"])
    return found[0] or [file for files in found for file in files]


def _split_by_folder(rows: list[Row]) -> list[Row]:
    """Rows by the first folder of their images, where nothing tells of splits and all of those folders do."""
    folders = [split_named(row.image.removeprefix("./").split("/")[0]) for row in rows]
    if any(row.split for row in rows) or not all(folders):
        return rows
    return [row._replace(split=split) for row, split in zip(rows, folders)]


def _read_csv(file: Path) -> Reading:
    columns = _columns(file)
    _check_once(columns, _COLUMNS, file)
    try:
        return read_csv(file, file.parent, _COLUMNS)
    except DataError as error:
        # It tells of columns by our names.
        problems = error.problems
        for name in filter(_COLUMNS.get, columns):
            problems = [problem.replace(f"'{_COLUMNS[name]}'", f"'{name}'") for problem in problems]
        raise DataError(problems) from None


def _check_once(names: Iterable[str], ours: Mapping[str, str], where: object) -> None:
    """Raises DataError where two columns or keys are read as the same."""
    named = defaultdict(list)
    for name in names:
        named[ours.get(name, name)].append(shown(name))
    twice = {key: found for key, found in named.items() if key in ours.values() and len(found) > 1}
    if twice:
        told = (f"{' and '.join(found)} are read as {key}; keep one of them" for key, found in twice.items())
        raise DataError(f"{where}: {line}" for line in told)


def _read_jsonl(file: Path) -> Reading:
    """An object a line."""
    text, notes = read_text(file)
    reading = Reading(file, file.parent, [], None, notes)
    unknown: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{file} line {number}"
        try:
            told = parse_json(line, where)
            if isinstance(told, dict):
                told = _by_our_keys(told, where)
                unknown |= told.keys() - _Line.__annotations__.keys()
            fields = checked(_LINE, told, where)
            labels = tuple(_label_names(fields.labels, where))
        except DataError as error:
            reading.problems.extend(error.problems)
        else:
            caption = one_line(fields.caption or "")
            reading.rows.append(Row(file, f"line {number}", fields.file_name, labels, caption, fields.split or None))
    if unknown:
        reading.notes.append(f"keys that are left out: {few([*map(shown, sorted(unknown))], 10)}")
    return reading


def _by_our_keys(told: dict[str, Any], where: str) -> dict[str, Any]:
    """A line with our keys, and with the classes of its objects as labels. Raises DataError."""
    told = {key: _of_objects(value) if key == "objects" else value for key, value in told.items()}
    _check_once((key for key, value in told.items() if value is not None), _KEYS, where)
    # What is none comes first, and gives way: objects may be boxes alone, beside a key with labels.
    return {_KEYS.get(key, key): told[key] for key in sorted(told, key=lambda key: told[key] is not None)}


def _of_objects(objects: Any) -> Any:
    """The classes of `{"bbox": [...], "categories": [...]}`."""
    return objects.get("categories", objects.get("category")) if isinstance(objects, dict) else objects


def _label_names(labels: Any, where: str) -> Iterator[str]:
    """Names from a text with `;`, a list of texts, or nothing; each once. Raises DataError."""
    names = labels.split(";") if isinstance(labels, str) and labels else labels or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        why = ", for prompts are made of names" if _numbers(labels) else ""
        raise DataError([f"{where}: labels must be a text or a list of texts, not {_few(labels)}{why}"])
    yield from dict.fromkeys(plain_spaces(name) for name in names)


def _numbers(labels: Any) -> bool:
    return isinstance(labels, int) or (isinstance(labels, list) and any(isinstance(label, int) for label in labels))


def _few(labels: Any) -> str:
    """The first of a list."""
    if not isinstance(labels, list) or not labels:
        return shown(labels)
    return f"[{few([*map(shown, labels)])}]"
