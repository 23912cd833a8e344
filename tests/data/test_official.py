"""The official lists of single-label long tails, as small ones in their format, and lists that are not as they should be."""

import json
from collections import Counter

import numpy as np
import pytest
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
from PIL import Image

from lmptlib.config import resolve
from lmptlib.data import dataset
from lmptlib.data.loading import check_dataset, load_dataset, task_of
from lmptlib.data.official import OFFICIAL
from lmptlib.errors import DataError


def write_list(path, lines):
    """A list in the official format: lines `path id`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{image} {class_id}\n" for image, class_id in lines))
    return lines


def draw(root, lines):
    for i, (image, _) in enumerate(lines):
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i % 256, i // 256, 90)).save(root / image, "jpeg")


def wordnet(i):
    return f"n{1_440_764 + 1000 * i:08}"


def imagenet_lists(folder, counts):
    """Lists of ImageNet-LT with so many training images of each class, one for validation, one for testing."""
    classes = range(len(counts))
    train = [(f"train/{wordnet(i)}/{wordnet(i)}_{k}.JPEG", i) for i in classes for k in range(counts[i])]
    val = [(f"train/{wordnet(i)}/{wordnet(i)}_v{i}.JPEG", i) for i in classes]
    test = [(f"val/ILSVRC2012_val_{i:08}.JPEG", i) for i in classes]
    for split, lines in (("train", train), ("val", val), ("test", test)):
        write_list(folder / f"ImageNet_LT_{split}.txt", lines)


PLACES = {"a/abbey": "abbey", "a/apartment_building/outdoor": "apartment building outdoor", "b/bar": "bar"}


def places_lists(root, below="Places_LT", counts=(101, 20, 3)):
    """Lists of Places-LT with three classes, below the data root, and their images."""
    train = [(f"data_256/{place}/{k:08}.jpg", i) for i, place in enumerate(PLACES) for k in range(counts[i])]
    val = [(f"data_256/{place}/9{i}.jpg", i) for i, place in enumerate(PLACES)]
    test = [(f"val_256/Places365_val_{i:08}.jpg", i) for i in range(3)]
    for split, lines in (("train", train), ("val", val), ("test", test)):
        draw(root, write_list(root / below / f"Places_LT_{split}.txt", lines))


SPECIES = [{"id": i, "name": f"Planta {'abc'[i]}", "kingdom": "Plantae"} for i in (2, 0, 1)]


def inaturalist_lists(root, counts=(101, 20, 3)):
    for split, n in (("train", counts), ("val", (3, 3, 3))):
        lines = [(f"train_val2018/Plantae/{i}/{split}{k}.jpg", i) for i in range(3) for k in range(n[i])]
        write_list(root / f"iNaturalist18_{split}.txt", lines)
    (root / "categories.json").write_text(json.dumps(SPECIES))


def problems(*args, **settings):
    with pytest.raises(DataError) as error:
        load_dataset(*args, **settings)
    assert all("\n" not in line for line in error.value.problems)
    return error.value.problems


def test_imagenet_lt_has_open_clips_names(tmp_path):
    counts = np.full(1000, 3)
    counts[:4] = 101, 100, 20, 19
    imagenet_lists(tmp_path / "lists", counts)
    dataset = load_dataset("imagenet-lt", tmp_path, check_images=False)
    assert dataset.task.single and dataset.task.cutoffs == (101, 20) and not dataset.task.grouping
    assert dataset.groups[:5].tolist() == ["head", "medium", "medium", "tail", "tail"]
    assert dataset.class_counts.tolist() == counts.tolist()
    assert (
        dataset.train.labels.dtype == bool and (dataset.train.labels.argmax(1) == np.repeat(range(1000), counts)).all()
    )
    assert dataset.test.paths[7] == tmp_path / "val" / "ILSVRC2012_val_00000007.JPEG"
    # open_clip's, but for those two that would be there twice
    assert len(set(dataset.class_names)) == 1000 and dataset.class_names[0] == "tench"
    other = {i for i in range(1000) if dataset.class_names[i] != IMAGENET_CLASSNAMES[i]}
    assert other == {744, 836}
    assert all(Counter(IMAGENET_CLASSNAMES)[IMAGENET_CLASSNAMES[i]] == 2 for i in other)


def test_imagenets_names_are_refused_where_they_would_be_wrong(tmp_path):
    imagenet_lists(tmp_path, [2, 2, 2])
    (line,) = problems("imagenet-lt", tmp_path, check_images=False)
    assert "it has 3 classes, in the order of their folders" in line and "card" in line
    imagenet_lists(tmp_path, [2] * 1000)
    path = tmp_path / "ImageNet_LT_train.txt"
    swapped = {"0": "1", "1": "0"}
    lines = [line.rsplit(" ", 1) for line in path.read_text().splitlines()]
    write_list(path, [(image, swapped.get(class_id, class_id)) for image, class_id in lines])
    (line,) = problems("imagenet-lt", tmp_path, check_images=False)
    assert "it has 1,000 classes, not in the order of their folders" in line


@pytest.mark.parametrize("below", ["", "Places_LT", "lists"])
def test_places_lt_has_its_names_from_the_folders(tmp_path, below):
    places_lists(tmp_path, below)
    dataset = check_dataset("places-lt", tmp_path, cache=tmp_path / "cache")
    assert dataset.class_names == tuple(PLACES.values())
    assert dataset.groups.tolist() == ["head", "medium", "tail"]
    assert {key: len(split) for key, split in dataset.splits.items()} == {"train": 124, "val": 3, "test": 3}


def test_the_smaller_release_of_places_has_the_same_names(tmp_path):
    places_lists(tmp_path)
    path = tmp_path / "Places_LT" / "Places_LT_train.txt"
    text = path.read_text().replace("/outdoor", "-outdoor")
    path.write_text(text.replace("data_256/a/", "train/").replace("data_256/b/", "train/"))
    assert "train/apartment_building-outdoor/0" in path.read_text()
    assert load_dataset("places-lt", tmp_path, check_images=False).class_names == tuple(PLACES.values())


def test_inaturalist_is_tested_on_its_validation_images(tmp_path):
    inaturalist_lists(tmp_path)
    dataset = load_dataset("inaturalist-2018", tmp_path, check_images=False)
    assert dataset.class_names == ("Planta a", "Planta b", "Planta c") and dataset.val is None
    assert dataset.test.source.name == "iNaturalist18_val.txt" and len(dataset.test) == 9


@pytest.mark.parametrize("name", ["imagenet-lt", "places-lt", "inaturalist-2018"])
def test_every_missing_list_is_named(tmp_path, name):
    found = problems(name, tmp_path)
    assert len(found) == len(OFFICIAL[name].files) == 3
    for file, line in zip(OFFICIAL[name].files.values(), found, strict=True):
        assert (
            file in line and f"looked in {tmp_path}, {tmp_path / OFFICIAL[name].folder}, {tmp_path / 'lists'}." in line
        )
    assert task_of(name) == "single-label" and resolve(dataset=name).flat()["loss"] == "ce"


def spoil(split, old, new):
    def do(root):
        path = root / "Places_LT" / f"Places_LT_{split}.txt"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return do


BAD_PLACES = {
    "an id is left out": (lambda root: places_lists(root, counts=(9, 0, 3)), "ids must run from 0 without gaps; missing: 1"),
    "a class in two folders": (spoil("train", "bar/00000001.jpg 2", "bank/1.jpg 2"), "b/bank, and in data_256/b/bar in line 122"),
    "a folder of two classes": (spoil("train", "b/bar/00000000.jpg 2", "b/bar/00000000.jpg 3"), "stands twice"),
    "an unknown id": (spoil("test", "00000001.jpg 1", "00000001.jpg 365"), "'365' is not a class id; ids run from 0 to 2"),
    "two labels": (spoil("test", "00000001.jpg 1", "00000001.jpg 1 2"), "has 2 labels"),
    "no label": (spoil("train", "00000001.jpg 1", "00000001.jpg"), "has 0 labels"),
    "no id but a word": (spoil("train", "00000001.jpg 1", "00000001.jpg bar"), "'bar' is not a class id"),
    "in two lists": (spoil("val", "data_256/a/abbey/90.jpg", "data_256/a/abbey/00000000.jpg"), "is in Places_LT_train.txt too"),
    "an image is missing": (lambda root: (root / "val_256" / "Places365_val_00000001.jpg").unlink(), "test.txt line 2: no image "),
    "an empty list": (lambda root: (root / "Places_LT" / "Places_LT_train.txt").write_text("\n"), "no lines 'path id' in it"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_PLACES)
def test_a_bad_list_gets_a_clear_line(tmp_path, case):
    places_lists(tmp_path)
    do, expected = BAD_PLACES[case]
    do(tmp_path)
    assert len([line for line in problems("places-lt", tmp_path) if expected in line]) == 1


@pytest.mark.parametrize(
    "content, expected",
    [
        ("[1", "cannot be read as JSON"),
        ('{"categories": []}', "must be a list"),
        ('[{"id": 0}]', "'[0].name' is missing"),
        ("[]", "a list of categories is needed"),
        (json.dumps(SPECIES[:2]), "ids must run from 0 without gaps; missing: 1"),
        (json.dumps([*SPECIES, {"id": 0, "name": "Planta d"}]), "each with an id of its own"),
        (json.dumps([*SPECIES, {"id": 3, "name": "planta A"}]), "class 'planta A' stands twice"),
        (json.dumps([*SPECIES, {"id": 3, "name": "Planta d"}]), "class 'Planta d' has no training image"),
    ],
)
def test_bad_categories_get_a_clear_line(tmp_path, content, expected):
    inaturalist_lists(tmp_path)
    (tmp_path / "categories.json").write_text(content)
    (line,) = problems("inaturalist-2018", tmp_path, check_images=False)
    assert expected in line


def test_only_a_table_of_labels_can_be_too_large(tmp_path, monkeypatch):
    inaturalist_lists(tmp_path)
    monkeypatch.setattr(dataset, "_LARGEST_TABLE", 124 * 3 - 1)
    loaded = load_dataset("inaturalist-2018", tmp_path, check_images=False)
    assert loaded.class_counts.sum() == loaded.train.shown.sum() == 124
    assert loaded.test.labels.sum() == 9
    with pytest.raises(DataError, match="124 images of 3 classes: a table of their labels takes"):
        loaded.train.labels  # noqa: B018
