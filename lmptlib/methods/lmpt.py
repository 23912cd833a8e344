"""LMPT: prompts that also learn from captions."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from lmptlib.losses import CSELoss
from lmptlib.methods.base import Batch, Problem
from lmptlib.methods.coop import CoOp

REWEIGHT: dict[str, bool | str] = {"frequency": True, "uniform": False, "ones": "ones"}  # as CSELoss takes them


class LMPT(CoOp):
    """CoOp's prompts with the class-specific embedding (CSE) loss against captions (Xia et al., arXiv 2305.04536).

    lam * L_cls + (1 - lam) * L_cse (Eq. 11, its bracket mended)
    """

    class Settings(CoOp.Settings):
        lam: float = Field(
            0.5, ge=0, le=1, description="weight of the classification loss; 1 - lam weighs the CSE loss"
        )
        eta: float = Field(1.0, ge=0, description="scale of the CSE margins")
        gamma: float = Field(1.0, ge=0, description="power of the CSE class weights")
        soft_margin: bool = Field(True, description="CSE margins by class frequency, or one for all")
        reweight: Literal["frequency", "uniform", "ones"] = Field(
            "frequency", description="CSE weights: frequency, uniform (1/C) or ones (1, the literal reading)"
        )
        level: Literal["feature", "token"] = Field(
            "feature", description="CSE operands: feature (text tower's outputs) or token (input embeddings)"
        )

    captions = True

    def __init__(self, settings: Settings, problem: Problem):
        super().__init__(settings, problem)
        weights = REWEIGHT[settings.reweight]
        self.cse = CSELoss(
            problem.class_counts, settings.eta, settings.gamma, settings.soft_margin, weights, settings.level
        )

    def needs(self) -> tuple[str, ...]:
        return ("images", "captions" if self.settings.level == "feature" else "caption_ids")

    def losses(self, batch: Batch, text: Tensor | None) -> dict[str, Tensor]:
        terms, lam = super().losses(batch, text), self.settings.lam
        loss_cse = self.cse(*self._operands(batch, text), batch.targets, batch.known)
        return terms | {"loss": lam * terms["loss_cls"] + (1 - lam) * loss_cse, "loss_cse": loss_cse}

    def diagnostics(self, batch: Batch, text: Tensor | None) -> dict[str, Tensor]:
        """The share of negatives inside the CSE margin."""
        return {"inside_margin": self.cse.inside_margin(*self._operands(batch, text), batch.targets, batch.known)}

    def _operands(self, batch: Batch, text: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the CSE loss compares: captions, and prompts of each class."""
        if self.settings.level == "feature":
            return batch.captions, text
        context = self.learner.context
        words = self.problem.clip.embed_words(batch.caption_ids, context.shape[1])
        return words, context.expand(batch.targets.shape[1], -1, -1)
