"""Feature jobs: killed and resumed, by workers, with images that fail, on disks of others."""

import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny import TinyCard, make_tiny

from lmptlib.clip import features as clip_features
from lmptlib.clip.features import extract
from lmptlib.clip.loading import load_clip
from lmptlib.clip.model import Clip
from lmptlib.config import Config, resolve
from lmptlib.data.loading import load_dataset
from lmptlib.suite.cli.main import main
from lmptlib.sweeps import cluster, features
from lmptlib.sweeps.cluster import Workers
from lmptlib.sweeps.features import extract_features


@pytest.fixture
def small_parts(monkeypatch) -> None:
    """Parts of 8 images: three of training images, two of test images."""
    monkeypatch.setattr(clip_features, "PART", 8)


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """The sizes of the batches that the image tower of this process was given."""
    sizes: list[int] = []
    encode = Clip.encode_images
    monkeypatch.setattr(Clip, "encode_images", lambda clip, pixels: sizes.append(len(pixels)) or encode(clip, pixels))
    return sizes


def config_of(card: Path, cache: Path) -> Config:
    return resolve(dataset=str(card), cache=str(cache))


def parts_in(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.glob("*.safetensors")}


# The command, in parts of 8 images; it kills itself before the image tower's sixth batch, in the third part.
KILLED = """
import os, signal, sys
from lmptlib.clip import features
from lmptlib.clip.model import Clip
from lmptlib.suite.cli.main import main
features.PART, encode, batches = 8, Clip.encode_images, []
def encode_or_die(clip, pixels):
    batches.append(len(pixels))
    if len(batches) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(clip, pixels)
Clip.encode_images = encode_or_die
main(["features", *sys.argv[1:]])
"""


def test_a_killed_job_goes_on_with_the_part_that_it_was_at(tiny, tmp_path, small_parts, counted):
    words = ["features", str(tiny.path), "-p", "cache", str(tmp_path / "cache")]
    killed = subprocess.run([sys.executable, "-c", KILLED, *words[1:]], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL and killed.stdout.count("done in") == 2, killed.stderr
    before = parts_in(tmp_path / "cache")
    assert len(before) == 2
    said = CliRunner().invoke(main, words).output
    # plain and flipped of the third part, then test images
    assert counted == [8, 8, 8, 4] and "tiny: 5 parts, 2 finished, 3 to make" in said
    assert re.search(r"^\[3/3\] test part 2  done in \d+ s  \(20 of 20 images, ", said, re.MULTILINE)
    assert [line.split() for line in said.splitlines()[-2:]] == [
        ["train", "24", "3", "3", "0", "0"],
        ["test", "12", "2", "2", "0", "0"],
    ]
    extract_features(config_of(tiny.path, tmp_path / "whole"), log=lambda line: None)
    assert before.items() < parts_in(tmp_path / "cache").items() == parts_in(tmp_path / "whole").items()
    assert [path.name for path in (tmp_path / "cache").glob("*.lock")] == ["digests.json.lock"]


def test_runs_find_what_a_job_made(tiny, tmp_path, counted):
    said: list[str] = []
    extract_features(config_of(tiny.path, tmp_path), captions=True, log=said.append)
    counted.clear()
    said.clear()
    extract(load_clip(), load_dataset(str(tiny.path)), cache=tmp_path, log=said.append)
    assert counted == [] and said == []


def spoil(tiny: TinyCard) -> None:
    for name in ("train/9.jpg", "train/15.jpg"):
        (tiny.folder / name).write_bytes(b"junk")


def test_a_part_that_fails_names_its_images_and_stops_no_other(tiny, tmp_path, small_parts, counted):
    spoil(tiny)
    lines: list[str] = []
    with pytest.raises(
        RuntimeError, match="1 of 5 parts failed, the others are there:\ntrain part 2: FAILED: "
    ) as error:
        extract_features(config_of(tiny.path, tmp_path), log=lines.append)
    assert [line.count("cannot be decoded") for line in str(error.value).splitlines()] == [0, 1, 1]
    assert "train.txt line 10: " in str(error.value) and "train.txt line 16: " in str(error.value)
    assert lines[-1].splitlines()[1].split() == ["train", "24", "3", "2", "1", "0"] and len(parts_in(tmp_path)) == 4
    assert CliRunner().invoke(main, ["features", str(tiny.path), "-p", "cache", str(tmp_path)]).exit_code == 1
    make_tiny(tmp_path / "again")
    for name in ("train/9.jpg", "train/15.jpg"):
        (tmp_path / "again" / name).replace(tiny.folder / name)
    counted.clear()
    table = extract_features(config_of(tiny.path, tmp_path), log=lines.append)
    assert counted == [8, 8] and table["done"].tolist() == [3, 2]


def test_workers_give_the_same_bytes(tiny, tmp_path, small_parts, counted):
    (tiny.folder / "test" / "10.jpg").write_bytes(b"junk")
    config, told = config_of(tiny.path, tmp_path / "workers"), list[str]()
    with pytest.raises(
        RuntimeError, match=r"1 of 7 parts failed(.|\n)*test part 2: FAILED: .*10.jpg: cannot be decoded"
    ):
        extract_features(config, Workers(2), captions=True, log=told.append)
    assert counted == [] and sum(" done in " in line and " on " in line for line in told) == 6
    with pytest.raises(RuntimeError):
        extract_features(config_of(tiny.path, tmp_path / "here"), captions=True, log=told.append)
    assert parts_in(tmp_path / "workers") == parts_in(tmp_path / "here")


def tasks_of(config: Config, monkeypatch) -> list[features.PartTask]:
    """The tasks of a job, which makes none of them."""
    found: list[features.PartTask] = []
    monkeypatch.setattr(features, "attempts", lambda tasks, *rest: found.extend(tasks(1)) or ())
    extract_features(config, log=lambda line: None)
    return found


def test_parts_come_home_from_other_disks(tiny, tmp_path, small_parts, monkeypatch):
    first, *_ = tasks_of(config_of(tiny.path, tmp_path / "cache"), monkeypatch)
    opened: list[str] = []
    monkeypatch.setattr(
        features, "load_clip", lambda *args, **options: opened.append("") or load_clip(*args, **options)
    )
    for _ in range(2):
        ((error, content),), *_ = cluster._make(first.order(), 1, Path("/no/such/place/.draft"))
        assert error == "" and not first.path.exists()
    assert len(opened) == 1, "a worker opens CLIP once"
    first.unpack(content)
    here = replace(first, path=tmp_path / "here" / first.path.name)
    here.make()
    assert parts_in(tmp_path / "cache") == parts_in(tmp_path / "here") == {first.path.name: content}


def test_what_a_worker_has_otherwise_is_refused(tiny, tmp_path, small_parts, monkeypatch):
    first, *_ = tasks_of(config_of(tiny.path, tmp_path / "cache"), monkeypatch)
    (tiny.folder / "train" / "2.jpg").write_bytes((tiny.folder / "train" / "3.jpg").read_bytes())
    ((error, _),), *_ = cluster._make(first.order(), 1, tmp_path / ".draft")
    assert "2.jpg: its bytes are not those that were read before" in error
    monkeypatch.setattr(clip_features, "FORMAT", 0)
    ((error, _),), *_ = cluster._make(first.order(), 1, tmp_path / ".draft")
    assert error.startswith("FAILED: weights or library on ")


@pytest.mark.parametrize(
    "words, told",
    [
        (["-p", "lr", "1"], "features do not depend on a setting 'lr'. Known: data_root, cache, model, weights"),
        (["-p", "modle", "x"], "features do not depend on a setting 'modle'. Did you mean 'model'?"),
        (["-p", "weights", "none.pt"], "none.pt: no such file"),
        (["-p", "device", "gpu"], "setting 'device' is one of auto, cpu, cuda, not 'gpu'"),
        (["--workers", "0"], "--workers must be at least 1, not 0"),
        (["--captions"], "tiny: its training images have no captions: leave out --captions"),
    ],
)
def test_wrong_input_gets_a_line(tiny, words, told):
    tiny.edit(captions=None)
    result = CliRunner().invoke(main, ["features", str(tiny.path), *words])
    lines = [line for line in result.output.splitlines() if not line.startswith("note: ")]
    assert result.exit_code and told in result.output and len(lines) == 1
