"""Label Studio's exports, JSON and JSON-MIN."""

import json
import os
from pathlib import Path

import pytest
from photos import assert_same_as_csv, draw, labels_of, make_photos

from lmptlib.data.loading import check_dataset, load_dataset
from lmptlib.errors import DataError


def result(kind, names) -> dict:
    boxes = {"x": 10.5, "y": 4.0, "width": 30.0, "height": 22.0, "rotation": 0} if kind != "choices" else {}
    size = {"original_width": 8, "original_height": 8, "image_rotation": 0}
    value = {**boxes, kind: list(names)}
    return {
        **size,
        "value": value,
        "id": "7c1Xq",
        "from_name": "label",
        "to_name": "image",
        "type": kind,
        "origin": "manual",
    }


def area(texts) -> dict:
    return {"value": {"text": list(texts)}, "id": "cap", "from_name": "caption", "to_name": "image", "type": "textarea"}


def task(number, photo, image, kind="choices", **changes) -> dict:
    """As an export has it, field for field."""
    names = [result(kind, photo.labels)] if kind == "choices" else [result(kind, [name]) for name in photo.objects]
    annotation = {
        "id": 1000 + number, "completed_by": 1, "result": [*names, area(photo.captions)] if photo.labels else [area(photo.captions)],
        "was_cancelled": False, "ground_truth": False, "created_at": "2024-05-02T10:11:12.345678Z", "lead_time": 8.1,
        "prediction": {}, "result_count": 1, "task": number, "parent_prediction": None, **changes,
    }  # fmt: skip
    return {
        "id": number, "annotations": [annotation], "file_upload": "x", "drafts": [], "predictions": [], "data": {"image": image},
        "meta": {}, "inner_id": 1, "total_annotations": 1, "cancelled_annotations": 0, "project": 1,
    }  # fmt: skip


def sets(dataset):
    return {name: labels for name, (_, labels) in labels_of(dataset).items()}


PLACES = {
    "/data/upload/1/1a2b3c4d-{}": "{}",
    "/data/upload/12/99999999-{}": "99999999-{}",
    "/data/local-files/?d=photos/a%20folder/{}": "photos/a folder/{}",
    "/data/local-files/?d=mnt/photos/{}": "photos/{}",
    "s3://bucket/some/photos/{}": "some/photos/{}",
    "https://example.org/p/{}?width=8": "{}",
    "photos\\{}": "photos/{}",
    "{}": "{}",
}


@pytest.fixture
def photos():
    return make_photos()[:9]


KINDS = ("rectanglelabels", "polygonlabels", "brushlabels")


@pytest.mark.parametrize(("image", "kind"), [(image, "choices") for image in PLACES] + [("{}", kind) for kind in KINDS])
def test_an_export_is_a_data_set(tmp_path, photos, image, kind):
    tasks = [task(12 + i, photo, image.format(photo.name), kind) for i, photo in enumerate(photos)]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    for photo in photos:
        draw(tmp_path / "x" / PLACES[image].format(photo.name))
    (tmp_path / "export.json").rename(tmp_path / "x/export.json")
    dataset = check_dataset(str(tmp_path / "x/export.json"))
    assert sets(dataset) == {Path(PLACES[image].format(p.name)).name: set(p.labels) for p in photos}
    captions = {PLACES[image].format(photo.name): " ".join(photo.captions) for photo in photos}
    assert dict(zip(dataset.train.names, dataset.train.captions)).items() <= captions.items()
    assert dataset.warnings[0] == "export: Label Studio: 9 tasks, 9 annotated"
    assert not any("left out" in warning for warning in dataset.warnings)
    assert dataset.train.places[0] == f"task {12 + int(dataset.train.names[0][-5])}"
    assert_same_as_csv(tmp_path / "x/export.json", tmp_path / "photos.csv")


def test_the_images_may_lie_elsewhere(tmp_path, photos):
    (tmp_path / "export.json").write_text(
        json.dumps([task(i, p, f"/data/upload/1/{p.name}") for i, p in enumerate(photos)])
    )
    for photo in photos:
        draw(tmp_path / "there" / photo.name)
    assert len(load_dataset(str(tmp_path / "export.json"), tmp_path / "there").train)
    with pytest.raises(DataError, match="9 of its 9 images are missing below"):
        load_dataset(str(tmp_path / "export.json"))


def flat(number, photo, several=True) -> dict:
    """JSON-MIN: one choice is a text, several are in an object; so are texts."""
    labels = {"choices": list(photo.labels)} if len(photo.labels) > 1 else photo.labels[0] if photo.labels else None
    record = {
        "image": f"/data/upload/1/1a2b3c4d-{photo.name}",
        "id": number,
        "choice": labels,
        "caption": list(photo.captions),
    }
    about = {"annotator": 1, "annotation_id": number, "created_at": "2024", "updated_at": "2024", "lead_time": 8.1}
    return {key: value for key, value in record.items() if value is not None} | about


def test_the_short_export(tmp_path, photos):
    tasks = [flat(i, photo) for i, photo in enumerate(photos)]
    tasks[0] |= {"label": [{"x": 1.0, "rectanglelabels": ["dog"]}], "source": "camera 3"}
    tasks[1] |= {"classifier_version": "v1", "label_time": "3", "context": "a walk", "Animal_Tags2": ["dog", "dog"]}
    tasks.append({**tasks[3], "annotation_id": 77, "choice": "unicorn"})
    (tmp_path / "min.json").write_text(json.dumps(tasks))
    for photo in photos:
        draw(tmp_path / photo.name)
    dataset = load_dataset(str(tmp_path / "min.json"))
    truth = {photo.name: set(photo.labels) for photo in photos}
    assert sets(dataset) == truth | {"t1.jpg": {*truth["t1.jpg"], "dog"}}
    alone = sum(len(photo.labels) == 1 for photo in photos) + 1
    assert set(dataset.warnings[1:9]) == {
        f"min: values of 'choice', read as labels: {alone}",
        "min: values of 'caption', read as captions: 10",
        "min: values of 'Animal_Tags2', read as labels: 1",
        "min: annotations of a task besides its first, left out: 1",
        *(f"min: values of '{key}', left out: 1" for key in ("source", "classifier_version", "label_time", "context")),
    }
    captions = {photo.name: " ".join(photo.captions) for photo in photos}
    assert dict(zip(dataset.train.names, dataset.train.captions)).items() <= captions.items()


def test_what_was_cancelled_or_not_done_is_counted(tmp_path, photos):
    tasks = [task(i, photo, photo.name) for i, photo in enumerate(photos)]
    tasks[1]["annotations"].insert(0, {**tasks[2]["annotations"][0], "was_cancelled": True})
    tasks[3]["annotations"].append(tasks[4]["annotations"][0])
    tasks[5]["annotations"] = []
    tasks[6]["annotations"][0]["was_cancelled"] = True
    tasks[8]["annotations"][0]["result"] += [
        {"type": "rating", "value": {"rating": 3}},
        {"type": "relation", "from_id": "a"},
    ]
    for i, one in enumerate(tasks):
        one["data"] = {"img": photos[i].name, "by": "me"}
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    for photo in photos:
        draw(tmp_path / photo.name)
    dataset = load_dataset(str(tmp_path / "export.json"))
    assert sets(dataset) == {p.name: set(p.labels) for i, p in enumerate(photos) if i not in (5, 6)}
    assert set(dataset.warnings[:6]) == {
        "export: Label Studio: 9 tasks, 7 annotated",
        "export: annotations that were cancelled, left out: 2",
        "export: tasks without an annotation, left out: 2",
        "export: annotations of a task besides its first, left out: 1",
        "export: results of type 'rating', left out: 1",
        "export: results of type 'relation', left out: 1",
    }


def change(path, value):
    """Put a value at a path of keys in the second task."""

    def run(tasks, folder):
        place = tasks[1]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return run


RESULT = ("annotations", 0, "result", 0)
BAD = {
    "missing": (change(("data", "image"), "x.jpg"), " task 1: no image "),
    "outside": (change(("data", "image"), "../../x.jpg"), " task 1: no image "),
    "no image": (change(("data",), {"txt": "x"}), " task 1: no path of an image in its data, and none is called 'image'"),
    "two images": (change(("data",), {"a": "1.jpg", "b": "2.jpg"}), " task 1: 2 paths of images in its data, and none"),
    "image is a list": (change(("data", "image"), ["t1.jpg"]), " task 1: no path of an image in its data"),
    "two files": (
        lambda tasks, folder: [
            change(("data", "image"), "/data/upload/1/1a2b3c4d-t1.jpg")(tasks, folder), draw(folder / "1a2b3c4d-t1.jpg")
        ],
        " task 1: its image is 1a2b3c4d-t1.jpg or t1.jpg, and they differ: keep one of them",
    ),
    "image twice": (change(("data", "image"), "t0.jpg"), " task 1: t0.jpg is in task 0 already"),
    "data is text": (change(("data",), "t1.jpg"), " task 1: data must be a list of 'key: value', not 't1.jpg'"),
    "no data": (lambda tasks, folder: tasks[1].pop("data"), " task 1: 'data' is missing"),
    "annotations is none": (change(("annotations",), None), " task 1: annotations must be a list, not None"),
    "annotation is text": (change(("annotations", 0), "dog"), " task 1: annotations[0] must be a list of 'key: value', not 'dog'"),
    "no result": (lambda tasks, folder: tasks[1]["annotations"][0].pop("result"), " task 1: 'annotations[0].result' is missing"),
    "cancelled is text": (change(("annotations", 0, "was_cancelled"), "no"), " task 1: annotations[0].was_cancelled must be true or"),
    "no type": (
        change(RESULT, {"value": {}}), " task 1: 'annotations[0].result[0].type' is missing"
    ),
    "value is a list": (
        change((*RESULT, "value"), ["dog"]), " task 1: annotations[0].result[0].value must be a list of 'key: value'"
    ),
    "choices is a number": (change((*RESULT, "value"), {"choices": 3}), " task 1: choices must be a list of texts, not 3"),
    "choices of numbers": (change((*RESULT, "value"), {"choices": [3]}), " task 1: choices must be a list of texts, not [...]"),
    "no choices": (change((*RESULT, "value"), {}), " task 1: choices must be a list of texts, not None"),
    "text is a number": (
        change(("annotations", 0, "result", 1, "value"), {"text": 3}), " task 1: text must be a list of texts, not 3"
    ),
    "a task is a number": (lambda tasks, folder: tasks.insert(1, 3), " [1]: what is in it must be a list of 'key: value', not 3"),
    "one without a caption": (
        change(("annotations", 0, "result", 1, "value"), {"text": []}),
        " task 1: no caption, and other training images have one",
    ),
    "two spellings": (
        change((*RESULT, "value"), {"choices": ["Dog"]}), " task 1: label 'Dog' is 'dog' elsewhere; write one of them"
    ),
    "nothing": (lambda tasks, folder: tasks.clear(), ": no images in it"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_every_mistake_is_named(tmp_path, photos, name):
    spoil, message = BAD[name]
    tasks = [task(i, photo, photo.name) for i, photo in enumerate(photos)]
    for photo in photos:
        draw(tmp_path / photo.name)
    spoil(tasks, tmp_path)
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    with pytest.raises(DataError) as error:
        load_dataset(str(tmp_path / "export.json"))
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith(f"{tmp_path}/export.json{message}"), error.value.problems


@pytest.mark.parametrize(("other", "differs"), [(b"a", False), (b"b", True)])
def test_two_files_that_may_be_the_image_are_compared_by_what_is_in_them(tmp_path, photos, other, differs):
    """Both have the same size and date."""
    tasks = [task(i, photo, f"/data/upload/1/1a2b3c4d-{photo.name}") for i, photo in enumerate(photos)]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    for photo in photos:
        (tmp_path / photo.name).write_bytes(b"a")
        (tmp_path / f"1a2b3c4d-{photo.name}").write_bytes(other if photo.name == "t1.jpg" else b"a")
    for file in tmp_path.glob("*.jpg"):
        os.utime(file, (1, 1))
    if not differs:
        assert load_dataset(str(tmp_path / "export.json")).train.names[0].startswith("1a2b3c4d-")
        return
    with pytest.raises(DataError) as error:
        load_dataset(str(tmp_path / "export.json"))
    assert [line.split(" its image")[0] for line in error.value.problems] == [f"{tmp_path}/export.json task 1:"]


def test_labels_of_several_controls_are_taken_together_and_told(tmp_path, photos):
    tasks = [task(i, photo, photo.name) for i, photo in enumerate(photos)]
    blurry = {**result("choices", ["blurry"]), "from_name": "quality"}
    for of_task in tasks[::2]:
        of_task["annotations"][0]["result"].append(blurry)
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    for photo in photos:
        draw(tmp_path / photo.name)
    dataset = load_dataset(str(tmp_path / "export.json"))
    assert "export: labels of 'label', 'quality' are taken together" in dataset.warnings
    assert "blurry" in dataset.class_names
