"""BALLAD: both towers tuned on pictures and texts, then frozen, with a linear adapter learned on balanced classes."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo
from torch import Tensor, nn

from lmptlib.clip.chunks import encode_in_chunks
from lmptlib.clip.model import Clip
from lmptlib.clip.text import HAND_WRITTEN, prompt_name, template_features
from lmptlib.methods.base import Batch, Learning, Phase, Problem
from lmptlib.methods.cosine import CosineMethod, CosineSettings

_TUNING = {"lr_tune", "contrast", "tune_captions", "crop_area"}
# Learned by CLIP, and not here: a temperature would follow the batch size.
_FIXED = ("logit_scale", "logit_bias")


def contrast_loss(logits: Tensor, positives: Tensor, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The two directions of a contrastive loss with several positives, each a scalar; BALLAD's loss is their sum.

    images: -mean_i 1/|T_i| sum_(j in T_i) log softmax_j(z_ij) over the texts; texts: the same of the transpose

    logits z (B, T), scaled cosines of images and texts; positives (B, T) bool, T_i being the texts of image i; known (B, T)
    bool, None where all are: a pair of which nobody knows whether it is positive is left out. A text of no image is no part
    of the batch. An image without a text is a negative of every text, and no term of its own. Each
    direction is at least the mean of log |T_i|, which uniform weights on the positives reach; where each has one positive
    the sum is twice CLIP's loss, the mean of the two.

    Two images of one class and one of another, with both texts:

    >>> import torch
    >>> from lmptlib.methods.ballad import contrast_loss
    >>> z = torch.tensor([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    >>> contrast_loss(z, positives=z > 0)  # 0 and log(2) / 2
    (tensor(0.0001), tensor(0.3467))
    """
    least = torch.finfo(logits.dtype).min
    logits = logits if known is None else logits.masked_fill(~known, least)
    images = _direction(logits.masked_fill(~positives.any(0), least), positives)
    return images, _direction(logits.T, positives.T)


def _direction(logits: Tensor, positives: Tensor) -> Tensor:
    """The mean, over rows that have positives, of the mean of -log softmax of logits (N, M) over a row's positives."""
    counts = positives.sum(1)
    terms = -logits.log_softmax(1).masked_fill(~positives, 0.0).sum(1) / counts.clamp(min=1)
    return terms.sum() / (counts > 0).sum().clamp(min=1)


class Ballad(CosineMethod):
    """BALanced Linear ADapter, in two phases (Ma et al., arXiv 2111.14745; formulas by their poster and released code).

    A, `tune_epochs`: both towers learn on pictures and texts, all images alike. `contrast: poster` is `contrast_loss`
    between a batch's images and the hand-written prompts of their classes, each once; `code`, cross-entropy of images over
    the prompts of all classes, y / |y| where there are several.
    B, `epochs`: the towers are frozen, and class-aware sampling and the classification loss learn W in

        f* = lam W f + (1 - lam) f at unit length   (`adapter: linear`, the code's; `relu`, the poster's: relu(W'f + b))

    with lam the setting `adapter_share`. score = cos(f*, text). Either phase may have no epochs. [ours]: several labels; f is
    of unit length, which without b changes nothing; W starts at zero, so that B starts where A ends (relu, whose gradient
    would be zero there: as nn.Linear's, b at zero); CLIP's temperature and the statistics of batch norms stay.
    """

    class Settings(CosineSettings, Learning):
        tune_epochs: int = Field(
            50, ge=0, description="epochs on pictures, both towers learning (phase A), before `epochs`"
        )
        lr_tune: float = Field(1e-5, ge=0, description="learning rate of the towers, cosine to 0")
        contrast: Literal["poster", "code"] = Field(
            "poster",
            description="phase A's loss: between a batch's images and texts both ways, or over the prompts of all classes",
        )
        tune_captions: bool = Field(False, description="whether an image's caption is a text of its own in phase A")
        crop_area: float = Field(
            0.5,
            gt=0,
            le=1,
            description="smallest share of a picture's area that a random crop keeps in phase A; 1: no crops, no flips",
        )
        tune_chunk: int = Field(
            64, ge=0, description="images encoded at once in phase A, which decides the memory alone; 0: all of a batch"
        )
        epochs: int = Field(10, ge=0, description="passes over the training images, of what stands on frozen towers")
        lr: float = Field(0.2, ge=0, description="learning rate of the adapter, cosine to 0")
        per_class: int = Field(4, ge=1, description="images of a class in turn, of class-aware sampling")
        adapter: Literal["linear", "relu"] = Field(
            "linear", description="what is added to a feature: W f, or relu(W f + b)"
        )
        adapter_share: float = Field(0.2, ge=0, le=1, description="weight of what is added; 0 is none")
        lr_logit_map: float = Field(1e-2, ge=0, description="learning rate of the logit map's a and b")

        @field_validator("tune_captions")
        @classmethod
        def _with_poster(cls, value: bool, info: ValidationInfo) -> bool:
            if value and info.data.get("contrast") == "code":
                raise ValueError("setting 'tune_captions' goes with contrast poster")
            return value

        @property
        def all_epochs(self) -> int:
            return self.tune_epochs + self.epochs

        def idle(self) -> set[str]:
            of_adapter = {"lr", "sampler", "per_class", "adapter", "adapter_share", "lr_logit_map"}
            return {"tune_chunk"} | (set() if self.tune_epochs else _TUNING) | (set() if self.epochs else of_adapter)

    text: Tensor  # (C, D)
    tokens: Tensor  # (C, L)

    def __init__(self, settings: Settings, problem: Problem):
        super().__init__(settings, problem)
        clip = problem.clip
        tokens = clip.tokenize([HAND_WRITTEN[0].format(prompt_name(name)) for name in problem.class_names])
        self.register_buffer("tokens", tokens[:, : int(tokens.argmax(-1).max()) + 1], persistent=False)
        self.register_buffer("text", template_features(clip, problem.class_names).clone())
        self.most_labels = problem.most_labels
        if settings.tune_epochs:
            self.live: Clip = clip.copy()
            self.towers = self.live.model.requires_grad_(True)
        if settings.epochs:
            self.weight = nn.Parameter(torch.zeros(problem.width, problem.width))
            if settings.adapter == "relu":
                nn.init.kaiming_uniform_(self.weight, a=5**0.5, generator=problem.generator)
                self.bias = nn.Parameter(torch.zeros(problem.width))

    @classmethod
    def masks_unknown(cls, settings: Any) -> bool:
        return True

    @classmethod
    def needs_captions(cls, settings: Any) -> bool:
        return settings.tune_captions

    @classmethod
    def tunes_towers(cls, settings: Any) -> bool:
        return settings.tune_epochs > 0

    def train(self, mode: bool = True) -> "Ballad":
        """The towers stay in the state that scores are made in: batch norms keep their statistics, and chunks are exact."""
        super().train(mode)
        if self.towers:
            self.towers.eval()
        return self

    def phases(self) -> list[Phase]:
        settings = self.settings
        adapter = [parameter for name, parameter in self.named_parameters() if name in ("weight", "bias")]
        groups = [
            {"params": adapter, "lr": settings.lr, "weight_decay": settings.weight_decay},
            *self.logit_map.parameter_groups(settings.lr_logit_map),
        ]
        balanced = Phase(groups, settings.sampler, settings.epochs, begin=self.calibrate, per_class=settings.per_class)
        if self.towers is None:
            return [balanced]
        moving = [parameter for name, parameter in self.towers.named_parameters() if name not in _FIXED]
        needs = ("pixels", "caption_ids") if settings.tune_captions else ("pixels",)
        towers = {"params": moving, "lr": settings.lr_tune, "weight_decay": settings.weight_decay}
        tuning = Phase([towers], "shuffle", settings.tune_epochs, needs, augment=settings.crop_area, rate="lr_tune")
        return [tuning, balanced]

    @torch.no_grad()
    def tuned(self) -> Clip | None:
        if self.towers is None:
            return None
        clip = self.problem.clip.tuned(self.towers)
        self.text.copy_(template_features(clip, self.problem.class_names))
        return clip

    def losses(self, batch: Batch, text: Tensor | None) -> dict[str, Tensor]:
        if batch.pixels is None:
            return super().losses(batch, text)
        images = encode_in_chunks(self.live.image_features, batch.pixels, self.settings.tune_chunk)
        if self.settings.contrast == "code":
            logits = self.live.logit_scale * images @ self._encoded(self.tokens).T
            least = torch.finfo(logits.dtype).min
            taken = logits if batch.known is None else logits.masked_fill(~batch.known, least)
            loss = _direction(taken, batch.targets.bool())
            return {"loss": loss, "loss_images": loss, "logits": logits}
        texts, positives, known = self._texts(batch)
        of_images, of_texts = contrast_loss(self.live.logit_scale * images @ texts.T, positives, known)
        return {"loss": of_images + of_texts, "loss_images": of_images, "loss_texts": of_texts}

    def _encoded(self, tokens: Tensor) -> Tensor:
        return encode_in_chunks(self.live.text_features, tokens, self.settings.tune_chunk)

    def _texts(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Features (T, D) of the texts of a batch, whose they are and of which that is known, (B, T) bool.

        As many classes as it may show, those that it shows first: how many it does, only the device knows.
        """
        n_classes = min(len(self.tokens), len(batch.targets) * self.most_labels)
        chosen = batch.targets.sum(0).topk(n_classes).indices
        texts, positives = self._encoded(self.tokens[chosen]), batch.targets[:, chosen].bool()
        known = None if batch.known is None else batch.known[:, chosen]
        if batch.caption_ids is None:
            return texts, positives, known
        same = (batch.caption_ids[:, None] == batch.caption_ids).all(-1)  # (B, B)
        # what stands there as a class's prompt, or before as a caption, is no text once more
        length = self.tokens.shape[1]
        is_prompt = (batch.caption_ids[:, None, :length] == self.tokens).all(-1).any(1)
        is_prompt &= (batch.caption_ids[:, length:] == 0).all(1)
        first = ~same.tril(-1).any(1) & ~is_prompt
        captions = self._encoded(batch.caption_ids)
        if known is not None:
            # another image's caption may be true of one whose labels are not all known
            known = torch.cat([known, same | batch.is_labelled()[:, None]], 1)
        return torch.cat([texts, captions]), torch.cat([positives, same & first], 1), known

    def adapted(self, images: Tensor) -> Tensor:
        """Unit features (B, D) of unit features (B, D): f*."""
        share = self.settings.adapter_share
        if not self.settings.epochs:
            return images
        added = images @ self.weight.T
        if self.settings.adapter == "relu":
            added = F.relu(added + self.bias)
        return F.normalize(share * added + (1 - share) * images, dim=-1)

    def cosines(self, batch: Batch, text: Tensor | None) -> Tensor:
        return self.adapted(batch.images) @ self.text.T

    def directions(self, text: Tensor | None) -> Tensor:
        return self.text
