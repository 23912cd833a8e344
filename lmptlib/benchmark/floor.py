"""The floor: what the frozen text tower itself costs, which no implementation of prompt tuning can leave out."""

from collections.abc import Callable

import torch
from torch import Tensor

from lmptlib.clip.model import Clip, Prompts


def floor_step(clip: Clip, prompts: Prompts) -> Callable[[], object]:
    """A step of the bare text tower as open_clip runs it, cut right after the longest end-of-text token.

    Forwards from token embeddings (P, L, W) and backwards to them; no projection, no loss, no optimiser.
    """
    embeddings, end = prompts.embeddings.detach().requires_grad_(), prompts.end
    length = int(end.max()) + 1
    text, rows = clip.text, torch.arange(len(end), device=end.device)
    upstream = torch.randn(len(end), clip.width, device=end.device)

    def step() -> tuple[Tensor, ...]:
        with torch.autocast("cuda", torch.bfloat16, enabled=clip.device == "cuda"):
            x = embeddings[:, :length] + text.positional_embedding[:length]
            x = text.ln_final(text.transformer(x, attn_mask=text.attn_mask[:length, :length]))
        return torch.autograd.grad(x[rows, end], embeddings, upstream.to(x.dtype))

    return step
