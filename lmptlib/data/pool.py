"""A pool: unlabelled images, in a folder and the folders below it, from which rare classes are enriched."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from lmptlib.data import emoji_pool
from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.formats.files import files_below, is_hidden, is_picture
from lmptlib.data.images import READING, open_image
from lmptlib.errors import DataError, few
from lmptlib.paths import cache_folder, from_home, home, write_atomically

# The pool that is drawn at first use.
DRAWN = "emoji"
# Pixels of a thumbnail's side.
_SIDE = 8
# Root mean square of the differences of two thumbnails, of 255, up to which they are of one picture, and of a picture's own
# deviation. Measured: at most 2.8 for a picture saved anew as a JPEG of quality 40, or scaled by a half and saved so; 15 and
# more between 3,000 drawn scenes of the pool and those of the data, 20 between 600 photographs of a pool and 1,500 of VOC. What is
# nearly of one colour, as a page of text, has to be nearer.
_SAME, _SAME_SHARE = 5.0, 0.2
# What decides which pictures of a pool are left out; another one makes other runs.
COMPARING = repr((READING, _SIDE, _SAME, _SAME_SHARE))


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

    Pictures are compared as thumbnails of what a viewer shows: one that was scaled, compressed or saved anew is the same,
    one that was cropped, turned or mirrored is not (ours).
    """
    pictures = thumbnails(pool, cache)
    readable = np.isfinite(pictures).all(1)
    known = np.concatenate([thumbnails(split, cache) for split in dataset.splits.values()])
    held, twice = readable & _are_among(known, pictures), np.zeros(len(pool), bool)
    rest = np.flatnonzero(readable & ~held)
    twice[rest[_came_before(pictures[rest])]] = True
    kinds = {"cannot be read": ~readable, f"are images of {dataset.name}": held, "are there twice": twice}
    notes = [
        f"pool {pool.source}: {images.sum():,} of {len(pool):,} files {what}, left out: "
        f"{few([pool.names[i] for i in np.flatnonzero(images)])}"
        for what, images in kinds.items()
        if images.any()
    ]
    return pool.rows(np.flatnonzero(readable & ~held & ~twice)), notes


def thumbnails(split: Split, cache: Path | None = None) -> np.ndarray:
    """What each image shows, in few pixels, (N, 192), NaN where it cannot be read; their Euclidean distances are root mean
    squares, of 255. Files that the cache folder knows are not decoded."""
    content = repr([READING, _SIDE, *split.digests(cache)])
    path = cache_folder(cache) / f"pictures-{hashlib.sha256(content.encode()).hexdigest()[:32]}.npy"
    try:
        return np.load(path)
    except (FileNotFoundError, ValueError, EOFError):
        with ThreadPoolExecutor() as threads:
            found = np.array(list(threads.map(_thumbnail, split.paths)), np.float32).reshape(-1, 3 * _SIDE**2)
        written = io.BytesIO()
        np.save(written, found)
        write_atomically(path, written.getvalue())
        return found


def _thumbnail(path: Path) -> np.ndarray:
    try:
        image = open_image(path)
    except ValueError:
        return np.full(3 * _SIDE**2, np.nan)
    pixels = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), float)
    return pixels.ravel() / np.sqrt(pixels.size)


def _are_among(known: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Whether each picture is one of the known, (N,) bool; what could not be read is like nothing."""
    known, readable = known[np.isfinite(known).all(1)], np.isfinite(pictures).all(1)
    found = np.zeros(len(pictures), bool)
    if len(known) and readable.any():
        away, _ = cKDTree(known).query(pictures[readable], distance_upper_bound=_SAME, workers=-1)
        found[readable] = away <= _nearness(pictures[readable])
    return found


def _came_before(pictures: np.ndarray) -> np.ndarray:
    """Which pictures, (N,) bool, one before them is the same as."""
    distinct, first, which = np.unique(pictures, axis=0, return_index=True, return_inverse=True)
    again = np.arange(len(pictures)) != first[which.ravel()]
    if len(distinct):
        i, j = cKDTree(distinct).query_pairs(_SAME, output_type="ndarray").T
        near = np.linalg.norm(distinct[i] - distinct[j], axis=1) <= np.minimum(
            _nearness(distinct[i]), _nearness(distinct[j])
        )
        again[np.maximum(first[i], first[j])[near]] = True
    return again


def _nearness(pictures: np.ndarray) -> np.ndarray:
    """How far another may be from each picture (N, 192), and is the same."""
    deviations = pictures.std(1) * np.sqrt(pictures.shape[1])
    return np.minimum(_SAME, _SAME_SHARE * deviations)
