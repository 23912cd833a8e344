"""Digests of image files. A manifest in the cache folder keeps them, so that 100,000 images are read once.

A file counts as known while its size, times and inode are those of the manifest. The time of its last change (ctime) and
the inode cannot be set by hand: a file that takes the place of another is noticed even where `cp -p` keeps size and mtime.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from lmptlib.errors import first_line
from lmptlib.paths import cache_folder, write_atomically, writing

# Raise it when an entry or the hash in it means something else.
FORMAT = 1
MANIFEST = "digests.json"


class Entry(NamedTuple):
    """What the manifest says of a file; times in nanoseconds."""

    size: int
    modified: int
    changed: int
    inode: int
    digest: str = ""

    def is_as(self, other: "Entry") -> bool:
        """Whether both are of one file at one state, whatever their digests."""
        return self[:-1] == other[:-1]


def file_digests(paths: Sequence[Path], cache: Path | None = None, log: Callable[[str], None] = print) -> list[str]:
    """A hash of each file's bytes, from the manifest in the cache folder where it knows the file.

    Raises FileNotFoundError for a file that is not there.
    """
    folder = cache_folder(cache)
    entries = _read_manifest(folder, log)
    names = [str(path.absolute()) for path in paths]
    changed = [name for name in names if name not in entries or not entries[name].is_as(_entry(os.stat(name)))]
    if changed:
        entries |= _read_files(changed, folder)
    return [entries[name].digest for name in names]


def verify_digests(paths: Sequence[Path], cache: Path | None = None, log: Callable[[str], None] = print) -> list[str]:
    """Read every file anew; one line for each that is not what the manifest says. The manifest is put right."""
    folder = cache_folder(cache)
    entries = _read_manifest(folder, log)
    problems = []
    for name, found in _read_files([str(path.absolute()) for path in paths], folder).items():
        if name in entries and entries[name].digest != found.digest:
            silent = " though size and times have not" if entries[name].is_as(found) else ""
            problems.append(f"{name}: its bytes have changed since it was read{silent}")
    return problems


def _read_files(names: Iterable[str], folder: Path) -> dict[str, Entry]:
    """The entries of files, which the manifest in `folder` then knows.

    It takes no file that is as new as the reading: a change right after it would leave the same times behind, as the
    clock of a file system ticks slowly.
    """
    began = _clock(folder)
    names = dict.fromkeys(names)
    with ThreadPoolExecutor() as pool:
        found = dict(zip(names, pool.map(_read_file, names)))
    settled = {name: entry for name, entry in found.items() if max(entry.modified, entry.changed) < began}
    with FileLock(folder / f"{MANIFEST}.lock"):
        others = _read_manifest(folder, log=lambda line: None)
        entries = {name: entry for name, entry in others.items() if os.path.exists(name)} | settled
        write_atomically(folder / MANIFEST, json.dumps({"format": FORMAT, "files": entries}).encode())
    return found


def _read_file(name: str) -> Entry:
    with open(name, "rb") as file:
        entry = _entry(os.fstat(file.fileno()))
        digest = hashlib.file_digest(file, _hash)
    return entry._replace(digest=digest.hexdigest())


def digest_of(content: bytes) -> str:
    """The hash of a file's bytes."""
    return _hash(content).hexdigest()


def _hash(content: bytes = b"") -> "hashlib.blake2b":
    return hashlib.blake2b(content, digest_size=16)


def _entry(stat: os.stat_result) -> Entry:
    return Entry(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def _clock(folder: Path) -> int:
    """Now, in nanoseconds, as the file system writes it."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime_ns


def _read_manifest(folder: Path, log: Callable[[str], None]) -> dict[str, Entry]:
    """The entries by absolute path; none, and a line that says so, where the manifest cannot be read."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            return {}
        return {name: Entry._make(fields) for name, fields in content["files"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        log(f"{path}: damaged ({first_line(error)}); the images are read anew")
        return {}
