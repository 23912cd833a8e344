"""Features as frozen towers might give them, small for testing: no tower is run."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmptlib.data.stratified import draw_folds
from lmptlib.methods import METHODS
from lmptlib.methods.base import Batch, Method, Problem


@dataclass(frozen=True)
class Texts:
    """Stands where a CLIP would: its texts have these features (C, D)."""

    features: Tensor
    logit_scale: float = 10.0

    def encode_texts(self, texts: list[str]) -> Tensor:
        assert len(texts) == len(self.features)
        return self.features


def unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1)


def make_batch(
    n: int = 60, n_classes: int = 4, width: int = 6, views: int = 1, seed: int = 0, single: bool = False
) -> Batch:
    """Images whose features lean towards those of their classes; every class has two images or more, the last few.

    single: each image is of one class.
    """
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    chance = torch.linspace(0.6, 0.1, n_classes)
    targets = (torch.rand(n, n_classes, generator=generator) < chance).float()
    targets[:2], targets[2] = 1, 0
    if single:
        classes = torch.multinomial(chance, n, replacement=True, generator=generator)
        classes[: 2 * n_classes] = torch.arange(2 * n_classes)[:n] % n_classes
        targets = F.one_hot(classes, n_classes).float()
    signal = 2 + targets @ noise(n_classes, width)
    images = unit(signal + noise(n, width))
    crops = unit(signal[:, None] + 1.5 * noise(n, views - 1, width)) if views > 1 else None
    folds = draw_folds(targets.bool().numpy(), [str(i) for i in range(n)])
    flipped = unit(images + 0.1 * noise(n, width))
    return Batch(targets, images=images, flipped=flipped, crops=crops, folds=torch.from_numpy(folds))


def make_method(name: str, batch: Batch, pool: str = "max", single: bool = False, **settings: float) -> Method:
    n, n_classes = batch.targets.shape
    width = batch.images.shape[1]
    texts = unit(1 + torch.randn(n_classes, width, generator=torch.Generator().manual_seed(9)))
    names = tuple(f"class {i}" for i in range(n_classes))
    counts, generator = batch.targets.sum(0).long(), torch.Generator().manual_seed(0)
    problem = Problem(names, counts, n, width, generator, Texts(texts), pool=pool, single=single)
    return METHODS[name](METHODS[name].Settings(**settings), problem)


def fitted(name: str, batch: Batch, pool: str = "max", single: bool = False, **settings: float) -> Method:
    """The method fitted to all images with these settings, nothing chosen."""
    method = make_method(name, batch, pool, single, **settings)
    method.fit_to(batch, method.prepare(batch), settings)
    return method


def rows(batch: Batch) -> tuple[Tensor, Tensor]:
    """Plain, then flipped images (2N, D), and their labels (2N, C), float64."""
    return torch.cat([batch.images, batch.flipped]).double(), torch.cat([batch.targets, batch.targets]).double()
