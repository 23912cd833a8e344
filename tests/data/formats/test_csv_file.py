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
    # Nor does their order matter.
    order = rng.permutation(300)
    assert (draw_test(labels[order], [names[i] for i in order]) == test[order]).all()


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
        ("image,labels,caption", [*ROWS, '"train/22.jpg","do\ng",x'], "labels 'do\\ng': a line break or a tab in them; write names with"),
        ("image,labels,caption", [*ROWS, "train/20.jpg,dining_table,x", "train/22.jpg,Dining  table,x"], "is 'dining_table' elsewhere"),
        ("image,labels,caption", [*ROWS, "notes.txt,dog,x"], "line 22: no image"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,dog;;person,x"], "write names with ';' between them"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,dog|person,x"], "write names with ';' between them"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,dog;dog,x"], "a label stands twice"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,Dog,x"], "label 'Dog' is 'dog' elsewhere"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,dog,"], "line 22: no caption, and other training images have one"),
        ("image,labels,split", [row.replace("a photo", "tset") for row in ROWS], "split is train, val or test, not 'tset'"),
        ("image,labels,split", [row.replace("a photo", "train") for row in ROWS], "no image has split 'test'"),
        ("image,labels,split", [*[r.replace("a photo", "train") for r in ROWS], "train/22.jpg,car,test"], "'car' has no training"),
        ("image,labels,caption", [], "photos.csv: no images in it"),
        ("image,labels,caption", [*ROWS, "train/22.jpg,[0],x"], "line 22: labels [0]: names are texts, in a list of JSON too"),
        ("image,labels,caption", [*ROWS, f"train/22.jpg,{'[' * 5000},x"], "has 5,000 letters, more than 200"),
        ("image,labels,caption", [*ROWS, f"train/22.jpg,{'dog ' * 9000},x"], "has 35,999 letters, more than 200"),
        ("image,labels,caption", [*ROWS, "train/3.jpg,person,another"], "line 22: train/3.jpg is in line 5 already"),
        ("image,label", [f"train/{i}.jpg,{i % 2}" for i in range(20)], "unknown column 'label'. Did you mean 'labels'?"),
        ("image,dog", [f"train/{i}.jpg,{i % 2}" for i in range(20)], "no column 'labels'; its columns are 'image', 'dog'"),
        ("image,dog,cat", [f"train/{i}.jpg,{i % 2},{'' if i == 3 else 1}" for i in range(20)], "line 5: cat is '', not 0 or 1"),
        ("image,dog,cat", [f"train/{i}.jpg,{i % 2},{0.5 if i == 3 else 1}" for i in range(20)], "line 5: cat is '0.5', not 0 or 1"),
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


def notes_of(dataset) -> list[str]:
    """What is said of a file's form, and not of its classes or splits."""
    usual = ("no splits", "no captions", "no AP", "AP is 100", "training images without")
    return [note.removeprefix("photos: ") for note in dataset.warnings if not any(part in note for part in usual)]


PLAIN = [f"train/{i}.jpg,{labels}" for i, labels in enumerate(("dog", "dog;cat", "cat", "cat", "dog", "dog;cat"))]
SPLIT = [f"{row},{'test' if i > 3 else 'train'}" for i, row in enumerate(PLAIN)]


# The header, the rows and what is said. All of them mean what PLAIN does.
OTHER_FORMS = {
    "semicolons and commas": (
        "image;labels",
        [row.replace(",", "\t").replace(";", ",").replace("\t", ";") for row in PLAIN],
        ["columns are separated by ';'", "labels are separated by ','"],
    ),
    "semicolons and quotes": (
        "image;labels",
        [row.replace("dog;cat", '"dog;cat"').replace(",", ";") for row in PLAIN],
        ["columns are separated by ';'"],
    ),
    "tabs": ("image\tlabels", [row.replace(",", "\t") for row in PLAIN], ["columns are separated by tabs"]),
    "sep=,": ("sep=,\nimage,labels", PLAIN, []),
    "sep=;": (
        "sep=;\nimage;labels",
        [row.replace("dog;cat", '"dog;cat"').replace(",", ";") for row in PLAIN],
        ["columns are separated by ';'"],
    ),
    "an index": (
        ",image,labels",
        [f"{i},{row}" for i, row in enumerate(PLAIN)],
        ["columns that are left out: one without a name"],
    ),
    "further columns": (
        "id,image,labels,photographer",
        [f"{i},{row},Ana" for i, row in enumerate(PLAIN)],
        ["columns that are left out: 'id', 'photographer'"],
    ),
    "a file name": (
        "filename,labels",
        PLAIN,
        ["column 'filename' is read as image"],
    ),
    "file names and columns for classes": (
        "filename, cat, dog",
        [f"{row.split(',')[0]}, {int('cat' in row)}, {int('dog' in row)}" for row in PLAIN],
        ["column 'filename' is read as image", "columns of 0 and 1 that are read as classes (2): cat, dog"],
    ),
    "a row a label": (
        "image,labels",
        [f"{row.split(',')[0]},{label}" for row in PLAIN for label in row.split(",")[1].split(";")],
        ["a row for each label: 8 rows are 6 images"],
    ),
    "choices": (
        "image,labels",
        [row.replace("dog;cat", '"{""choices"":[""dog"",""cat""]}"') for row in PLAIN],
        ["labels are read as JSON in 2 lines"],
    ),
    "lists": (
        "image,labels",
        [row.replace("dog;cat", "\"['dog', 'cat']\"") for row in PLAIN],
        ["labels are read as JSON in 2 lines"],
    ),
    "a column a class": (
        "image,cat,dog",
        [f"{row.split(',')[0]},{int('cat' in row)},{int('dog' in row)}" for row in PLAIN],
        ["columns of 0 and 1 that are read as classes (2): cat, dog"],
    ),
    "spaces of all kinds": ("image,labels", [row.replace("dog", "\u3000dog\u00a0") for row in PLAIN], []),
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_what_tools_make_of_a_csv_file_is_read_with_a_note(tiny, form):
    plain = load_dataset(write_csv(tiny, PLAIN, "image,labels"))
    header, rows, said = OTHER_FORMS[form]
    dataset = load_dataset(write_csv(tiny, rows, header))
    assert notes_of(dataset) == said and dataset.class_names == ("cat", "dog")
    assert dataset.fingerprint() == plain.fingerprint() and dataset.test.names == plain.test.names


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252", "utf-8-sig"])
def test_encodings(tiny, encoding):
    rows = [row.replace("cat", "Kätzchen") for row in PLAIN]
    plain = load_dataset(write_csv(tiny, rows, "image,labels"))
    path = tiny.folder / "photos.csv"
    path.write_bytes("\n".join(["image,labels", *rows]).encode(encoding))
    refused = {
        "cp1252": "line 3; as cp1252, the likely encoding, it says 'train/1.jpg,dog;Kätzchen': save it as UTF-8",
        "utf-16-le": "UTF-16 without its mark does: save it as UTF-8",
    }
    if encoding in refused:
        with pytest.raises(DataError, match=refused[encoding]):
            load_dataset(str(path))
    else:
        dataset = load_dataset(str(path))
        assert dataset.fingerprint() == plain.fingerprint()
        assert notes_of(dataset) == (["photos.csv is read as UTF-16"] if encoding == "utf-16" else [])


@pytest.mark.parametrize(
    "rows",
    [
        ["train/0.jpg,dog,train", "train/0.jpg,cat,test"],
        ["train/0.jpg,dog,train", "train/0.jpg,dog,train"],
        ["train/0.jpg,dog,train", "train/0.jpg,cat;person,train"],
        ["train/0.jpg,dog,train", "train/0.jpg,cat,train", "train/1.jpg,cat;person,train"],
    ],
)
def test_an_image_twice_is_no_row_a_label_where_rows_say_more(tiny, rows):
    rows += [
        f"train/{i}.jpg,{label},{split}"
        for i, label, split in ((5, "dog", "train"), (6, "cat", "train"), (7, "person", "train"), (8, "dog", "test"))
    ]
    with pytest.raises(DataError, match=r"line 3: train/0.jpg is in line 2 already"):
        load_dataset(write_csv(tiny, rows, "image,labels,split"))


def test_json_says_where_a_name_ends(tiny):
    rows = [row.replace("dog;cat", '"[""dog, cat"", ""dog""]"') for row in PLAIN]
    assert load_dataset(write_csv(tiny, rows, "image,labels")).class_names == ("cat", "dog", "dog, cat")


def test_other_names_of_splits_are_read(tiny):
    rows = [row.replace(",train", ",Train").replace(",test", ",TEST") for row in SPLIT]
    rows[3] = rows[3].replace("Train", "Validation")
    dataset = load_dataset(write_csv(tiny, rows, "image,labels,split"))
    assert {key: len(split) for key, split in dataset.splits.items()} == {"train": 3, "val": 1, "test": 2}
    read = (("TEST", "test"), ("Train", "train"), ("Validation", "val"))
    assert notes_of(dataset) == [f"split '{written}' is read as {split}" for written, split in read]


@pytest.mark.parametrize("separator", [" ", "#", "/", "+", " & ", ":", "，", "；", "、", " ／ "])
def test_another_separator_is_noted(tiny, separator):
    made = f"dog{separator}cat"
    dataset = load_dataset(write_csv(tiny, [row.replace("dog;cat", made) for row in PLAIN], "image,labels"))
    assert notes_of(dataset) == [f"'{made}' is made of other class names: do you mean 'dog;cat'?"]


@pytest.mark.parametrize("separator", [",", "|", ", "])
def test_a_separator_of_csv_files_is_refused(tiny, separator):
    rows = [row.replace("dog;cat", f'"dog{separator}cat"') for row in PLAIN]
    with pytest.raises(DataError, match=r"line 3: labels .* write names with ';' between them"):
        load_dataset(write_csv(tiny, rows, "image,labels"))


NAMES = {
    "a comma": "tench, Tinca tinca",
    "a family": "👨\u200d👩\u200d👧",
    "a flag": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "Persian": "گربه\u200cها",
    "Hindi": "क्\u200dष",
    "an accent that combines": "cafe\u0301",
    "a pipe": "x|y",
    "a slash": "and/or",
    "markup": "<b>cat</b>",
}


@pytest.mark.parametrize("separator", [",", "|", "/"])
def test_labels_that_share_parts_are_noted(tiny, separator):
    """What never stands alone is a part all the same: person."""
    rows = [
        row.replace("dog;cat", f"hare{separator}person").replace(",cat", f",tree{separator}person") for row in PLAIN
    ]
    rows = [f'{row.split(",", 1)[0]},"{row.split(",", 1)[1]}"' for row in rows]
    (note,) = notes_of(load_dataset(write_csv(tiny, rows, "image,labels")))
    names = f"'hare{separator}person', 'tree{separator}person'"
    assert note == f"labels share parts: {names}; if '{separator}' separates labels there, write ';'"


def test_parts_that_recur_are_classes(tiny):
    rows = [row.replace("dog;cat", '"dog, person"').replace(",cat", ',"person, dog"') for row in PLAIN]
    with pytest.raises(DataError, match="write names with ';' between them"):
        load_dataset(write_csv(tiny, rows, "image,labels"))


def test_names_that_are_numbers_are_noted(tiny):
    rows = [row.replace("dog", "0").replace("cat", "3") for row in PLAIN]
    (note,) = notes_of(load_dataset(write_csv(tiny, rows, "image,labels")))
    assert note == "labels are numbers (0, 3): prompts are made of class names, so write names"


def test_what_is_wrong_alike_is_told_once(tiny):
    rows = [f"{row},holdout" for row in PLAIN]
    with pytest.raises(DataError) as error:
        load_dataset(write_csv(tiny, rows, "image,labels,split"))
    (line,) = error.value.problems
    assert line.endswith("photos.csv line 2: split is train, val or test, not 'holdout' (and 5 more alike)")


def test_a_separator_at_the_end_separates_nothing(tiny):
    plain = load_dataset(write_csv(tiny, PLAIN, "image,labels"))
    ended = load_dataset(write_csv(tiny, [f"{row};" for row in PLAIN], "image,labels"))
    assert ended.fingerprint() == plain.fingerprint()


@pytest.mark.parametrize("case", NAMES)
def test_letters_are_letters(tiny, case):
    rows = [row.replace("cat", NAMES[case]).replace(",", ',"', 1) + '"' for row in PLAIN]
    dataset = load_dataset(write_csv(tiny, rows, "image,labels"))
    assert set(dataset.class_names) == {"dog", NAMES[case]} and notes_of(dataset) == []


@pytest.mark.parametrize(
    ("mark", "named"),
    [
        ("\u200e", "U+200E LEFT-TO-RIGHT MARK"),
        ("\u00ad", "U+00AD SOFT HYPHEN"),
        ("\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("\u200b", "U+200B ZERO WIDTH SPACE"),
        ("\x07", "U+0007 CONTROL CHARACTER"),
    ],
)
def test_what_is_invisible_is_named(tiny, mark, named):
    with pytest.raises(DataError) as error:
        load_dataset(write_csv(tiny, [*PLAIN, f"train/6.jpg,ca{mark}t"], "image,labels"))
    path = tiny.folder / "photos.csv"
    assert error.value.problems == [f"{path} line 8: label 'cat' has an invisible {named} in it: take it out"]


@pytest.mark.parametrize(
    ("written", "offer"),
    [
        ("train\\0.jpg", "; there is train/0.jpg"),
        ("train/0.JPG", "; there is train/0.jpg"),
        ("Train/0.jpg", "; there is train/0.jpg"),
        ("train/0.jpeg", "; there is train/0.jpg"),
        ("C:\\photos\\train\\0.jpg", "; there is train/0.jpg"),
        ("photos/train/0.jpg", "; there is train/0.jpg"),
        ("train/cafe\u0301.jpg", "; there is train/café.jpg, its accents coded otherwise"),
        ("train/" + "x" * 300 + ".jpg", "; its name has 310 characters, more than a file's can have"),
        ("train/nothing.jpg", "train/nothing.jpg"),
        ("\\", "\\"),
    ],
)
def test_a_missing_image_comes_with_the_file_that_is_there(tiny, written, offer):
    (tiny.folder / "train/café.jpg").write_bytes((tiny.folder / "train/0.jpg").read_bytes())
    with pytest.raises(DataError) as error:
        load_dataset(write_csv(tiny, [*PLAIN[1:], f"{written},dog"], "image,labels"))
    (line,) = error.value.problems
    assert line.startswith(f"{tiny.folder / 'photos.csv'} line 7: no image ") and line.endswith(offer)
    assert len(line) < 400


def test_6000_classes_give_few_notes(tiny):
    """Names that differ in their numbers alone are no slips."""
    rows = [f"train/{i}.jpg,{';'.join(f'class {j:04d} of things' for j in range(i, 6000, 24))}" for i in range(24)]
    rows[1] += ";dog#class 0001 of things;dog"
    dataset = load_dataset(write_csv(tiny, [*rows, *(f"test/{i}.jpg,dog" for i in range(6))], "image,labels"))
    assert len(dataset.class_names) == 6002
    made = "'dog#class 0001 of things' is made of other class names: do you mean 'dog;class 0001 of things'?"
    assert notes_of(dataset) == [made]


def test_notes_on_many_labels_are_few(tiny):
    names = [f"bird {'abcdefghijkl'[i]}{'mnopqrstuvwx'[i]}" for i in range(12)]
    rows = [f"train/{i}.jpg,{name.replace('bird', 'brd')}" for i, name in enumerate(names)]
    rows += [f"train/{12 + i}.jpg,{';'.join(names)}" for i in range(6)]
    slips = [note for note in notes_of(load_dataset(write_csv(tiny, rows, "image,labels"))) if "label" in note]
    assert len(slips) == 6 and slips[-1] == "... and 7 more labels like these"


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
