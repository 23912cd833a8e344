"""The drawn scenes of emoji-lt."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image

from lmptlib.data import emoji
from lmptlib.data.loading import load_dataset
from lmptlib.paths import shipped


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


PLURALS = {
    "bus": "buses",
    "cherry": "cherries",
    "pair of socks": "pairs of socks",
    "woman": "women",
    "boy": "boys",
}


@pytest.mark.parametrize("noun", PLURALS)
def test_plurals(noun):
    assert emoji.plural(noun) == PLURALS[noun]


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
