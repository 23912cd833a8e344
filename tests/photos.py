"""Small pictures with labels and captions that a test knows, to be written in the formats of other tools."""

import os
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner
from PIL import Image

from lmptlib.data.dataset import Dataset
from lmptlib.data.loading import load_dataset
from lmptlib.suite.cli.main import main

CLASSES = ("dog", "potted plant", "traffic light", "zebra crossing")


class Photo(NamedTuple):
    name: str
    labels: tuple[str, ...]
    split: str = "train"
    captions: tuple[str, ...] = ()

    @property
    def objects(self) -> tuple[str, ...]:
        """Its labels, the first twice: two dogs are one label."""
        return (*self.labels, *self.labels[:1])


def make_photos(n_train: int = 9, n_test: int = 5, splits: tuple[str, str] = ("train", "test")) -> list[Photo]:
    """The first class is in every second picture, the last one in every fourth; one picture shows nothing."""
    photos = []
    for split, count in zip(splits, (n_train, n_test)):
        for i in range(count):
            labels = tuple(name for c, name in enumerate(CLASSES) if i % (c + 2) == 0 or i == c)
            captions = (f"A picture {i}.", f"Things, and {i} more") if split == "train" else ()
            photos.append(
                Photo(f"{'t' if split == 'train' else 'e'}{i}.jpg", labels if i != 7 else (), split, captions)
            )
    return photos


def draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (len(path.name) * 20 % 255, sum(os.fsencode(path.name)) % 255, 90)
    Image.new("RGB", (8, 8), colour).save(path)


def labels_of(dataset: Dataset) -> dict[str, tuple[str, set[str]]]:
    """Split and labels of each picture, by the last part of its path."""
    return {
        Path(name).name: (key, {dataset.class_names[c] for c in row.nonzero()[0]})
        for key, split in dataset.splits.items()
        for name, row in zip(split.names, split.labels)
    }


def truth(photos: list[Photo]) -> dict[str, tuple[str, set[str]]]:
    return {photo.name: (photo.split, set(photo.labels)) for photo in photos}


def assert_same_as_csv(source: Path, target: Path) -> None:
    """`lmpt data convert` keeps images, labels, captions, splits and class names."""
    told = CliRunner().invoke(main, ["data", "convert", str(source), str(target)], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    root = target.parent if "data_root" not in told.output else told.output.split("data_root ")[1].strip(" '\n")
    before, after = load_dataset(str(source)), load_dataset(str(target), root)
    assert labels_of(after) == labels_of(before) and set(after.class_names) == set(before.class_names)
    assert after.train.captions == before.train.captions and f"{len(before.train)} train" in told.output
    assert all(a.samefile(b) for a, b in zip(after.train.paths, before.train.paths, strict=True))
