"""CLIP as it comes: hand-written prompts, nothing learned but the bias of the logits."""

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from lmptlib.clip.text import HAND_WRITTEN, TEMPLATES, template_features
from lmptlib.methods.base import Batch, Problem
from lmptlib.methods.cosine import CosineMethod, CosineSettings, centre


class ZeroShot(CosineMethod):
    """An image's score for a class is its cosine with "a photo of a {class}." (Radford et al., ICML 2021)."""

    class Settings(CosineSettings):
        centred: bool = Field(
            False, description="cosines with text features less their mean over classes, or with text features"
        )

    templates: ClassVar[tuple[str, ...]] = HAND_WRITTEN
    text: Tensor  # (C, D)

    def __init__(self, settings: Settings, problem: Problem):
        super().__init__(settings, problem)
        text = template_features(problem.clip, problem.class_names, self.templates).clone()  # no inference tensor
        self.register_buffer("text", text)

    @classmethod
    def masks_unknown(cls, settings: Any) -> bool:
        return True

    def cosines(self, batch: Batch, text: Tensor | None) -> Tensor:
        return super().cosines(batch, centre(self.text) if self.settings.centred else self.text)

    def directions(self, text: Tensor | None) -> Tensor:
        return self.text


class ZeroShotTemplates(ZeroShot):
    """The mean of a class's text features over seven templates, those of CLIP's authors."""

    templates = TEMPLATES
