"""Hugging Face's image folders: metadata.csv and metadata.jsonl."""

import csv
import json

import pytest
from photos import assert_same_as_csv, draw, labels_of, make_photos, truth

from lmptlib.data.loading import check_dataset, load_dataset
from lmptlib.errors import DataError


def write_csv(file, photos, header=("file_name", "labels", "text")):
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(header)
        writer.writerows([photo.name, ";".join(photo.labels), " ".join(photo.captions)] for photo in photos)
    for photo in photos:
        draw(file.parent / photo.name)


def write_jsonl(file, records):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def sets(dataset):
    return {name: labels for name, (_, labels) in labels_of(dataset).items()}


@pytest.fixture
def photos():
    return make_photos()


@pytest.mark.parametrize("header", [("file_name", "label", "text"), ("file_name", "tags", "caption")])
def test_a_csv_beside_the_images(tmp_path, photos, header):
    write_csv(tmp_path / "set/metadata.csv", photos[:9], header)
    dataset = check_dataset(str(tmp_path / "set"))
    assert sets(dataset) == {photo.name: set(photo.labels) for photo in photos[:9]} and dataset.name == "set"
    captions = dict(zip(dataset.train.names, dataset.train.captions))
    assert captions.items() <= {photo.name: " ".join(photo.captions) for photo in photos}.items()
    assert dataset.warnings[0] == "set: metadata.csv: 9 images"
    assert_same_as_csv(tmp_path / "set", tmp_path / "photos.csv")
    assert labels_of(load_dataset(str(tmp_path / "set/metadata.csv"))) == labels_of(dataset)


@pytest.mark.parametrize("key", ["labels", "label", "tags", "categories", "objects"])
def test_a_jsonl_in_each_split(tmp_path, photos, key):
    for split in ("train", "test"):
        of_split = [photo for photo in photos if photo.split == split]
        records = []
        for photo in of_split:
            labels = {"bbox": [[1, 2, 3, 4]] * len(photo.objects), "categories": photo.objects}
            record = {"file_name": photo.name, key: labels if key == "objects" else list(photo.labels), "width": 8}
            records.append(record | ({"text": " ".join(photo.captions)} if split == "train" else {}))
            draw(tmp_path / "set" / split / photo.name)
        write_jsonl(tmp_path / "set" / split / "metadata.jsonl", records)
    dataset = load_dataset(str(tmp_path / "set"))
    assert labels_of(dataset) == truth(photos) and dataset.train.names[0] == "train/t0.jpg"
    assert dataset.train.captions == tuple(" ".join(photo.captions) for photo in photos if photo.split == "train")
    assert dataset.train.where(0) == f"{tmp_path}/set/train/metadata.jsonl line 1"
    assert dataset.warnings[:2] == ("set: test/metadata.jsonl: 5 images", "set: keys that are left out: 'width'")


def test_folders_or_a_column_tell_the_splits(tmp_path, photos):
    named = [photo._replace(name=f"{photo.split}/{photo.name}") for photo in photos]
    write_csv(tmp_path / "a/metadata.csv", named)
    assert labels_of(load_dataset(str(tmp_path / "a"))) == truth(photos)
    records = [{"file_name": p.name, "labels": ";".join(p.labels), "split": p.split} for p in photos]
    write_jsonl(tmp_path / "b/metadata.jsonl", records)
    for photo in photos:
        draw(tmp_path / "b" / photo.name)
    assert labels_of(load_dataset(str(tmp_path / "b"))) == truth(photos)
    (tmp_path / "b/metadata.jsonl").rename(tmp_path / "lines.jsonl")
    assert labels_of(load_dataset(str(tmp_path / "lines.jsonl"), tmp_path / "b")) == truth(photos)


LINE = {"file_name": "t0.jpg", "labels": ["dog"]}
BAD = {
    "ids": ({**LINE, "labels": [0, 3]}, " line 3: labels must be a text or a list of texts, not [0, 3], for prompts are made of"),
    "an id": ({**LINE, "labels": 3}, " line 3: labels must be a text or a list of texts, not 3, for prompts are made of names"),
    "an object": ({**LINE, "labels": {"a": 1}}, " line 3: labels must be a text or a list of texts, not {...}"),
    "ids of objects": (
        {"file_name": "t0.jpg", "objects": {"bbox": [], "categories": [0, 0, 1, 2]}},
        " line 3: labels must be a text or a list of texts, not [0, 0, 1, ...], for prompts are made of names",
    ),
    "no labels": ({"file_name": "t0.jpg"}, " line 3: 'labels' is missing"),
    "no file": ({"labels": "dog"}, " line 3: 'file_name' is missing"),
    "file is none": ({"file_name": None, "labels": "dog"}, " line 3: file_name must be text, not None"),
    "a list": (["t0.jpg", "dog"], " line 3: what is in it must be a list of 'key: value', not [...]"),
    "text is a number": ({**LINE, "text": 4}, " line 3: caption must be text, not 4"),
    "label and tags": (
        {**LINE, "label": "dog", "tags": "cat"}, " line 3: 'labels' and 'label' and 'tags' are read as labels; keep one of them"
    ),
    "objects too": (
        {**LINE, "objects": {"categories": ["cat"]}}, " line 3: 'labels' and 'objects' are read as labels; keep one of them"
    ),
    "text and caption": (
        {**LINE, "text": "a", "caption": "b"}, " line 3: 'text' and 'caption' are read as caption; keep one of them"
    ),
    "twice": (LINE, " line 3: t0.jpg is in line 1 already"),
    "missing": ({**LINE, "file_name": "x.jpg"}, " line 3: no image "),
    "outside": ({**LINE, "file_name": "../x.jpg"}, " line 3: ../x.jpg is not below "),
    "label twice": ({**LINE, "file_name": "t2.jpg", "labels": "dog;;cat"}, " line 3: labels 'dog;;cat': write names with ';'"),
    "half a letter": ({**LINE, "labels": ["\ud800"], "file_name": "t2.jpg"}, " line 3: label '' has an invisible U+D800"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_every_mistake_in_a_line_is_named(tmp_path, name):
    record, message = BAD[name]
    records = [LINE, {"file_name": "t1.jpg", "labels": ["dog", "cat"], "split": ""}, record]
    write_jsonl(tmp_path / "metadata.jsonl", records)
    for i in range(3):
        draw(tmp_path / f"t{i}.jpg")
    with pytest.raises(DataError) as error:
        load_dataset(str(tmp_path))
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith(f"{tmp_path}/metadata.jsonl{message}"), error.value.problems
    str(error.value).encode()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"metadata.jsonl": '{"file_name": \n'}, "metadata.jsonl line 1: cannot be read as JSON (Expecting value"),
        ({"metadata.jsonl": "[" * 100_000}, "metadata.jsonl line 1: cannot be read as JSON (maximum recursion"),
        ({"metadata.jsonl": ""}, ": no images in it"),
        ({"metadata.csv": "file_name", "metadata.jsonl": ""}, ": metadata.csv and metadata.jsonl; keep one of them there"),
        ({"metadata.csv": "file_name,label\na.jpg,3\nb.jpg,1\n"}, ": labels are numbers (1, 3): write the names of the classes"),
        (
            {"metadata.csv": "file_name,size\na.jpg,3\n"},
            "metadata.csv: no column 'labels'; its columns are 'file_name', 'size'",
        ),
        (
            {"metadata.csv": "file_name;text;size\na.jpg;x;3\n"},
            "metadata.csv: no column 'labels'; its columns are 'file_name', 'text', 'size'",
        ),
        (
            {"metadata.csv": "file_name,label,tags\na.jpg,cat,dog\n"},
            "metadata.csv: 'label' and 'tags' are read as labels; keep one of them",
        ),
        (
            {"metadata.csv": "file_name,labels,tags\na.jpg,cat,dog\n"},
            "metadata.csv: 'labels' and 'tags' are read as labels; keep one of them",
        ),
        (
            {"metadata.csv": "sep=;\nfile_name;image;tags\na.jpg;cat;dog\n"},
            "metadata.csv: 'file_name' and 'image' are read as image; keep one",
        ),
        ({"metadata.csv": "file_name,x,x,tags\na.jpg,cat,dog,cat\n"}, "metadata.csv: column 'x' stands twice"),
        (
            {"metadata.csv": "name,my_file_name\na.jpg,3\n"},
            ": nothing in it that is known; looked for metadata.csv or metadata.jsonl with 'file_name'",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file(tmp_path, files, message):
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    with pytest.raises(DataError) as error:
        load_dataset(str(tmp_path))
    assert (
        str(error.value).startswith(f"{tmp_path}{'' if message[0] == ':' else '/'}{message}")
        and len(error.value.problems) == 1
    )


def test_a_key_with_nothing_does_not_compete(tmp_path, photos):
    for photo in photos[:9]:
        draw(tmp_path / photo.name)
    bare = {"tags": None, "objects": {"bbox": []}}
    records = [{"file_name": photo.name, "label": list(photo.labels), **bare} for photo in photos[:9]]
    write_jsonl(tmp_path / "PHOTOS.JSONL", records)
    assert sets(load_dataset(str(tmp_path / "PHOTOS.JSONL"))) == {photo.name: set(photo.labels) for photo in photos[:9]}


def test_a_csv_without_file_name_is_ours_whatever_it_is_called(tmp_path, photos):
    write_csv(tmp_path / "set/metadata.csv", photos[:9])
    file = tmp_path / "metadata.csv"
    assert_same_as_csv(tmp_path / "set", file)
    with file.open() as lines:
        assert next(lines) == "image,labels,caption,split\n"
    file.write_text("name,size\na.jpg,3\n")
    with pytest.raises(DataError) as error:
        load_dataset(str(file))
    assert (
        error.value.problems[0]
        == f"{file}: its first line is to name the columns, as image,labels; it is 'name', 'size'"
    )
