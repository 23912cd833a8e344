"""A folder of images for each class."""

import os
import shutil

import pytest
from photos import assert_same_as_csv, draw, labels_of

from lmptlib.data.loading import check_dataset, load_dataset
from lmptlib.errors import DataError

NAMES = {"cat": 6, "dog": 5, "red panda": 3}


def write(folder, names=NAMES):
    for name, count in names.items():
        for i in range(count):
            draw(folder / name / f"{name}{i}.jpg")
    return folder


def test_folders_are_classes(tmp_path):
    folder = write(tmp_path / "pets")
    for junk in ("Thumbs.db", ".DS_Store", "cat/notes.txt", "dog/._dog1.jpg", ".cache/1.jpg"):
        (folder / junk).parent.mkdir(exist_ok=True)
        (folder / junk).write_text("x")
    draw(folder / "dog/puppies/small/dog9.PNG")
    dataset = check_dataset(str(folder))
    expected = {f"{name}{i}.jpg": {name} for name, count in NAMES.items() for i in range(count)} | {"dog9.PNG": {"dog"}}
    assert {name: labels for name, (_, labels) in labels_of(dataset).items()} == expected
    assert dataset.class_names == ("cat", "dog", "red panda") and dataset.name == "pets"
    assert_same_as_csv(folder, tmp_path / "photos.csv")
    assert dataset.warnings[:2] == (
        "pets: image folders: 15 images of 3 classes, one each; files that are no images, left out: 5",
        "pets: no splits: 3 of 15 images, a fifth of each class, drawn for testing",
    )


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        (("train", "test"), {"train", "test"}),
        (("Train", "Test"), {"train", "test"}),
        (("train", "validation"), {"train", "test"}),
        (("train", "valid", "test"), {"train", "val", "test"}),
        (("training",), {"train", "test"}),
    ],
)
def test_splits_are_folders_of_folders(tmp_path, parts, found):
    for part in parts:
        write(tmp_path / part)
    dataset = load_dataset(str(tmp_path))
    assert set(dataset.splits) == found and dataset.class_names == tuple(NAMES)
    if len(parts) > 1:
        assert [len(split) for split in dataset.splits.values()] == [14] * len(parts)
        assert dataset.train.labels.sum(0).tolist() == [6, 5, 3]


def test_a_class_may_be_called_train(tmp_path):
    dataset = load_dataset(str(write(tmp_path, {"train": 5, "bus": 5})))
    assert dataset.class_names == ("bus", "train") and set(dataset.splits) == {"train", "test"}


def test_numbers_of_wordnet_are_no_words(tmp_path):
    dataset = load_dataset(str(write(tmp_path / "x", {"n01440764": 3, "n01443537": 3})))
    assert (
        "x: classes are called n01440764, ...: prompts are made of their names, so words do better" in dataset.warnings
    )


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    folder = write(tmp_path / "pets")
    write(tmp_path / "more", {"owl": 4})
    (folder / "owl").symlink_to(tmp_path / "more/owl")
    (folder / "cat/up").symlink_to(folder)
    (folder / "cat/here").symlink_to(folder / "cat")
    dataset = load_dataset(str(folder))
    assert dataset.class_names == ("cat", "dog", "owl", "red panda") and len(dataset.train) + len(dataset.test) == 18


BAD = {
    "between": (lambda f: draw(f / "1.jpg"), ": images that lie in no class's folder (1): 1.jpg"),
    "no folders below": (
        lambda f: [f.rename(f.with_name("x")), draw(f / "train/1.jpg"), draw(f / "test/2.jpg")],
        ": images that lie in no class's folder (2): test/2.jpg, train/1.jpg",
    ),
    "beside splits": (
        lambda f: [f.rename(f.with_name("x")), write(f / "train"), write(f / "test"), draw(f / "extra/cat/1.jpg")],
        ": folder 'extra' is beside train/ and no split (train, val, test)",
    ),
    "two spellings": (lambda f: draw(f / "Red_panda/1.jpg"), ": class 'red panda' stands twice"),
    "invisible": (
        lambda f: draw(f / "re\u200bd/1.jpg"),
        ": class 're\\u200bd' has an invisible U+200B ZERO WIDTH SPACE",
    ),
    "one class": (
        lambda f: [f.rename(f.with_name("x")), draw(f / "images/train/1.jpg")],
        ": all images are of one class, folder 'images'; make a folder for each class",
    ),
    "yolo without its file": (
        lambda f: [f.rename(f.with_name("x")), draw(f / "images/train/1.jpg"), (f / "labels").mkdir()],
        ": all images are of one class, folder 'images'; YOLO needs a data.yaml with 'names' too",
    ),
    "nothing": (
        lambda f: [f.rename(f.with_name("x")), f.mkdir(), (f / "cat").mkdir()],
        ": nothing in it that is known; looked for metadata.csv or metadata.jsonl with 'file_name' (",
    ),
    "name of bytes": (
        lambda f: draw(f / os.fsdecode(b"cat/\xe9.jpg")),
        r": a control character in the image path 'cat/\udce9.jpg'",
    ),
    "name with a line's end": (
        lambda f: draw(f / "cat/1\n.jpg"),
        r": a control character in the image path 'cat/1\n.jpg'",
    ),
    "class of bytes": (lambda f: draw(f / os.fsdecode(b"\xe9/1.jpg")), r": class '\udce9' has an invisible U+DCE9"),
}


@pytest.mark.parametrize("name", BAD)
def test_every_mistake_is_named(tmp_path, name):
    spoil, message = BAD[name]
    folder = write(tmp_path / "pets")
    spoil(folder)
    with pytest.raises(DataError) as error:
        load_dataset(str(folder))
    assert len(error.value.problems) == 1 and error.value.problems[0].startswith(f"{folder}{message}")
    str(error.value).encode()


def test_a_table_beside_the_folders_is_told(tmp_path):
    folder = write(tmp_path / "pets")
    (folder / "photos.csv").write_text("image,labels\n")
    note = "pets: photos.csv beside the folders: name it where it tells of the images"
    assert note in load_dataset(str(folder)).warnings
    for name in ("dog", "red panda"):
        shutil.rmtree(folder / name)
    with pytest.raises(DataError, match=r"of one class, folder 'cat'; do you mean photos\.csv beside it\?"):
        load_dataset(str(folder))
