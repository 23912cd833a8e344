"""What is measured on: a CLIP and training images, real ones or random features of a size that a paper has.

Random weights and random features take as long as learned ones.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product
from pathlib import Path
from typing import Any, cast

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor

from lmptlib.clip.loading import load_clip
from lmptlib.clip.model import Clip
from lmptlib.config import Config, resolve
from lmptlib.data.dataset import Dataset, Split
from lmptlib.methods.base import Learning
from lmptlib.training.inputs import Inputs
from lmptlib.training.plan import plan_run

VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table", "dog", "horse",
    "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv monitor",
)  # fmt: skip
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light", "fire hydrant",
    "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra",
    "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle", "wine glass", "cup", "fork",
    "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut",
    "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """Class names, and how many images there are to train and to test on."""

    name: str
    class_names: tuple[str, ...]
    n_train: int
    n_test: int


VOC_LT = Size("VOC-LT size", VOC, 1142, 4952)
COCO_LT = Size("COCO-LT size", COCO, 1909, 5000)


@dataclass(frozen=True)
class Problem:
    """A configuration and its inputs. real: whether its images are there, so that whole runs can be made of it."""

    name: str
    config: Config
    inputs: Inputs
    real: bool

    @property
    def clip(self) -> Clip:
        return self.inputs.clip

    @property
    def dataset(self) -> Dataset:
        return self.inputs.dataset

    @property
    def n_steps(self) -> int:
        """Steps an epoch."""
        return -(-len(self.dataset.train) // self.batch_size)

    @property
    def batch_size(self) -> int:
        return cast(Learning, self.config.learning).batch_size


class RandomInputs(Inputs):
    """Inputs with random unit features in the place of computed ones."""

    @cached_property
    def images(self) -> Tensor:
        return self._drawn(2, len(self.dataset.train))

    @cached_property
    def captions(self) -> Tensor:
        return self._drawn(len(self.dataset.train))

    @cached_property
    def folds(self) -> Tensor:
        return torch.arange(len(self.dataset.train), device=self.device) % 5

    def of_split(self, name: str) -> Tensor:
        if name not in self._of_splits:
            self._of_splits[name] = self.images[0] if name == "train" else self._drawn(len(self.dataset.splits[name]))
        return self._of_splits[name]

    def _drawn(self, *shape: int) -> Tensor:
        width = self.clip.encode_texts(["a"]).shape[1]
        generator = torch.Generator().manual_seed(sum(shape))
        return F.normalize(torch.randn(*shape, width, generator=generator), dim=-1).to(self.device)


def random_clip(model: str, device: str) -> Clip:
    """One of open_clip's architectures with random weights."""
    quiet = logging.getLogger().level
    # open_clip warns that nothing was loaded, which is what is wanted here
    logging.getLogger().setLevel(logging.ERROR)
    torch.manual_seed(0)
    network = open_clip.create_model(model)
    logging.getLogger().setLevel(quiet)
    preprocess = image_transform_v2(PreprocessCfg(**network.visual.preprocess_cfg), is_train=False)
    return Clip(network, open_clip.get_tokenizer(model), preprocess, model, f"{model}, random weights", device)


def random_problem(clip: Clip, size: Size, **settings: Any) -> Problem:
    """LMPT with its default settings, but for those given, on random features of a size."""
    rng = np.random.default_rng(0)
    splits = {}
    for name, n_images in (("train", size.n_train), ("test", size.n_test)):
        shown = long_tailed(n_images, len(size.class_names), rng)
        names = tuple(f"{name}/{i}.jpg" for i in range(n_images))
        captions = tuple(f"a photo of a {size.class_names[row.argmax()]}." for row in shown)
        splits[name] = Split(Path(size.name), ("",) * n_images, names, tuple(map(Path, names)), shown, captions)
    dataset = Dataset(size.name, size.class_names, splits["train"], splits["test"])
    inputs = RandomInputs(dataset, clip, Path(), log=lambda line: None)
    return Problem(f"{clip.name}, {size.name}", resolve(device=clip.device, **settings), inputs, real=False)


def real_problem(config: Config, name: str = "", log: Callable[[str], None] = print) -> Problem:
    """A run's data and CLIP, images encoded: the embedded ones, or a user's own. Raises DataError or ValueError."""
    plan = plan_run(config)
    config = plan.config
    clip = load_clip(config.model, config.weights, config.device, lambda line: None, config.preprocess)
    inputs = Inputs(plan.dataset, clip, plan.cache, log)
    return Problem(name or f"{plan.dataset.name}, {clip.name}", config, inputs, real=True)


def long_tailed(n_images: int, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Labels (N, C) bool: the k-th class is in every 2 k-th image, and an image of no class gets one of them."""
    shown = rng.random((n_images, n_classes)) < 0.5 / np.arange(1, n_classes + 1)
    rows = np.flatnonzero(~shown.any(1))
    shown[rows, rng.integers(n_classes, size=len(rows))] = True
    return shown


def some_names(n_classes: int) -> tuple[str, ...]:
    """As many class names, 10,648 at most, which every CLIP here knows: of three tokens each, so prompts have one length."""
    words = sorted({word for name in VOC for word in name.split()} - {"aeroplane"})
    return tuple(" ".join(chosen) for chosen in islice(product(words, repeat=3), n_classes))
