"""What only the pictures themselves can tell: which cannot be decoded, which are unusual, which are the same."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.images import read_image
from lmptlib.errors import DataError

_SHOWN = 3
# An image: its split's name, the split, and its number in it.
_Image = tuple[str, Split, int]


def check_pictures(dataset: Dataset) -> list[str]:
    """Decode every image; notes on how many are unusual in which way. Raises DataError for those that cannot be decoded."""
    problems: list[str] = []
    unusual: Counter[str] = Counter()
    for split in dataset.splits.values():
        found, kinds = decode_all(split)
        problems += found
        unusual += kinds
    if problems:
        raise DataError(problems)
    return [f"unusual pictures: {', '.join(f'{count:,} {kind}' for kind, count in unusual.most_common())}"] * bool(
        unusual
    )


def decode_all(split: Split) -> tuple[list[str], Counter[str]]:
    """Decode every image of a split: one line for each that cannot be, and how many are unusual in which way."""

    def look(image: int) -> tuple[str | None, list[str]]:
        try:
            return None, read_image(split.paths[image])[1]
        except ValueError as error:
            return f"{split.where(image)}: {error}", []

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(look, range(len(split))))
    return [problem for problem, _ in found if problem], Counter(kind for _, kinds in found for kind in kinds)


def repeated_pictures(dataset: Dataset, cache: Path | None = None) -> list[str]:
    """A note on pictures that are the same byte for byte in two splits, and one on those that have other labels each time."""
    first: dict[str, _Image] = {}
    across, otherwise = [], []
    for name, split in dataset.splits.items():
        for image, digest in enumerate(split.digests(cache)):
            before = first.setdefault(digest, (name, split, image))
            if before[0] != name:
                across.append((before, (name, split, image)))
            if (before[1].labels[before[2]] != split.labels[image]).any():
                otherwise.append((before, (name, split, image)))
    notes = [(across, "the same in two splits"), (otherwise, "there twice with other labels")]
    return [f"pictures that are {what}: {len(pairs):,} ({_few(pairs)})" for pairs, what in notes if pairs]


def _few(pairs: Sequence[tuple[_Image, _Image]]) -> str:
    shown = [
        " = ".join(f"{split.source.name} {split.names[image]}" for _, split, image in pair) for pair in pairs[:_SHOWN]
    ]
    return ", ".join(shown) + (", ..." if len(pairs) > _SHOWN else "")
