"""The pictures of an epoch, read ahead of the steps that need them."""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lmptlib.clip.model import Clip
from lmptlib.data.images import open_image

# Pictures that a worker hands over at once: a few megabytes of shared memory, of which containers have little.
_AT_ONCE = 32
# Pictures that are read sooner than a worker has started.
_FEW = 256


class Pictures(Dataset):
    """Preprocessed pictures (3, H, W), by what was drawn for each: its row, whether it is flipped, the seed of its crop.

    augment: the smallest share of a picture's area that a random crop keeps; at 1 they are neither cropped nor flipped. What
    is random depends on the seed alone, whichever worker reads the picture.
    """

    def __init__(self, clip: Clip, paths: Sequence[Path], augment: float):
        from torchvision.transforms import InterpolationMode, RandomResizedCrop

        self.paths, self.preprocess, self.augment = paths, clip.preprocess, augment
        self.crop = RandomResizedCrop(
            clip.model.visual.image_size, scale=(augment, 1.0), interpolation=InterpolationMode.BICUBIC
        )

    def __getitem__(self, drawn: tuple[int, int, int]) -> Tensor:
        row, flip, seed = drawn
        image = open_image(self.paths[row])
        if self.augment == 1:
            return self.preprocess(image)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            pixels = self.preprocess(self.crop(image))
        return pixels.flip(-1) if flip else pixels


def n_workers(n_pictures: int) -> int:
    """How many processes read pictures beside the one that trains: a core each, none for a few pictures."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if n_pictures < _FEW else cores - 1


def _chunks(places: list, size: int) -> list[list]:
    return [places[i : i + size] for i in range(0, len(places), size)]


def read_ahead(pictures: Pictures, drawn: Tensor, batch_size: int, device: str) -> Iterator[Tensor]:
    """The pixels (draws * B, 3, H, W) of each step of an epoch, on the device; the last step may have fewer.

    drawn (3, draws, N): rows, flips and seeds, in the epoch's order. Raises ValueError, one line, for a picture that can no
    longer be read.
    """
    # rows, flips and seeds (places, 3), in the order in which steps need them
    places = torch.cat([step.flatten(1) for step in drawn.split(batch_size, dim=-1)], dim=1).T.tolist()
    steps = [_chunks(step, _AT_ONCE) for step in _chunks(places, drawn.shape[1] * batch_size)]
    loader = DataLoader(
        pictures,
        batch_sampler=list(itertools.chain(*steps)),
        num_workers=n_workers(drawn[0].numel()),
        pin_memory=device == "cuda",
        # Of its own: workers' seeds, which nothing uses, would be drawn from the global one.
        generator=torch.Generator(),
    )
    read = iter(loader)
    for step in steps:
        try:
            parts = list(itertools.islice(read, len(step)))
        except ValueError as error:
            # A worker's comes with its traceback, and ends with what was said.
            raise ValueError(str(error).strip().splitlines()[-1].removeprefix("ValueError: ")) from None
        yield torch.cat(parts).to(device, non_blocking=True)
