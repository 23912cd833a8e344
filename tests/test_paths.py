"""Files and folders are whole, old or new."""

import errno
import os
import tempfile
from copy import copy
from pathlib import Path

import pytest

from lmptlib.paths import DiskError, cache_folder, check_writable, home, safe_name, write_atomically, writing


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "a.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == ["a.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def fail(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("number", "why"),
    [(errno.ENOSPC, "full"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only"), (errno.EACCES, "not")],
)
def test_a_disk_that_takes_no_file_is_named(tmp_path, monkeypatch, number, why):
    """In one line that says which folder, also where it comes from another process; other faults stay what they are."""

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    for write in (lambda: write_atomically(tmp_path / "a.json", b"new"), lambda: check_writable(tmp_path)):
        with pytest.raises(DiskError, match=f"^{tmp_path}: .*{why}.*: .*give another folder") as error:
            write()
        assert str(copy(error.value)) == str(error.value) and os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError), writing(tmp_path):
        (tmp_path / "none").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_line_that_a_full_disk_does_not_take_is_named():
    with (
        pytest.raises(DiskError, match=r"^/dev: the disk is full: make room"),
        writing(Path("/dev")),
        open("/dev/full", "a") as file,
    ):
        file.write("line")


def test_what_a_killed_write_left_is_cleared_away_later(tmp_path):
    path = tmp_path / "a[1].json"
    old, young = (tmp_path / f".a[1].json.{name}.draft" for name in ("old", "young"))
    old.touch(), young.touch()
    os.utime(old, (1, 1))
    write_atomically(path, b"new")
    assert sorted(os.listdir(tmp_path)) == [young.name, path.name]


def test_the_cache_lies_where_one_says(tmp_path):
    assert cache_folder(tmp_path) == cache_folder(str(tmp_path)) == tmp_path
    assert cache_folder() == Path(home()) / "data" / "cache"


@pytest.mark.parametrize(
    "text", ["../../x", "/etc/x", "..", ".", ".x", "a\\b", "a b\n<c>", "日" * 100, "a" * 300, "\udcff.x"]
)
def test_any_text_gives_a_file_of_the_folder_that_a_listing_shows(tmp_path, text):
    path = tmp_path / safe_name(text)
    path.touch()
    assert list(tmp_path.glob("[!.]*")) == [path]


def test_names_are_cut_and_kept_apart():
    assert safe_name("tiny-lmpt-asl-s0-f62a0190ed93") == "tiny-lmpt-asl-s0-f62a0190ed93"
    first, second = (safe_name("a" * 300 + end) for end in "xy")
    assert first != second and len(first) == len(second) < 200
