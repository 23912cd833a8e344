"""Data sets: official lists, cards, and every kind of wrong input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lmptlib.data.dataset import GROUPS, Task, class_groups, usual_task
from lmptlib.data.loading import check_dataset, load_dataset
from lmptlib.errors import DataError


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
    assert plain.class_counts.tolist() == [12, 12, 9, 8] and group_sizes(plain) == (2, 1, 1)
    tiny.edit(cutoffs=[100, 20])
    usual = load_dataset(str(tiny.path))
    assert group_sizes(usual) == (0, 0, 4) and not usual.task.grouping and not usual.class_table().attrs["grouping"]
    tiny.edit(cutoffs=[10, 9])
    small = load_dataset(str(tiny.path))
    assert small.groups.tolist() == ["head", "head", "medium", "tail"] and small.task.cutoffs == (10, 9)
    assert small.class_table()["group"].tolist() == small.groups.tolist()
    assert small.task.grouping == "head from 10 training images on, medium from 9" and not small.warnings
    assert len({dataset.fingerprint() for dataset in (plain, usual, small)}) == 3


def test_groups_are_thirds_where_the_usual_cut_offs_leave_one_empty(tiny):
    tiny.replace("train.txt", "train/14.jpg 2 3", "train/14.jpg 2")
    dataset = load_dataset(str(tiny.path))
    told = "groups are thirds of the classes (head from 12 training images on, medium from 9): "
    assert dataset.task.grouping == dataset.class_table().attrs["grouping"] == told + "by 100 and 20 one would be empty"
    assert dataset.warnings == (f"tiny: {dataset.task.grouping}",)
    # a part of it stays in the groups of the whole
    part = dataset.of_rows(np.arange(12))
    assert part.groups.tolist() == dataset.groups.tolist() and part.task.cutoffs == (12, 9)


@given(st.lists(st.integers(0, 130), min_size=1, max_size=12))
def test_thirds_are_as_even_as_can_be_and_part_no_equals(counts):
    """Against every split of the classes, most frequent first, that leaves equal counts together."""
    shown = sorted((count for count in counts if count), reverse=True)
    task = usual_task(np.array(counts))
    splits = [
        (first, second)
        for first in range(1, len(shown))
        for second in range(first + 1, len(shown))
        if shown[first - 1] > shown[first] and shown[second - 1] > shown[second]
    ]
    usual = {"head" if count >= 100 else "medium" if count >= 20 else "tail" for count in shown}
    if len(usual) == 3 or not splits:
        assert task == Task() and not task.thirds and not task.grouping
        return
    assert task.thirds and task != Task()
    sizes = [class_groups(np.array(shown), task.cutoffs).tolist().count(group) for group in GROUPS]

    def unevenness(split: tuple[int, int]) -> float:
        return (3 * split[0] - len(shown)) ** 2 + (3 * split[1] - 2 * len(shown)) ** 2

    assert (sizes[0], sizes[0] + sizes[1]) in splits
    assert unevenness((sizes[0], sizes[0] + sizes[1])) == min(map(unevenness, splits))


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
    "card not yaml": (lambda t: t.path.write_text("a: [1\nb: 2"), "card.yaml: not a YAML file (line 2"),
    "card a list": (lambda t: t.path.write_text("- 1"), "card.yaml: a card is a list of 'key: value' lines"),
    "card absent": (lambda t: t.path.unlink(), "card.yaml: no such file or folder"),
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
