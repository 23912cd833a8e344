"""What the phases of a run read: features, captions and pixels of its training images, and features of the others."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmptlib.clip import features
from lmptlib.clip.extraction import EXACT, Extraction
from lmptlib.clip.model import Clip
from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.stratified import draw_folds
from lmptlib.methods.base import Batch
from lmptlib.training.pixels import Pictures, read_ahead

# Images that are scored at once: their scores by each crop take 4,096 x 14 x C numbers.
AT_ONCE = 4096


class Inputs:
    """The inputs of runs that share a data set and a CLIP, on its device. Each is made when it is first asked for.

    views: what images are scored by, 1 for the whole image alone, 5 or 14 with crops. extraction: how their features are made
    and kept. on_device: whether what steps read but pixels is on the device.
    """

    on_device = True

    def __init__(
        self,
        dataset: Dataset,
        clip: Clip,
        cache: Path,
        log: Callable[[str], None],
        views: int = 1,
        extraction: Extraction = EXACT,
    ):
        self.dataset, self.clip, self.cache, self.log, self.views = dataset, clip, cache, log, views
        self.extraction = extraction
        self.device = clip.device
        self._of_splits: dict[str, Tensor] = {}
        self._crops: dict[str, Tensor] = {}

    def of_tuned(self, clip: Clip) -> "Inputs":
        """The inputs that a tuned CLIP gives of the same data."""
        return Inputs(self.dataset, clip, self.cache, self.log, self.views, self.extraction)

    @cached_property
    def targets(self) -> Tensor:
        """Labels (N, C) of the training images, 0 or 1."""
        return torch.from_numpy(self.dataset.train.labels).float().to(self.device)

    @cached_property
    def known(self) -> Tensor | None:
        """Which of them are known, (N, C) bool; None where all are."""
        return None if self.dataset.known is None else torch.from_numpy(self.dataset.known).to(self.device)

    @property
    def width(self) -> int:
        """D, of image features."""
        return self.images.shape[-1]

    @property
    def rows_on(self) -> str:
        """Where the numbers of a batch's rows are to be."""
        return self.device

    @cached_property
    def folds(self) -> Tensor:
        """The fold (N,) of each training image, as `folds_of` draws them."""
        return torch.from_numpy(folds_of(self.dataset.train, self.cache)).to(self.device)

    @cached_property
    def images(self) -> Tensor:
        """Unit features (2, N, D) of the training images, plain and flipped."""
        found = features.image_features(self.clip, self.dataset.train, True, self.cache, self.log, self.extraction)
        return torch.stack([found["plain"], found["flipped"]]).to(self.device)

    @cached_property
    def captions(self) -> Tensor:
        """Unit features (N, D) of the captions."""
        of_train = self.clip, self.dataset.train, self.cache, self.log, self.extraction
        return features.caption_features(*of_train).to(self.device)

    @cached_property
    def caption_ids(self) -> Tensor:
        """The tokenizer's numbers (N, 77) of the captions."""
        return self.clip.tokenize(list(self.dataset.train.captions or ()))

    @cached_property
    def caption_tokens(self) -> Tensor:
        """Unit features (N, 77, D) of each token of the captions."""
        return torch.cat([self.clip.encode_tokens(part) for part in self.caption_ids.split(256)]).clone()

    def read(self, name: str) -> None:
        """Compute what the cache lacks of the features of the whole images of train, val or test."""
        self.of_split(name)

    def of_split(self, name: str) -> Tensor:
        """Unit features (N, D), plain, of the images of train, val or test."""
        if name == "train":
            return self.images[0]
        if name not in self._of_splits:
            split = self.dataset.splits[name]
            found = features.image_features(self.clip, split, False, self.cache, self.log, self.extraction)
            self._of_splits[name] = found["plain"].to(self.device)
        return self._of_splits[name]

    def crops(self, name: str) -> Tensor | None:
        """Unit features (N, V, D) of the crops of the images of train, val or test; None where there is one view."""
        if self.views == 1:
            return None
        if name not in self._crops:
            split = self.dataset.splits[name]
            crops = features.crop_features(self.clip, split, self.views, self.cache, self.log, self.extraction)
            self._crops[name] = crops.to(self.device)
        return self._crops[name]

    def batch(self, needs: tuple[str, ...], index: Tensor, flips: Tensor) -> Batch:
        """The rows `index` of what a phase needs but pixels, images flipped where `flips` is 1; any shape, on the device."""
        found = {name: self._rows(name, index, flips) for name in needs if name != "pixels"}
        if self.known is not None:
            found["known"] = self.known[index]
        return Batch(self.targets[index], **found)

    def _rows(self, name: str, index: Tensor, flips: Tensor) -> Tensor:
        return self.images[flips, index] if name == "images" else getattr(self, name)[index]

    def pixels(self, drawn: Tensor, augment: float, batch_size: int) -> Iterator[Tensor]:
        """Pixels (draws * B, 3, H, W) of training images, step by step; drawn (3, draws, N): rows, flips, seeds of crops."""
        pictures = Pictures(self.clip, self.dataset.train.paths, augment)
        return read_ahead(pictures, drawn, batch_size, self.device)

    def whole(self, reads: tuple[str, ...] = ("images",)) -> Batch:
        """The whole training set, images plain, and what else is read of it: flipped, crops or folds."""
        made = {
            "images": lambda: self.images[0],
            "flipped": lambda: self.images[1],
            "crops": lambda: self.crops("train"),
            "folds": lambda: self.folds,
        }
        return Batch(self.targets, known=self.known, **{name: made[name]() for name in reads})  # type: ignore[arg-type]

    def chunks(self) -> Iterator[Batch]:
        """The training set, images plain, in as many batches as it takes: here one."""
        yield self.whole()

    def scored(self, name: str) -> Iterator[Batch]:
        """The images of train, val or test as `to_score` gives them, some at once."""
        batch = self.to_score(name)
        for rows in torch.arange(len(batch.targets), device=self.device).split(AT_ONCE):
            yield batch.rows(rows)

    def to_score(self, name: str) -> Batch:
        """All images of train, val or test with their crops, as they are scored."""
        targets = torch.from_numpy(self.labels(name)).float().to(self.device)
        return Batch(targets, images=self.of_split(name), crops=self.crops(name))  # type: ignore[arg-type]

    def seen_live(self, clip: Clip, name: str) -> Batch:
        """All images of train, val or test, whole, as towers see them that are still moving."""
        targets = torch.from_numpy(self.labels(name)).float().to(self.device)
        return Batch(targets, images=features.live_features(clip, self.dataset.splits[name]).to(self.device))

    def n_rows(self, over: str) -> int:
        """What an epoch goes over: training images, or their captions, one each."""
        return len(self.dataset.train) if over == "images" else len(self.dataset.train.captions or ())

    def labels(self, name: str) -> np.ndarray:
        """Labels (N, C) bool of train, val or test."""
        return self.dataset.splits[name].labels


def folds_of(train: Split, cache: Path, n_folds: int = 5) -> np.ndarray:
    """The fold (N,) of each training image; -1 of one that was fetched from a pool: it is always trained on, never judged."""
    folds, listed, digests = np.full(len(train), -1), np.flatnonzero(train.listed), train.digests(cache)
    folds[listed] = draw_folds(train.labels[listed], [digests[i] for i in listed], n_folds)
    return folds
