"""LMPT relative to the other classes, with a linear probe beside the prompts."""

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lmptlib.clip.text import template_features
from lmptlib.methods.base import Batch, Problem
from lmptlib.methods.cosine import centre
from lmptlib.methods.linear_probe import Probe
from lmptlib.methods.lmpt import LMPT


class PromptsAndProbe(LMPT):
    """The prompts learn what words mean, the probe what images show; their logits are added up by shares (ours).

    logits = (1 - residual) * (exp(a) cos + b) + residual * (W f + b')

    In rankings the prompts' text features have a share of the hand-written prompt's; training does without it.
    """

    class Settings(LMPT.Settings):
        residual: float = Field(
            0.93, ge=0, le=1, description="share in the logits of a linear probe learned beside the prompts, 0 to 1"
        )
        hand_written: float = Field(
            0.4, ge=0, le=1, description="share of the hand-written prompt in the final classifier, 0 to 1"
        )
        centred: bool = Field(
            True, description="cosines with text features less their mean over classes, or with text features"
        )

    def __init__(self, settings: Settings, problem: Problem):
        super().__init__(settings, problem)
        self.logit_scale = 1.0  # the scores are logits
        self.probe = Probe(len(problem.class_names), problem.width)
        hand_written = template_features(problem.clip, problem.class_names).clone()  # no inference tensor
        self.register_buffer("hand_written", hand_written, persistent=False)

    def contexts(self) -> list[nn.Parameter]:
        return [*super().contexts(), *self.probe.parameters()]

    def cosines(self, batch: Batch, text: Tensor | None) -> Tensor:
        if not self.training:
            share = self.settings.hand_written
            text = F.normalize((1 - share) * text + share * self.hand_written, dim=-1)
        return super().cosines(batch, centre(text) if self.settings.centred else text)

    def scores(self, batch: Batch, text: Tensor | None) -> Tensor:
        share = self.settings.residual
        return (1 - share) * self.logit_map(self.cosines(batch, text)) + share * self.probe(batch.images)

    def logits(self, batch: Batch, text: Tensor | None) -> Tensor:
        return self.scores(batch, text)
