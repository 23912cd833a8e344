"""Frozen features, computed once and kept on disk.

Both encoders are frozen and the only augmentation is a flip, so a feature depends on the weights, the preprocessing and
the file alone. A cache is keyed by all three: a changed image, list or weight is never served from an old one.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
import torchvision
from safetensors.torch import load_file, save
from torch import Tensor

from lmptlib import __version__
from lmptlib.clip.model import Clip
from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.images import open_image, undecodable
from lmptlib.errors import DataError
from lmptlib.paths import cache_folder


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
    """The features of a data set, from the cache where they are there. Raises DataError for an undecodable image."""
    cache = cache_folder(cache)
    train = image_features(clip, dataset.train, True, cache, log)
    test = image_features(clip, dataset.test, False, cache, log)
    val = image_features(clip, dataset.val, False, cache, log)["plain"] if dataset.val else None
    texts = caption_features(clip, dataset.train, cache, log) if captions and dataset.train.captions else None
    return Features(train["plain"], train["flipped"], test["plain"], val, texts)


def image_features(clip: Clip, split: Split, flipped: bool, cache: Path, log: Callable) -> dict[str, Tensor]:
    """`plain` and, where asked for, `flipped` features (N, D) of a split's images, on the CPU."""
    path = _cache_path(cache, clip, ["flipped" if flipped else "plain", *split.digests(cache)])
    if path.exists():
        return load_file(path)

    def load(path: Path) -> Tensor:
        return clip.preprocess(open_image(path))

    parts: dict[str, list[Tensor]] = {"plain": [], "flipped": []} if flipped else {"plain": []}
    size = 64 if clip.device == "cuda" else 8  # on a CPU, small batches stay in its caches: twice as fast
    with ThreadPoolExecutor() as pool:
        for batch in _progress(_batches(split.paths, size), len(split), f"image features of {split.source.name}", log):
            try:
                pixels = torch.stack(list(pool.map(load, batch)))
            except ValueError as error:  # every undecodable image at once, with its line
                raise DataError(undecodable(split) or [f"{split.source}: {error}"]) from error
            for name, part in parts.items():
                part.append(clip.encode_images(pixels.flip(-1) if name == "flipped" else pixels).cpu())
    return _store({name: torch.cat(part) for name, part in parts.items()}, path)


def caption_features(clip: Clip, split: Split, cache: Path, log: Callable) -> Tensor:
    """Features (N, D) of a split's captions, on the CPU."""
    path = _cache_path(cache, clip, ["captions", *split.captions])
    if path.exists():
        return load_file(path)["captions"]
    parts = [
        clip.encode_texts(batch).cpu()
        for batch in _progress(_batches(split.captions, 256), len(split), "caption features", log)
    ]
    return _store({"captions": torch.cat(parts)}, path)["captions"]


def _cache_path(cache: Path, clip: Clip, content: list[str]) -> Path:
    versions = [__version__, "upright", open_clip.__version__, torchvision.__version__]
    key = hashlib.sha256(repr([versions, clip.fingerprint, clip.device, content]).encode()).hexdigest()
    return cache / f"{key[:32]}.safetensors"


def _store(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} features hold values that are not finite: check the weights")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_bytes(save(tensors))
    draft.replace(path)
    return tensors


def _batches(items, size: int) -> list:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _progress(batches: list, total: int, label: str, log: Callable) -> Iterable:
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
