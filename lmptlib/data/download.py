"""`lmpt data download`: lists and photographs of VOC-LT and COCO-LT, only what is missing, and nothing that is not right."""

import hashlib
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
from lmptlib.data.rebuilding import rebuild_voc_lt
from lmptlib.data.transfer import Progress, Transfer
from lmptlib.errors import DataError, nearest, read_yaml
from lmptlib.paths import held, write_atomically

WORKERS = 8
# So many images that cannot be had, and the others are not asked for: the server is down.
_TOO_MANY = 10
_DRAFTS = ".download"
# VOC's annotations take so many bytes on a disk.
_ANNOTATIONS = 100_000_000


class _Source(BaseModel, extra="forbid", frozen=True):
    """hash: None where nobody has published one. bases: below each of these addresses it lies."""

    hash: str | None
    bases: tuple[str, ...] = Field(alias="from")

    def urls(self, name: str, mirrors: Sequence[str]) -> list[str]:
        return [f"{base.rstrip('/')}/{name}" for base in (*mirrors, *self.bases)]


class _File(_Source, frozen=True):
    """rebuilt: of a list the hash of what annotations give in its place; None where they give none."""

    name: str
    size: int
    rebuilt: str | None = None


class _Images(_Source, frozen=True):
    """Images one by one. holds: how their paths begin. image_size: about what one takes, in bytes."""

    holds: str
    image_size: int

    def among(self, images: Iterable[str]) -> list[str]:
        return [image for image in images if image.startswith(self.holds)]


class _Archive(_File, _Images, frozen=True):
    """Images in a .tar or .zip. annotations: how the paths of what lists are made of begin."""

    annotations: tuple[str, ...] = ()

    def is_annotation(self, file: str) -> bool:
        return file.startswith(self.annotations)


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
    rebuild: bool = False,
) -> None:
    """Fetch what is missing of a data set below `root`, and say so line by line. mirrors: addresses that are tried first.

    Files that are there, by whatever way, are not fetched: lists, archives with the right checksum, whole JPEGs. Partial
    archives are gone on with. VOC-LT's lists are made of VOC's annotations where they cannot be had, or where `rebuild` says
    so: the same images with the same labels, or none. Raises DataError, a line a file, for what no address gives, and
    ValueError where the disk is too small; what has come stays.
    """
    known = read_sources()
    if name not in known:
        raise ValueError(f"no download of '{name}'.{nearest(name, known)}")
    sources = known[name]
    if rebuild and not _can_rebuild(sources):
        raise ValueError(f"the lists of {name} cannot be rebuilt, those of voc-lt can")
    stop = threading.Event()
    transfer = transfer or Transfer(log, pause=lambda seconds: _wait(stop, seconds))
    root.mkdir(parents=True, exist_ok=True)
    drafts = root / _DRAFTS
    with held(FileLock(root / f"{_DRAFTS}.lock"), f"waiting for another download to {root}", log):
        try:
            missing_lists = [
                file
                for file in sources.lists
                if not any((folder / Path(file.name).name).is_file() for folder in list_folders(name, root))
            ]
            problems = [] if rebuild else _fetch_lists(missing_lists, root, mirrors, transfer, _can_rebuild(sources))
            if problems or rebuild:
                left = [file for file in missing_lists if not (root / file.name).is_file()]
                _rebuild(left, problems, sources, root, mirrors, transfer, log)
            dataset = load_dataset(name, root, check_images=False)
            images = [*dataset.train.names, *dataset.test.names]
            missing = [image for image in images if not is_whole(root / image)]
            archives = [archive for archive in sources.archives if archive.among(missing)]
            single = [(source, image) for source in sources.images for image in source.among(missing)]
            log(f"{name}: {len(images) - len(missing):,} of {len(images):,} images are in {root}")
            found = {archive: _by_hand(archive, root, log) for archive in archives}
            if missing:
                every = [*sources.archives, *sources.images]
                unpacked = sum(source.image_size * len(source.among(missing)) for source in every)
                log(_room(f"{len(missing):,} images are missing", unpacked, found, root))
            for archive, by_hand in found.items():
                path = by_hand or _fetch_archive(archive, root, mirrors, transfer)
                log(f"{archive.name}: unpacks {len(archive.among(missing)):,} images")
                _unpack(path, set(archive.among(missing)).__contains__, drafts / "unpacked", root)
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


def _can_rebuild(sources: _Sources) -> bool:
    return any(file.rebuilt for file in sources.lists)


def _fetch_lists(
    lists: Sequence[_File], root: Path, mirrors: Sequence[str], transfer: Transfer, optional: bool
) -> list[str]:
    """Fetch lists; why one of them cannot be had, where they are optional: the others are not asked for then."""
    for file in lists:
        try:
            _place(transfer, file, file.name, root, mirrors, size=file.size)
        except DataError as error:
            if not optional:
                raise
            return error.problems
    return []


def _rebuild(
    lists: Sequence[_File],
    problems: Sequence[str],
    sources: _Sources,
    root: Path,
    mirrors: Sequence[str],
    transfer: Transfer,
    log: Callable[[str], None],
) -> None:
    """Make lists of the archives' annotations, and say so. problems: why the lists cannot be had.

    Raises DataError where annotations cannot be had either, or give other lists.
    """
    for problem in problems:
        log(problem)
    if any(file.rebuilt for file in lists):
        log("the lists are made of VOC's annotations")
        try:
            made = _from_annotations(sources, root, mirrors, transfer, log)
        except DataError as error:
            raise DataError([*problems, *error.problems]) from None
    for file in lists:
        if not file.rebuilt:
            log(f"{file.name} is not there: 'lmpt data caption' makes captions, or download again to ask for it")
            continue
        content = made[Path(file.name).name].encode()
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != file.rebuilt:
            what = "made of VOC's annotations it would not have the published images and labels; not written"
            raise DataError([*problems, f"{file.name}: {what}"])
        write_atomically(root / file.name, content)
        log(f"{file.name}: made of VOC's annotations, with the images and labels of the published list")


def _from_annotations(
    sources: _Sources, root: Path, mirrors: Sequence[str], transfer: Transfer, log: Callable[[str], None]
) -> dict[str, str]:
    """`rebuild_voc_lt` with the annotations that lie below `root`, or those of the archives. Raises DataError."""
    try:
        return rebuild_voc_lt(root)
    except DataError as error:
        log(f"{error.problems[0]}: they are taken out of the archives")
    found = {archive: _by_hand(archive, root, log) for archive in sources.archives}
    log(_room("VOC's annotations are missing", _ANNOTATIONS, found, root))
    for archive, by_hand in found.items():
        path = by_hand or _fetch_archive(archive, root, mirrors, transfer)
        _unpack(path, archive.is_annotation, root / _DRAFTS / "unpacked", root)
    return rebuild_voc_lt(root)


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


def _room(what: str, unpacked: int, archives: dict[_Archive, Path | None], root: Path) -> str:
    """A line on the disk: what is needed, what is free. Raises ValueError where that is too little.

    what: is missing. unpacked: bytes that it takes. archives: with the place of those that are there.
    """
    partial = sum(path.stat().st_size for path in (root / _DRAFTS).glob("*") if path.is_file())
    fetched = sum(archive.size for archive, by_hand in archives.items() if not by_hand)
    needed = max(0, fetched - partial) + unpacked
    free = shutil.disk_usage(root).free
    line = f"{what}: about {needed / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free"
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


def _fetch_archive(archive: _Archive, root: Path, mirrors: Sequence[str], transfer: Transfer) -> Path:
    urls = archive.urls(archive.name, mirrors)
    return transfer.fetch(urls, root / _DRAFTS / archive.name, archive.size, archive.hash)


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


def _unpack(path: Path, wanted: Callable[[str], bool], draft: Path, root: Path) -> None:
    """Take some files out of an archive. A kill leaves none half-written: they are moved to their places when all are out."""
    shutil.rmtree(draft, ignore_errors=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in filter(wanted, archive.namelist()):
                archive.extract(name, draft)
    else:
        with tarfile.open(path, "r:") as tar:
            members = [member for member in tar if member.isfile() and wanted(os.path.normpath(member.name))]
            tar.extractall(draft, members, filter="data")
    for file in list(draft.rglob("*")):
        if file.is_file():
            place = root / file.relative_to(draft)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)


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
