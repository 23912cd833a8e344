"""`lmpt data download`: lists and photographs of VOC-LT and COCO-LT, only what is missing, and nothing that is not right."""

import os
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pooch
from filelock import FileLock
from pydantic import BaseModel, Field, TypeAdapter

from lmptlib.data.images import read_image
from lmptlib.data.loading import load_dataset
from lmptlib.data.official import list_folders
from lmptlib.data.transfer import Progress, Transfer
from lmptlib.errors import DataError, nearest, read_yaml
from lmptlib.paths import held

WORKERS = 8
# So many images that cannot be had, and the others are not asked for: the server is down.
_TOO_MANY = 10
_DRAFTS = ".download"


class _Source(BaseModel, extra="forbid", frozen=True):
    """hash: None where nobody has published one. bases: below each of these addresses it lies."""

    hash: str | None
    bases: tuple[str, ...] = Field(alias="from")

    def urls(self, name: str, mirrors: Sequence[str]) -> list[str]:
        return [f"{base.rstrip('/')}/{name}" for base in (*mirrors, *self.bases)]


class _File(_Source, frozen=True):
    name: str
    size: int


class _Images(_Source, frozen=True):
    """Images one by one. holds: how their paths begin. image_size: about what one takes, in bytes."""

    holds: str
    image_size: int

    def among(self, images: Iterable[str]) -> list[str]:
        return [image for image in images if image.startswith(self.holds)]


class _Archive(_File, _Images, frozen=True):
    """Images in a .tar or .zip."""


class _Sources(BaseModel, extra="forbid", frozen=True):
    lists: tuple[_File, ...]
    archives: tuple[_Archive, ...]
    images: tuple[_Images, ...] = ()


def read_sources() -> dict[str, _Sources]:
    """What can be fetched, by data set."""
    text = Path(__file__).with_name("downloads.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, _Sources]).validate_python(read_yaml(text))


def download(
    name: str,
    root: Path,
    mirrors: Sequence[str] = (),
    log: Callable[[str], None] = print,
    transfer: Transfer | None = None,
) -> None:
    """Fetch what is missing of a data set below `root`, and say so line by line. mirrors: addresses that are tried first.

    Files that are there, by whatever way, are not fetched: lists, archives with the right checksum, whole JPEGs. Partial
    archives are gone on with. Raises DataError, a line a file, for what no address gives, and ValueError where the disk is
    too small; what has come stays.
    """
    known = read_sources()
    if name not in known:
        raise ValueError(f"no download of '{name}'.{nearest(name, known)}")
    sources = known[name]
    stop = threading.Event()
    transfer = transfer or Transfer(log, pause=lambda seconds: _wait(stop, seconds))
    root.mkdir(parents=True, exist_ok=True)
    drafts = root / _DRAFTS
    with held(FileLock(root / f"{_DRAFTS}.lock"), f"waiting for another download to {root}", log):
        try:
            for file in sources.lists:
                if not any((folder / Path(file.name).name).is_file() for folder in list_folders(name, root)):
                    _place(transfer, file, file.name, root, mirrors, size=file.size)
            dataset = load_dataset(name, root, check_images=False)
            images = [*dataset.train.names, *dataset.test.names]
            missing = [image for image in images if not is_whole(root / image)]
            archives = [archive for archive in sources.archives if archive.among(missing)]
            single = [(source, image) for source in sources.images for image in source.among(missing)]
            found = {archive: _by_hand(archive, root, log) for archive in archives}
            fetched = [archive for archive in archives if not found[archive]]
            log(f"{name}: {len(images) - len(missing):,} of {len(images):,} images are in {root}")
            if missing:
                log(_room([*sources.archives, *sources.images], missing, fetched, root))
            for archive in archives:
                urls = archive.urls(archive.name, mirrors)
                path = found[archive] or transfer.fetch(urls, drafts / archive.name, archive.size, archive.hash)
                log(f"{archive.name}: unpacks {len(archive.among(missing)):,} images")
                _unpack(path, archive.among(missing), drafts / "unpacked", root)
            _fetch_images(single, root, mirrors, transfer, stop, log)
            if others := [image for image in images if not (root / image).is_file()]:
                raise DataError([f"{name}: {image} is in no archive that the lists came with" for image in others])
        except DataError as error:
            hint = "what has come is kept; try again, name a --mirror, or put it there by hand: see data/README.md"
            raise DataError([*error.problems, f"{name}: {hint}"]) from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; what has come is kept, and the same command goes on from there") from None
        shutil.rmtree(drafts, ignore_errors=True)
        log(f"{name}: all {len(images):,} images are in {root}")


def is_whole(path: Path) -> bool:
    """Whether a file begins and ends as a JPEG does. Some have a few more bytes behind the end."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begins = file.read(2) == b"\xff\xd8"
        file.seek(max(2, path.stat().st_size - 1024))
        # Within the coded picture a zero follows every ff, so this is its end.
        return begins and b"\xff\xd9" in file.read()


def _check_jpeg(path: Path) -> None:
    """Raises ValueError, one line, for what is no whole JPEG."""
    if not is_whole(path):
        raise ValueError("not a whole JPEG")
    read_image(path)


def _wait(stop: threading.Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise KeyboardInterrupt


def _room(sources: Sequence[_Images], missing: Sequence[str], fetched: Sequence[_Archive], root: Path) -> str:
    """A line on the disk: what is needed, what is free. Raises ValueError where that is too little."""
    partial = sum(path.stat().st_size for path in (root / _DRAFTS).glob("*") if path.is_file())
    unpacked = sum(source.image_size * len(source.among(missing)) for source in sources)
    needed = max(0, sum(archive.size for archive in fetched) - partial) + unpacked
    free = shutil.disk_usage(root).free
    line = f"{len(missing):,} images are missing: about {needed / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free"
    if needed > free:
        raise ValueError(f"{root}: {line}. Make room, or name another place by --root")
    return line


def _by_hand(archive: _Archive, root: Path, log: Callable[[str], None]) -> Path | None:
    """An archive that somebody put below `root`, where its checksum is right."""
    path = root / archive.name
    if not path.is_file() or not archive.hash:
        return None
    algorithm, _, digest = archive.hash.partition(":")
    if path.stat().st_size == archive.size and pooch.file_hash(str(path), algorithm) == digest:
        return path
    log(f"{path} is not the published file, and is left as it is")
    return None


def _place(
    transfer: Transfer,
    source: _Source,
    name: str,
    root: Path,
    mirrors: Sequence[str],
    size: int | None = None,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Fetch a file aside, and give it its place when it is right."""
    path = transfer.fetch(source.urls(name, mirrors), root / _DRAFTS / name, size, source.hash, check)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    path.replace(root / name)


def _unpack(path: Path, images: Sequence[str], draft: Path, root: Path) -> None:
    """Take some images out of an archive. A kill leaves none half-written: they are moved to their places when all are out."""
    shutil.rmtree(draft, ignore_errors=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for image in set(images) & set(archive.namelist()):
                archive.extract(image, draft)
    else:
        with tarfile.open(path, "r:") as tar:
            members = {os.path.normpath(member.name): member for member in tar if member.isfile()}
            tar.extractall(draft, [members[image] for image in images if image in members], filter="data")
    for image in images:
        if (draft / image).is_file():
            (root / image).parent.mkdir(parents=True, exist_ok=True)
            (draft / image).replace(root / image)


def _fetch_images(
    single: Sequence[tuple[_Images, str]],
    root: Path,
    mirrors: Sequence[str],
    transfer: Transfer,
    stop: threading.Event,
    log: Callable[[str], None],
) -> None:
    """Fetch images side by side. Raises DataError, a line for each that cannot be had, after the others have come."""
    problems: list[str] = []
    progress = Progress(log)
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = [pool.submit(_place, transfer, *job, root, mirrors, check=_check_jpeg) for job in single]
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                try:
                    job.result()
                except DataError as error:
                    problems += error.problems
                progress(f"{done - len(problems):,} of {len(single):,} images")
                if len(problems) >= _TOO_MANY:
                    break
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    if problems:
        raise DataError(problems)
