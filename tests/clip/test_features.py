"""Features: cached against live ones, nothing stale served, nothing half-written left."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from lmptlib.clip import features
from lmptlib.clip.features import extract
from lmptlib.clip.loading import load_clip, weights_fingerprint
from lmptlib.clip.model import Clip
from lmptlib.data.images import open_image
from lmptlib.data.loading import load_dataset
from lmptlib.errors import DataError
from lmptlib.paths import shipped

silent = lambda line: None  # noqa: E731


@pytest.fixture(scope="module")
def clip():
    return load_clip(log=silent)


def test_cached_features_are_the_live_ones(tiny, tmp_path, clip):
    dataset = load_dataset(str(tiny.path))
    first, said = extract(clip, dataset, cache=tmp_path / "cache", log=silent), []
    again = extract(clip, dataset, cache=tmp_path / "cache", log=said.append)
    assert said == [], "everything came from the cache"
    for name in ("train", "train_flipped", "test", "captions"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    pixels = torch.stack([clip.preprocess(open_image(path)) for path in dataset.train.paths])
    live = clip.model.encode_image(pixels, normalize=True)
    torch.testing.assert_close(again.train, live, atol=1e-5, rtol=0)
    flipped = clip.model.encode_image(pixels.flip(-1), normalize=True)
    torch.testing.assert_close(again.train_flipped, flipped, atol=1e-5, rtol=0)
    captions = clip.model.encode_text(clip.tokenizer(list(dataset.train.captions)), normalize=True)
    torch.testing.assert_close(again.captions, captions, atol=1e-5, rtol=0)


def test_a_change_is_never_served_from_an_old_cache(tiny, tmp_path, clip):
    cache = tmp_path / "cache"
    before = extract(clip, load_dataset(str(tiny.path)), cache=cache, log=silent)
    path = tiny.folder / "train" / "3.jpg"
    Image.fromarray(np.full((64, 64, 3), 200, np.uint8)).save(path)
    changed = extract(clip, load_dataset(str(tiny.path)), cache=cache, log=silent)
    differs = (changed.train != before.train).any(1)
    assert differs.nonzero().flatten().tolist() == [3]

    lines = (tiny.folder / "train.txt").read_text().splitlines(keepends=True)
    (tiny.folder / "train.txt").write_text("".join(lines[::-1]))
    turned = extract(clip, load_dataset(str(tiny.path)), cache=cache, log=silent)
    torch.testing.assert_close(turned.train, changed.train.flip(0), atol=1e-6, rtol=0)

    weights = load_file(shipped("data/emoji") / "clip-emoji.safetensors")
    weights["visual.conv1.weight"] *= 1.5
    save_file(weights, tmp_path / "other.safetensors")
    other = load_clip("clip-emoji", str(tmp_path / "other.safetensors"), log=silent)
    assert not torch.equal(extract(other, load_dataset(str(tiny.path)), cache=cache, log=silent).train, turned.train)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def rename_a_tensor(path):
    save_file({f"{name}s": tensor for name, tensor in load_file(path).items()}, path)


def drop_a_row(path):
    save_file({name: tensor[1:] for name, tensor in load_file(path).items()}, path)


@pytest.mark.parametrize("damage", [truncate, empty, rename_a_tensor, drop_a_row])
def test_a_damaged_cache_file_is_computed_anew(tiny, tmp_path, clip, damage):
    cache, said = tmp_path / "cache", []
    before = extract(clip, load_dataset(str(tiny.path)), cache=cache, log=silent)
    files = list(cache.glob("*.safetensors"))
    for path in files:
        damage(path)
    again = extract(clip, load_dataset(str(tiny.path)), cache=cache, log=said.append)
    for name in ("train", "train_flipped", "test", "captions"):
        assert torch.equal(getattr(before, name), getattr(again, name))
    damaged = [line.split(": damaged (")[0] for line in said if ": damaged (" in line]
    assert sorted(damaged) == sorted(map(str, files)) and len(files) == 3
    said.clear()
    extract(clip, load_dataset(str(tiny.path)), cache=cache, log=said.append)
    assert said == []


def test_a_kill_leaves_nothing_half_written(tiny, tmp_path):
    script = Path(__file__).parents[1] / "kills.py"
    command = [sys.executable, script, "caches", tiny.path, tmp_path / "cache", "8"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.stdout.endswith("all whole\n"), done.stdout + done.stderr


def test_a_new_format_is_a_new_cache(tiny, tmp_path, clip, monkeypatch):
    for number in (features.FORMAT, features.FORMAT + 1):
        monkeypatch.setattr(features, "FORMAT", number)
        extract(clip, load_dataset(str(tiny.path)), cache=tmp_path / "cache", log=silent)
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 6


def test_undecodable_images_are_all_named_with_their_lines(tiny, tmp_path, clip):
    for i in (4, 11):
        (tiny.folder / "test" / f"{i}.jpg").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"test.txt line 5: .*4.jpg: cannot be decoded") as error:
        extract(clip, load_dataset(str(tiny.path)), cache=tmp_path / "cache", log=silent)
    assert len(error.value.problems) == 2


def test_the_fingerprint_holds_weights_config_and_preprocessing(tmp_path, clip):
    folder = shipped("data/emoji")
    same, small = tmp_path / "same", tmp_path / "small"
    for target in (same, small):
        target.mkdir()
        (target / "clip-emoji.safetensors").write_bytes((folder / "clip-emoji.safetensors").read_bytes())
        (target / "twin.json").write_bytes((folder / "clip-emoji.json").read_bytes())
    weights = load_file(same / "clip-emoji.safetensors")
    weights["logit_scale"] += 0.1
    save_file(weights, small / "clip-emoji.safetensors")
    twin, other = (
        load_clip(str(d / "twin.json"), str(d / "clip-emoji.safetensors"), log=silent) for d in (same, small)
    )
    assert twin.fingerprint == clip.fingerprint != other.fingerprint
    steps = clip.preprocess.transforms
    steps[0].size = 60
    changed = Clip(clip.model, clip.tokenizer, clip.preprocess, "x", weights_fingerprint("clip-emoji", None), "cpu")
    steps[0].size = 64
    assert changed.fingerprint != clip.fingerprint


def test_pictures_that_are_read_otherwise_are_not_served_from_an_old_cache(tiny, tmp_path, clip, monkeypatch):
    dataset = load_dataset(str(tiny.path))
    said: list[str] = []
    for reading, computed in ((1, True), (1, False), (2, True)):
        monkeypatch.setattr(features, "READING", reading)
        said.clear()
        features.image_features(clip, dataset.test, False, tmp_path, said.append)
        assert bool(said) == computed
