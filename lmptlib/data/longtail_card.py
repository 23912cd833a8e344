"""A long-tailed split of any data set, written as a card with lists of its own; the images stay where they are."""

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from lmptlib.data.dataset import MULTI_LABEL, PICTURES, USUAL_CUTOFFS, Dataset, Split, usual_task
from lmptlib.data.formats.files import one_line
from lmptlib.data.loading import BUILT_IN, load_dataset
from lmptlib.data.longtail import class_order, sample_long_tail
from lmptlib.data.stratified import draw_test
from lmptlib.errors import DataError, few, printable
from lmptlib.paths import from_home, home, write_atomically


def card_folder(name: str) -> Path:
    """The folder of a data set that is made: NAME below `data/`, or a path. Its last part is what the data set is called.

    Raises ValueError, one line, where that is no name, or the name of a built-in data set.
    """
    folder = home() / "data" / name if name == Path(name).name else from_home(name)
    if not name.strip() or folder.name in ("", ".", "..") or not folder.name.isprintable():
        raise ValueError(f"NAME is to be a name, or a path that ends in one, not '{name}'")
    if folder.name in BUILT_IN:
        raise ValueError(f"'{folder.name}' is a built-in data set: take another NAME")
    return folder


def cut_long_tail(dataset: Dataset, name: str, wanted: np.ndarray, val: float = 0.2, seed: int = 0) -> Dataset:
    """A long-tailed sample of the training images, and validation images out of what it leaves; the test images stay.

    wanted (C,): as `sample_long_tail` takes it. val: a share of what is left, or, from 1 on, a number of images; each class
    has its share, so the number is met within rounding [ours]. With 0 the validation images stay those of the data set.
    Raises DataError, one line, where a class has no image, or none is left.
    """
    train, names = dataset.train, dataset.class_names
    if empty := _without(names, train.labels):
        raise DataError([f"{dataset.name}: classes without a training image, of which none can be drawn: {few(empty)}"])
    rows = sample_long_tail(train.labels, wanted, seed)
    if empty := _without(names, train.labels[rows]):
        told = "lost all images to the turns of others; raise the least count wanted, or take another seed"
        raise DataError([f"{dataset.name}: {few(empty)} {told}"])
    left = np.setdiff1d(np.arange(len(train)), rows)
    made = dataset.val if not val else _drawn_val(train.rows(left), val, seed)
    # cut-offs of a card's own stay, those that its counts gave do not
    own = dataset.task.cutoffs != USUAL_CUTOFFS[dataset.task.kind] and not dataset.task.thirds
    task = dataset.task if own else usual_task(train.labels[rows].sum(0), dataset.task.kind)
    return replace(dataset, name=name, train=train.rows(rows), val=made, task=task, warnings=())


def _without(class_names: tuple[str, ...], labels: np.ndarray) -> list[str]:
    return [name for name, shown in zip(class_names, labels.sum(0)) if not shown]


def _drawn_val(left: Split, val: float, seed: int) -> Split:
    """Validation images out of those that are left. Raises DataError where there are not as many."""
    share = val / max(1, len(left)) if val >= 1 else val
    # other names, another draw
    drawn = draw_test(left.labels, [f"{seed} {name}" for name in left.names], share)
    if share > 1 or not drawn.any():
        asked = f"{val:g} are" if val >= 1 else f"a share of {val:g} is"
        what = f"{len(left):,} training images are left for validation, and {asked} wanted"
        raise DataError([f"{left.source}: {what}; take fewer, or fewer for training, or none with 0"])
    return replace(left.rows(np.flatnonzero(drawn)), captions=None)


def cut_table(dataset: Dataset, made: Dataset, wanted: np.ndarray) -> pd.DataFrame:
    """One row a class, in the order of the counts wanted: its group, training images there were, wanted and drawn, and others.

    dataset: what was drawn from. made: what `cut_long_tail` made of it. Columns: those of `class_table`, drawn for train.
    """
    order = class_order(dataset.train.labels)
    table = made.class_table().iloc[order].rename(columns={"train": "drawn"})
    table.insert(2, "there", dataset.class_counts[order])
    table.insert(3, "wanted", wanted)
    return table


def cut_notes(dataset: Dataset, made: Dataset, table: pd.DataFrame) -> list[str]:
    """What the counts of a `cut_table` do not say at once: where they are not those wanted, and what is not used."""
    notes, few_there = [], table["there"] < table["wanted"]
    for what, of_class in (
        ("fewer images than wanted are there", few_there),
        ("images were taken out again in the turns of other classes", ~few_there & (table["drawn"] < table["wanted"])),
        ("more than wanted, for they come along with images of other classes", table["drawn"] > table["wanted"]),
    ):
        told = [f"{row['class']} {row['drawn']:,} of {row['wanted']:,}" for _, row in table[of_class].iterrows()]
        notes += [f"{what} ({len(told):,}): {few(told, 5)}"] if told else []
    if dataset.val and made.val is not dataset.val:
        notes.append(f"the {len(dataset.val):,} validation images of {dataset.name} are not used")
    if made.val and (empty := _without(made.class_names, made.val.labels)):
        notes.append(f"no validation image: {few(empty, 5)}")
    return notes


def write_card(dataset: Dataset, folder: Path, about: str = "", force: bool = False, captions_by: str = "") -> Path:
    """Write a data set as the card `<folder>/<its name>.yaml` with lists and captions beside it, and give the card's path.

    The card names the folder of the images, which are not copied. What is written is read back before. about: how it was
    made, a comment of the card. captions_by: what made its captions, where nobody wrote them. Raises DataError, one line,
    where that would not be the same data set, and where a file is there already (unless `force`).
    """
    card = folder / f"{dataset.name}.yaml"
    files = {f"{key}.txt": _list(split) for key, split in dataset.splits.items()}
    files["classes.txt"] = _lines(f"{name} {i}" for i, name in enumerate(dataset.class_names))
    if dataset.train.captions:
        captioned = zip(dataset.train.names, dataset.train.captions)
        files["captions.txt"] = _lines(f"{name} {one_line(caption)}" for name, caption in captioned)
    content = {"name": dataset.name, "root": str(dataset.train.root.absolute())}
    content |= {file.removesuffix(".txt"): file for file in files} | _told_apart(dataset)
    if dataset.train.captions and captions_by:
        content["captions_by"] = printable(captions_by)
    # the card comes last: where it stands, its lists do
    comment = f"# {printable(about)}\n" if about else ""
    files[card.name] = comment + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    if there := [file for file in files if (folder / file).exists() and not force]:
        raise DataError([f"{folder}: {few(there)} there already; --force overwrites"])
    _check(dataset, files, card)
    card.unlink(missing_ok=True)
    for file, text in files.items():
        write_atomically(folder / file, text.encode())
    return card


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _list(split: Split) -> str:
    return _lines(" ".join([name, *map(str, split.classes(image))]) for image, name in enumerate(split.names))


def _told_apart(dataset: Dataset) -> dict[str, Any]:
    """What a card says where it is not as usual: task, cut-offs, classes without a training image, pictures."""
    task = dataset.task
    told: dict[str, Any] = {}
    if task.kind != MULTI_LABEL.kind:
        told["task"] = task.kind
    if task.cutoffs != USUAL_CUTOFFS[task.kind] and not task.thirds:
        told["cutoffs"] = list(task.cutoffs)
    if not dataset.class_counts.all():
        told["allow_empty"] = True
    if dataset.pictures != PICTURES[0]:
        told["pictures"] = dataset.pictures
    return told


def _check(dataset: Dataset, files: dict[str, str], card: Path) -> None:
    """Raises DataError where files would not be read as the data set that they are made of."""
    with tempfile.TemporaryDirectory() as space:
        for file, text in files.items():
            (Path(space) / file).write_text(text, encoding="utf-8", newline="")
        try:
            read = load_dataset(str(Path(space) / card.name), check_images=False)
        except DataError as error:
            raise DataError([problem.replace(space, str(card.parent)) for problem in error.problems]) from None
    if _told(read) != _told(dataset):
        what = "it would not be read as the same: a name of a class or an image is none that a list can hold"
        raise DataError([f"{card}: not written, for {what}"])


def _told(dataset: Dataset) -> list[Any]:
    splits = {key: (split.names, split.labels.tobytes()) for key, split in dataset.splits.items()}
    captions = [one_line(caption) for caption in dataset.train.captions or ()]
    return [dataset.name, dataset.class_names, splits, captions, dataset.task, dataset.pictures]
