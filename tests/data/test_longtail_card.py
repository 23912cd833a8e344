"""`lmpt data make`: what it draws against a plain loop, what it writes, and what it refuses."""

import random
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from photos import draw

from lmptlib.data.loading import load_dataset
from lmptlib.suite.cli.main import main

CLASSES = ("sky", "dog", "potted plant", "cat")


def make(*args, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["data", "make", *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output


def labels_by_image(split) -> dict[Path, tuple[bool, ...]]:
    return {path.resolve(): tuple(row) for path, row in zip(split.paths, split.labels.tolist())}


@pytest.fixture
def photos(tmp_path) -> Path:
    """A CSV file of 90 training images, each of one to four classes, 10 of validation and 12 of test."""
    draw_of = random.Random(3)
    lines = ["image,labels,caption,split"]
    for i, split in enumerate(["train"] * 90 + ["val"] * 10 + ["test"] * 12):
        shown = [name for name, share in zip(CLASSES, (0.7, 0.4, 0.3, 0.25)) if draw_of.random() < share] or ["dog"]
        draw(tmp_path / f"img/a {i}.jpg")
        lines.append(f"img/a {i}.jpg,{';'.join(shown)},{f'a caption, {i}'!r}".replace("'", '"') + f",{split}")
    (tmp_path / "photos.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "photos.csv"


def drawn_by_a_plain_loop(images: list[set[str]], counts: dict[str, int], seed: int) -> set[int]:
    """The rule as METHODS tells it: classes in turn, a set of images for each, images added or removed with all labels."""
    dice = random.Random(seed)
    chosen: dict[str, set[int]] = {name: set() for name in counts}
    for name, count in counts.items():
        if count > len(chosen[name]):
            pool = tuple({i for i, labels in enumerate(images) if name in labels} - chosen[name])
            for i in dice.sample(pool, min(count - len(chosen[name]), len(pool))):
                for label in images[i]:
                    chosen[label].add(i)
        else:
            for i in dice.sample(tuple(chosen[name]), len(chosen[name]) - count):
                for label in images[i]:
                    chosen[label].discard(i)
    return set().union(*chosen.values())


def test_the_card_opens_and_its_training_list_is_that_of_a_plain_loop(photos, tmp_path):
    told = make(tmp_path / "lt", "--from", photos, "--b", 2, "--max", 30, "--min", 2, "--seed", 5)
    source, made = load_dataset(str(photos)), load_dataset(str(tmp_path / "lt/lt.yaml"))
    assert f"wrote {tmp_path}/lt/lt.yaml: " in told and not list((tmp_path / "lt").rglob("*.jpg"))
    assert made.name == "lt" and made.class_names == source.class_names

    images = [{source.class_names[c] for c in row.nonzero()[0]} for row in source.train.labels]
    company = {a: sum(sum({a, b} <= x for x in images) / sum(b in x for x in images) for b in CLASSES) for a in CLASSES}
    order = sorted(CLASSES, key=company.__getitem__, reverse=True)
    steps = [1 + i / 3 * (0.01 ** (-1 / 2) - 1) for i in range(4)]
    wanted = {name: int(x**-3 * (30 - 2) + 2) for name, x in zip(order, steps)}
    expected = drawn_by_a_plain_loop(images, wanted, seed=5)
    assert labels_by_image(made.train).keys() == {source.train.paths[i].resolve() for i in expected}
    for line, name in zip(told.splitlines()[1:5], order):
        there, drawn = (sum(name in images[i] for i in chosen) for chosen in (range(90), expected))
        assert line.strip().startswith(name) and line.split()[-5:-2] == [str(there), str(wanted[name]), str(drawn)]

    pool, train, val = (labels_by_image(split) for split in (source.train, made.train, made.val))
    assert not train.keys() & val.keys() and train.items() | val.items() <= pool.items()
    assert labels_by_image(made.test) == labels_by_image(source.test)
    assert len(val) == pytest.approx((90 - len(train)) / 5, abs=3) and made.val.labels.any(0).all()
    captions = dict(zip(source.train.names, source.train.captions))
    assert made.train.captions == tuple(captions[name] for name in made.train.names)
    assert "the 10 validation images of photos are not used" in told


def test_a_seed_is_a_draw_and_a_number_of_validation_images_is_met(photos, tmp_path):
    def made(name, *more):
        make(tmp_path / name, "--from", photos, "--b", 2, "--max", 30, "--min", 4, *more)
        return load_dataset(str(tmp_path / name / f"{name}.yaml"))

    first, again, other = made("a"), made("b"), made("c", "--seed", 1)
    assert first.train.names == again.train.names and first.val.names == again.val.names
    assert first.train.names != other.train.names and first.val.names != other.val.names
    assert len(made("d", "--val", 30).val) == pytest.approx(30, abs=3)
    assert made("e", "--val", 0).val.names == load_dataset(str(photos)).val.names


def test_single_labels_fall_from_the_class_that_has_most(tmp_path):
    for name, count in {"bear": 4, "cat": 14, "dog": 9}.items():
        for i in range(count):
            draw(tmp_path / f"set/train/{name}/{i}.jpg")
        draw(tmp_path / f"set/test/{name}/0.jpg")
    (tmp_path / "set.yaml").write_text("name: set\nsource: set\ntask: single-label\n")
    told = make(tmp_path / "lt", "--from", tmp_path / "set.yaml", "--max", 10, "--min", 5, "--b", 1)
    made = load_dataset(str(tmp_path / "lt/lt.yaml"))
    assert made.task.single and dict(zip(made.class_names, made.class_counts)) == {"cat": 10, "dog": 5, "bear": 4}
    assert "note: fewer images than wanted are there (1): bear 4 of 5\n" in told
    assert "no validation image: bear" in told


def test_what_cannot_be_made_is_refused_in_a_line(photos, tmp_path):
    target, source = tmp_path / "lt", ("--from", photos)
    for args, code, words in (
        ([target, *source, "--max", 5, "--min", 6], 2, "--max 5 is less than --min 6"),
        ([target, *source, "--max", 5, "--b", 0], 2, "--b is to be above 0, not 0"),
        ([target, *source, "--max", 5, "--b", "nan"], 2, "--b is to be above 0, not nan"),
        ([target, *source, "--max", 5, "--val", 1.5], 2, "--val is to be a share below 1, or a whole number"),
        ([target, *source, "--max", 5, "--val", 90], 1, "training images are left for validation, and 90 are wanted"),
        (
            [target, *source, "--max", 90, "--min", 90],
            1,
            "0 training images are left for validation, and a share of 0.2 is wanted",
        ),
        (["voc-lt", *source, "--max", 5], 1, "'voc-lt' is a built-in data set: take another NAME"),
        ([tmp_path / "x/emoji-lt", *source, "--max", 5], 1, "'emoji-lt' is a built-in data set"),
        (["./emoji-lt", *source, "--max", 5], 1, "'emoji-lt' is a built-in data set"),
        (["..", *source, "--max", 5], 1, "NAME is to be a name"),
    ):
        told = make(*args, code=code)
        assert words in told.splitlines()[-1], told
    assert not target.exists()
    (tmp_path / "card.yaml").write_text("name: card\nsource: photos.csv\nallow_empty: true\n")
    text = photos.read_text()
    photos.write_text("\n".join(line.replace("dog", "cow") if "test" in line else line for line in text.splitlines()))
    told = make(target, "--from", tmp_path / "card.yaml", "--max", 5, code=1)
    assert told == "Error: card: classes without a training image, of which none can be drawn: cow\n"


def test_nothing_is_overwritten_unasked_and_the_source_never(photos, tmp_path):
    target = tmp_path / "lt"
    make(target, "--from", photos, "--max", 20)
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    assert set(before) == {"train.txt", "val.txt", "test.txt", "classes.txt", "captions.txt", "lt.yaml"}
    told = make(target, "--from", photos, "--max", 12, code=1)
    assert told == f"Error: {target}: train.txt, val.txt, test.txt, ... there already; --force overwrites\n"
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before
    told = make(target, "--from", target / "lt.yaml", "--max", 12, "--force", code=1)
    assert told == f"Error: {target} is where DATASET itself lies: take another NAME\n"
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before
    (target / "mine.txt").write_text("mine")
    make(target, "--from", photos, "--max", 12, "--force")
    assert (target / "mine.txt").read_text() == "mine" and (target / "train.txt").read_bytes() != before["train.txt"]


def test_of_voc2012_it_makes_voc_lt(shared, tmp_path, monkeypatch):
    """Labels and images of both years from the official lists, as a card; the pictures are not looked at."""
    lists = shared / "lists"
    for ours, theirs in {"train": "voc2012_trainval_labels", "test": "voc_lt_test", "labels": "voc_labels"}.items():
        (tmp_path / f"{ours}.txt").write_bytes((lists / f"{theirs}.txt").read_bytes())
    fields = {"name": "voc", "root": ".", "train": "train.txt", "test": "test.txt", "classes": "labels.txt"}
    (tmp_path / "voc.yaml").write_text(yaml.safe_dump(fields))
    monkeypatch.setattr("lmptlib.data.rows.missing_images", lambda *_: [])
    told = make(tmp_path / "again", "--from", tmp_path / "voc.yaml", "--b", 6, "--max", 800, "--min", 1)
    official = load_dataset("voc-lt", shared, check_images=False)
    made = load_dataset(str(tmp_path / "again/again.yaml"), check_images=False)
    assert set(made.train.names) == set(official.train.names) and made.test.names == official.test.names
    assert dict(zip(made.class_names, made.class_counts)) == dict(zip(official.class_names, official.class_counts))
    assert np.array_equal(made.groups, official.groups)
    assert "note: images were taken out again in the turns of other classes" in told and "person 775 of 800" in told
