"""Lists as people write them: lines, paths, captions, ids."""

import shutil

import pytest

from lmptlib.data.loading import load_dataset
from lmptlib.errors import DataError


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1d"])
def test_a_line_ends_where_an_editor_ends_it(tiny, mark):
    tiny.replace("captions.txt", "a photo of a person.", f"a photo{mark}of a person.")
    caption = load_dataset(str(tiny.path)).train.captions[0]
    assert caption == f"a photo{mark}of a person."


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_of_other_systems_are_lines(tiny, end):
    plain = load_dataset(str(tiny.path))
    for file in tiny.folder.glob("*.txt"):
        file.write_bytes(file.read_bytes().replace(b"\n", end.encode()))
    dataset = load_dataset(str(tiny.path))
    assert dataset.fingerprint() == plain.fingerprint() and dataset.train.places == plain.train.places


@pytest.mark.parametrize(
    "name", ["set.jpg files/0.jpg", "a 1 2/0.png", "a.jfif", "a.jp2", "a.AVIF", "a.jpe", "a.ppm", "a.jpg.webp"]
)
def test_paths_of_all_kinds(tiny, name):
    path = tiny.folder / name
    path.parent.mkdir(exist_ok=True)
    shutil.copy(tiny.folder / "train/0.jpg", path)
    tiny.replace("train.txt", "train/0.jpg", name)
    tiny.replace("captions.txt", "train/0.jpg", name)
    dataset = load_dataset(str(tiny.path))
    assert dataset.train.names[0] == name and dataset.train.captions[0] == "a photo of a person."
    assert dataset.train.labels[0].tolist() == [True, False, False, False]


def test_captions_may_spell_a_path_otherwise(tiny):
    shutil.copy(tiny.folder / "train/0.jpg", tiny.folder / "train/é.jpg")
    tiny.replace("train.txt", "train/0.jpg", "train/é.jpg")
    tiny.replace("captions.txt", "train/0.jpg", "./train\\e\u0301.jpg")
    assert load_dataset(str(tiny.path)).train.captions[0] == "a photo of a person."


def test_a_path_of_another_system_is_named_once(tiny):
    tiny.replace("train.txt", "train/0.jpg", "train\\0.jpg")
    with pytest.raises(DataError) as error:
        load_dataset(str(tiny.path))
    root = tiny.folder
    assert error.value.problems == [f"{root}/train.txt line 1: no image {root}/train\\0.jpg; there is train/0.jpg"]


def as_flags(tiny, file: str) -> None:
    lines = [line.split() for line in (tiny.folder / file).read_text().splitlines()]
    flags = (" ".join(str(int(str(c) in ids)) for c in range(4)) for _, *ids in lines)
    (tiny.folder / file).write_text("\n".join(f"{line[0]} {of}" for line, of in zip(lines, flags)))


def test_a_number_for_each_class_is_read_as_such(tiny):
    plain = load_dataset(str(tiny.path))
    as_flags(tiny, "train.txt")
    as_flags(tiny, "test.txt")
    dataset = load_dataset(str(tiny.path))
    assert dataset.fingerprint() == plain.fingerprint()
    assert dataset.warnings == tuple(
        f"tiny: {name}.txt: a 0 or 1 for each class, not ids" for name in ("train", "test")
    )


def test_numbers_that_may_be_ids_are_ids(tiny):
    """A line `0 1` of two classes is both of them, where no line says otherwise."""
    (tiny.folder / "labels.txt").write_text("person 0\ndog 1\n")
    (tiny.folder / "train.txt").write_text("train/0.jpg 0 1\ntrain/1.jpg 1 0\n")
    (tiny.folder / "test.txt").write_text("test/0.jpg 0\ntest/1.jpg 1\n")
    tiny.edit(captions=None)
    assert load_dataset(str(tiny.path)).train.labels.all()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("cat 0\ndog 2000000\n", "missing: 1, 2, 3, 4, 5, ... (1,999,999 in all)"),
        ("cat 0\ndog " + "9" * 5000, "' is not 'name id'"),
        ("cat 0\ndo\u200eg 1\n", "line 2: class 'dog' has an invisible U+200E LEFT-TO-RIGHT MARK in it: take it out"),
        ("cat 1\ndog 2\n", "ids must run from 0 without gaps; missing: 0"),
        ("cat 0\nCat 1\n", "line 2: class 'Cat' stands twice"),
    ],
)
def test_class_files_are_refused_in_a_short_line(tiny, lines, message):
    (tiny.folder / "labels.txt").write_text(lines)
    with pytest.raises(DataError) as error:
        load_dataset(str(tiny.path))
    (line,) = error.value.problems
    assert message in line and len(line) < 300


def test_names_of_classes_have_plain_spaces(tiny):
    tiny.replace("labels.txt", "potted_plant 2", "potted\u00a0plant\u30002")
    assert load_dataset(str(tiny.path)).class_names[2] == "potted plant"


def test_an_id_of_many_digits_is_none(tiny):
    tiny.replace("train.txt", "train/0.jpg 0", "train/0.jpg " + "1" * 5000)
    with pytest.raises(DataError, match=r"line 1: '1+…1+' is not a class id; ids run from 0 to 3"):
        load_dataset(str(tiny.path))


def test_a_card_may_say_where_the_user_is_at_home(tiny, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny.folder.parent))
    tiny.edit(root="~/tiny")
    assert load_dataset(str(tiny.path)).train.paths[0] == tiny.folder / "train/0.jpg"


def test_a_list_in_utf_16_is_read(tiny):
    plain = load_dataset(str(tiny.path))
    for file in tiny.folder.glob("*.txt"):
        file.write_text(file.read_text(), encoding="utf-16")
    dataset = load_dataset(str(tiny.path))
    assert dataset.fingerprint() == plain.fingerprint() and "tiny: labels.txt is read as UTF-16" in dataset.warnings
