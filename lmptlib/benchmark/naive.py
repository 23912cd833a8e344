"""The loop that computes nothing once, as released implementations of prompt tuning have it: what `lmpt bench` compares with.

At every step images go through the image tower and captions through the text tower, though both are frozen; prompts are
encoded at all 77 tokens; after every epoch all test images go through the image tower again. The mathematics is that of
lmptlib's LMPT with a shared scale and bias: a test trains a small model both ways and finds the same losses.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmptlib.losses import ClassificationLoss, CSELoss

CONTEXT = "a photo of a"


class NaiveLoop:
    """LMPT on an open_clip model: `[SOT] [V]_1 .. [V]_M [class name] . [EOT]`, a context for each class.

    model, tokenizer: open_clip's, which come without types; frozen, on its device. loss, cse: of logits, and of captions
    and prompts. bias: where the logits' bias starts. lam: weight of the classification loss. n_steps: of the whole
    training, for the cosine.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        class_names: tuple[str, ...],
        loss: ClassificationLoss,
        cse: CSELoss,
        n_steps: int,
        bias: float = 0.0,
        lam: float = 0.5,
    ):
        self.model, self.text, self.loss, self.cse, self.lam = model, getattr(model, "text", model), loss, cse, lam
        scale = model.logit_scale
        device = scale.device
        names = [name.replace("_", " ") for name in class_names]
        tokens = tokenizer([f"{CONTEXT} {name}." for name in names]).to(device)  # (C, 77)
        self.end = tokens.argmax(-1)
        with torch.no_grad():
            self.fixed = self.text.token_embedding(tokens)  # (C, 77, W)
        n_context = len(CONTEXT.split())
        self.context = nn.Parameter(self.fixed[:, 1 : 1 + n_context].clone())  # (C, M, W)
        self.log_scale, self.bias = nn.Parameter(scale.clone()), nn.Parameter(torch.tensor(bias, device=device))
        groups = [
            {"params": [self.context], "lr": 2e-3, "weight_decay": 1e-2},
            {"params": [self.log_scale, self.bias], "lr": 1e-2, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999))
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, n_steps)

    def step(self, pixels: Tensor, captions: Tensor, targets: Tensor) -> Tensor:
        """One step on pixels (B, 3, H, W), flipped or not, tokens of captions (B, 77) and targets (B, C): its loss."""
        return self.learn(self.encode_images(pixels), captions, targets)

    @torch.no_grad()
    def encode_images(self, pixels: Tensor) -> Tensor:
        """Unit features (B, D) of images: at every step, and of every test image after every epoch."""
        with self._autocast():
            return F.normalize(self.model.encode_image(pixels), dim=-1).float()

    def learn(self, images: Tensor, captions: Tensor, targets: Tensor) -> Tensor:
        """The rest of a step: captions, prompts, losses, backward, update."""
        with torch.no_grad(), self._autocast():
            told = F.normalize(self.model.encode_text(captions), dim=-1).float()
        prompts = self.encode_prompts()
        logits = self.log_scale.exp() * images @ prompts.T + self.bias
        loss = self.lam * self.loss(logits, targets) + (1 - self.lam) * self.cse(told, prompts, targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()

    def encode_prompts(self) -> Tensor:
        """Unit features (C, D) of the prompts, all 77 tokens of each."""
        n_context = self.context.shape[1]
        x = torch.cat([self.fixed[:, :1], self.context, self.fixed[:, 1 + n_context :]], dim=1)
        with self._autocast():
            x = x + self.text.positional_embedding
            x = self.text.ln_final(self.text.transformer(x, attn_mask=self.text.attn_mask))
            x = x[torch.arange(len(x)), self.end]
            projection = self.text.text_projection
            x = projection(x) if isinstance(projection, nn.Linear) else x @ projection
        return F.normalize(x.float(), dim=-1)

    def _autocast(self) -> torch.autocast:
        """As lmptlib encodes: on CUDA in bfloat16, so that the ratio is none of precisions."""
        return torch.autocast("cuda", torch.bfloat16, enabled=self.context.is_cuda)
