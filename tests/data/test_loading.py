"""Data sets: official lists, cards, every kind of wrong input, and the drawn emoji scenes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image

from lmptlib.data import emoji
from lmptlib.data.csv_file import draw_test
from lmptlib.data.dataset import class_groups
from lmptlib.data.images import open_image
from lmptlib.data.loading import check_dataset, load_dataset
from lmptlib.errors import DataError
from lmptlib.paths import shipped


def group_sizes(dataset):
    return tuple(int((dataset.groups == group).sum()) for group in ("head", "medium", "tail"))


@pytest.mark.parametrize(
    ("name", "n_train", "n_test", "low", "high", "sizes", "unlabelled"),
    [("voc-lt", 1142, 4952, 4, 775, (6, 6, 8), 0), ("coco-lt", 1909, 5000, 6, 1128, (22, 33, 25), 48)],
)
def test_official_lists(shared, name, n_train, n_test, low, high, sizes, unlabelled):
    dataset = load_dataset(name, shared, check_images=False)
    assert (len(dataset.train), len(dataset.test)) == (n_train, n_test)
    assert (dataset.class_counts.min(), dataset.class_counts.max()) == (low, high)
    assert group_sizes(dataset) == sizes
    assert (~dataset.test.labels.any(1)).sum() == unlabelled
    assert len(dataset.train.captions) == n_train and all(dataset.train.captions)


def test_real_photographs(shared):
    dataset = check_dataset(str(shared / "photos" / "photos.yaml"))
    assert (len(dataset.train), len(dataset.test)) == (2046, 762)
    assert dataset.class_counts.max() == 606 and dataset.class_counts.min() == 3
    assert dataset.warnings == ("photos: no AP, no test image: bird",)


def test_classes_without_training_images_are_named(shared):
    with pytest.raises(DataError) as error:
        load_dataset(str(shared / "photos-coco" / "coco.yaml"))
    assert len(error.value.problems) == 9
    assert "class 'fire hydrant' has no training image" in error.value.problems[0]


def test_groups_meet_at_20_and_100():
    assert class_groups(np.array([100, 99, 20, 19, 1])).tolist() == ["head", "medium", "medium", "tail", "tail"]


def test_a_card_may_say_where_the_groups_meet(tiny):
    tiny.replace("train.txt", "train/14.jpg 2 3", "train/14.jpg 2")
    plain = load_dataset(str(tiny.path))
    assert plain.class_counts.tolist() == [12, 12, 9, 8] and group_sizes(plain) == (0, 0, 4)
    tiny.edit(cutoffs=[100, 20])
    assert load_dataset(str(tiny.path)).fingerprint() == plain.fingerprint()
    tiny.edit(cutoffs=[12, 9])
    small = load_dataset(str(tiny.path))
    assert small.groups.tolist() == ["head", "head", "medium", "tail"] and small.task.cutoffs == (12, 9)
    assert small.class_table()["group"].tolist() == small.groups.tolist()
    assert small.fingerprint() != plain.fingerprint()


def test_a_card_is_read(tiny):
    dataset = check_dataset(str(tiny.path))
    assert dataset.class_names == ("person", "dog", "potted_plant", "tvmonitor")
    assert len(dataset.train) == 24 and dataset.train.labels.sum() > 24
    assert dataset.train.captions[0] == "a photo of a person."
    assert dataset.class_table()["train"].tolist() == dataset.class_counts.tolist()


def test_paths_may_hold_spaces_and_capitals(tiny):
    (tiny.folder / "train" / "0.jpg").rename(tiny.folder / "train" / "a b.JPG")
    tiny.replace("train.txt", "train/0.jpg", "train/a b.JPG")
    tiny.replace("captions.txt", "train/0.jpg", "train/a b.JPG")
    assert load_dataset(str(tiny.path)).train.names[0] == "train/a b.JPG"


def test_empty_classes_on_request(tiny):
    (tiny.folder / "labels.txt").open("a").write("unicorn 4\n")
    tiny.edit(allow_empty=True)
    dataset = load_dataset(str(tiny.path))
    assert dataset.class_counts[4] == 0
    assert dataset.warnings == (
        "tiny: left out of the class weights, no training image: unicorn",
        "tiny: no AP, no test image: unicorn",
    )


def test_the_fingerprint_sees_every_change(tiny):
    seen = {load_dataset(str(tiny.path)).fingerprint()}
    tiny.replace("captions.txt", "a person.", "one person.")
    seen.add(load_dataset(str(tiny.path)).fingerprint())
    tiny.replace("test.txt", "test/1.jpg 0 1", "test/1.jpg 0")
    seen.add(load_dataset(str(tiny.path)).fingerprint())
    Image.new("RGB", (64, 64)).save(tiny.folder / "train" / "3.jpg")
    seen.add(load_dataset(str(tiny.path)).fingerprint())
    assert len(seen) == 4


def spoil_image(tiny):
    (tiny.folder / "train" / "5.jpg").write_bytes(b"not an image")


def truncate_image(tiny):
    path = tiny.folder / "test" / "2.jpg"
    path.write_bytes(path.read_bytes()[:700])


def append(file, text):
    return lambda tiny: (tiny.folder / file).open("a").write(text)


BAD_INPUT = {
    "no class id": (append("train.txt", "train/0.png cat\n"), "train.txt line 25: 'cat' is not a class id; ids run from 0 to 3"),
    "unknown id": (append("train.txt", "train/0.png 4\n"), "train.txt line 25: '4' is not a class id; ids run from 0 to 3"),
    "negative id": (append("test.txt", "test/0.png -1\n"), "test.txt line 13: '-1' is not a class id"),
    "id twice": (append("train.txt", "train/0.png 1 1\n"), "train.txt line 25: a class id stands twice"),
    "no path": (append("train.txt", "3 1 2\n"), "train.txt line 25: '3 1 2' does not begin with an image path"),
    "image twice": (append("train.txt", "train/0.jpg 1\n"), "train.txt line 25: train/0.jpg is in line 1 already"),
    "image twice, spelt otherwise": (append("train.txt", "./train/0.jpg 1\n"), "train.txt line 25: train/0.jpg is in line 1"),
    "in both lists": (append("test.txt", "train/0.jpg 1\n"), "test.txt line 13: train/0.jpg is in train.txt too"),
    "missing image": (append("test.txt", "test/99.jpg 1\n"), "test.txt line 13: no image "),
    "undecodable image": (spoil_image, "train.txt line 6: "),
    "truncated image": (truncate_image, "test.txt line 3: "),
    "empty list": (lambda t: (t.folder / "test.txt").write_text(""), "test.txt: no images in it"),
    "list absent": (lambda t: (t.folder / "test.txt").unlink(), "test.txt: no such file"),
    "list not text": (lambda t: (t.folder / "test.txt").write_bytes(b"\xff\xfe\x00"), "cannot be read as UTF-8 text"),
    "caption missing": (lambda t: t.replace("captions.txt", "train/7.jpg", "train/0.jpg"), "train.txt line 8: train/7.jpg has no caption"),
    "caption twice": (append("captions.txt", "train/1.jpg again\n"), "captions.txt line 25: a second caption for train/1.jpg"),
    "caption of nothing": (append("captions.txt", "train/77.jpg hello\n"), "line 25: train/77.jpg is not in the training list"),
    "caption empty": (lambda t: t.replace("captions.txt", "a photo of a person.", ""), "captions.txt line 1: no caption behind"),
    "class line": (append("labels.txt", "cat\n"), "labels.txt line 5: 'cat' is not 'name id'"),
    "class id twice": (append("labels.txt", "cat 3\n"), "labels.txt line 5: id 3 is taken by 'tvmonitor'"),
    "class name twice": (append("labels.txt", "dog 4\n"), "labels.txt line 5: class 'dog' stands twice"),
    "class id gap": (append("labels.txt", "cat 5\n"), "labels.txt: ids must run from 0 without gaps; missing: 4"),
    "class without image": (append("labels.txt", "cat 4\n"), "train.txt: class 'cat' has no training image"),
    "card key unknown": (lambda t: t.edit(trian="x"), "card.yaml: unknown key 'trian'. Did you mean 'train'?"),
    "card key missing": (lambda t: t.edit(classes=None), "card.yaml: 'classes' is missing"),
    "card type": (lambda t: t.edit(allow_empty="yes please"), "card.yaml: 'allow_empty' must be a bool"),
    "cut-offs rise": (lambda t: t.edit(cutoffs=[20, 100]), "must be two falling whole numbers above 0, as [100, 20], not [20, 100]"),
    "cut-offs equal": (lambda t: t.edit(cutoffs=[20, 20]), "'cutoffs' must be two falling whole numbers above 0"),
    "cut-offs of zero": (lambda t: t.edit(cutoffs=[20, 0]), "'cutoffs' must be two falling whole numbers above 0"),
    "cut-offs with a point": (lambda t: t.edit(cutoffs=[20.5, 3]), "'cutoffs' must be two falling whole numbers above 0"),
    "cut-offs that are no numbers": (lambda t: t.edit(cutoffs=[True, "3"]), "'cutoffs' must be two falling whole numbers above 0"),
    "one cut-off": (lambda t: t.edit(cutoffs=[20]), "'cutoffs' must be two falling whole numbers above 0"),
    "cut-offs are text": (lambda t: t.edit(cutoffs="100, 20"), "'cutoffs' must be a list, not '100, 20'"),
    "card root": (lambda t: t.edit(root="nowhere"), "nowhere is not a folder"),
    "card not yaml": (lambda t: t.path.write_text("a: [1\nb: 2"), "card.yaml line 2: not a YAML card"),
    "card a list": (lambda t: t.path.write_text("- 1"), "card.yaml: a card is a list of 'key: value' lines"),
    "card absent": (lambda t: t.path.unlink(), "card.yaml: no such card"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_gets_one_clear_line(tiny, case):
    spoil, expected = BAD_INPUT[case]
    spoil(tiny)
    with pytest.raises(DataError) as error:
        check_dataset(str(tiny.path))
    matching = [line for line in error.value.problems if expected in line]
    assert len(matching) == 1, error.value.problems
    assert "\n" not in matching[0]


def test_many_missing_images_are_counted_not_listed(shared):
    with pytest.raises(DataError) as error:
        load_dataset("voc-lt", shared)
    assert len(error.value.problems) == 8
    assert "1,142 of its 1,142 images are missing" in str(error.value)


def test_missing_official_lists_say_where_was_looked(tmp_path):
    with pytest.raises(DataError) as error:
        load_dataset("coco-lt", tmp_path)
    assert len(error.value.problems) == 4
    assert f"coco_lt_train.txt is missing; looked in {tmp_path}" in error.value.problems[0]


def test_unknown_name():
    with pytest.raises(DataError, match="Did you mean 'voc-lt'"):
        load_dataset("voc_lt")


def test_open_image_turns_everything_into_rgb(tmp_path):
    for mode in ("L", "P", "RGBA", "CMYK", "1"):
        path = tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}"
        Image.new(mode, (8, 8)).save(path)
        assert open_image(path).mode == "RGB"


# --------------------------------------------------------------------------------------------------- emoji-lt


@pytest.fixture(scope="module")
def emoji_lt():
    return load_dataset("emoji-lt")


def cooccurrence(labels):
    labels = labels.astype(int)
    return labels.T @ labels


def test_emoji_lt_is_as_long_tailed_as_voc_lt(emoji_lt, shared):
    voc = load_dataset("voc-lt", shared, check_images=False)
    assert emoji_lt.class_names == voc.class_names
    assert emoji_lt.class_counts.tolist() == voc.class_counts.tolist()
    assert (len(emoji_lt.train), len(emoji_lt.val), len(emoji_lt.test)) == (1142, 500, 1000)
    assert emoji_lt.test.labels.sum(0).min() >= 50
    off = ~np.eye(20, dtype=bool)
    wanted = cooccurrence(voc.train.labels) / voc.class_counts[:, None]
    for split in emoji_lt.splits.values():
        drawn = cooccurrence(split.labels) / split.labels.sum(0)[:, None]
        assert np.corrcoef(wanted[off], drawn[off])[0, 1] >= 0.8


def test_shipped_cooccurrence_is_voc_lts(shared):
    voc = load_dataset("voc-lt", shared, check_images=False)
    table = pd.read_csv(shipped("data/emoji") / "voc_lt_cooccurrence.csv", index_col="class")
    assert table.columns.tolist() == list(voc.class_names)
    assert (table.to_numpy() == cooccurrence(voc.train.labels)).all()


def test_test_glyphs_are_never_drawn_in_training():
    classes, things = emoji.vocabulary()
    names, others = list(classes.values()), list(things.values())
    drawn = {True: set(), False: set()}
    for held_out in drawn:
        rng = np.random.default_rng(0)
        for _ in range(1500):
            objects, glyphs = emoji.compose(names, others, held_out, rng)
            drawn[held_out] |= {(thing.name, glyph) for thing, glyph in zip(objects, glyphs) if thing.name in classes}
    for thing in names:
        if thing.held_out:
            assert not {g for n, g in drawn[True] if n == thing.name} & {g for n, g in drawn[False] if n == thing.name}
    everything = [g for t in [*names, *others] for g in t.glyphs + t.held_out]
    assert len(everything) == len(set(everything)), "a glyph must not stand for two things"
    assert sum(bool(thing.held_out) for thing in names) >= 16
    assert len(names) == 20 and len(others) > 300


def test_scenes_and_captions_come_from_the_seed_alone():
    classes, _ = emoji.vocabulary()
    things = [classes["dog"], classes["dog"], classes["bus"]]
    once, again = ([np.random.default_rng(5) for _ in range(2)] for _ in range(2))
    assert emoji.draw_scene(["🐶", "🚌"], once[0]) == emoji.draw_scene(["🐶", "🚌"], again[0])
    assert emoji.caption_scene(things, once[1]) == emoji.caption_scene(things, again[1])


def test_captions_leave_out_rename_and_add():
    classes, things = emoji.vocabulary()
    scene = [classes["aeroplane"], classes["person"], things["pizza"]]
    captions = [emoji.caption_scene(scene, np.random.default_rng(i)) for i in range(200)]
    assert any("plane" not in c and "jet" not in c for c in captions)
    assert any("airplane" in c for c in captions) and any("woman" in c for c in captions)
    assert any("pizza" in c for c in captions)


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("bus", "buses"),
        ("cherry", "cherries"),
        ("pair of socks", "pairs of socks"),
        ("woman", "women"),
        ("boy", "boys"),
    ],
)
def test_plurals(noun, expected):
    assert emoji.plural(noun) == expected


def test_label_sets_need_enough_labels():
    with pytest.raises(ValueError, match="3 labels cannot give each of 5 images one"):
        emoji.label_sets(np.array([1, 2]), np.eye(2), 5, np.random.default_rng(0))


def test_an_old_drawing_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(emoji, "SPLITS", {"train": 1142, "val": 2, "test": 2})
    monkeypatch.setattr(emoji, "draw_scene", lambda glyphs, rng: Image.new("RGB", (8, 8)))
    monkeypatch.setattr(emoji, "label_sets", lambda counts, conditional, n, rng: np.ones((n, 20), bool))
    card = emoji.write_emoji_lt(tmp_path / "emoji-lt", log=lambda line: None)
    (tmp_path / "mine" / "emoji-lt").mkdir(parents=True)
    with pytest.raises(ValueError, match="not drawn by lmptlib"):
        emoji.write_emoji_lt(tmp_path / "mine" / "emoji-lt")
    marker = card.parent / "marker"
    marker.touch()
    assert emoji.write_emoji_lt(tmp_path / "emoji-lt") == card and marker.exists()
    card.write_text(card.read_text().replace(f"version: {emoji.VERSION}", "version: 0"))
    emoji.write_emoji_lt(tmp_path / "emoji-lt", log=lambda line: None)
    assert not marker.exists() and f"version: {emoji.VERSION}" in card.read_text()


DRAW_SMALL = """
import sys, numpy
from pathlib import Path
from PIL import Image
from lmptlib.data import emoji
emoji.SPLITS = {"train": 1142, "val": 2, "test": 2}
emoji.draw_scene = lambda glyphs, rng: Image.new("RGB", (8, 8))
emoji.label_sets = lambda counts, conditional, n, rng: numpy.ones((n, 20), bool)
print("ready", flush=True)
print(emoji.write_emoji_lt(Path(sys.argv[1])))
"""


def test_two_processes_at_once_draw_one_data_set(tmp_path):
    command = [sys.executable, "-c", DRAW_SMALL, str(tmp_path / "emoji-lt")]
    with FileLock(tmp_path / ".emoji-lt.lock"):
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        assert [process.stdout.readline() for process in running] == ["ready\n", "ready\n"]
    said = [process.communicate()[0].splitlines() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(map(len, said)) == [1, 2], "one draws, the other waits"
    assert {lines[-1] for lines in said} == {str(tmp_path / "emoji-lt" / "emoji-lt.yaml")}


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
    assert dataset.train.lines == tuple(range(2, 9)) and dataset.val.labels.tolist() == [[False, True]]
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
    assert any("no column 'split': 4 of 20 images" in warning for warning in dataset.warnings)


@pytest.mark.parametrize("seed", range(5))
def test_the_draw_holds_a_share_of_every_class_and_leaves_it_one(seed):
    rng = np.random.default_rng(seed)
    labels = rng.random((300, 12)) < np.geomspace(0.5, 0.007, 12)
    labels[0] = True  # a scene of everything
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
        ("image,labels,caption", [*ROWS, "train/22.jpg notes,dog,x"], "is not an image path"),
        ("image,labels,caption", [*ROWS, '"train/22.jpg","do\ng",x'], "write names with ';' between them"),
        ("image,labels,caption", [*ROWS, "train/20.jpg,dining_table,x", "train/22.jpg,Dining  table,x"], "is 'dining_table' elsewhere"),
        ("image,labels,caption", [*ROWS, "notes.txt,dog,x"], "line 22: 'notes.txt' is not an image path"),
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


def test_other_separators_are_named(tiny):
    with pytest.raises(DataError, match="columns are separated by ','"):
        load_dataset(write_csv(tiny, ["train/0.jpg;dog;x"], "image;labels;caption"))


def test_a_csv_file_of_a_spreadsheet_is_read(tiny):
    path = Path(write_csv(tiny, [*ROWS, ",,", ""]))
    plain = load_dataset(str(path))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    spread = load_dataset(str(path))
    assert spread.train.names == plain.train.names and spread.train.lines == plain.train.lines
    assert spread.fingerprint() == plain.fingerprint()


def test_photographs_are_turned_upright(tmp_path):
    lying = Image.new("RGB", (40, 20), "white")
    lying.paste("red", (0, 0, 10, 20))
    tag = lying.getexif()
    tag[274] = 6  # the camera was held upright
    lying.save(tmp_path / "a.png", exif=tag)
    upright = open_image(tmp_path / "a.png")
    assert upright.size == (20, 40) and upright.getpixel((10, 3)) == (255, 0, 0)
    assert upright.getpixel((10, 37)) == (255, 255, 255)
