"""YOLO's data.yaml and label files, as Ultralytics and Roboflow write them."""

from pathlib import Path

import pytest
import yaml
from photos import CLASSES, assert_same_as_csv, draw, labels_of, make_photos, truth

from lmptlib.data.loading import check_dataset, load_dataset
from lmptlib.errors import DataError

# In an order of its own, and with one class that no image has.
NAMES = ("zebra crossing", "unicorn", "traffic light", "dog", "potted plant")
ULTRALYTICS = """# Ultralytics, COCO8
path: {path} # dataset root dir
train: images/train # train images (relative to 'path') 4 images
val: images/val
test: # test images (optional)

# Classes
names:
""" + "".join(f"  {i}: {name}\n" for i, name in enumerate(NAMES))
ROBOFLOW = f"""train: ../train/images
val: ../valid/images
test: ../test/images

nc: {len(NAMES)}
names: {list(NAMES)}

roboflow:
  workspace: ours
  license: CC BY 4.0
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def lines_of(photo) -> str:
    """A box of each object, the last as a polygon."""
    shapes = ["0.5 0.5 0.25 1.0"] * (len(photo.objects) - 1) + ["0.1 0.1 0.9 0.1 0.9 1e-1 0.1 0.9"]
    return "".join(f"{NAMES.index(name)} {shape}\n" for name, shape in zip(photo.objects, shapes))


@pytest.fixture
def photos():
    return make_photos(splits=("train", "val"))


@pytest.fixture
def yolo(tmp_path, photos) -> Path:
    """A picture with no object has no label file."""
    for photo in photos:
        draw(tmp_path / f"yolo/images/{photo.split}/{photo.name}")
        if photo.labels:
            write(tmp_path / f"yolo/labels/{photo.split}/{Path(photo.name).stem}.txt", lines_of(photo))
    write(tmp_path / "yolo/labels/train.cache", "x")
    write(tmp_path / "yolo/data.yaml", ULTRALYTICS.format(path="yolo"))
    return tmp_path / "yolo"


def expected(photos):
    return {name: ({"val": "test", "valid": "test"}.get(s, s), labels) for name, (s, labels) in truth(photos).items()}


def test_the_folder_of_ultralytics(yolo, photos):
    dataset = check_dataset(str(yolo))
    assert labels_of(dataset) == expected(photos) and dataset.name == "yolo"
    assert dataset.class_names == ("zebra crossing", "traffic light", "dog", "potted plant")
    assert dataset.warnings[:3] == (
        "yolo: YOLO, data.yaml: 9 train, 5 val images, 5 classes; without a label file, so without objects: 1",
        "yolo: no split 'test': the images of 'val' are for testing, and nothing is chosen on them",
        "yolo: classes without an image, left out (1): unicorn",
    )
    assert labels_of(load_dataset(str(yolo / "data.yaml"))) == expected(photos)
    assert_same_as_csv(yolo, yolo / "photos.csv")


@pytest.mark.parametrize("path", ["yolo", "../yolo", "/content/drive/yolo", "./yolo"])
def test_the_yaml_may_lie_in_or_above_the_folder_or_elsewhere_with_a_root(yolo, photos, path, tmp_path):
    (yolo / "data.yaml").write_text(ULTRALYTICS.format(path=path))
    assert labels_of(load_dataset(str(yolo))) == expected(photos)
    (tmp_path / "else").mkdir()
    for place in (tmp_path, tmp_path / "else") if "content" not in path else (tmp_path / "else",):
        write(place / "ours.yaml", ULTRALYTICS.format(path=path))
        dataset = load_dataset(str(place / "ours.yaml"), None if place == tmp_path else yolo)
        assert labels_of(dataset) == expected(photos) and dataset.name == "ours"


def test_the_export_of_roboflow(tmp_path):
    photos = make_photos(splits=("train", "valid")) + make_photos(0, 4, splits=("-", "test"))
    photos = [photo._replace(name=f"{photo.split}-{photo.name}") for photo in photos]
    for photo in photos:
        draw(tmp_path / "export" / photo.split / "images" / photo.name)
        write(
            tmp_path / "export" / photo.split / f"labels/{Path(photo.name).stem}.txt",
            lines_of(photo) if photo.labels else "",
        )
    write(tmp_path / "export/data.yaml", ROBOFLOW)
    dataset = load_dataset(str(tmp_path / "export"))
    assert labels_of(dataset) == {p.name: ({"valid": "val"}.get(p.split, p.split), set(p.labels)) for p in photos}
    assert set(dataset.class_names) == set(CLASSES)


def test_images_may_be_listed_or_in_several_folders_or_beside_their_labels(yolo, photos):
    names = [f"./images/train/{photo.name}" for photo in photos if photo.split == "train"]
    write(yolo / "train.txt", "\n".join(names[:5]))
    write(yolo / "lists/more.txt", "\n".join(name[2:] for name in names[5:]))
    for file in (yolo / "labels/val").iterdir():
        (yolo / "val").mkdir(exist_ok=True)
        file.rename(yolo / "val" / file.name)
    for file in (yolo / "images/val").iterdir():
        file.rename(yolo / "val" / file.name)
    content = {"names": list(NAMES), "train": ["train.txt", "lists/more.txt"], "val": "val"}
    write(yolo / "data.yaml", yaml.safe_dump(content))
    dataset = load_dataset(str(yolo))
    assert labels_of(dataset) == expected(photos) and dataset.train.where(5).endswith("data.yaml lists/more.txt line 1")


def label(text):
    return lambda y: write(y / "labels/train/t1.txt", text)


def data(**changes):
    def change(y):
        content = yaml.safe_load((y / "data.yaml").read_text())
        write(y / "data.yaml", yaml.safe_dump({**content, **changes}, sort_keys=False))

    return change


T1, DATA = "labels/train/t1.txt", "data.yaml"
BAD = {
    "class": (label("0 .5 .5 1 1\n5 .5 .5 1 1"), f"{T1} line 2: class 5 is not in the names of data.yaml; ids run from 0 to 4"),
    "huge class": (label("99999999999 .5 .5 1 1"), f"{T1} line 1: class 99999999999 is not in the names of data.yaml; ids"),
    "name": (label("dog .5 .5 1 1"), f"{T1} line 1: 'dog .5 .5 1 1' is not 'class x y width height' or a polygon"),
    "class alone": (label("3"), f"{T1} line 1: '3' is not 'class x y width height' or a polygon"),
    "negative": (label("-1 .5 .5 1 1"), f"{T1} line 1: '-1 .5 .5 1 1' is not 'class x y width height' or a polygon"),
    "nan": (label("1 nan .5 1 1"), f"{T1} line 1: '1 nan .5 1 1' is not 'class x y width height' or a polygon"),
    "float": (label("1.0 .5 .5 1 1"), f"{T1} line 1: '1.0 .5 .5 1 1' is not 'class x y width height' or a polygon"),
    "bytes": (
        lambda y: (y / T1).write_bytes(b"1 \xff 2 3 4"), f"{T1}: cannot be read as UTF-8 text (line 1"
    ),
    "no labels": (
        lambda y: (y / "labels/train").rename(y / "elsewhere"),
        f"{DATA}: no image of 'train' has a label file; looked for labels/train/t0.txt below ",
    ),
    "names missing in count": (data(nc=4), f"{DATA}: nc is 4, and names has 5"),
    "names is text": (data(names="dog"), f"{DATA}: names must be a list, or 'id: name' lines, not 'dog'"),
    "a name is no": (data(names=["dog", False, 3]), f"{DATA}: names: class 1 must be text, not False; put it in quotes"),
    "name by name": (data(names={"dog": 1}), f"{DATA}: names: 'dog' is no class id"),
    "name twice": (data(names=["dog", "cat", "Dog"]), f"{DATA}: names: class 'Dog' stands twice"),
    "no name": (data(names=["dog", ""]), f"{DATA}: names: a class without a name"),
    "nc is text": (data(nc="five"), f"{DATA}: nc must be a whole number, not 'five'"),
    "path is a list": (data(path=["a"]), f"{DATA}: path must be text, not [...]"),
    "train is a number": (data(train=3), f"{DATA}: train must be a folder or a list of folders, not 3"),
    "a list of numbers": (data(train=["images/train", 3]), f"{DATA}: train must be a folder or a list of folders, not [...]"),
    "no folder": (data(val="images/vol"), f"{DATA}: val: 'images/vol' is not below "),
    "absolute": (data(val="/data/val"), f"{DATA}: val: '/data/val' is not below "),
    "same twice": (data(val="images/train"), f"{DATA} val: images/train/t0.jpg is in train already"),
    "not yaml": (lambda y: write(y / DATA, "names: [\ntrain: {"), f"{DATA}: not a YAML file (line 2: "),
    "deep": (lambda y: write(y / DATA, "names: " + "[" * 5000), f"{DATA}: not a YAML file (maximum recursion depth"),
    "huge number": (lambda y: write(y / DATA, "train: x\nnames: " + "9" * 5000), f"{DATA}: not a YAML file (Exceeds"),
    "huge hex": (
        lambda y: write(y / DATA, "train: x\nnames: 0x" + "f" * 5000),
        f"{DATA}: names must be a list, or 'id: name' lines, not a number of thousands of digits",
    ),
    "laughs": (
        lambda y: write(y / DATA, "train: x\na: &a [x]\n" + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij")) + "names: [*j]\n"),
        f"{DATA}: names: class 0 must be text, not [...]; put it in quotes",
    ),
    "list names another": (
        lambda y: [write(y / "train.txt", "images/train/t0.jpg\nimages/train/x.jpg\n"), data(train="train.txt")(y)],
        f"{DATA} train.txt line 2: no image ",
    ),
    "list leads outside": (
        lambda y: [write(y / "train.txt", "/etc/x.jpg\nimages/train/t0.jpg\n"), data(train="train.txt")(y)],
        f"{DATA} train.txt line 1: /etc/x.jpg is not below ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_every_mistake_is_named(yolo, name):
    spoil, message = BAD[name]
    spoil(yolo)
    with pytest.raises(DataError) as error:
        load_dataset(str(yolo))
    assert error.value.problems[0].startswith(f"{yolo}/{message}"), error.value.problems
    assert not any("\n" in problem or len(problem) > 600 for problem in error.value.problems)


def test_a_card_is_no_yolo(tiny):
    tiny.edit(names="tiny")
    with pytest.raises(DataError, match="unknown key 'names'"):
        load_dataset(str(tiny.path))


def test_of_two_folders_called_images_the_last_has_labels_beside_it(yolo, photos):
    (yolo / "new").mkdir()
    (yolo / "images").rename(yolo / "new/images")
    (yolo / "labels").rename(yolo / "new/labels")
    (yolo / "new").rename(yolo / "images")
    parts = {split: f"images/images/{split}" for split in ("train", "val")}
    write(yolo / "data.yaml", yaml.safe_dump({"names": list(NAMES), **parts}))
    assert labels_of(load_dataset(str(yolo))) == expected(photos)
