"""Features: cached against live ones, and nothing stale served."""

import numpy as np
import pytest
import torch
from PIL import Image

from lmptlib.clip import load_clip
from lmptlib.data import DataError, load_dataset, open_image
from lmptlib.features import extract

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

    other = load_clip(log=silent)
    other.fingerprint = "other weights"
    with torch.no_grad():
        other.model.visual.conv1.weight.mul_(1.5)
    assert not torch.equal(extract(other, load_dataset(str(tiny.path)), cache=cache, log=silent).train, turned.train)


def test_an_undecodable_image_is_named_with_its_line(tiny, tmp_path, clip):
    (tiny.folder / "test" / "4.jpg").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"test.txt line 5: .*4.jpg: cannot be decoded"):
        extract(clip, load_dataset(str(tiny.path)), cache=tmp_path / "cache", log=silent)


def test_the_fingerprint_holds_weights_and_preprocessing(shared):
    photos = shared / "photos"
    mini = load_clip(str(photos / "photo-mini.json"), str(photos / "photo-mini.safetensors"), log=silent)
    same = load_clip(str(photos / "photo-mini.json"), str(photos / "photo-mini.safetensors"), log=silent)
    assert mini.fingerprint == same.fingerprint != load_clip(log=silent).fingerprint
