"""Whatever a file holds: a reader gives a data set, or problems of a line each."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmptlib.data.images import open_image
from lmptlib.data.loading import load_dataset
from lmptlib.data.rows import SPLITS
from lmptlib.data.text import invisible, made_of_others, plain_spaces, possible_slips, spoken
from lmptlib.errors import DataError, shorten

FEW = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
# What files are made of, whole and broken.
PIECES = [
    *("image", "labels", "caption", "split", "a.jpg", "b/c d.png", "../e.jpg", "/f.jpg", "\\", "dog", "cat", "dog;cat", "train", "test"),
    *(",", ";", "\t", "|", "#", " ", "\n", "\r\n", "\r", '"', "'", "0", "1", "3", "-1", "9" * 30, "0 1 1", "sep=;\n"),
    *("\u200e", "\u00a0", "\u3000", "\ufeff", "\u2028", "\x85", "\0", "é", "e\u0301", "{", "[", '{"choices": ["dog"]}', "[['"),
    *("image,labels\n", "name id\n", "name: x\n", "root: .\n", "train: a\n", "&a [*a]", "!!python/none ", "2020-13-45"),
    *("[" * 5000, "dog " * 5000, "x" * 300, "~nobody/x"),
]  # fmt: skip
CONTENT = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join).map(str.encode),
    st.lists(st.sampled_from(PIECES), max_size=20).map("".join).map(lambda text: text.encode("utf-16")),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=200),
)


def read(path: Path, check_images: bool = False) -> None:
    """Read, and see that what comes out is a data set or short problems."""
    try:
        dataset = load_dataset(str(path), check_images=check_images)
    except DataError as error:
        assert error.problems
        for line in error.problems:
            assert 0 < len(line) < 1000 and line.isprintable() and str(path.parent) in line
    else:
        names = [name for split in dataset.splits.values() for name in split.names]
        assert len(set(names)) == len(names) and not any(name.startswith(("/", "..")) for name in names)
        assert dataset.train.labels.any(0).all() and len(set(map(spoken, dataset.class_names))) == len(
            dataset.class_names
        )
        assert not any(invisible(name) for name in dataset.class_names)


@FEW
@given(content=CONTENT, head=st.sampled_from([b"", b"image,labels\n", b"image;labels;split\n", b"image,dog,cat\n"]))
def test_any_csv_file(tmp_path, content, head):
    (tmp_path / "a.csv").write_bytes(head + content)
    read(tmp_path / "a.csv")
    read(tmp_path / "a.csv", check_images=True)


@FEW
@given(content=CONTENT, file=st.sampled_from(["train.txt", "test.txt", "labels.txt", "captions.txt", "card.yaml"]))
def test_any_list_or_card(tmp_path, content, file):
    lines = {"train.txt": "a.jpg 0\nb.jpg 1\n", "test.txt": "c.jpg 0 1\n", "labels.txt": "dog 0\ncat 1\n"}
    lines |= {"captions.txt": "a.jpg a dog\nb.jpg a cat\n"}
    lines |= {
        "card.yaml": "name: x\nroot: .\ntrain: train.txt\ntest: test.txt\nclasses: labels.txt\ncaptions: captions.txt\n"
    }
    for name, text in lines.items():
        (tmp_path / name).write_text(text)
    with (tmp_path / file).open("ab") as stream:
        stream.write(content)
    read(tmp_path / "card.yaml")
    (tmp_path / file).write_bytes(content)
    read(tmp_path / "card.yaml")
    read(tmp_path / "card.yaml", check_images=True)


LETTERS = st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"], include_characters="\u200c\u200d")
CLASS = st.text(LETTERS, min_size=1, max_size=12).map(plain_spaces).filter(lambda name: name and ";" not in name)


@FEW
@given(data=st.data(), names=st.lists(CLASS, min_size=1, max_size=6, unique_by=spoken))
def test_a_csv_file_says_what_was_written(tmp_path, data, names):
    """Any class names, with commas and quotes, brackets and accents, in any row: written, and read as they were."""
    separate = [name for name in names if name not in made_of_others(names) and not name.startswith(("[", "{"))]
    if not separate or not any(spoken(name) for name in separate):
        return
    images = [f"{i}.jpg" for i in range(data.draw(st.integers(3, 8)))]
    labels = {image: data.draw(st.lists(st.sampled_from(separate), unique=True)) for image in images}
    labels[images[0]] = separate
    split = {image: "train" if i == 0 else data.draw(st.sampled_from(SPLITS)) for i, image in enumerate(images)}
    split[images[-1]] = "test"
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "labels", "split"])
        writer.writerows([image, ";".join(labels[image]), split[image]] for image in images)
    dataset = load_dataset(str(tmp_path / "a.csv"), check_images=False)
    assert set(dataset.class_names) == set(separate)
    for key, part in dataset.splits.items():
        for name, row in zip(part.names, part.labels):
            assert split[name] == key
            assert {dataset.class_names[c] for c in np.flatnonzero(row)} == set(labels[name])


HEADS = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1", b"II*\0", b"GIF89a", b"BM", b"P5 "]


@settings(max_examples=300)
@given(content=st.binary(max_size=64), head=st.sampled_from(HEADS))
def test_any_bytes_are_a_picture_or_none(content, head):
    try:
        assert open_image(head + content).mode == "RGB"
    except ValueError as error:
        assert str(error).startswith("the picture: cannot be decoded as an image (")
        assert len(str(error).splitlines()) == 1 and not re.search(r"object at|<class|b['\"]|Path\(", str(error))


@given(text=st.text())
def test_texts_are_brought_to_one_form(text):
    assert spoken(spoken(text)) == spoken(text) and plain_spaces(plain_spaces(text)) == plain_spaces(text)
    assert len(shorten(text, 30)) <= 30 and (shorten(text, len(text)) == text or not text)


@settings(max_examples=200)
@given(name=st.text("abcdefgh ", min_size=4, max_size=12), place=st.integers(0, 11), letter=st.sampled_from("xyz"))
@pytest.mark.parametrize("change", ["added", "left out", "changed", "exchanged"])
def test_a_letter_apart_is_a_slip(change, name, place, letter):
    place %= len(name)
    other = {
        "added": name[:place] + letter + name[place:],
        "left out": name[:place] + name[place + 1 :],
        "changed": name[:place] + letter + name[place + 1 :],
        "exchanged": name[:place] + name[place : place + 2][::-1] + name[place + 2 :],
    }[change]
    expected = [] if other == name else [(other, name)]
    assert possible_slips({name: 9, other: 1} if expected else {name: 9}) == expected
    assert possible_slips({name: 9, "z" * 12 + name: 1}) == []
