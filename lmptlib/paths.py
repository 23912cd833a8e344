"""Where the project's files lie, in a checkout or in an installed package."""

import errno
import glob
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").exists() else None


def shipped(name: str) -> Path:
    """A file or folder that comes with the project: `notebooks`, `data/emoji`, ..."""
    return (_CHECKOUT or _PACKAGE / "shipped") / name


def home() -> Path:
    """The folder that holds `data/` and `outputs/`: the checkout, else the current folder."""
    return _CHECKOUT or Path.cwd()


class DiskError(OSError):
    """A folder takes no file, whatever is in it: its disk is full or read-only, or writing there is not allowed."""


# Why a folder takes no file, whatever is in it.
_REFUSED = {
    errno.ENOSPC: "the disk is full: make room, or give another folder; what is finished stays",
    errno.EDQUOT: "the quota is used up: make room, or give another folder; what is finished stays",
    errno.EROFS: "the disk is read-only: give another folder",
    errno.EACCES: "writing is not allowed: give another folder",
    errno.EPERM: "writing is not allowed: give another folder",
}


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """While it is entered, a folder that takes no file raises DiskError, one line: which, why, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise DiskError(f"{folder}: {_REFUSED[error.errno]}") from error


def check_writable(folder: Path) -> None:
    """Make a folder, and a file in it that vanishes. Raises DiskError."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"lmptlib")


def check_room(folder: Path, size: int) -> None:
    """Raises DiskError where a folder's disk has no room for a file of `size` bytes."""
    if (free := shutil.disk_usage(folder).free) < size:
        raise DiskError(f"{folder}: a file of {size / 1e9:.1f} GB, and the disk has {free / 1e9:.1f} GB: make room")


def take_room(path: Path) -> None:
    """Take the disk's room for all of a file that has its size already. Raises DiskError.

    A mapped file that finds its disk full when it is written ends the process, without a word.
    """
    # macOS has no such call
    if hasattr(os, "posix_fallocate"):
        with writing(path.parent), path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that it is never seen half-written: whoever reads, even after a kill, finds the old one or the new.

    Two processes may write it at once; the later one stays. The folder is made where it is missing. Raises DiskError.
    """
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.draft"):
        # What a killed process left behind. No write takes an hour.
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > 3600:
                left.unlink()
    draft = path.with_name(f".{path.name}.{uuid4().hex}.draft")
    try:
        with writing(path.parent):
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """A draft folder that takes the place of `folder` when the block ends well, and vanishes when it does not.

    A folder is replaced by two renames, and a kill between them leaves neither the old nor the new one: for what can be
    made again, and by one process at a time.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".draft-") as space:
        draft, old = Path(space) / "draft", Path(space) / "old"
        draft.mkdir()
        yield draft
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)


@contextmanager
def held(lock: FileLock, waiting: str, log: Callable[[str], None]) -> Iterator[None]:
    """While it is entered, this process has the lock. One that another process has is waited for, and the line `waiting` logged.

    The folder is made where it is missing. Raises DiskError.
    """
    folder = Path(lock.lock_file).parent
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log(waiting)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def from_home(path: str | Path) -> Path:
    """A path, with the home folder of a user for `~`. Raises ValueError, one line, where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"{path}: there is no home folder of that user") from None


def outputs_folder(out: str | Path | None = None) -> Path:
    """The folder that holds the runs: `out`, or `outputs/`."""
    return Path(out) if out else home() / "outputs"


def cache_folder(cache: str | Path | None = None, out: str | Path | None = None) -> Path:
    """The folder that keeps features and digests from one run to the next: `cache`, else below `out`, else `data/cache/`."""
    if cache:
        return Path(cache)
    return Path(out) / "cache" if out else home() / "data" / "cache"


def safe_name(text: str) -> str:
    """A text as a file name: everything but letters, digits, `.`, `-` and `_` becomes `_`, and so does a leading `.`.

    One of more than 200 bytes, which a file system may refuse, is cut, and ends with a hash of the whole.

    >>> from lmptlib.paths import safe_name
    >>> safe_name("../own data")
    '_._own_data'
    """
    name = re.sub(r"^\.|[^\w.-]+", "_", text)
    if len(name.encode()) <= 200:
        return name
    return f"{name.encode()[:180].decode(errors='ignore')}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
