"""VOC-LT's lists made of PASCAL VOC's own annotations, where those that were published cannot be had."""

from collections.abc import Sequence
from pathlib import Path

from lmptlib.data.formats.voc import is_voc, read_voc
from lmptlib.data.longtail import draw_long_tail, pareto_counts
from lmptlib.data.rows import Row, label_matrix
from lmptlib.errors import DataError


def rebuild_voc_lt(root: Path) -> dict[str, str]:
    """Training list, test list and class names of VOC-LT by their file names, made of `VOCdevkit/` below `root`.

    Training images are drawn from VOC2012's trainval in the order of their names, by the rule that made VOC-LT; test images
    are those of VOC2007. Objects that are marked difficult count. Images stand in the order of the published lists, class
    names in that of the alphabet, and an image's ids rise: their order is all that is not as published. Raises DataError.
    """
    pool = _annotated(root, "VOCdevkit/VOC2012")
    # its trainval, where it lies there too, is read as for training
    test = [row for row in _annotated(root, "VOCdevkit/VOC2007") if row.split != "train"]
    names = sorted({label for row in pool for label in row.labels})
    labels = label_matrix(pool, names).toarray()
    train = [pool[row] for row in draw_long_tail(labels, pareto_counts(len(names), b=6, largest=800))]
    classes = "".join(f"{name} {i}\n" for i, name in enumerate(names))
    return {"voc_lt_train.txt": _list(train, names), "voc_lt_test.txt": _list(test, names), "voc_labels.txt": classes}


def _annotated(root: Path, year: str) -> list[Row]:
    """The images of a year by their paths below `root`, sorted. Raises DataError."""
    if not (root / year).is_dir() or not is_voc(root / year):
        raise DataError([f"{root / year}: no annotations in it"])
    reading = read_voc(root / year)
    if reading.problems:
        raise DataError(reading.problems)
    return sorted(row._replace(image=f"{year}/{row.image}") for row in reading.rows)


def _list(rows: Sequence[Row], names: Sequence[str]) -> str:
    ids = {name: i for i, name in enumerate(names)}
    return "".join(" ".join([row.image, *map(str, sorted(ids[name] for name in row.labels))]) + "\n" for row in rows)
