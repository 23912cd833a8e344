"""Any data set as a CSV file of ours."""

import csv
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.formats.csv_file import COLUMNS, read_csv
from lmptlib.data.rows import assemble
from lmptlib.errors import DataError
from lmptlib.paths import write_atomically


def write_csv(dataset: Dataset, target: Path) -> Path:
    """Write a data set as a CSV file, and give the folder below which its images are: the file's own where they are there.

    What is written is read back before, and is the same images, labels, captions and splits. Raises DataError, where a name
    cannot be written so that this holds.
    """
    root = dataset.train.root
    paths = [os.path.abspath(path) for split in dataset.splits.values() for path in split.paths]
    beside = os.path.abspath(target.parent)
    if all(Path(path).is_relative_to(beside) for path in paths):
        root = target.parent
    content = _content(dataset, root)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / target.name
        draft.write_text(content, encoding="utf-8", newline="")
        try:
            class_names, splits, _ = assemble(read_csv(draft, root), check_images=False)
        except DataError as error:
            raise DataError([problem.replace(str(draft), str(target)) for problem in error.problems]) from None
    if _told(dataset.class_names, dataset.splits, root) != _told(class_names, splits, root):
        raise DataError([f"{target}: not written, for it would not be read as the same: a blank begins or ends a name"])
    write_atomically(target, content.encode())
    return root


def _content(dataset: Dataset, root: Path) -> str:
    """A line an image; a column for captions where there are any."""
    columns = [name for name in COLUMNS if name != "caption" or dataset.train.captions]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for (key, image), (labels, caption) in _told(dataset.class_names, dataset.splits, root).items():
        writer.writerow({"image": image, "labels": _cell(labels), "caption": caption, "split": key})
    return text.getvalue()


def _told(
    class_names: Sequence[str], splits: Mapping[str, Split], root: Path
) -> dict[tuple[str, str], tuple[tuple[str, ...], str]]:
    """Labels, in the order of the alphabet, and caption of each image by its split and its path below the root."""
    return {
        (key, os.path.relpath(path, root)): (tuple(sorted(class_names[c] for c in split.classes(image))), caption)
        for key, split in splits.items()
        for image, (path, caption) in enumerate(zip(split.paths, split.captions or [""] * len(split)))
    }


def _cell(labels: Sequence[str]) -> str:
    """Names with `;` between them; as JSON where a name has one, another separator, or would be taken for JSON."""
    if any(set(";,|") & set(name) or name.startswith(("[", "{")) for name in labels):
        return json.dumps(labels, ensure_ascii=False)
    return ";".join(labels)
