"""What only the pictures tell: damaged, unusual, the same twice."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lmptlib.data.checks import repeated_pictures
from lmptlib.data.loading import check_dataset, load_dataset
from lmptlib.suite.cli.main import main


def test_unusual_pictures_are_counted(tiny, tmp_path):
    grey = np.zeros((64, 64), np.uint16)
    for i in range(3):
        Image.fromarray(grey + i).save(tiny.folder / f"train/{i}.jpg", "PNG")
    Image.new("RGBA", (64, 64)).save(tiny.folder / "test/0.jpg", "PNG")
    expected = "tiny: unusual pictures: 3 of more than 8 bits, 1 transparent"
    assert check_dataset(str(tiny.path), cache=tmp_path).warnings == (expected,)
    said = CliRunner().invoke(main, ["data", "check", str(tiny.path), "--cache", str(tmp_path)])
    assert said.exit_code == 0 and f"note: {expected}" in said.output


def test_the_same_picture_twice_is_named(tiny, tmp_path):
    assert repeated_pictures(load_dataset(str(tiny.path)), tmp_path) == []
    shutil.copy(tiny.folder / "train/0.jpg", tiny.folder / "train/1.jpg")
    for i in range(5):
        shutil.copy(tiny.folder / "train/4.jpg", tiny.folder / f"test/{i}.jpg")
    across, otherwise = repeated_pictures(load_dataset(str(tiny.path)), tmp_path)
    pairs = ", ".join(f"train.txt train/4.jpg = test.txt test/{i}.jpg" for i in range(3))
    assert across == f"pictures that are the same in two splits: 5 ({pairs}, ...)"
    assert otherwise.startswith(
        "pictures that are there twice with other labels: 4 (train.txt train/0.jpg = train.txt train/1"
    )


def test_a_run_keeps_what_the_pictures_tell(tiny, make_run):
    shutil.copy(tiny.folder / "train/4.jpg", tiny.folder / "test/0.jpg")
    warnings = make_run(method="zero_shot").config["warnings"]
    assert any(
        "the same in two splits: 1 (train.txt train/4.jpg = test.txt test/0.jpg)" in warning for warning in warnings
    )


def test_verify_sees_what_changed_before_the_check_reads_it(tiny, tmp_path):
    check = ["data", "check", str(tiny.path), "--cache", str(tmp_path)]
    assert CliRunner().invoke(main, check).exit_code == 0
    shutil.copy(tiny.folder / "train/4.jpg", tiny.folder / "train/5.jpg")
    said = CliRunner().invoke(main, [*check, "--verify"])
    assert said.exit_code == 1 and "train/5.jpg: its bytes have changed since it was read" in said.output


@pytest.mark.parametrize("method", ["lmpt", "prompts_and_probe", "zero_shot"])
def test_a_single_class_is_ranked_by_its_logits(tiny, make_run, method):
    (tiny.folder / "labels.txt").write_text("person 0\n")
    for name, first, last, images in (("train", 8, 24, "train"), ("val", 0, 8, "train"), ("test", 0, 12, "test")):
        labels = ("0" if i % 4 == 0 else "" for i in range(first, last))
        lines = [f"{images}/{i}.jpg {label}" for i, label in zip(range(first, last), labels)]
        (tiny.folder / f"{name}.txt").write_text("\n".join(lines))
    captions = [f"train/{i}.jpg a photo of a {'person' if i % 4 == 0 else 'dog'}." for i in range(8, 24)]
    (tiny.folder / "captions.txt").write_text("\n".join(captions))
    tiny.edit(val="val.txt")
    settings = {"select": "val"} if method != "zero_shot" else {}
    run = make_run(method=method, recipe="prompts_and_probe" if method == "prompts_and_probe" else None, **settings)
    scores = run.metrics["scores"]
    assert scores["softmax"]["total"] == scores["logit"]["total"]
    labels, ranked = run.scores()["labels"][:, 0], run.scores()["scores"][:, 0]
    assert len(set(ranked)) > 6 and labels.any()
    assert any("every ranking is the logit ranking" in warning for warning in run.config["warnings"])


def test_what_changed_is_told_though_another_picture_is_damaged(tiny, tmp_path):
    check = ["data", "check", str(tiny.path), "--cache", str(tmp_path)]
    assert CliRunner().invoke(main, check).exit_code == 0
    shutil.copy(tiny.folder / "train/4.jpg", tiny.folder / "train/5.jpg")
    (tiny.folder / "train/3.jpg").write_bytes(b"damaged")
    said = CliRunner().invoke(main, [*check, "--verify"])
    assert said.exit_code == 1 and "train/5.jpg: its bytes have changed" in said.output
    assert "train/3.jpg: cannot be decoded as an image" in said.output


def test_a_class_that_every_test_image_shows_is_noted(tiny):
    lines = (tiny.folder / "test.txt").read_text().splitlines()
    (tiny.folder / "test.txt").write_text("\n".join(f"{line.split()[0]} 0 {i % 3 + 1}" for i, line in enumerate(lines)))
    note = "tiny: AP is 100 whatever is learned, for every test image shows it: person"
    assert load_dataset(str(tiny.path)).warnings == (note,)
