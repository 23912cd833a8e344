"""The table of a data set: image paths, labels, captions, classes and their groups."""

import hashlib
import itertools
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, vstack

from lmptlib.data.digests import file_digests, verify_digests
from lmptlib.errors import DataError

GROUPS = ("head", "medium", "tail")
# What the pictures of a data set are.
PICTURES = ("photographs", "emoji")
# What is to be told of an image: all classes that it shows, or the one that it is of.
KINDS = ("multi-label", "single-label")
# LMPT section 4.2, with >= for its >.
CUTOFFS = (100, 20)
# By kind of task. Of single labels (OLTR, Liu et al., CVPR 2019) many is more than 100, and few is fewer than 20.
USUAL_CUTOFFS = {"multi-label": CUTOFFS, "single-label": (101, 20)}
# Bytes of the largest table of labels; in training they are floats, four times as large.
_LARGEST_TABLE = 10**9
# Rows that are made a table of at once.
_ROWS = 4096
# What single labels call the groups.
MANY_TO_FEW = dict(zip(GROUPS, ("many", "medium", "few")))


def class_groups(
    class_counts: np.ndarray, cutoffs: tuple[int, int] = CUTOFFS, names: tuple[str, str, str] = GROUPS
) -> np.ndarray:
    """The group (C,) of each class by its training images (C,): head from the first cut-off on, medium from the second.

    >>> import numpy as np
    >>> from lmptlib.data.dataset import class_groups
    >>> class_groups(np.array([100, 99, 20, 19])).tolist()
    ['head', 'medium', 'medium', 'tail']
    """
    return np.array(names)[(np.asarray(class_counts)[:, None] < np.array(cutoffs)).sum(1)]


def thirds(class_counts: np.ndarray) -> tuple[int, int] | None:
    """Cut-offs for `class_groups` that part the classes as nearly into thirds as can be; no group is empty.

    class_counts (C,): training images of each class; classes without any are left out. Classes of equal counts stay in one
    group, so groups can end only where counts, sorted from most to fewest, change. Of two such ends those are taken that
    lie nearest, by the sum of squares, to C / 3 and 2 C / 3; of pairs equally near the one of the higher cut-offs. None
    where there are fewer than three different counts.

    >>> import numpy as np
    >>> from lmptlib.data.dataset import thirds
    >>> thirds(np.array([60, 9, 9, 9, 5, 3]))
    (60, 9)
    """
    counts = np.sort(np.asarray(class_counts)[np.asarray(class_counts) > 0])[::-1]
    ends = np.flatnonzero(np.diff(counts)) + 1
    pairs = itertools.combinations(ends.tolist(), 2)
    third = len(counts) / 3
    best = min(pairs, key=lambda pair: (pair[0] - third) ** 2 + (pair[1] - 2 * third) ** 2, default=None)
    return None if best is None else (int(counts[best[0] - 1]), int(counts[best[1] - 1]))


@dataclass(frozen=True)
class Task:
    """What is to be told of an image, and how classes are grouped by the number of their training images.

    kind: one of KINDS. groups: head, medium and tail, which single labels show as many, medium and few. thirds: whether the
    cut-offs are those of `thirds`, for the usual ones would leave a group empty.
    """

    kind: str = "multi-label"
    cutoffs: tuple[int, int] = CUTOFFS
    groups: tuple[str, str, str] = GROUPS
    # The cut-offs say it already: no part of a fingerprint.
    thirds: bool = field(default=False, repr=False, compare=False)

    @property
    def single(self) -> bool:
        """Whether an image is of one class."""
        return self.kind == "single-label"

    @property
    def grouping(self) -> str:
        """How the groups came, in words; empty where it is by the usual cut-offs."""
        usual = USUAL_CUTOFFS[self.kind]
        if self.cutoffs == usual:
            return ""
        names = [MANY_TO_FEW[group] if self.single else group for group in self.groups]
        told = f"{names[0]} from {self.cutoffs[0]} training images on, {names[1]} from {self.cutoffs[1]}"
        if not self.thirds:
            return told
        return f"groups are thirds of the classes ({told}): by {usual[0]} and {usual[1]} one would be empty"

    @property
    def attrs(self) -> dict[str, str]:
        """What a table says of its task: kind, and how the groups came."""
        return {"task": self.kind, "grouping": self.grouping}


MULTI_LABEL = Task()


def usual_task(class_counts: np.ndarray, kind: str = "multi-label") -> Task:
    """Groups by the usual cut-offs; by thirds of the classes where these leave a group without a class that has images."""
    counts, usual = np.asarray(class_counts), USUAL_CUTOFFS[kind]
    if len(set(class_groups(counts[counts > 0], usual))) < len(GROUPS) and (cutoffs := thirds(counts)):
        return Task(kind, cutoffs, thirds=True)
    return Task(kind, usual)


def check_table(shown: csr_array, name: str) -> None:
    """Raises DataError, one line that begins with `name`, where a table of sparse labels takes more than a gigabyte."""
    if (size := math.prod(shown.shape)) > _LARGEST_TABLE:
        many = "{:,} images of {:,} classes".format(*shown.shape)
        told = f"{name}: {many}: a table of their labels takes {size / 1e9:.1f} GB, and 1 GB is the most"
        raise DataError([f"{told}; methods that learn by steps need none"])


def label_table(shown: csr_array, name: str) -> np.ndarray:
    """Sparse labels as a table (N, C). Raises DataError as `check_table` does."""
    check_table(shown, name)
    return shown.toarray()


@dataclass(frozen=True)
class Split:
    """The images of one list, with the classes that they show and, for training, their captions.

    source: the file that lists them. places: of each image in it, as `line 3`. names: the images' paths below the root.
    shown (N, C): their labels, bool, sparse: an image shows a few of many classes; a table is taken, too. fetched (N,): with
    which probability an image was fetched from a pool, NaN for those of the list; None where all are.
    """

    source: Path
    places: tuple[str, ...]
    names: tuple[str, ...]
    paths: tuple[Path, ...]
    shown: csr_array
    captions: tuple[str, ...] | None = None
    fetched: np.ndarray | None = None
    _digests: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown", csr_array(self.shown, dtype=bool, copy=True))
        # one entry a label, in order: entries are counted, and a table may name a label twice, or one that is not there
        self.shown.sum_duplicates()
        self.shown.eliminate_zeros()

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels as a table (N, C), bool. Raises DataError, one line, where it would take more than a gigabyte."""
        return label_table(self.shown, str(self.source))

    def classes(self, image: int) -> list[int]:
        """The numbers of the classes that an image shows."""
        return self.shown.indices[self.shown.indptr[image] : self.shown.indptr[image + 1]].tolist()

    def digests(self, cache: Path | None = None) -> list[str]:
        """A hash of each image file's bytes as they were when first asked for. Files that `cache` knows are not read."""
        if not self._digests:
            self._digests.extend(file_digests(self.paths, cache))
        return self._digests

    @property
    def listed(self) -> np.ndarray:
        """Which images (N,) are of the list, and not fetched from a pool."""
        return np.ones(len(self), bool) if self.fetched is None else np.isnan(self.fetched)

    def parts(self) -> list["Split"]:
        """The images of the list and those that were fetched, which stand behind them; itself where none was."""
        if self.fetched is None:
            return [self]
        return [self.rows(np.flatnonzero(rows)) for rows in (self.listed, ~self.listed) if rows.any()]

    def joined(self, fetched: "Split") -> "Split":
        """With images from a pool behind its own."""
        named = {name: getattr(self, name) + getattr(fetched, name) for name in ("places", "names", "paths")}
        captions = None if self.captions is None else self.captions + (fetched.captions or ())
        shown = vstack([self.shown, fetched.shown], format="csr")
        chances = np.concatenate([np.full(len(self), np.nan), np.asarray(fetched.fetched)])
        return Split(self.source, **named, shown=shown, captions=captions, fetched=chances)

    @property
    def root(self) -> Path:
        """The folder that the names of its images begin at."""
        return Path(str(self.paths[0]).removesuffix(self.names[0]) or ".")

    def where(self, image: int) -> str:
        """The file that lists an image, and where in it."""
        return f"{self.source} {self.places[image]}".rstrip()

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, index: np.ndarray) -> "Split":
        """The images of these rows, in their order."""
        named = {name: tuple(getattr(self, name)[i] for i in index) for name in ("places", "names", "paths")}
        captions = None if self.captions is None else tuple(self.captions[i] for i in index)
        fetched = None if self.fetched is None or np.isnan(self.fetched[index]).all() else self.fetched[index]
        return Split(self.source, **named, shown=self.shown[index], captions=captions, fetched=fetched)


@dataclass(frozen=True)
class Dataset:
    """Images, labels, captions and class names of a long-tailed data set, multi-label or single-label.

    class_names: as the classes file writes them. class_counts (C,): training images of each class. groups (C,): the
    group of each class, one of the task's. pictures: one of PICTURES; emoji are drawings, all that `clip-emoji` has seen.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    val: Split | None = None
    warnings: tuple[str, ...] = ()
    task: Task = Task()
    pictures: str = "photographs"
    class_counts: np.ndarray = field(init=False)
    groups: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_counts", self.train.shown.sum(0))
        object.__setattr__(self, "groups", class_groups(self.class_counts, self.task.cutoffs, self.task.groups))

    @property
    def splits(self) -> dict[str, Split]:
        return {"train": self.train} | ({"val": self.val} if self.val else {}) | {"test": self.test}

    def of_rows(self, train: np.ndarray, test: np.ndarray | None = None) -> "Dataset":
        """The data set of some of its training images, tested on others of them, or on its own test images.

        Classes stay in the groups that all training images put them in.
        """
        held = self.test if test is None else self.train.rows(test)
        part = replace(self, train=self.train.rows(train), test=held, val=None if test is not None else self.val)
        return part._grouped_as(self)

    def enlarged(self, fetched: Split) -> "Dataset":
        """With images from a pool, which have their labels, behind its training images. Classes stay in their groups."""
        return replace(self, train=self.train.joined(fetched))._grouped_as(self)

    def _grouped_as(self, other: "Dataset") -> "Dataset":
        """Itself, new as it is, with its classes in the groups that they are in there."""
        object.__setattr__(self, "groups", other.groups)
        return self

    @property
    def known(self) -> np.ndarray | None:
        """Which labels (N, C) of the training images are known; None where all are.

        Of an image that was fetched for a class, and may show others, nothing is known but that class. A single label says
        all.
        """
        if self.train.fetched is None or self.task.single:
            return None
        return self.train.listed[:, None] | self.train.labels

    def class_table(self) -> pd.DataFrame:
        """One row a class: its training count, group and numbers of validation and test images.

        Its `attrs` are those of the task.
        """
        table = pd.DataFrame({"class": self.class_names, "group": self.groups})
        for name, split in self.splits.items():
            table[name] = split.shown.sum(0)
        table.attrs |= self.task.attrs
        return table

    def fingerprint(self, cache: Path | None = None) -> str:
        """A hash of all that a result depends on: class names, lists, captions, cut-offs and the bytes of every image.

        Image files that the cache folder (default `data/cache/`) knows are not read again.
        """
        digest = hashlib.sha256(repr((self.class_names, [s.captions for s in self.splits.values()])).encode())
        for split in self.splits.values():
            for row in range(0, len(split), _ROWS):
                digest.update(split.shown[row : row + _ROWS].toarray().tobytes())
            digest.update("".join(split.digests(cache)).encode())
        if self.task != Task():
            digest.update(repr(self.task).encode())
        return digest.hexdigest()

    def verify(self, cache: Path | None = None) -> list[str]:
        """Read every image file anew; one line for each that is not what the cache folder says. Those are put right."""
        return verify_digests([path for split in self.splits.values() for path in split.paths], cache)
