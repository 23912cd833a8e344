"""Frozen features, computed once and kept on disk: of whole images, of crops, of captions.

Both encoders are frozen and the only augmentation is a flip, so a feature depends on the weights, the preprocessing and
the file alone. A cache is keyed by all three: a changed image, list or weight is never served from an old one. A cache
file is written whole or not at all; one that is damaged all the same is computed anew.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
import torchvision
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lmptlib.clip.model import Clip
from lmptlib.data.checks import decode_all
from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.images import READING, open_image
from lmptlib.errors import DataError, first_line
from lmptlib.paths import cache_folder, write_atomically

# Raise it when the same file, weights and preprocessing give other features than before: when an image is flipped
# otherwise, a caption is cut otherwise, or what a cache file holds changes. Old files are then not found. (What is raised
# when an image is opened otherwise is READING.)
FORMAT = 1
# The crops beside the whole image that make up its views: grids of boxes, (share of each side, boxes along each side).
VIEWS: dict[int, tuple[tuple[float, int], ...]] = {1: (), 5: ((0.6, 2),), 14: ((0.6, 2), (0.4, 3))}


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
    clip: Clip, split: Split, flipped: bool, cache: Path | None = None, log: Callable = print
) -> dict[str, Tensor]:
    """`plain` and, where asked for, `flipped` features (N, D) of a split's images, on the CPU."""
    if len(parts := split.parts()) > 1:
        of_parts = [image_features(clip, part, flipped, cache, log) for part in parts]
        return {name: torch.cat([found[name] for found in of_parts]) for name in of_parts[0]}
    names = ("plain", "flipped") if flipped else ("plain",)
    path = _cache_path(cache, clip, [f"{names[-1]}, reading {READING}", *split.digests(cache)])
    stored = _load(path, names, len(split), log)
    if stored:
        return stored

    def pictures(image: Image.Image) -> Tensor:
        pixels = clip.preprocess(image)
        return torch.stack([pixels, pixels.flip(-1)][: len(names)])

    found = _encode(clip, split, pictures, f"image features of {split.source.name}", log)
    return _store({name: part.clone() for name, part in zip(names, found)}, path)


def live_features(clip: Clip, split: Split) -> Tensor:
    """Features (N, D) of a split's images by towers that are still moving: computed each time, and kept nowhere."""

    def pictures(image: Image.Image) -> Tensor:
        return clip.preprocess(image)[None]

    return _encode(clip, split, pictures, "", lambda line: None)[0].clone()


def crop_features(clip: Clip, split: Split, views: int, cache: Path | None = None, log: Callable = print) -> Tensor:
    """Features (N, V, D) of the crops that make up the views beside the whole image, row by row, on the CPU.

    views: 5 (V = 4, boxes of 0.6 of each side in the corners) or 14 (V = 13, and boxes of 0.4 in three rows of three), cut
    from the upright image. What has to be computed is told before, in passes of the image tower.
    """
    if len(parts := split.parts()) > 1:
        return torch.cat([crop_features(clip, part, views, cache, log) for part in parts])
    return torch.cat([_grid_features(clip, split, *grid, cache, log) for grid in VIEWS[views]], dim=1)


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


def _grid_features(clip: Clip, split: Split, share: float, along: int, cache: Path | None, log: Callable) -> Tensor:
    """Features (N, V, D) of one grid of boxes."""
    path = _cache_path(cache, clip, [f"crops {share} {along}, reading {READING}", *split.digests(cache)])
    stored = _load(path, ("crops",), len(split), log)
    if stored:
        return stored["crops"]

    def pictures(image: Image.Image) -> Tensor:
        return torch.stack([clip.preprocess(image.crop(box)) for box in boxes(image.size, share, along)])

    log(f"crops of {split.source.name}: {along**2} an image, {len(split) * along**2:,} passes of the image tower")
    found = _encode(clip, split, pictures, f"crops of {split.source.name}", log)
    return _store({"crops": found.transpose(0, 1).contiguous()}, path)["crops"]


def _encode(clip: Clip, split: Split, pictures: Callable[[Image.Image], Tensor], label: str, log: Callable) -> Tensor:
    """Features (V, N, D) of the V pictures (V, 3, H, W) that are made of each image.

    Raises DataError naming every image that cannot be decoded.
    """

    def load(path: Path) -> Tensor:
        return pictures(open_image(path))

    parts: list[Tensor] = []
    # On a CPU small batches stay in its caches: twice as fast.
    size = 64 if clip.device == "cuda" else 8
    with ThreadPoolExecutor() as pool:
        for batch in _progress(_batches(split.paths, size), len(split), label, log):
            try:
                pixels = torch.stack(list(pool.map(load, batch)), dim=1)
            except ValueError as error:
                # Every undecodable image at once, with its line.
                raise DataError(decode_all(split)[0] or [f"{split.source}: {error}"]) from error
            parts.append(torch.stack([clip.encode_images(view).cpu() for view in pixels]))
    return torch.cat(parts, dim=1)


def caption_features(clip: Clip, split: Split, cache: Path | None = None, log: Callable = print) -> Tensor:
    """Features (N, D) of a split's captions, on the CPU."""
    captions = list(split.captions or ())
    path = _cache_path(cache, clip, ["captions", *captions])
    stored = _load(path, ("captions",), len(split), log)
    if stored:
        return stored["captions"]
    batches = _progress(_batches(captions, 256), len(split), "caption features", log)
    parts = [clip.encode_texts(list(batch)).cpu() for batch in batches]
    return _store({"captions": torch.cat(parts)}, path)["captions"]


def _cache_path(cache: Path | None, clip: Clip, content: list[str]) -> Path:
    """Where the features of this content lie. open_clip and torchvision preprocess and encode: theirs are in the key."""
    versions = [FORMAT, open_clip.__version__, torchvision.__version__]
    key = hashlib.sha256(repr([versions, clip.fingerprint, clip.device, content]).encode()).hexdigest()
    return cache_folder(cache) / f"{key[:32]}.safetensors"


def _store(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} features hold values that are not finite: check the weights")
    write_atomically(path, save(tensors))
    return tensors


def _load(path: Path, names: Sequence[str], rows: int, log: Callable) -> dict[str, Tensor] | None:
    """The tensors of a cache file; None where there is no file, and after a line where it is damaged."""
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError) as error:
        log(f"{path}: damaged ({first_line(error)}); its features are computed anew")
        return None
    if set(tensors) != set(names) or any(tensor.shape[:1] != (rows,) for tensor in tensors.values()):
        held = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        log(f"{path}: damaged (it holds {held or 'nothing'}); its features are computed anew")
        return None
    return tensors


def _batches(items: Sequence, size: int) -> list[Sequence]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _progress(batches: Iterable[Sequence], total: int, label: str, log: Callable) -> Iterator[Sequence]:
    """Pass batches on, with a printed line now and then (a bar would be saved half-drawn in a batch notebook)."""
    started = last = time.monotonic()
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        now = time.monotonic()
        if now - last > 5 and done < total:
            log(f"{label}: {done:,} of {total:,}")
            last = now
    log(f"{label}: {total:,} in {time.monotonic() - started:.1f} s")
