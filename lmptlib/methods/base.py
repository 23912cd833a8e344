"""What a method is: its settings, the phases that it learns in, what it reads of a batch, and how it scores."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from torch import Tensor, nn

from lmptlib.clip.model import Clip, Prompts
from lmptlib.data.samplers import SAMPLERS
from lmptlib.losses import LOSSES, PRESETS, ClassificationLoss, class_logits


@dataclass(frozen=True)
class OneOf:
    """In the annotation of a setting: it is one of `names`, which the library's own tables hold."""

    names: tuple[str | int, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: str | int) -> str | int:
        if value not in self.names:
            raise ValueError(f"is one of {', '.join(map(str, self.names))}, not '{value}'")
        return value


class Settings(BaseModel):
    """Settings of a method. A field's type, bounds and description are what users are shown and what is checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def idle(self) -> set[str]:
        """The names of those that have no effect, as the others stand."""
        return set()


class Learning(Settings):
    """Settings of a method that learns step by step."""

    loss: Annotated[str, OneOf(tuple(LOSSES))] = Field("db_focal", description="the classification loss")
    preset: Annotated[str, OneOf(tuple(PRESETS))] = Field(
        "voc-lt", description="the data set whose published settings the loss has"
    )
    loss_settings: str = Field(
        "", description="settings of the loss over the preset's, as YAML: l1_neg: 5, l2_pos: [1, 1, 2]"
    )
    epochs: int = Field(30, ge=1, description="passes over the training images")
    batch_size: int = Field(64, ge=1, description="images a step")
    sampler: Annotated[str, OneOf(SAMPLERS)] = Field("shuffle", description="which images an epoch shows")
    optimizer: Literal["sgd", "adamw"] = Field("adamw", description="how a gradient moves what is learned")
    lr: float = Field(2e-3, ge=0, description="learning rate of the contexts (of the probe's weights), cosine to 0")
    warmup: int = Field(0, ge=0, description="iterations over which the learning rate rises from a third")
    momentum: float = Field(0.9, ge=0, le=0.999, description="of sgd; the first beta of adamw")
    weight_decay: float = Field(1e-2, ge=0, description="of the contexts (of the probe's weights)")
    ema: float = Field(
        0.0, ge=0, le=0.99999, description="decay of the average of the weights that is kept in their place; 0: none"
    )
    select: Literal["last", "val", "test", "folds"] = Field(
        "last",
        description="which epoch is kept: last, val (best on the validation split) or test (leakage); folds: the last, under "
        "the settings among `trials` that are best out of fold",
    )
    trials: str = Field(
        "", description="with select folds, settings to try, as YAML: lr: [1e-3, 1e-2], lam: [0.05, 0.5]; ten at most"
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="of contexts, batches and flips")

    @property
    def all_epochs(self) -> int:
        """Epochs of all phases."""
        return self.epochs


@dataclass(frozen=True)
class Problem:
    """What a method is built for.

    class_counts (C,): training images of each class, out of n_images. width: of image features, D. generator: of everything
    random. clip: encodes texts; its towers stay as they are. most_labels: that one training image has.
    """

    class_names: tuple[str, ...]
    class_counts: Tensor
    n_images: int
    width: int
    generator: torch.Generator
    clip: Clip
    loss: ClassificationLoss | None = None  # of a method that learns step by step
    pool: str = "max"  # how the crops of an image are put together
    single: bool = False  # whether an image is of one class
    most_labels: int = 1


@dataclass(frozen=True)
class Batch:
    """What a step reads, on the device; a phase with several samplers has a first axis of draws before B everywhere."""

    targets: Tensor  # (B, C), 0 or 1
    images: Tensor | None = None  # (B, D), unit features, flips chosen
    flipped: Tensor | None = None  # (B, D), unit features of the flipped images
    crops: Tensor | None = None  # (B, V, D), unit features of the crops
    folds: Tensor | None = None  # (B,), the fold of each image, -1 of one that was fetched from a pool
    captions: Tensor | None = None  # (B, D), unit features
    caption_ids: Tensor | None = None  # (B, 77), the tokenizer's numbers
    caption_tokens: Tensor | None = None  # (B, 77, D), a unit feature for each token, zero past a caption's end
    pixels: Tensor | None = None  # (B, 3, H, W), preprocessed, crops and flips chosen
    # (B, C) bool, which targets are known; None where all are: the others are not negatives
    known: Tensor | None = None

    def rows(self, index: Tensor) -> "Batch":
        """Those of its images that `index` names, or a mask (B,)."""
        held = {part.name: getattr(self, part.name) for part in fields(self)}
        return Batch(**{name: None if part is None else part[index] for name, part in held.items()})

    def judged(self) -> "Batch":
        """Those of its images that are in a fold: all but those that were fetched from a pool, which are only learned from."""
        return self.rows(self.folds >= 0)

    def is_labelled(self) -> Tensor:
        """(B,) bool, of which images all labels are known."""
        shape, device = self.targets.shape[:1], self.targets.device
        return torch.ones(shape, dtype=torch.bool, device=device) if self.known is None else self.known.all(1)

    def labelled(self) -> "Batch":
        """Those of its images of which all labels are known."""
        return self if self.known is None else self.rows(self.is_labelled())

    def negatives(self) -> Tensor:
        """(B, C), 1 where an image is known not to show a class."""
        return 1 - self.targets if self.known is None else (1 - self.targets) * self.known


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    parameters: what it moves, in the groups that torch.optim takes (params, lr, weight_decay). sampler: which images an
    epoch shows; several draw that many batches for each step. needs: fields of `Batch` that it reads. over: what an epoch
    goes over, `images` or `captions`. begin: what is done before its first step, given the training set batch by batch.
    per_class: images of a class in turn, of class-aware sampling. augment: of pixels, the smallest share of a picture's area
    that a random crop keeps; at 1 they are neither cropped nor flipped. rate: the setting with its learning rate.

    A phase on pixels tunes towers, and is never the last: what it tuned the next one reads, which may have no epochs.
    """

    parameters: list[dict[str, Any]]
    sampler: str | tuple[str, ...]
    epochs: int
    needs: tuple[str, ...] = ("images",)
    over: str = "images"
    begin: Callable[[Iterable[Batch]], None] | None = None
    per_class: int = 3
    augment: float = 1.0
    rate: str = "lr"

    @property
    def samplers(self) -> tuple[str, ...]:
        return (self.sampler,) if isinstance(self.sampler, str) else self.sampler


class Method(nn.Module):
    """What is learned: its parameters are what training moves, and nothing else is.

    Where `solve` chooses settings by folds, `chosen` has them, `trials` what they were chosen among, each with its `total`
    out of fold, and `out_of_fold` (N, C) scores of the training images by fits without them.

    `towers` is the CLIP network that a phase on pixels tunes, where one does: kept in a file of its own.

    `train()` and `eval()` say what its scores are for: the loss, or a ranking. A subclass gives `scores`, and `phases` or
    `solve`; its `Settings` derive from `Learning` where it has phases.
    """

    Settings: ClassVar[type[Settings]] = Settings
    captions: ClassVar[bool] = False  # whether it cannot do without captions, whatever its settings are
    reads: ClassVar[tuple[str, ...]] = ()  # fields of `Batch` that `solve` reads; none where there is nothing to solve
    settles: ClassVar[bool] = False  # whether `settle` chooses something on validation images, where there are any
    logit_scale = 1.0  # from its scores to the logits whose softmax over classes ranks

    def __init__(self, settings: BaseModel, problem: Problem):
        super().__init__()
        self.settings: Any = settings
        self.problem = problem
        self.logit_map: nn.Module = nn.Identity()
        self.towers: nn.Module | None = None
        self.chosen: dict[str, Any] = {}
        self.trials: list[dict[str, Any]] = []
        self.out_of_fold: Tensor | None = None

    @property
    def over_classes(self) -> bool:
        """Whether its probabilities are a softmax over the classes, and not a sigmoid of each."""
        loss = self.problem.loss
        return self.problem.single if loss is None else loss.over_classes

    @classmethod
    def needs_captions(cls, settings: Any) -> bool:
        """Whether it cannot be trained without captions of the training images."""
        return cls.captions

    @classmethod
    def masks_unknown(cls, settings: Any) -> bool:
        """Whether it can learn from images of which some labels are unknown, and takes none of these for a negative."""
        return False

    @classmethod
    def needs_crops(cls, settings: Any) -> bool:
        """Whether it cannot be trained without crops of the training images."""
        return False

    @classmethod
    def tunes_towers(cls, settings: Any) -> bool:
        """Whether a phase of it reads pixels: such a run trains alone."""
        return False

    def phases(self) -> list[Phase]:
        """The stretches of training, in order; none where nothing is trained step by step."""
        return []

    def calibrate(self, chunks: Iterable[Batch]) -> None:
        """Take from the training set, given batch by batch, what is set before anything is learned."""

    def solve(self, batch: Batch) -> None:
        """Take from the whole training set what is not learned step by step: methods without phases."""

    def settle(self, batch: Batch, text: Tensor | None) -> None:
        """Choose, once all is learned, what validation images choose; `chosen` and `trials` have it then."""

    def prompts(self, batch: Batch | None) -> Prompts | None:
        """The prompts that a batch's scores need; the loop encodes those of all runs at once. None: no texts are encoded.

        `Prompts.padded` makes some of embeddings side by side.
        """
        return None

    def scores(self, batch: Batch, text: Tensor | None) -> Tensor:
        """What a ranking takes, (B, C), from a batch and the features (P, D) of `prompts`."""
        raise NotImplementedError

    def logits(self, batch: Batch, text: Tensor | None) -> Tensor:
        """What a sigmoid and the classification loss take, (B, C)."""
        return self.logit_map(self.scores(batch, text))

    def ranked(self, batch: Batch, text: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores and logits (B, C) of images, and of their crops where the batch has any.

        The sigmoid of these logits is the probability, where it is a softmax, too.
        """
        logits = over_views(self.logits, batch, text)
        logits = class_logits(logits) if self.over_classes else logits
        if batch.crops is None:
            return self.scores(batch, text), logits[:, 0]
        scores = over_views(self.scores, batch, text)
        weights = view_weights(logits[:, 1:], self.problem.pool)
        return pooled(scores, weights), pooled(logits, weights)

    def losses(self, batch: Batch, text: Tensor | None) -> dict[str, Tensor]:
        """`loss`, the named terms that it is the weighted sum of, and the `logits` (B, C) that the recorder reads."""
        logits = self.logits(batch, text)
        loss = self.problem.loss(logits, batch.targets, batch.known)
        return {"loss": loss, "loss_cls": loss, "logits": logits}

    def diagnostics(self, batch: Batch, text: Tensor | None) -> dict[str, Tensor]:
        """Further numbers on the first batch of an epoch, for its line in the history."""
        return {}

    def directions(self, text: Tensor | None) -> Tensor | None:
        """What image features are compared with, (C, D), for maps of them: text features, or a probe's weights."""
        return text

    def tuned(self) -> Clip | None:
        """The towers as a phase on pixels has tuned them, if one has: what follows reads features of these.

        What the method keeps of texts is then theirs too.
        """
        return None


def over_views(function: Callable, batch: Batch, text: Tensor | None) -> Tensor:
    """What a function of a batch and a text gives of each view, (B, 1 + V, C): the whole image first, then its crops."""
    crops = [] if batch.crops is None else batch.crops.unbind(1)
    return torch.stack([function(replace(batch, images=view, crops=None), text) for view in (batch.images, *crops)], 1)


def view_weights(crops: Tensor, pool: str) -> Tensor:
    """What each crop counts, (B, V, C), by its scores (B, V, C): the largest of a class alone, all alike, or by a softmax."""
    if pool == "max":
        return torch.zeros_like(crops).scatter_(1, crops.argmax(1, keepdim=True), 1.0)
    return torch.full_like(crops, 1 / crops.shape[1]) if pool == "mean" else crops.softmax(1)


def pooled(views: Tensor, weights: Tensor) -> Tensor:
    """(whole + crops by their weights) / 2, (B, C), of scores (B, 1 + V, C): half, so that they keep their scale."""
    return (views[:, 0] + (weights * views[:, 1:]).sum(1)) / 2
