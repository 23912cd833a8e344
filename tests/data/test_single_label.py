"""Single labels: the drawn data set, its groups, and lists whose images have not one label."""

import numpy as np
import pytest
from click.testing import CliRunner

from lmptlib.data import emoji_single
from lmptlib.data.dataset import Task, class_groups, usual_task
from lmptlib.data.loading import load_dataset, task_of
from lmptlib.errors import DataError
from lmptlib.suite.cli.main import main


def test_many_is_more_than_100_and_few_fewer_than_20():
    task = usual_task(np.array([101, 100, 20, 19]), "single-label")
    assert task == Task("single-label", (101, 20)) and task.grouping == ""
    assert class_groups(np.array([101, 100, 20, 19]), task.cutoffs).tolist() == ["head", "medium", "medium", "tail"]
    assert "many from 60 training images on" in usual_task(np.array([60, 9, 9, 5]), "single-label").grouping


def test_the_classes_of_emoji_single_lt():
    things, counts = emoji_single.things(), emoji_single.class_counts()
    assert len(things) == len(counts) >= 40 and len({thing.name for thing in things}) == len(things)
    assert counts[0] == 200 and counts[-1] == 4 and (np.diff(counts) <= 0).all()
    assert all(thing.held_out and not set(thing.held_out) & set(thing.glyphs) for thing in things)


@pytest.mark.parametrize("labels, told", [("0 1", "2 labels"), ("", "0 labels")])
def test_an_image_without_exactly_one_label_is_named(tiny, labels, told):
    tiny.edit(task="single-label")
    lines = tiny.path.parent / "train.txt"
    first, *rest = lines.read_text().splitlines()
    lines.write_text(
        "\n".join([f"{first.split()[0]} {labels}", *(f"{line.split()[0]} {line.split()[1]}" for line in rest)])
    )
    with pytest.raises(DataError, match=rf"train.txt line 1: .* has {told}; with task single-label"):
        load_dataset(str(tiny.path))


def test_a_card_says_its_task(tiny):
    assert (
        task_of("emoji-single-lt") == "single-label" and task_of("emoji-lt") == task_of(str(tiny.path)) == "multi-label"
    )
    tiny.edit(task="single-label")
    assert task_of(str(tiny.path)) == "single-label"
    tiny.edit(task="one label")
    with pytest.raises(DataError, match="'task' is multi-label or single-label, not 'one label'"):
        load_dataset(str(tiny.path))


def relabel(tiny, split, n_classes):
    """Lists one label an image, in turn."""
    path = tiny.folder / f"{split}.txt"
    images = [line.split()[0] for line in path.read_text().splitlines()]
    path.write_text("".join(f"{image} {i % n_classes}\n" for i, image in enumerate(images)))


def test_what_is_said_of_single_labels_is_of_accuracy(tiny):
    tiny.edit(task="single-label")
    relabel(tiny, "train", 4)
    relabel(tiny, "test", 1)
    said = " ".join(load_dataset(str(tiny.path)).warnings)
    assert "no accuracy, no test image: dog, potted_plant, tvmonitor" in said and "AP" not in said
    relabel(tiny, "train", 1)
    (tiny.folder / "labels.txt").write_text("person 0\n")
    assert load_dataset(str(tiny.path)).warnings == ("tiny: a single class: accuracy is 100 whatever is learned",)


def test_a_csv_file_does_not_hold_the_task(tiny, tmp_path):
    relabel(tiny, "train", 4)
    relabel(tiny, "test", 4)
    target = tmp_path / "out.csv"
    for task, told in (("multi-label", False), ("single-label", True)):
        tiny.edit(task=task)
        result = CliRunner().invoke(main, ["data", "convert", str(tiny.path), str(target), "--force"])
        assert result.exit_code == 0 and ("does not hold 'task', 'cutoffs'" in result.output) == told
