"""CSV files as data sets: what is read, what is drawn, every kind of mistake."""

from pathlib import Path

import numpy as np
import pytest

from lmptlib.data.loading import load_dataset
from lmptlib.data.stratified import draw_test
from lmptlib.errors import DataError

ROWS = [f"train/{i}.jpg,{'person;dog' if i % 2 else 'tvmonitor'},a photo" for i in range(20)]


def write_csv(tiny, rows, header="image,labels,caption") -> str:
    path = tiny.folder / "photos.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def test_a_csv_file_is_a_data_set(tiny):
    rows = [f'train/{i}.jpg,dog; potted plant,"a dog, and a plant",train' for i in range(6)]
    rows += ["train/6.jpg,,nothing,train", "test/0.jpg,dog,,test", "test/1.jpg,potted plant,,val"]
    dataset = load_dataset(write_csv(tiny, rows, "image,labels,caption,split"))
    assert dataset.name == "photos" and dataset.class_names == ("dog", "potted plant")
    assert {key: len(split) for key, split in dataset.splits.items()} == {"train": 7, "val": 1, "test": 1}
    assert dataset.train.captions[:2] == 2 * ("a dog, and a plant",) and dataset.train.labels.sum() == 12
    assert dataset.train.places == tuple(f"line {i}" for i in range(2, 9)) and dataset.val.labels.tolist() == [
        [False, True]
    ]
    assert dataset.train.paths[0] == tiny.folder / "train/0.jpg"
    assert any("without a label (1, photos.csv line 8)" in warning for warning in dataset.warnings)


def test_the_images_of_a_csv_file_may_lie_elsewhere(tiny, tmp_path):
    path = Path(write_csv(tiny, ROWS)).rename(tmp_path / "photos.csv")
    assert load_dataset(str(path), tiny.folder).train.paths[0].parent == tiny.folder / "train"
    with pytest.raises(DataError, match="20 of its 20 images are missing below"):
        load_dataset(str(path))


def test_without_a_split_a_fifth_of_each_class_is_drawn(tiny):
    dataset = load_dataset(write_csv(tiny, ROWS))
    assert dataset.train.labels.sum(0).tolist() == [8, 8, 8] and dataset.test.labels.sum(0).tolist() == [2, 2, 2]
    assert not set(dataset.train.names) & set(dataset.test.names) and len(dataset.train) + len(dataset.test) == 20
    assert load_dataset(write_csv(tiny, ROWS)).test.names == dataset.test.names
    assert any("no splits: 4 of 20 images" in warning for warning in dataset.warnings)


@pytest.mark.parametrize("seed", range(5))
def test_the_draw_holds_a_share_of_every_class_and_leaves_it_one(seed):
    rng = np.random.default_rng(seed)
    labels = rng.random((300, 12)) < np.geomspace(0.5, 0.007, 12)
    # A scene of everything.
    labels[0] = True
    names = [f"{i}.jpg" for i in range(300)]
    test = draw_test(labels, names)
    counts, tested = labels.sum(0), labels[test].sum(0)
    assert (labels[~test].any(0)).all()
    assert (tested[counts > 1] >= 1).mean() > 0.8
    assert (np.abs(tested - 0.2 * counts) <= 1 + 0.06 * counts).all()
    fewer = draw_test(labels[:-3], names[:-3])
    assert (fewer != test[:-3]).mean() < 0.03


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("image,label,caption", ROWS, "photos.csv: unknown column 'label'. Did you mean 'labels'?"),
        ("image,caption", ROWS, "photos.csv: no column 'labels'"),
        ("image,labels,labels", ROWS, "photos.csv: column 'labels' stands twice"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,dog"], "line 22: not 3 fields"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,dog,a, b"], "line 22: not 3 fields"),
        ("image,labels,caption", [*ROWS, ROWS[3]], "line 22: train/3.jpg is in line 5 already"),
        ("image,labels,caption", [*ROWS, "train/99.jpg,dog,x"], "line 22: no image"),
        ("image,labels,caption", ["", " , ,", "", *ROWS, "train/22.jpg,dog"], "line 25: not 3 fields"),
        ("image,labels,caption", [*ROWS, "./test/../train/3.jpg,dog,x"], "line 22: train/3.jpg is in line 5 already"),
        ("image,labels,caption", [*ROWS, "../a.jpg,dog,x"], "line 22: ../a.jpg is not below"),
        ("image,labels,caption", [*ROWS, "/a.jpg,dog,x"], "line 22: /a.jpg is not below"),
        ("image,labels,caption", [*ROWS, "train/22.jpg notes,dog,x"], "there is train/22.jpg"),
        ("image,labels,caption", [*ROWS, '"train/22.jpg","do\ng",x'], "label 'dog' has an invisible U+000A"),
        ("image,labels,caption", [*ROWS, "train/20.jpg,dining_table,x", "train/22.jpg,Dining  table,x"], "is 'dining_table' elsewhere"),
        ("image,labels,caption", [*ROWS, "notes.txt,dog,x"], "line 22: no image"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,dog;;person,x"], "write names with ';' between them"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,dog|person,x"], "write names with ';' between them"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,dog;dog,x"], "a label stands twice"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,Dog,x"], "label 'Dog' is 'dog' elsewhere"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,dog,"], "line 22: train/22.jpg has no caption, and other training"),
        ("image,labels,split", [row.replace("a photo", "tset") for row in ROWS], "split is train, val or test, not 'tset'"),
        ("image,labels,split", [row.replace("a photo", "train") for row in ROWS], "no image has split 'test'"),
        ("image,labels,split", [*[r.replace("a photo", "train") for r in ROWS], "train/22.jpg,car,test"], "'car' has no training"),
        ("image,labels,caption", [], "photos.csv: no images in it"),
        ("image,labels,caption", ["train/0.jpg,,x"], "photos.csv: no labels in it"),
        ("image,labels,caption", ["train/0.jpg,dog,x"], "photos.csv: one image is no data set"),
        ("image,labels,caption", ['train/0.jpg,"dog,x'], "cannot be read as a CSV file"),
    ],
)  # fmt: skip
def test_a_bad_csv_file_gets_one_clear_line(tiny, header, rows, message):
    with pytest.raises(DataError) as error:
        load_dataset(write_csv(tiny, rows, header))
    assert message in str(error.value)
    assert len(error.value.problems) == 1 or header == "image,labels,split"


def test_a_label_that_may_be_a_slip_is_noted(tiny):
    rows = [*ROWS, "train/20.jpg,persn,x", "train/22.jpg,cat,x", "train/23.jpg,bottle,x"]
    dataset = load_dataset(write_csv(tiny, rows))
    slips = [warning for warning in dataset.warnings if "slip" in warning]
    assert slips == ["photos: label 'persn' (1) is close to 'person' (10): is it a slip?"]


def test_a_csv_file_of_a_spreadsheet_is_read(tiny):
    path = Path(write_csv(tiny, [*ROWS, ",,", ""]))
    plain = load_dataset(str(path))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    spread = load_dataset(str(path))
    assert spread.train.names == plain.train.names and spread.train.places == plain.train.places
    assert spread.fingerprint() == plain.fingerprint()
