"""Which format a file or a folder has, by what is in it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lmptlib.data.formats.coco import is_coco, read_coco
from lmptlib.data.formats.csv_file import read_csv
from lmptlib.data.formats.image_folder import is_image_folder, read_folders
from lmptlib.data.formats.label_studio import is_label_studio, read_label_studio
from lmptlib.data.formats.metadata import is_metadata, read_metadata
from lmptlib.data.formats.voc import is_voc, read_voc
from lmptlib.data.formats.yolo import is_yolo, read_yolo
from lmptlib.data.rows import Reading
from lmptlib.errors import DataError, first_line


class Format(NamedTuple):
    """files, folder: what a file of it is called, and what a folder of it has; nothing where it is none. fits: whether a path is
    of it. read: its reader, of a path and a root. options: what else it takes, by keyword."""

    name: str
    files: str
    folder: str
    fits: Callable[[Path], bool]
    read: Callable[..., Reading]
    options: tuple[str, ...] = ()


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv")


# The first that fits counts.
FORMATS = (
    Format("Hugging Face", ".jsonl", "metadata.csv or metadata.jsonl with 'file_name'", is_metadata, read_metadata),
    Format("CSV", ".csv or .tsv", "", _is_csv, lambda path, root: read_csv(path, root or path.parent)),
    Format("COCO", ".json", "annotations/instances_*.json or train/_annotations.coco.json", is_coco, read_coco),
    Format("Label Studio", ".json", "", is_label_studio, read_label_studio),
    Format("YOLO", "data.yaml", "data.yaml", is_yolo, read_yolo),
    Format("VOC", "", "Annotations/, VOC*/Annotations/ or .xml files beside images", is_voc, read_voc, ("difficult",)),
    Format("image folders", "", "a folder of images for each class", is_image_folder, read_folders),
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
