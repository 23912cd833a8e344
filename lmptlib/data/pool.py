"""A pool: unlabelled images, in a folder and the folders below it, from which rare classes are enriched."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lmptlib.data import emoji_pool
from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.formats.files import files_below, is_hidden, is_picture
from lmptlib.data.images import READING, open_image
from lmptlib.errors import DataError, few
from lmptlib.paths import cache_folder, from_home, home, write_atomically

# The pool that is drawn at first use.
DRAWN = "emoji"
# Raise it when a picture's digest is made otherwise.
_FORMAT = 1


def pool_folder(pool: str, data_root: str | Path | None = None) -> Path:
    """Where the images of a pool lie: `emoji`, drawn at first use, or the folder of that path."""
    if pool == DRAWN:
        return emoji_pool.write_emoji_pool(Path(data_root or home() / "data") / emoji_pool.NAME)
    return from_home(pool)


def read_pool(pool: str, data_root: str | Path | None = None) -> Split:
    """The images of a pool, without labels, by their paths below its folder; hidden ones are left out. Raises DataError."""
    folder = pool_folder(pool, data_root)
    if not folder.is_dir():
        raise DataError([f"tackle: {folder} is not a folder: give one of images, or '{DRAWN}'"])
    names = tuple(name for name in files_below(folder) if is_picture(name) and not is_hidden(name))
    if not names:
        raise DataError([f"tackle: no image in {folder}"])
    paths = tuple(folder / name for name in names)
    return Split(folder, names, names, paths, np.zeros((len(names), 0), bool))


def usable(pool: Split, dataset: Dataset, cache: Path | None = None) -> tuple[Split, list[str]]:
    """The images of a pool that can be read and that a data set does not have, each picture once; notes on the others.

    Pictures are compared as they are decoded: one that was saved anew without loss is the same, one that was scaled or
    compressed again is not.
    """
    digests = picture_digests(pool, cache)
    held = {digest for split in dataset.splits.values() for digest in picture_digests(split, cache)}
    first = {digest: image for image, digest in reversed(list(enumerate(digests)))}
    kinds = {
        "cannot be read": [i for i, digest in enumerate(digests) if not digest],
        f"are images of {dataset.name}": [i for i, digest in enumerate(digests) if digest and digest in held],
    }
    left_out = {image for images in kinds.values() for image in images}
    kinds["are there twice"] = [i for i, digest in enumerate(digests) if i not in left_out and first[digest] != i]
    left_out.update(kinds["are there twice"])
    notes = [
        f"pool {pool.source}: {len(images):,} of {len(pool):,} files {what}, left out: {few([pool.names[i] for i in images])}"
        for what, images in kinds.items()
        if images
    ]
    return pool.rows(np.array([i for i in range(len(pool)) if i not in left_out], int)), notes


def picture_digests(split: Split, cache: Path | None = None) -> list[str]:
    """A hash of what each image shows, decoded; empty where it cannot be. Files that the cache folder knows are not decoded."""
    content = repr([_FORMAT, READING, *split.digests(cache)])
    path = cache_folder(cache) / f"pictures-{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        with ThreadPoolExecutor() as threads:
            found = list(threads.map(_picture_digest, split.paths))
        write_atomically(path, json.dumps(found).encode())
        return found


def _picture_digest(path: Path) -> str:
    try:
        image = open_image(path)
    except ValueError:
        return ""
    return hashlib.blake2b(repr(image.size).encode() + image.tobytes(), digest_size=16).hexdigest()
