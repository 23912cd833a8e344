"""What a path is taken for, and that a reader tells of problems whatever bytes it is given."""

import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from photos import draw

from lmptlib.config import read_value, resolve
from lmptlib.data.formats.coco import read_coco
from lmptlib.data.formats.label_studio import read_label_studio
from lmptlib.data.formats.metadata import read_metadata
from lmptlib.data.formats.recognition import FORMATS, format_of
from lmptlib.data.formats.voc import read_voc
from lmptlib.data.formats.yolo import read_yolo
from lmptlib.data.loading import load_dataset
from lmptlib.data.rows import assemble
from lmptlib.errors import DataError
from lmptlib.runs.run import Run
from lmptlib.training.training import train

LAYOUTS = {
    "Hugging Face": [
        {"metadata.csv": "file_name"},
        {"train/metadata.jsonl": ""},
        {"metadata.csv": 'sep=;\n"x"; "file_name"', "cat/1.jpg": ""},
    ],
    "COCO": [
        {"annotations/instances_val2017.json": ""},
        {"valid/_annotations.coco.json": "", "valid/1.jpg": ""},
        {"annotations/instances_default.json": "", "images/default/1.jpg": ""},
    ],
    "YOLO": [
        {"data.yaml": "names: [a]\ntrain: images/train", "images/train/1.jpg": ""},
        {"metadata.csv": "place,my file_name", "data.yaml": "names: [a]\ntrain: images", "images/1.jpg": ""},
        {"dataset.yaml": "nc: 1\nnames: [a]\nval: x"},
    ],
    "VOC": [
        {"VOC2007/Annotations/1.xml": "", "VOC2007/JPEGImages/1.jpg": ""},
        {"Annotations/1.xml": ""},
        {"1.xml": "", "1.jpg": ""},
        {"train/1.xml": "", "train/1.jpg": ""},
    ],
    "image folders": [{"cat/1.jpg": ""}, {"train/cat/1.PNG": ""}, {"data.yaml": "name: x", "cat/1.jpg": ""}],
}


@pytest.mark.parametrize(("name", "files"), [(name, files) for name, layouts in LAYOUTS.items() for files in layouts])
def test_a_folder_is_known_by_what_is_in_it(tmp_path, name, files):
    for file, text in files.items():
        (tmp_path / "set" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / file).write_text(text)
    assert format_of(tmp_path / "set").name == name


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("a.csv", "", "CSV"),
        ("a.TSV", "", "CSV"),
        ("metadata.csv", "", "CSV"),
        ("metadata.csv", "\ufefflabel\tfile_name\n", "Hugging Face"),
        ("a.jsonl", "", "Hugging Face"),
        ("a.json", "\n {}", "COCO"),
        ("a.json", "\ufeff[", "Label Studio"),
        ("a.yaml", "names: {}\ntrain: x", "YOLO"),
    ],
)
def test_a_file_is_known_by_its_suffix_and_beginning(tmp_path, file, text, name):
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert format_of(tmp_path / file).name == name


@pytest.mark.parametrize("files", [{}, {"a.txt": ""}, {"a.jpg": ""}, {".git/a/b.jpg.txt": ""}, {"sub/a.csv": ""}])
def test_what_is_known_in_nothing_is_refused_in_one_line(tmp_path, files):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
    with pytest.raises(DataError) as error:
        load_dataset(str(tmp_path))
    assert str(error.value).startswith(f"{tmp_path}: nothing in it that is known; looked for ")
    assert all(f"{known.folder} ({known.name})" in str(error.value) for known in FORMATS if known.folder)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_a_file_in_a_folder_that_is_to_be_named_is_named(tmp_path):
    (tmp_path / "mine.csv").write_text("image,labels\n1.jpg,dog\n")
    with pytest.raises(DataError) as error:
        load_dataset(str(tmp_path))
    assert str(error.value).endswith(f"; do you mean {tmp_path}/mine.csv?")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.json", "nowhere.json: no such file or folder"),
        ("x/nowhere", "x/nowhere: no such file or folder"),
        ("nowhere", "unknown dataset 'nowhere'."),
        ("a\0b", "unknown dataset"),
        ("a" * 5000, "unknown dataset"),
        ("text.txt", "text.txt: no known format; a file is .jsonl (Hugging Face), .csv or .tsv (CSV), .json (COCO), "),
        (
            "text.json",
            "text.json: no known format; a file is .jsonl (Hugging Face), .csv or .tsv (CSV), .json (COCO), ",
        ),
        ("empty.yaml", "empty.yaml: a card is a list of 'key: value' lines; needed: "),
    ],
)
def test_a_path_that_is_no_data_set(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    for file in ("text.txt", "text.json", "empty.yaml"):
        (tmp_path / file).write_text("")
    with pytest.raises(DataError) as error:
        load_dataset(path)
    assert str(error.value).startswith(message) and len(str(error.value)) < 1500


def test_a_folder_in_the_command_is_made_absolute_and_a_built_in_name_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pets", "emoji-lt", "openai"):
        (tmp_path / name).mkdir()
    for file in ("a.tsv", "metadata.jsonl"):
        assert read_value("dataset", "str", False, file) == str(tmp_path / file)
    assert read_value("dataset", "str", False, "pets/") == str(tmp_path / "pets")
    assert read_value("dataset", "str", False, "emoji-lt") == "emoji-lt"
    assert read_value("dataset", "str", False, "./emoji-lt") == str(tmp_path / "emoji-lt")
    assert read_value("dataset", "str", False, "voc-tl") == "voc-tl"
    assert read_value("weights", "str", True, "openai") == "openai"


def test_a_data_set_has_the_name_of_its_folder_or_file(tmp_path, monkeypatch):
    for name in ("cat", "dog"):
        for i in range(3):
            draw(tmp_path / "pets" / name / f"{i}.jpg")
    (tmp_path / "pets/data.yaml").write_text("{name: my pets, source: .}")
    monkeypatch.chdir(tmp_path / "pets")
    assert [load_dataset(path).name for path in (".", "../pets/", str(tmp_path / "pets"), "data.yaml")] == [
        *3 * ["pets"],
        "my pets",
    ]


def test_one_trains_on_a_folder(tmp_path, tiny, cache):
    """The scenes of `tiny`, each in the folder of its first class."""
    for line in (tiny.folder / "train.txt").read_text().splitlines():
        image, first, *_ = line.split()
        target = tmp_path / "pets" / ("person", "dog", "cat", "bird")[int(first)] / Path(image).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(tiny.folder / image)
    given = {"dataset": str(tmp_path / "pets"), "model": "clip-emoji", "cache": str(cache)}
    config = resolve(**given, method="coop", epochs=1, batch_size=8)
    run = Run(train(config, tmp_path / "outputs", log=lambda line: None))
    assert run.folder.name.startswith("pets-coop-") and 0 < run.metrics["scores"]["logit"]["total"] <= 100


# What JSON and YAML files may hold where something else should be.
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        ["\ud800", "a\nb", "../x.jpg", "/x.jpg", "1.jpg", "\u200b", 10**400, "dog", "choices", "\0", "http://["]
    ),
)
KEYS = st.sampled_from([
    "images", "annotations", "categories", "id", "file_name", "image_id", "category_id", "name", "caption", "data", "result",
    "type", "value", "choices", "text", "was_cancelled", "image", "labels", "objects", "split", "train", "val", "names",
])  # fmt: skip
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
WELL_FORMED = {
    read_coco: {
        "images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 1}, {"image_id": 2, "category_id": 2}],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    },
    read_label_studio: [
        {
            "id": i,
            "data": {"image": f"{i}.jpg"},
            "annotations": [{"was_cancelled": False, "result": [{"type": "choices", "value": {"choices": ["dog"]}}]}],
        }
        for i in (1, 2)
    ],
    read_metadata: {"file_name": "1.jpg", "labels": ["dog", "cat"], "text": "x", "split": "train"},
    read_yolo: {"path": "x", "train": ["."], "val": ".", "names": {0: "dog", 1: "cat"}, "nc": 2},
}  # fmt: skip
FILES = {read_coco: "a.json", read_label_studio: "a.json", read_metadata: "a.jsonl", read_yolo: "a.yaml"}


def spoilt(value, path, other):
    """A value with another at a path of choices."""
    if not path or not isinstance(value, (dict, list)) or not value:
        return other
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = keys[path[0] % len(keys)]
    inner = spoilt(value[key], path[1:], other)
    return {**value, key: inner} if isinstance(value, dict) else [*value[:key], inner, *value[key + 1 :]]


def only_results_or_data_errors(read, path):
    try:
        names, splits, notes = assemble(read(path), check_images=True)
    except DataError as error:
        assert error.problems and all("\n" not in line and len(line) < 2000 for line in error.problems)
        str(error).encode()
    else:
        assert len(set(names)) == len(names) and all(note.isprintable() for note in notes)
        for split in splits.values():
            assert all(os.path.normpath(name) == name and name[0] not in "./" for name in split.names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoilt")
    for i in (1, 2):
        draw(folder / f"{i}.jpg")
    return folder


@pytest.mark.parametrize("read", WELL_FORMED, ids=lambda read: read.__name__)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.lists(st.integers(0, 5), max_size=6), other=ANYTHING)
def test_whatever_stands_in_a_file_only_results_or_data_errors_come_out(folder, read, path, other):
    content = spoilt(WELL_FORMED[read], path, other)
    dump = json.dumps if read is not read_yolo else lambda content: yaml.dump(content, allow_unicode=False)
    try:
        text = dump(content)
    except (ValueError, TypeError, yaml.YAMLError):
        return
    (folder / FILES[read]).write_text(text + "\n", errors="backslashreplace")
    only_results_or_data_errors(read, folder / FILES[read])


@pytest.mark.parametrize("read", WELL_FORMED, ids=lambda read: read.__name__)
@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=60))
def test_whatever_bytes_a_file_has(folder, read, content):
    (folder / FILES[read]).write_bytes(content)
    only_results_or_data_errors(read, folder / FILES[read])


XML = st.text("<>/&;\"'=! \x00\x1fé\ud800", max_size=8) | st.sampled_from(
    [
        "<object>",
        "</object>",
        "<name>",
        "</name>",
        "dog",
        "<filename>1.jpg</filename>",
        "<filename>/x.jpg</filename>",
        "<?xml?>",
    ]
)


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(XML, max_size=8), ids=st.text(max_size=8))
def test_whatever_stands_in_xml_and_its_lists(tmp_path_factory, parts, ids):
    folder = tmp_path_factory.getbasetemp() / "voc"
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    (folder / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
    draw(folder / "JPEGImages/1.jpg")
    (folder / "ImageSets/Main/train.txt").write_text(f"1\n{ids}", errors="replace")
    (folder / "Annotations/1.xml").write_text(f"<annotation>{''.join(parts)}</annotation>", errors="replace")
    only_results_or_data_errors(read_voc, folder)


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(st.text(max_size=12) | st.sampled_from(["0 .5 .5 .1 .1", "1 0 0 1 1 0 1", "0"]), max_size=3))
def test_whatever_stands_in_a_label_file(tmp_path_factory, lines):
    folder = tmp_path_factory.getbasetemp() / "yolo"
    for i in (1, 2, 3):
        draw(folder / f"images/{i}.jpg")
        (folder / "labels").mkdir(exist_ok=True)
        (folder / f"labels/{i}.txt").write_text(f"{i % 2} .5 .5 1 1\n")
    (folder / "labels/1.txt").write_text("\n".join(lines), errors="replace")
    (folder / "data.yaml").write_text("names: [dog, cat]\ntrain: images\n")
    only_results_or_data_errors(read_yolo, folder)
