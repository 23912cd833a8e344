"""Frozen features, computed once and kept on disk: of whole images, of crops, of captions.

Both encoders are frozen and the only augmentation is a flip, so a feature depends on the weights, the preprocessing and
the file alone. A cache is keyed by all three: a changed image, list or weight is never served from an old one. A cache
file is written whole or not at all; one that is damaged all the same is computed anew.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor

from lmptlib.clip.encoding import Count, encode_images
from lmptlib.clip.extraction import EXACT, Extraction
from lmptlib.clip.model import Clip
from lmptlib.clip.parts import PART, Parts, load_part, store_part
from lmptlib.clip.progress import Progress
from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.images import READING
from lmptlib.paths import cache_folder, held, write_atomically

# Raise it when the same file, weights and preprocessing give other features than before: when an image is flipped
# otherwise, a caption is cut otherwise, or what a cache file holds changes. Old files are then not found. (What is raised
# when an image is opened otherwise is READING.)
FORMAT = 1
# The crops beside the whole image that make up its views: grids of boxes, (share of each side, boxes along each side).
VIEWS: dict[int, tuple[tuple[float, int], ...]] = {1: (), 5: ((0.6, 2),), 14: ((0.6, 2), (0.4, 3))}


class Towers(NamedTuple):
    """What the features of a CLIP are kept under, where it is not open itself."""

    fingerprint: str
    device: str


@dataclass(frozen=True)
class Stretch:
    """Images of a split, one behind the other, or captions of such, whose features one file of the cache holds.

    kind: `plain`, `flipped` (plain ones, too) or `captions`. split: these rows alone. content: digests of the images, or the
    captions. extraction: how they are made and kept.
    """

    kind: str
    split: Split
    content: tuple[str, ...]
    extraction: Extraction = EXACT

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the tensors in its file."""
        return ("plain", "flipped") if self.kind == "flipped" else (self.kind,)

    def __len__(self) -> int:
        return len(self.content)


@dataclass(frozen=True)
class Features:
    """Unit features of a data set: images plain (N, D) and flipped (N, D, training only), captions (N, D) or None."""

    train: Tensor
    train_flipped: Tensor
    test: Tensor
    val: Tensor | None
    captions: Tensor | None


def extract(
    clip: Clip, dataset: Dataset, captions: bool = True, cache: Path | None = None, log: Callable = print
) -> Features:
    """The features of a data set, from the cache folder (default `data/cache/`) where it holds them.

    Raises DataError for an undecodable image, ValueError for features that are not finite.
    """
    train = image_features(clip, dataset.train, True, cache, log)
    test = image_features(clip, dataset.test, False, cache, log)
    val = image_features(clip, dataset.val, False, cache, log)["plain"] if dataset.val else None
    texts = caption_features(clip, dataset.train, cache, log) if captions and dataset.train.captions else None
    return Features(train["plain"], train["flipped"], test["plain"], val, texts)


def image_features(
    clip: Clip, split: Split, flipped: bool, cache: Path | None = None, log: Callable = print, how: Extraction = EXACT
) -> dict[str, Tensor]:
    """`plain` and, where asked for, `flipped` features (N, D) of a split's images, float32 on the CPU."""
    return {name: parts.whole() for name, parts in image_parts(clip, split, flipped, cache, log, how).items()}


def image_parts(
    clip: Clip, split: Split, flipped: bool, cache: Path | None = None, log: Callable = print, how: Extraction = EXACT
) -> dict[str, Parts]:
    """`image_features`, mapped into memory: what is read of them comes from the disk then.

    Parts that the cache folder does not hold, or holds damaged, are computed, they alone. how: as they are made and kept;
    each way has files of its own. Raises DataError naming every image of the split that cannot be decoded.
    """
    stretches = image_stretches(split, flipped, cache, how)
    return _parts(clip, stretches, split, f"image features of {split.source.name}", "images", cache, log)


def caption_features(
    clip: Clip, split: Split, cache: Path | None = None, log: Callable = print, how: Extraction = EXACT
) -> Tensor:
    """Features (N, D) of a split's captions, float32 on the CPU."""
    return caption_parts(clip, split, cache, log, how).whole()


def caption_parts(
    clip: Clip, split: Split, cache: Path | None = None, log: Callable = print, how: Extraction = EXACT
) -> Parts:
    """`caption_features`, mapped into memory."""
    return _parts(clip, caption_stretches(split, how), split, "caption features", "captions", cache, log)["captions"]


def image_stretches(split: Split, flipped: bool, cache: Path | None = None, how: Extraction = EXACT) -> list[Stretch]:
    """The images of a split, PART in a stretch; those that were fetched from a pool in stretches of their own."""
    digests = split.digests(cache)
    left = iter([digests[i] for i in np.argsort(~split.listed, kind="stable")])
    return [
        Stretch("flipped" if flipped else "plain", images, tuple(next(left) for _ in range(len(images))), how)
        for images in chain.from_iterable(map(_stretched, split.parts()))
    ]


def caption_stretches(split: Split, how: Extraction = EXACT) -> list[Stretch]:
    """The captions of a split, PART in a stretch."""
    return [Stretch("captions", images, images.captions or (), how) for images in _stretched(split)]


def _stretched(split: Split) -> list[Split]:
    rows = np.arange(len(split))
    return [split] if len(split) <= PART else [split.rows(rows[i : i + PART]) for i in range(0, len(split), PART)]


def part_path(cache: Path | None, clip: Clip | Towers, stretch: Stretch) -> Path:
    """Where the features of a stretch lie."""
    return cache_folder(cache) / f"{_key(clip, _content([stretch]))}.safetensors"


def _content(stretches: Sequence[Stretch]) -> list[str]:
    """What decides the features of stretches of one kind, beside the towers."""
    kind = stretches[0].kind
    head = kind if kind == "captions" else f"{kind}, reading {READING}"
    return [head + stretches[0].extraction.marks(kind), *chain.from_iterable(stretch.content for stretch in stretches)]


def _parts(
    clip: Clip, stretches: Sequence[Stretch], split: Split, label: str, unit: str, cache: Path | None, log: Callable
) -> dict[str, Parts]:
    """The features of stretches that make up a split, by name; those that are missing are computed."""
    paths = [part_path(cache, clip, stretch) for stretch in stretches]
    found = [load_part(path, stretch.names, len(stretch), log) for path, stretch in zip(paths, stretches)]
    missing = [i for i, part in enumerate(found) if part is None]
    progress = Progress(label, sum(len(stretches[i]) for i in missing), log, unit)
    for i in missing:
        found[i] = make_part(clip, stretches[i], paths[i], progress.add, split, log)
    if missing:
        progress.end()
    write_index(cache, clip, stretches)
    return {name: Parts([part[name] for part in found if part]) for name in stretches[0].names}


def make_part(
    clip: Clip, stretch: Stretch, path: Path, count: Count, split: Split | None = None, log: Callable = print
) -> dict[str, Tensor]:
    """The features of a stretch, by name, computed and mapped from its file. Where another process computes them already it
    is waited for, after a line.

    Raises DiskError, and DataError naming every image that cannot be decoded, of `split` where it is given, else of the stretch.
    """

    def load() -> dict[str, Tensor] | None:
        return load_part(path, stretch.names, len(stretch), log=lambda line: None)

    lock = path.with_suffix(".lock")
    with held(FileLock(lock), f"waiting for another process that computes {path}", log):
        try:
            found = load()
            if not found:
                store_part(stretch.extraction.packed(encode_stretch(clip, stretch, count, split)), path)
                found = load()
        finally:
            # whoever waits for it looks for the part before anything else
            lock.unlink(missing_ok=True)
    if not found:
        raise OSError(f"{path}: it was written, and cannot be read")
    return found


def encode_stretch(clip: Clip, stretch: Stretch, count: Count, split: Split | None = None) -> dict[str, Tensor]:
    """The features (n, D) of a stretch by name, computed. Raises DataError as `make_part` does."""
    if stretch.kind == "captions":
        return {"captions": _encode_texts(clip, stretch.content, count)}

    def pictures(image: Image.Image) -> Tensor:
        pixels = clip.preprocess(image)
        return torch.stack([pixels, pixels.flip(-1)][: len(stretch.names)])

    least = stretch.extraction.least(clip)
    found = encode_images(clip, stretch.split, pictures, count, stretch.content, split, least)
    return {name: part.clone() for name, part in zip(stretch.names, found)}


def write_index(cache: Path | None, clip: Clip | Towers, stretches: Sequence[Stretch]) -> Path | None:
    """Name the parts of a split, where there are several, in order, in a JSON file for whoever reads them with other tools."""
    if len(stretches) == 1:
        return None
    parts = [{"file": part_path(cache, clip, stretch).name, "rows": len(stretch)} for stretch in stretches]
    index = {"tensors": stretches[0].names, "rows": sum(map(len, stretches)), "parts": parts}
    path = cache_folder(cache) / f"{_key(clip, _content(stretches))}.json"
    content = json.dumps(index, indent=1).encode()
    with suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return path
    write_atomically(path, content)
    return path


def live_features(clip: Clip, split: Split) -> Tensor:
    """Features (N, D) of a split's images by towers that are still moving: computed each time, and kept nowhere."""

    def pictures(image: Image.Image) -> Tensor:
        return clip.preprocess(image)[None]

    return encode_images(clip, split, pictures, count=lambda n: None)[0].clone()


def crop_features(
    clip: Clip, split: Split, views: int, cache: Path | None = None, log: Callable = print, how: Extraction = EXACT
) -> Tensor:
    """Features (N, V, D) of the crops that make up the views beside the whole image, row by row, float32 on the CPU.

    views: 5 (V = 4, boxes of 0.6 of each side in the corners) or 14 (V = 13, and boxes of 0.4 in three rows of three), cut
    from the upright image. What has to be computed is told before, in passes of the image tower.
    """
    if len(parts := split.parts()) > 1:
        return torch.cat([crop_features(clip, part, views, cache, log, how) for part in parts])
    return torch.cat([_grid_features(clip, split, *grid, cache, log, how) for grid in VIEWS[views]], dim=1)


def pictures_of(image: Image.Image, views: int, preprocess: Callable[[Image.Image], Tensor]) -> Tensor:
    """An image as all its views are shown to the tower, (views, 3, H, W): the whole, then its crops."""
    crops = [image.crop(box) for grid in VIEWS[views] for box in boxes(image.size, *grid)]
    return torch.stack([preprocess(picture) for picture in (image, *crops)])


def boxes(size: tuple[int, int], share: float, along: int) -> list[tuple[int, int, int, int]]:
    """Boxes (left, upper, right, lower) of `share` of each side of an image of `size`, `along` by `along`, row by row.

    >>> from lmptlib.clip.features import boxes
    >>> boxes((100, 50), share=0.6, along=2)
    [(0, 0, 60, 30), (40, 0, 100, 30), (0, 20, 60, 50), (40, 20, 100, 50)]
    """
    width, height = (max(1, round(share * side)) for side in size)
    corners = [
        (round((size[0] - width) * column / (along - 1)), round((size[1] - height) * row / (along - 1)))
        for row in range(along)
        for column in range(along)
    ]
    return [(left, upper, left + width, upper + height) for left, upper in corners]


def _grid_features(
    clip: Clip, split: Split, share: float, along: int, cache: Path | None, log: Callable, how: Extraction
) -> Tensor:
    """Features (N, V, D) of one grid of boxes."""
    digests = split.digests(cache)
    key = _key(clip, [f"crops {share} {along}, reading {READING}{how.marks('crops')}", *digests])
    path = cache_folder(cache) / f"{key}.safetensors"
    stored = load_part(path, ("crops",), len(split), log)
    if stored:
        return stored["crops"].float()

    def pictures(image: Image.Image) -> Tensor:
        return torch.stack([clip.preprocess(image.crop(box)) for box in boxes(image.size, share, along)])

    log(f"crops of {split.source.name}: {along**2} an image, {len(split) * along**2:,} passes of the image tower")
    progress = Progress(f"crops of {split.source.name}", len(split), log)
    found = encode_images(clip, split, pictures, progress.add, digests).transpose(0, 1).contiguous()
    progress.end()
    kept = how.packed({"crops": found})
    store_part(kept, path)
    return kept["crops"].float()


def _encode_texts(clip: Clip, texts: Sequence[str], count: Count) -> Tensor:
    """Features (N, D) of texts, on the CPU."""
    parts = []
    for start in range(0, len(texts), 256):
        parts.append(clip.encode_texts(list(texts[start : start + 256])).cpu())
        count(len(parts[-1]))
    return torch.cat(parts)


def _key(clip: Clip | Towers, content: list[str]) -> str:
    """Under which name the features of this content lie. open_clip and torchvision preprocess and encode: theirs are in it."""
    import open_clip
    import torchvision

    versions = [FORMAT, open_clip.__version__, torchvision.__version__]
    return hashlib.sha256(repr([versions, clip.fingerprint, clip.device, content]).encode()).hexdigest()[:32]
