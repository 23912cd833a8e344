"""CoOp: context tokens learned with the classification loss alone."""

from typing import Any, Literal

import torch
from pydantic import Field, field_validator

from lmptlib.clip.model import Prompts
from lmptlib.methods.base import Batch, Learning, Phase, Problem
from lmptlib.methods.cosine import CosineMethod, CosineSettings
from lmptlib.methods.prompt_learner import PromptLearner


class CoOp(CosineMethod):
    """Words in front of a class name become free vectors, both towers stay frozen (Zhou et al., IJCV 2022)."""

    class Settings(CosineSettings, Learning):
        n_ctx: int | None = Field(
            4, ge=1, le=64, description="context tokens M; given without ctx_init, they start at random"
        )
        ctx_init: str = Field("a photo of a", description="words the contexts start from, or 'random'")
        class_specific: bool = Field(True, description="one context per class, or one for all")
        class_position: Literal["end", "front", "middle"] = Field(
            "end", description="where in the context the class name stands"
        )
        lr_logit_map: float = Field(1e-2, ge=0, description="learning rate of the logit map's a and b")

        @field_validator("ctx_init")
        @classmethod
        def _words(cls, text: str) -> str:
            """`a_photo_of_a` is how CoOp's scripts write `a photo of a`."""
            if "{" in text or "}" in text:
                raise ValueError(
                    f"is the words before a class name, which stands at class_position: no braces, '{text}'"
                )
            return " ".join(text.replace("_", " ").split())

    def __init__(self, settings: Settings, problem: Problem):
        super().__init__(settings, problem)
        self.learner = PromptLearner(
            problem.clip,
            problem.class_names,
            settings.ctx_init,
            settings.n_ctx,
            settings.class_specific,
            settings.class_position,
            problem.generator,
        )

    @classmethod
    def masks_unknown(cls, settings: Any) -> bool:
        return True

    def phases(self) -> list[Phase]:
        settings = self.settings
        contexts = {"params": self.contexts(), "lr": settings.lr, "weight_decay": settings.weight_decay}
        groups = [contexts, *self.logit_map.parameter_groups(settings.lr_logit_map)]
        return [Phase(groups, settings.sampler, settings.epochs, self.needs(), begin=self.calibrate)]

    def contexts(self) -> list[torch.nn.Parameter]:
        """What moves at the rate `lr`."""
        return list(self.learner.parameters())

    def needs(self) -> tuple[str, ...]:
        """The fields of a batch that training reads."""
        return ("images",)

    def prompts(self, batch: Batch | None) -> Prompts:
        return self.learner()
