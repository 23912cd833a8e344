"""Which format a file or a folder has, by what is in it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lmptlib.data.formats.coco import read_coco
from lmptlib.data.formats.csv_file import read_csv
from lmptlib.data.formats.files import files_below, is_picture, split_named
from lmptlib.data.formats.image_folder import read_folders
from lmptlib.data.formats.label_studio import read_label_studio
from lmptlib.data.formats.metadata import FILES, metadata_files, read_metadata
from lmptlib.data.formats.voc import flat_folders, read_voc, years_in
from lmptlib.data.formats.yolo import read_yolo, yaml_file
from lmptlib.data.rows import Reading
from lmptlib.errors import DataError, first_line


class Format(NamedTuple):
    """files, folder: what a file of it is called, and what a folder of it has; nothing where it is none. fits: whether a path is
    of it. read: its reader, of a path and a root."""

    name: str
    files: str
    folder: str
    fits: Callable[[Path], bool]
    read: Callable[..., Reading]


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv")


def _is_coco(path: Path) -> bool:
    if path.suffix.lower() == ".json":
        return _first_letter(path) == "{"
    exported = any(split_named(file.parent.name) for file in path.glob("*/_annotations.coco.json"))
    return exported or any(path.glob("annotations/instances_*.json"))


def _first_letter(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    return start.decode("utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace").strip()[:1]


def _is_voc(path: Path) -> bool:
    return path.is_dir() and bool(years_in(path) or flat_folders(path))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and any(is_picture(name) and os.sep in name for name in files_below(path))


def _is_label_studio(path: Path) -> bool:
    return path.suffix.lower() == ".json" and _first_letter(path) == "["


def _is_metadata(path: Path) -> bool:
    if path.is_dir():
        return bool(metadata_files(path))
    return path.suffix.lower() == ".jsonl" or path.name in FILES


def _is_yolo(path: Path) -> bool:
    return yaml_file(path) is not None


# The first that fits counts.
FORMATS = (
    Format("Hugging Face", ".jsonl", "metadata.csv or metadata.jsonl", _is_metadata, read_metadata),
    Format("CSV", ".csv or .tsv", "", _is_csv, lambda path, root: read_csv(path, root or path.parent)),
    Format("COCO", ".json", "annotations/instances_*.json or train/_annotations.coco.json", _is_coco, read_coco),
    Format("Label Studio", ".json", "", _is_label_studio, read_label_studio),
    Format("YOLO", "data.yaml", "data.yaml", _is_yolo, read_yolo),
    Format("VOC", "", "Annotations/, VOC*/Annotations/ or .xml files beside images", _is_voc, read_voc),
    Format("image folders", "", "a folder of images for each class", _is_folder, read_folders),
)


def format_of(path: Path) -> Format | None:
    """The first format that fits a file or a folder. Raises DataError where it cannot be read."""
    try:
        return next((known for known in FORMATS if known.fits(path)), None)
    except OSError as error:
        raise DataError([f"{path}: cannot be read ({first_line(error)})"]) from None


def not_known(path: Path) -> str:
    """What was looked for in a path of no format, in a line."""
    if not path.is_dir():
        return f"{path}: no known format; a file is {', '.join(f'{f.files} ({f.name})' for f in FORMATS if f.files)}, or a .yaml card"
    looked = ", ".join(f"{known.folder} ({known.name})" for known in FORMATS if known.folder)
    named = sorted(
        file.name for file in path.iterdir() if file.suffix.lower() in (".csv", ".tsv", ".json", ".jsonl", ".yaml")
    )
    hint = f"; do you mean {path / named[0]}?" if named else ""
    return f"{path}: nothing in it that is known; looked for {looked}{hint}"
