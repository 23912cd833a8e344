"""`lmpt data convert`: what it writes, and what it refuses. Each format's own test has that nothing is lost."""

import json

import yaml
from click.testing import CliRunner
from photos import assert_same_as_csv, draw, labels_of

from lmptlib.data.loading import load_dataset
from lmptlib.suite.cli.main import main


def convert(*args) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["data", "convert", *map(str, args)])
    return result.exit_code, result.output


def write_folders(folder, names):
    for name in names:
        for i in range(3):
            draw(folder / name / f"{i}.jpg")
    return folder


def test_a_card_and_a_csv_file_are_converted_too(tiny, tmp_path):
    assert_same_as_csv(tiny.path, tiny.folder / "all.csv")
    assert_same_as_csv(tiny.folder / "all.csv", tmp_path / "else/again.csv")
    header, first, *_ = (tiny.folder / "all.csv").read_text().splitlines()
    assert header == "image,labels,caption,split" and first == "train/0.jpg,person,a photo of a person.,train"


def test_any_name_of_a_class_is_read_back(tmp_path):
    names = (
        "salt; pepper",
        '["odd"]',
        '{"choices": 3}',
        '"quoted"',
        "=1+1",
        "a, b",
        "a",
        "b",
        "b|a",
        "sep=;",
        "é 🦓",
        "true",
    )
    assert_same_as_csv(write_folders(tmp_path / "set", names), tmp_path / "set.csv")
    assert set(load_dataset(str(tmp_path / "set.csv")).class_names) == set(names)
    assert "=1+1" in (tmp_path / "set.csv").read_text()


def test_what_cannot_be_written_so_is_refused(tmp_path):
    folder = write_folders(tmp_path / "spaces", (" cat", "dog"))
    assert_same_as_csv(folder, tmp_path / "spaces.csv")
    code, told = convert(folder, folder / "x.csv")
    assert (
        code == 1 and "x.csv: not written, for it would not be read as the same: a blank begins or ends a name" in told
    )
    assert not (folder / "x.csv").exists()


def test_nothing_is_overwritten_unasked(tmp_path):
    folder = write_folders(tmp_path / "set", ("cat", "dog"))
    (tmp_path / "set.csv").write_text("mine")
    code, told = convert(folder, tmp_path / "set.csv")
    assert code == 1 and told == f"Error: {tmp_path}/set.csv is there already; --force overwrites it\n"
    assert (tmp_path / "set.csv").read_text() == "mine"
    code, told = convert(folder, tmp_path / "set.csv", "--force")
    assert code == 0 and told.splitlines()[-1] == f"wrote {tmp_path}/set.csv: 4 train, 2 test images, 2 classes"
    assert labels_of(load_dataset(str(tmp_path / "set.csv"))) == labels_of(load_dataset(str(folder)))
    written = (tmp_path / "set.csv").read_text()
    code, told = convert(tmp_path / "set.csv", tmp_path / "set.csv", "--force")
    assert code == 1 and "set.csv is SOURCE itself" in told and (tmp_path / "set.csv").read_text() == written
    code, told = convert(folder, tmp_path / "set.txt")
    assert code == 2 and "TARGET is to end in .csv" in told
    code, told = convert(folder, tmp_path / "x.csv", "--difficult", "no")
    assert code == 1 and told == f"Error: {folder}: 'difficult' is for VOC alone\n"


def test_where_the_images_are_not_below_the_file_its_root_is_named(tmp_path):
    folder = write_folders(tmp_path / "set", ("cat", "dog"))
    code, told = convert(folder, tmp_path / "else/set.csv")
    place = f"-p dataset {tmp_path}/else/set.csv -p data_root {folder}"
    assert code == 0 and told.splitlines()[-1] == f"its images are below {folder}: read it with {place}"
    assert (tmp_path / "else/set.csv").read_text().splitlines()[1].startswith("cat/")


def test_what_a_csv_file_does_not_hold_is_told(tmp_path):
    folder = write_folders(tmp_path / "set", ("cat", "dog"))
    (tmp_path / "card.yaml").write_text(yaml.safe_dump({"name": "x", "source": "set", "cutoffs": [2, 1]}))
    code, told = convert(tmp_path / "card.yaml", tmp_path / "set.csv")
    assert code == 0 and told.endswith(
        "does not hold 'task', 'cutoffs' and 'allow_empty': a card with 'source: ...' does\n"
    )
    (tmp_path / "card.yaml").write_text(yaml.safe_dump({"name": "x", "source": "set.csv", "cutoffs": [2, 1]}))
    assert load_dataset(str(tmp_path / "card.yaml")).task.cutoffs == (2, 1) and folder.is_dir()


def test_a_class_without_a_training_image_needs_a_card(tmp_path):
    content = {"images": [], "annotations": [], "categories": [{"id": i, "name": name} for i, name in enumerate("ab")]}
    for split, classes in (("train", (0, 0)), ("test", (0, 1))):
        part = {**content, "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(2)]}
        part["annotations"] = [{"image_id": i, "category_id": c} for i, c in enumerate(classes)]
        for i in range(2):
            draw(tmp_path / f"x/{split}/{i}.jpg")
        (tmp_path / f"x/{split}/_annotations.coco.json").write_text(json.dumps(part))
    code, told = convert(tmp_path / "x", tmp_path / "x.csv")
    line = "class 'b' has no training image; add one, or write a card with 'source: PATH' and 'allow_empty: true'"
    assert code == 1 and told == f"Error: {tmp_path}/x/train/_annotations.coco.json: {line}\n"
    (tmp_path / "card.yaml").write_text("name: x\nsource: x\nallow_empty: true\n")
    assert load_dataset(str(tmp_path / "card.yaml")).class_names == ("a", "b")
    assert convert(tmp_path / "card.yaml", tmp_path / "x.csv")[0] == 0
