"""COCO's JSON as COCO, Label Studio and Roboflow write it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from photos import CLASSES, assert_same_as_csv, draw, labels_of, make_photos, truth

from lmptlib.data.formats.coco import read_coco
from lmptlib.data.formats.lists import read_classes, read_list
from lmptlib.data.loading import check_dataset, load_dataset
from lmptlib.errors import DataError

# With a gap, out of order, and with one class that no image has.
CATEGORIES = {"zebra crossing": 90, "dog": 1, "unicorn": 12, "potted plant": 3, "traffic light": 10}


def instances(photos, first=397133) -> dict:
    """As COCO's own instances_val2017.json, field for field."""
    images, annotations = [], []
    for i, photo in enumerate(photos):
        images.append(
            {
                "license": 4,
                "file_name": photo.name,
                "coco_url": f"http://images.cocodataset.org/val2017/{photo.name}",
                "height": 8,
                "width": 8,
                "date_captured": "2013-11-14 17:02:52",
                "flickr_url": "http://farm7.staticflickr.com/6116/6255196340_da26cf2c9e_z.jpg",
                "id": first + 3 * i,
            }
        )
        for j, name in enumerate(photo.objects):
            crowd = j == len(photo.objects) - 1
            polygon = {"counts": [2, 9, 53], "size": [8, 8]} if crowd else [[1.5, 2.25, 3.0, 4.5, 1.0, 2.0]]
            annotations.append(
                {
                    "segmentation": polygon,
                    "area": 12.25,
                    "iscrowd": int(crowd),
                    "image_id": first + 3 * i,
                    "bbox": [1.5, 2.25, 1.5, 2.25],
                    "category_id": CATEGORIES[name],
                    "id": 1768 + len(annotations),
                }
            )
    categories = [{"supercategory": "thing", "id": id_, "name": name} for name, id_ in CATEGORIES.items()]
    info = {"description": "COCO 2017 Dataset", "url": "http://cocodataset.org", "version": "1.0", "year": 2017}
    licenses = [{"url": "http://creativecommons.org/licenses/by-nc-sa/2.0/", "id": 1, "name": "Attribution"}]
    return {
        "info": info, "licenses": licenses, "images": images, "annotations": annotations, "categories": categories
    }  # fmt: skip


def captions(photos, first=397133) -> dict:
    told = [(first + 3 * i, text) for i, photo in enumerate(photos) for text in photo.captions]
    annotations = [{"image_id": image, "id": 38 + n, "caption": text} for n, (image, text) in enumerate(told)]
    return {"info": {}, "licenses": [], "images": instances(photos)["images"], "annotations": annotations}


def write(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def photos():
    return make_photos(splits=("train", "val"))


@pytest.fixture
def coco(tmp_path, photos) -> Path:
    """As one has it who unpacks COCO's archives in a folder."""
    for split in ("train", "val"):
        of_split = [photo for photo in photos if photo.split == split]
        write(tmp_path / f"coco/annotations/instances_{split}2017.json", instances(of_split))
        write(tmp_path / f"coco/annotations/captions_{split}2017.json", captions(of_split))
        for photo in of_split:
            draw(tmp_path / f"coco/{split}2017" / photo.name)
    return tmp_path / "coco"


def test_the_folder_of_coco_is_a_data_set(coco, photos):
    dataset = check_dataset(str(coco))
    expected = {name: ("test" if split == "val" else split, labels) for name, (split, labels) in truth(photos).items()}
    assert dataset.name == "coco" and labels_of(dataset) == expected
    # In the order of their ids.
    assert dataset.class_names == ("dog", "potted plant", "traffic light", "zebra crossing")
    assert dataset.train.captions == tuple(" ".join(photo.captions) for photo in photos if photo.split == "train")
    assert dataset.train.names[0] == "train2017/t0.jpg" and dataset.train.places[1] == "image 397136"
    assert dataset.train.where(1) == f"{coco}/annotations/instances_train2017.json image 397136"
    assert_same_as_csv(coco, coco / "photos.csv")
    assert dataset.warnings[:5] == (
        f"coco: COCO, instances_train2017.json: 9 images, {n_objects(photos, 'train')} annotations, captions of 9 images",
        f"coco: COCO, instances_val2017.json: 5 images, {n_objects(photos, 'val')} annotations",
        "coco: no split 'test': the images of 'val' are for testing, and nothing is chosen on them",
        "coco: classes without an image, left out (1): unicorn",
        "coco: training images without a label (1, instances_train2017.json image 397154) count as negatives of every class",
    )


def n_objects(photos, split) -> int:
    return sum(len(photo.objects) for photo in photos if photo.split == split)


def test_one_json_file_is_a_data_set(coco, photos, tmp_path):
    """Its splits are drawn; its images are found in the folder called as it is, in images/, beside it, or below the root."""
    known = {photo.name: set(photo.labels) for photo in photos if photo.split == "train"}
    file = coco / "annotations/instances_train2017.json"
    dataset = load_dataset(str(file))
    assert {name: labels for name, (_, labels) in labels_of(dataset).items()} == known
    assert set(dataset.splits) == {"train", "test"} and dataset.train.captions and dataset.name == "instances_train2017"
    for place in ("images", ".", "images/train2017"):
        for name in known:
            (tmp_path / "set" / place).mkdir(parents=True, exist_ok=True)
            (coco / "train2017" / name).rename(tmp_path / "set" / place / name)
        write(tmp_path / "set/instances_train2017.json", json.loads(file.read_text()))
        for path, root in ((tmp_path / "set/instances_train2017.json", None), (file, tmp_path / "set")):
            found = labels_of(load_dataset(str(path), root))
            assert {name: labels for name, (_, labels) in found.items()} == known
        with pytest.raises(DataError, match="no image"):
            load_dataset(str(file))
        for name in known:
            (tmp_path / "set" / place / name).rename(coco / "train2017" / name)


def test_a_folder_with_one_split_has_its_test_images_drawn(coco):
    (coco / "annotations/instances_val2017.json").unlink()
    dataset = load_dataset(str(coco))
    assert len(dataset.train) + len(dataset.test) == 9
    assert "coco: all are of split 'train'" in dataset.warnings


def test_roboflow_writes_a_file_a_split(tmp_path):
    photos = make_photos(splits=("train", "valid"))
    for split in ("train", "valid"):
        of_split = [photo for photo in photos if photo.split == split]
        write(tmp_path / f"export/{split}/_annotations.coco.json", instances(of_split, first=0))
        for photo in of_split:
            draw(tmp_path / f"export/{split}" / photo.name)
    dataset = check_dataset(str(tmp_path / "export"))
    assert labels_of(dataset) == {
        photo.name: ({"valid": "test"}.get(photo.split, photo.split), set(photo.labels)) for photo in photos
    }
    alone = load_dataset(str(tmp_path / "export/train/_annotations.coco.json"))
    assert len(alone.train) + len(alone.test) == 9 and alone.name == "train"
    assert (tmp_path / "export/README.roboflow.txt").write_text("") == 0 and load_dataset(str(tmp_path / "export"))


def test_label_studio_on_windows_writes_backslashes(tmp_path):
    photos = make_photos(splits=("train", "train"))[:9]
    content = instances([photo._replace(name=f"images\\{photo.name}") for photo in photos])
    write(tmp_path / "result.json", content)
    for photo in photos:
        draw(tmp_path / "images" / photo.name)
    assert {name: labels for name, (_, labels) in labels_of(load_dataset(str(tmp_path / "result.json"))).items()} == {
        photo.name: set(photo.labels) for photo in photos
    }


def edit(file: str) -> Callable:
    """A change of a JSON file below the folder."""

    def wrap(change):
        def run(coco):
            content = json.loads((coco / file).read_text())
            content = change(content) or content
            (coco / file).write_text(json.dumps(content))

        return run

    return wrap


train, val = edit("annotations/instances_train2017.json"), edit("annotations/instances_val2017.json")
texts = edit("annotations/captions_train2017.json")
TRAIN, VAL = "annotations/instances_train2017.json", "annotations/instances_val2017.json"

BAD = {
    "unknown image": (
        train(lambda c: c["annotations"][2].update(image_id=7)),
        f"{TRAIN} annotations[2]: image_id 7 is not in 'images'",
    ),
    "unknown category": (
        train(lambda c: c["annotations"][2].update(category_id=7)),
        f"{TRAIN} annotations[2], image 397133: category_id 7 is not in 'categories'",
    ),
    "category of another name": (
        train(lambda c: c["categories"].append({"id": 1, "name": "cat"})),
        f"{TRAIN}: category id 1 stands twice in 'categories'",
    ),
    "class twice": (
        train(lambda c: c["categories"][3].update(name="Dog")),
        ": class 'Dog' stands twice",
    ),
    "name twice": (
        train(lambda c: c["categories"][3].update(name="dog")),
        f"{TRAIN}: category name 'dog' stands twice in 'categories' (ids 1 and 3)",
    ),
    "class without name": (train(lambda c: c["categories"][1].update(name="")), ": a class without a name"),
    "invisible": (
        train(lambda c: c["categories"][1].update(name="do\u200eg")),
        r": class 'do\u200eg' has an invisible U+200E LEFT-TO-RIGHT MARK in it: take it out",
    ),
    "image id twice": (
        train(lambda c: c["images"][2].update(id=397133)),
        f"{TRAIN} image 397133: its id stands twice in 'images'",
    ),
    "image twice": (
        train(lambda c: c["images"][2].update(file_name="t1.jpg")),
        f"{TRAIN} image 397139: train2017/t1.jpg is in image 397136 already",
    ),
    "image in both": (
        lambda c: (val(lambda f: f["images"][0].update(file_name="../train2017/t1.jpg"))(c)),
        f"{VAL} image 397133: train2017/t1.jpg is in instances_train2017.json too",
    ),
    "missing image": (lambda c: (c / "train2017/t2.jpg").unlink(), f"{TRAIN} image 397139: no image "),
    "outside": (
        train(lambda c: c["images"][2].update(file_name="../../t.jpg")),
        f"{TRAIN} image 397139: ../t.jpg is not below ",
    ),
    "absolute": (
        train(lambda c: c["images"][2].update(file_name="/etc/t.jpg")),
        f"{TRAIN} image 397139: /etc/t.jpg is not below ",
    ),
    "no images": (train(lambda c: {**c, "images": 3}), f"{TRAIN}: images must be a list, not 3"),
    "no annotations": (train(lambda c: c.pop("annotations") and None), f"{TRAIN}: 'annotations' is missing"),
    "another json": (
        train(lambda c: {"embed_dim": 128}), f"{TRAIN}: no 'images' and 'annotations' in it, as COCO has, and no list of tasks"
    ),
    "a list": (train(lambda c: [c]), f"{TRAIN}: what is in it must be a list of 'key: value', not [...]"),
    "annotation is text": (
        train(lambda c: c["annotations"].insert(1, "dog")),
        f"{TRAIN}: annotations[1] must be a list of 'key: value', not 'dog'",
    ),
    "no category": (
        train(lambda c: c["annotations"][1].pop("category_id") and None),
        f"{TRAIN}: 'annotations[1].category_id' is missing",
    ),
    "name is a number": (
        train(lambda c: c["categories"][1].update(name=1)), f"{TRAIN}: categories[1].name must be text, not 1"
    ),
    "id is true": (
        train(lambda c: c["images"][1].update(id=True)), f"{TRAIN}: images[1].id must be a whole number, not True"
    ),
    "id is text": (
        train(lambda c: c["images"][1].update(id="7")), f"{TRAIN}: images[1].id must be a whole number, not '7'"
    ),
    "half a letter": (
        train(lambda c: c["images"][1].update(file_name="\ud800.jpg")),
        rf"{TRAIN} image 397136: a control character in the image path 'train2017/\ud800.jpg'",
    ),
    "not json": (lambda c: (c / TRAIN).write_text("{"), f"{TRAIN}: cannot be read as JSON (Expecting property name"),
    "empty": (lambda c: (c / TRAIN).write_text(""), f"{TRAIN}: cannot be read as JSON (Expecting value"),
    "deep": (lambda c: (c / TRAIN).write_text("[" * 100_000), f"{TRAIN}: cannot be read as JSON (maximum recursion"),
    "huge": (lambda c: (c / TRAIN).write_text("9" * 9_999), f"{TRAIN}: cannot be read as JSON (Exceeds the limit"),
    "nan": (lambda c: (c / TRAIN).write_text("NaN"), f"{TRAIN}: what is in it must be a list of 'key: value', not nan"),
    "latin": (lambda c: (c / TRAIN).write_bytes(b'{"\xe9": 1}'), f"{TRAIN}: cannot be read as UTF-8 text (line 1"),
    "caption is none": (
        texts(lambda c: c["annotations"][1].update(caption=None)),
        "annotations/captions_train2017.json: annotations[1].caption must be text, not None",
    ),
    "no caption": (
        texts(lambda c: c.update(annotations=c["annotations"][2:])),
        f"{TRAIN} image 397133: no caption, and other training images have one",
    ),
    "two for training": (
        lambda c: (c / TRAIN).with_name("instances_train2014.json").write_text("{}"),
        ": instances_train2014.json, instances_train2017.json are all 'train'; keep one of them there",
    ),
    "no images in it": (
        lambda c: [edit(f)(lambda c: c.update(images=[], annotations=[]))(c) for f in (TRAIN, VAL)],
        ": no images in it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_every_mistake_is_named(coco, name):
    spoil, message = BAD[name]
    spoil(coco)
    with pytest.raises(DataError) as error:
        load_dataset(str(coco))
    start = f"{coco}{'' if message.startswith(':') else '/'}{message}"
    assert [line.startswith(start) for line in error.value.problems].count(True) == 1
    assert (len(error.value.problems) == 1 or name == "image id twice") and "\n" not in error.value.problems[0]


def test_captions_of_other_images_are_left_out(coco):
    texts(lambda c: c["annotations"].append({"id": 1, "image_id": 5, "caption": "x"}))(coco)
    dataset = load_dataset(str(coco))
    assert "coco: captions of images that instances_train2017.json does not have, left out: 1" in dataset.warnings


def test_lists_and_json_of_the_same_photographs_agree(shared, tmp_path):
    """The lists' ids are the places of the classes in COCO's order; here the JSON is made of them."""
    source = shared / "photos-coco"
    names, _ = read_classes(source / "coco_labels.txt")
    ids = {name: 2 * i + 1 for i, name in enumerate(names)}
    expected = {}
    for split, key in (("train", "train2017"), ("test", "val2017")):
        rows, *_ = read_list(source / f"coco_{split}.txt", names, split)
        expected |= {Path(row.image).name: (split, set(row.labels)) for row in rows}
        content = {
            "images": [{"id": int(Path(row.image).stem), "file_name": Path(row.image).name} for row in rows],
            "annotations": [
                {"image_id": int(Path(row.image).stem), "category_id": ids[label]}
                for row in rows
                for label in row.labels
            ],
            "categories": [{"id": ids[name], "name": name} for name in reversed(names)],
        }
        write(tmp_path / f"annotations/instances_{key}.json", content)
        (tmp_path / key).symlink_to(source / key)
    reading = read_coco(tmp_path)
    assert {Path(row.image).name: (row.split, set(row.labels)) for row in reading.rows} == expected
    assert set(CLASSES) - set(names) and reading.class_names == tuple(n for n in names if n in reading.class_names)


def test_a_category_without_annotations_may_have_the_name_of_another(coco, photos):
    """Roboflow's first category is the project."""
    train(lambda c: c["categories"].insert(0, {"id": 0, "name": "dog", "supercategory": "none"}))(coco)
    assert load_dataset(str(coco)).class_names == ("dog", "potted plant", "traffic light", "zebra crossing")


def test_images_are_taken_from_the_folder_called_as_the_file_before_others(coco):
    for folder in ("images/train2017", "images", "annotations", "."):
        for file in (coco / "train2017").iterdir():
            draw(coco / folder / file.name)
    assert {name.split("/")[0] for name in load_dataset(str(coco)).train.names} == {"train2017"}


def test_captions_are_read_for_training_alone(coco):
    (coco / "annotations/captions_val2017.json").write_text("{")
    assert load_dataset(str(coco)).train.captions
    (coco / "annotations/captions_train2017.json").write_text("{")
    with pytest.raises(DataError, match=r"captions_train2017\.json: cannot be read as JSON"):
        load_dataset(str(coco))


def test_other_files_of_annotations_are_told(coco):
    (coco / "annotations/image_info_test2017.json").write_text("{}")
    told = "coco: annotations/ has other files, left out (1): image_info_test2017.json"
    assert told in load_dataset(str(coco)).warnings
