"""What methods share that score images by the cosine with text features."""

from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from lmptlib.methods.base import Batch, Method, Problem, Settings
from lmptlib.methods.logit_map import LogitMap


class CosineSettings(Settings):
    logit_map: Literal["raw", "affine", "affine_per_class"] = Field(
        "affine",
        description="logits: raw exp(logit_scale) * cos, or affine, affine_per_class: learned exp(a) * cos + b",
    )


class CosineMethod(Method):
    """Scores are cosines of images and texts; a logit map, from CLIP's own scale on, makes logits of them."""

    logit_map: LogitMap

    def __init__(self, settings: CosineSettings, problem: Problem):
        super().__init__(settings, problem)
        self.logit_scale = problem.clip.logit_scale
        self.logit_map = LogitMap(settings.logit_map, self.logit_scale, len(problem.class_names))

    @torch.no_grad()
    def calibrate(self, chunks: Iterable[Batch]) -> None:
        """The logit map's first bias: the mean logit meets the label density."""
        (text,) = self.problem.clip.encode_prompts([self.prompts(None)])
        labelled = (batch.labelled() for batch in chunks)
        self.logit_map.calibrate((self.cosines(batch, text), batch.targets) for batch in labelled)

    def cosines(self, batch: Batch, text: Tensor | None) -> Tensor:
        """Cosines (B, C) of unit image features with unit text features (C, D): what the logit map takes."""
        return batch.images @ text.T

    def scores(self, batch: Batch, text: Tensor | None) -> Tensor:
        return self.cosines(batch, text)


def centre(text: Tensor) -> Tensor:
    """Text features (C, D) without what all classes share: a score is then relative to the other classes, if there are any."""
    return text - text.mean(0) if len(text) > 1 else text
