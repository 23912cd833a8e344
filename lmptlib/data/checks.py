"""What only the pictures themselves can tell: which cannot be decoded, which are unusual, which are the same."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.images import read_image
from lmptlib.errors import DataError, few


class _Picture(NamedTuple):
    """An image of a split, by its number."""

    split: Split
    image: int

    def __str__(self) -> str:
        return f"{self.split.source.name} {self.split.names[self.image]}"


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
    if not unusual:
        return []
    return [f"unusual pictures: {', '.join(f'{count:,} {kind}' for kind, count in unusual.most_common())}"]


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
    first: dict[str, _Picture] = {}
    across, otherwise = [], []
    for split in dataset.splits.values():
        for image, digest in enumerate(split.digests(cache)):
            picture = _Picture(split, image)
            before = first.setdefault(digest, picture)
            if before.split is not split:
                across.append(f"{before} = {picture}")
            if before.split.classes(before.image) != split.classes(image):
                otherwise.append(f"{before} = {picture}")
    notes = [(across, "the same in two splits"), (otherwise, "there twice with other labels")]
    return [f"pictures that are {what}: {len(pairs):,} ({few(pairs)})" for pairs, what in notes if pairs]
