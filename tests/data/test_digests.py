"""Digests of image files: read once, and never an old one for a new file."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmptlib.data import digests
from lmptlib.data.digests import file_digests, verify_digests
from lmptlib.data.loading import load_dataset

DAMAGED = [
    b"",
    b'{"format": 1, "files": {"/a.jpg": [1, 2',
    b"\xff\xfe\x00",
    b"[]",
    b'{"format": 1}',
    b'{"format": 1, "files": []}',
    b'{"format": 1, "files": {"/a.jpg": [1, 2]}}',
]


def digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Twenty files that have been there for a moment."""
    folder = tmp_path / "images"
    folder.mkdir()
    paths = [folder / f"{i}.jpg" for i in range(20)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]) * 100)
    time.sleep(0.05)
    return paths


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The names of the files that are read, as it happens."""
    names, read_file = [], digests._read_file

    def note(name):
        names.append(Path(name).name)
        return read_file(name)

    monkeypatch.setattr(digests, "_read_file", note)
    return names


def test_a_file_is_read_once(files, read, tmp_path):
    assert file_digests(files, tmp_path) == [digest(path) for path in files]
    assert len(read) == 20
    assert file_digests(files[::-1], tmp_path) == [digest(path) for path in files[::-1]]
    assert len(read) == 20


def test_a_data_set_reads_its_images_once(tiny, read, tmp_path):
    time.sleep(0.05)
    first = load_dataset(str(tiny.path)).fingerprint(tmp_path / "cache")
    assert len(read) == 36
    assert load_dataset(str(tiny.path)).fingerprint(tmp_path / "cache") == first and len(read) == 36


def write_in_place(old: Path, new: Path):
    times = old.stat()
    old.write_bytes(new.read_bytes())
    os.utime(old, ns=(times.st_atime_ns, times.st_mtime_ns))


def copy_with_times(old: Path, new: Path):
    os.utime(new, ns=(old.stat().st_atime_ns, old.stat().st_mtime_ns))
    shutil.copy2(new, old)


def move(old: Path, new: Path):
    os.utime(new, ns=(old.stat().st_atime_ns, old.stat().st_mtime_ns))
    time.sleep(0.05)
    new.replace(old)


@pytest.mark.parametrize("change", [write_in_place, copy_with_times, move])
def test_another_file_of_the_same_size_and_time_is_noticed(files, read, change, tmp_path):
    file_digests(files, tmp_path)
    before = files[3].stat()
    change(files[3], files[7])
    after = files[3].stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    read.clear()
    assert file_digests(files[:7], tmp_path)[3] == hashlib.blake2b(bytes([7]) * 100, digest_size=16).hexdigest()
    assert read == ["3.jpg"]


def test_a_file_as_new_as_its_reading_is_not_trusted(files, read, tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "_clock", lambda folder: files[4].stat().st_ctime_ns)
    later = [path.name for path in files if path.stat().st_ctime_ns >= files[4].stat().st_ctime_ns]
    file_digests(files, tmp_path)
    read.clear()
    file_digests(files, tmp_path)
    assert sorted(read) == sorted(later) and "4.jpg" in read


def test_a_file_with_a_time_to_come_is_not_trusted(files, read, tmp_path):
    os.utime(files[4], (time.time() + 1000, time.time() + 1000))
    for _ in range(2):
        read.clear()
        file_digests(files, tmp_path)
    assert read == ["4.jpg"]


def test_a_change_within_a_tick_of_the_clock_is_noticed(tmp_path):
    path = tmp_path / "a.jpg"
    for i in range(50):
        path.write_bytes(i.to_bytes(2, "big"))
        os.utime(path, (1, 1))
        assert file_digests([path], tmp_path / "cache") == [digest(path)]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_manifest_is_written_anew(files, read, content, tmp_path):
    (tmp_path / digests.MANIFEST).write_bytes(content)
    said = []
    assert file_digests(files, tmp_path, said.append) == [digest(path) for path in files]
    assert len(said) == 1 and "digests.json: damaged (" in said[0]
    read.clear(), said.clear()
    file_digests(files, tmp_path, said.append)
    assert (read, said) == ([], [])


def test_a_manifest_of_another_format_is_written_anew(files, read, tmp_path):
    file_digests(files, tmp_path)
    manifest = tmp_path / digests.MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": digests.FORMAT + 1}))
    file_digests(files, tmp_path)
    file_digests(files, tmp_path)
    assert len(read) == 40


def test_what_is_gone_leaves_the_manifest(files, tmp_path):
    file_digests(files, tmp_path)
    files[0].unlink()
    files[1].write_bytes(b"new")
    time.sleep(0.05)
    file_digests(files[1:2], tmp_path)
    known = json.loads((tmp_path / digests.MANIFEST).read_text())["files"]
    assert set(known) == set(map(str, files[1:]))


def test_processes_at_once_lose_nothing(files, tmp_path):
    code = "import sys; from pathlib import Path; from lmptlib.data.digests import file_digests\n"
    code += "for path in sys.argv[2:]: file_digests([Path(path)], Path(sys.argv[1]))"
    halves = [files[:10], files[10:]]
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), *map(str, half)]) for half in halves]
    assert [process.wait() for process in running] == [0, 0]
    known = json.loads((tmp_path / digests.MANIFEST).read_text())["files"]
    assert set(known) == set(map(str, files))


def test_verify_reads_everything_and_names_what_differs(tiny, read, tmp_path):
    time.sleep(0.05)
    dataset, cache = load_dataset(str(tiny.path)), tmp_path / "cache"
    dataset.fingerprint(cache)
    read.clear()
    assert dataset.verify(cache) == [] and len(read) == 36
    manifest = cache / digests.MANIFEST
    content = json.loads(manifest.read_text())
    image = tiny.folder / "train" / "3.jpg"
    content["files"][str(image)][-1] = "0" * 32
    manifest.write_text(json.dumps(content))
    other = tiny.folder / "test" / "2.jpg"
    other.write_bytes(b"another")
    time.sleep(0.05)
    assert dataset.verify(cache) == [
        f"{image}: its bytes have changed since it was read though size and times have not",
        f"{other}: its bytes have changed since it was read",
    ]
    assert dataset.verify(cache) == []
    assert file_digests([image], cache) == [digest(image)]


def test_verify_has_nothing_to_say_of_files_never_read(files, tmp_path):
    assert verify_digests(files, tmp_path) == []
    assert len(json.loads((tmp_path / digests.MANIFEST).read_text())["files"]) == 20
