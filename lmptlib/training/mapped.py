"""Inputs that outgrow memory: what a step reads of them comes from the disk."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from lmptlib.clip import features
from lmptlib.clip.extraction import EXACT, Extraction
from lmptlib.clip.model import Clip
from lmptlib.clip.parts import Parts
from lmptlib.data.dataset import Dataset
from lmptlib.methods.base import Batch
from lmptlib.training.inputs import AT_ONCE, Inputs

# Bytes of features and targets of training images that a run holds in memory; on a GPU half of what is free there, if that is more.
HELD = 2 * 10**9


def inputs_of(
    dataset: Dataset, clip: Clip, cache: Path, log: Callable[[str], None], views: int = 1, how: Extraction = EXACT
) -> Inputs:
    """Inputs in memory, or on the disk where the training images' features and targets take more bytes than are to be held."""
    given = dataset, clip, cache, log, views, how
    mapped = MappedInputs(*given)
    (n_images, n_classes), numbers = dataset.train.shown.shape, 2 * mapped.width
    held = max(HELD, torch.cuda.mem_get_info()[0] // 2) if clip.device == "cuda" else HELD
    return mapped if 4 * n_images * (numbers + n_classes) > held else Inputs(*given)


class MappedInputs(Inputs):
    """The same batches, from memory-mapped features and sparse labels. What asks for the whole training set still gets it."""

    on_device = False

    @property
    def width(self) -> int:
        return self._parts("train")["plain"].shape[1]

    @property
    def rows_on(self) -> str:
        return "cpu"

    def of_tuned(self, clip: Clip) -> Inputs:
        return inputs_of(self.dataset, clip, self.cache, self.log, self.views, self.extraction)

    def read(self, name: str) -> None:
        self._parts(name)

    def batch(self, needs: tuple[str, ...], index: Tensor, flips: Tensor) -> Batch:
        rows, flips = index.flatten(), flips.flatten()
        found = {name: self._read(name, rows, flips).unflatten(0, index.shape) for name in needs if name != "pixels"}
        if self.known is not None:
            found["known"] = self.known[index.to(self.device)]
        return Batch(self._targets("train", rows).unflatten(0, index.shape), **found)

    def chunks(self) -> Iterator[Batch]:
        for rows in torch.arange(len(self.dataset.train)).split(AT_ONCE):
            yield self.batch(("images",), rows, torch.zeros_like(rows))

    def scored(self, name: str) -> Iterator[Batch]:
        if self.views > 1:
            yield from super().scored(name)
            return
        plain = self._parts(name)["plain"]
        for rows in torch.arange(len(plain)).split(AT_ONCE):
            yield Batch(self._targets(name, rows), images=self._sent(plain.rows(rows)))

    def _parts(self, name: str) -> dict[str, Parts]:
        if name not in self._of_parts:
            split = self.dataset.splits[name]
            of_images = name == "train", self.cache, self.log, self.extraction
            self._of_parts[name] = features.image_parts(self.clip, split, *of_images)
        return self._of_parts[name]

    @cached_property
    def _of_parts(self) -> dict[str, dict[str, Parts]]:
        return {}

    @cached_property
    def _captions(self) -> Parts:
        return features.caption_parts(self.clip, self.dataset.train, self.cache, self.log, self.extraction)

    def _read(self, name: str, rows: Tensor, flips: Tensor) -> Tensor:
        """Rows (B,) of a field of a batch, images flipped where `flips` is 1."""
        if name == "images":
            of_train, flipped = self._parts("train"), flips == 1
            found = torch.empty(len(rows), self.width)
            found[~flipped] = of_train["plain"].rows(rows[~flipped])
            found[flipped] = of_train["flipped"].rows(rows[flipped])
            return self._sent(found)
        if name == "captions":
            return self._sent(self._captions.rows(rows))
        captions = self.dataset.train.captions or ()
        tokens = self.clip.tokenize([captions[i] for i in rows.tolist()])
        return tokens if name == "caption_ids" else self.clip.encode_tokens(tokens).clone()

    def _targets(self, name: str, rows: Tensor) -> Tensor:
        """Labels (B, C) of some images of a split, 0 or 1."""
        return self._sent(torch.from_numpy(self.dataset.splits[name].shown[rows.numpy()].toarray()).float())

    def _sent(self, tensor: Tensor) -> Tensor:
        """A tensor on the device, which is not waited for."""
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device == "cuda" else tensor
