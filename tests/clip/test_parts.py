"""Features in parts: the same as the whole, to the bit; what is damaged or changed is computed anew, it alone."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file
from tiny import make_pool

from lmptlib.clip import features
from lmptlib.clip.features import caption_features, image_features, image_parts
from lmptlib.clip.loading import load_clip
from lmptlib.clip.model import Clip
from lmptlib.clip.parts import Parts, load_part, store_part
from lmptlib.data.dataset import Split
from lmptlib.data.loading import load_dataset
from lmptlib.data.pool import read_pool
from lmptlib.errors import DataError
from lmptlib.paths import DiskError


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clip(log=quiet)


@pytest.fixture
def train(tiny, monkeypatch) -> Split:
    """24 images, in parts of 8, small for testing."""
    split = load_dataset(str(tiny.path)).train
    monkeypatch.setattr(features, "PART", 8)
    return split


@pytest.fixture
def counted(monkeypatch, clip) -> list[int]:
    """The sizes of the batches that the image tower was given."""
    sizes: list[int] = []
    encode = Clip.encode_images

    def count(clip: Clip, pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        return encode(clip, pixels)

    monkeypatch.setattr(Clip, "encode_images", count)
    return sizes


def test_parts_are_the_whole_to_the_bit(train, clip, tmp_path, monkeypatch):
    parts = image_parts(clip, train, True, tmp_path / "parts", quiet)
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) == 3
    captions = caption_features(clip, train, tmp_path / "parts", quiet)
    monkeypatch.setattr(features, "PART", 24)
    whole = image_features(clip, train, True, tmp_path / "whole", quiet)
    assert len(list((tmp_path / "whole").glob("*.safetensors"))) == 1
    for name in ("plain", "flipped"):
        assert parts[name].shape == (24, 128) and len(parts[name]) == 24
        assert torch.equal(parts[name].whole(), whole[name])
        index = torch.randint(0, 24, (50,), generator=torch.Generator().manual_seed(0))
        assert torch.equal(parts[name].rows(index), whole[name][index])
    assert torch.equal(captions, caption_features(clip, train, tmp_path / "whole", quiet))


def test_rows_are_copies_and_there_are_no_others():
    first, second = torch.arange(6.0).view(3, 2), torch.arange(6.0, 10.0).view(2, 2)
    parts = Parts([first, second])
    rows = parts.rows(torch.tensor([4, 0, 2, 3, 0]))
    assert rows.tolist() == [[8, 9], [0, 1], [4, 5], [6, 7], [0, 1]]
    rows.zero_(), parts.whole().zero_()
    assert first[2, 1] == 5 and second[1, 1] == 9
    assert parts.rows(torch.tensor([], dtype=torch.int64)).shape == (0, 2)
    for wrong in (-1, 5):
        with pytest.raises(IndexError, match=f"rows are from 0 to 4, not {wrong} to {wrong}"):
            parts.rows(torch.tensor([wrong]))


def memory_of(kind: str) -> int:
    """Megabytes of this process that are its own (RssAnon), or a file's (RssFile)."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[kind].split()[0]) // 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells it there")
def test_a_part_is_mapped_and_not_read(tmp_path):
    store_part({"plain": torch.rand(100_000, 256)}, tmp_path / "part.safetensors")
    own, mapped = memory_of("RssAnon"), memory_of("RssFile")
    found = load_part(tmp_path / "part.safetensors", ("plain",), 100_000, quiet)
    parts = Parts([found["plain"]])
    assert memory_of("RssAnon") + memory_of("RssFile") < own + mapped + 10
    parts.rows(torch.arange(0, 100_000, 50))
    # 98 megabytes of file, of which all pages are touched
    assert memory_of("RssAnon") < own + 20 and memory_of("RssFile") > mapped + 20


def test_a_damaged_part_is_computed_anew_it_alone(train, clip, tmp_path, counted):
    before = image_features(clip, train, True, tmp_path, quiet)
    index = json.loads(next(tmp_path.glob("[!d]*.json")).read_text())
    files = [tmp_path / part["file"] for part in index["parts"]]
    assert index["rows"] == 24 and [part["rows"] for part in index["parts"]] == [8, 8, 8]
    assert torch.equal(torch.cat([load_file(file)["flipped"] for file in files]), before["flipped"])
    files[1].write_bytes(files[1].read_bytes()[:-1])
    counted.clear()
    said: list[str] = []
    again = image_features(clip, train, True, tmp_path, said.append)
    assert counted == [8, 8] and sum("damaged" in line for line in said) == 1 and str(files[1]) in said[0]
    assert all(torch.equal(before[name], again[name]) for name in before)


def test_a_changed_file_recomputes_its_part_alone(tiny, train, clip, tmp_path, counted):
    before = image_features(clip, train, False, tmp_path, quiet)["plain"]
    assert counted == [8, 8, 8]
    Image.fromarray(np.full((64, 64, 3), 200, np.uint8)).save(train.paths[11])
    counted.clear()
    changed = load_dataset(str(tiny.path)).train
    after = image_features(clip, changed, False, tmp_path, quiet)["plain"]
    assert counted == [8] and (before != after).any(1).nonzero().flatten().tolist() == [11]
    counted.clear()
    image_features(clip, changed, False, tmp_path, quiet)
    assert counted == []


def test_a_part_that_another_process_computes_is_waited_for_and_said(train, clip, tmp_path):
    """The other one is done when the line is told: nothing is computed twice."""
    (stretch, *_), said = features.image_stretches(train, False, tmp_path), list[str]()
    path = features.part_path(tmp_path, clip, stretch)
    other = FileLock(path.with_suffix(".lock"))
    other.acquire()

    def log(line: str) -> None:
        said.append(line)
        store_part({"plain": torch.ones(8, 128)}, path)
        other.release()

    found = features.make_part(clip, stretch, path, lambda n: None, log=log)
    assert said == [f"waiting for another process that computes {path}"] and bool((found["plain"] == 1).all())


def test_a_cache_folder_that_takes_no_lock_is_named(train, clip, tmp_path, monkeypatch):
    (stretch, *_) = features.image_stretches(train, False, tmp_path)

    def refuse(*_, **__) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(DiskError, match=f"^{tmp_path}: the disk is read-only"):
        features.make_part(clip, stretch, features.part_path(tmp_path, clip, stretch), lambda n: None)


def test_images_that_fail_are_all_named_and_parts_before_them_stay(train, clip, tmp_path, counted):
    train.digests(tmp_path)
    for i in (9, 20):
        train.paths[i].write_bytes(b"junk")
    split = train.rows(np.arange(24))
    with pytest.raises(DataError) as error:
        image_parts(clip, split, False, tmp_path, quiet)
    assert [line.split(":")[0] for line in error.value.problems] == [split.where(9), split.where(20)]
    assert len(list(tmp_path.glob("*.safetensors"))) == 1 and not list(tmp_path.glob("*[0-9a-f].lock"))


def test_bytes_that_are_not_those_of_the_digest_are_refused(train, clip, tmp_path):
    train.digests(tmp_path)
    train.paths[3].write_bytes(train.paths[4].read_bytes())
    with pytest.raises(DataError, match=r"3\.jpg: its bytes are not those that were read before"):
        image_parts(clip, train, False, tmp_path, quiet)


def test_images_from_a_pool_are_in_parts_of_their_own(train, clip, tmp_path, counted):
    pool = read_pool(str(make_pool(tmp_path / "pool"))).rows(np.arange(3))
    own = image_parts(clip, train, False, tmp_path, quiet)["plain"].whole()
    fetched = Split(
        pool.source, pool.places, pool.names, pool.paths, np.zeros((3, 4), bool), ("",) * 3, np.full(3, 0.5)
    )
    joined = train.joined(fetched)
    counted.clear()
    parts = image_parts(clip, joined, False, tmp_path, quiet)["plain"]
    assert counted == [3] and torch.equal(parts.whole()[:24], own)
    assert torch.equal(parts.whole()[24:], image_features(clip, pool, False, tmp_path, quiet)["plain"])
