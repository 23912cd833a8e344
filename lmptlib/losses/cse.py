"""The class-specific embedding (CSE) loss of LMPT."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CSELoss(nn.Module):
    """Draws a class's prompt to the captions of its images and pushes it a margin away from the others (LMPT Eq. 3-7).

    For the caption feature t_k of image k and the prompt feature o_i of class i, with D_ik = 1 - cos(t_k, o_i):

        y_ik = 1: w_i D_ik          y_ik = 0: max(0, w_i (mu_i - D_ik))
        mu_i = eta * n_i^(-1/4)     w_i = n_i^(-gamma) / sum_j n_j^(-gamma)

    summed over classes, averaged over the batch. `soft_margin=False` gives every class the mean margin;
    `reweight=False` gives every class w = 1/C, and `reweight="ones"` w = 1, the literal reading of Eq. 3.
    A class with n_i = 0 has weight 0.

    level: `feature` takes the text tower's outputs, captions (B, D) and prompts (C, D). `token` takes input token
    embeddings, captions (B, L, W) and prompts (C, L, W), and cos is the mean over positions of the cosine of the tokens
    that stand there; positions past a caption's end are zero vectors and left out.

    A prompt on its caption costs nothing; the other class's prompt, at distance 0, lies all of its margin too near:

    >>> import torch
    >>> from lmptlib.losses import CSELoss
    >>> loss = CSELoss(class_counts=torch.tensor([16, 1]), reweight="ones")
    >>> loss(captions=torch.ones(1, 8), prompts=torch.ones(2, 8), targets=torch.tensor([[1.0, 0.0]]))
    tensor(1.)
    """

    margin: Tensor  # (C,)
    weight: Tensor  # (C,)

    def __init__(
        self,
        class_counts: Tensor,
        eta: float = 1.0,
        gamma: float = 1.0,
        soft_margin: bool = True,
        reweight: bool | str = True,
        level: str = "feature",
    ):
        super().__init__()
        if reweight not in (True, False, "ones"):
            raise ValueError(f"reweight is True, False or 'ones', not {reweight!r}")
        if level not in ("feature", "token"):
            raise ValueError(f"level is 'feature' or 'token', not '{level}'")
        self.level = level
        counts = torch.as_tensor(class_counts, dtype=torch.float64)
        present = counts > 0
        margin = eta * counts.clamp(min=1) ** -0.25
        weight = counts.clamp(min=1) ** -gamma if reweight is True else torch.ones_like(counts)
        weight = weight * present
        self.register_buffer(
            "margin", margin if soft_margin else margin[present].mean().expand_as(margin).clone(), persistent=False
        )
        self.register_buffer("weight", weight if reweight == "ones" else weight / weight.sum(), persistent=False)

    def _distance(self, captions: Tensor, prompts: Tensor, targets: Tensor) -> Tensor:
        if targets.shape != (len(captions), len(prompts)) or len(prompts) != len(self.weight):
            raise ValueError(
                f"CSELoss: {len(captions)} captions and {len(prompts)} prompts of {len(self.weight)} classes do not fit "
                f"targets {tuple(targets.shape)}"
            )
        if prompts.dtype != torch.float64:  # half precision has no room for the norm of a short vector
            captions, prompts = captions.float(), prompts.float()
        captions, prompts = F.normalize(captions, dim=-1), F.normalize(prompts, dim=-1)
        if self.level == "feature":
            return 1 - captions @ prompts.T
        n_tokens = captions.any(-1).sum(1, keepdim=True)  # (B, 1)
        return 1 - captions.flatten(1) @ prompts.flatten(1).T / n_tokens.clamp(min=1)

    def forward(self, captions: Tensor, prompts: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """The loss of captions and prompts, as `level` says, and targets (B, C): a scalar.

        Labels that are not `known`, (B, C) bool, cost nothing.
        """
        distance = self._distance(captions, prompts, targets)
        outside = (self.margin.to(distance) - distance).clamp(min=0)
        each = self.weight.to(distance) * torch.where(targets > 0, distance, outside)
        return (each if known is None else each.where(known, 0.0)).sum(1).mean()

    @torch.no_grad()
    def inside_margin(self, captions: Tensor, prompts: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
        """The share of negative pairs that lie inside their margin, a scalar: where it is 0, the margin has no effect."""
        distance = self._distance(captions, prompts, targets)
        inside, negative = distance < self.margin.to(distance), targets <= 0
        negative = negative if known is None else negative & known
        return (inside & negative).sum() / negative.sum().clamp(min=1)
