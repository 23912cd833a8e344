"""The floor: what the frozen text tower itself costs, which no prompt tuning that trains step by step can leave out."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from lmptlib.clip.model import Clip
from lmptlib.clip.text import prompt_name
from lmptlib.methods.coop import CoOp
from lmptlib.training.state import TrainState


def floor_step(clip: Clip, class_names: tuple[str, ...], n_context: int) -> Callable[[], object]:
    """A step of the bare text tower as open_clip runs it, cut right after the longest end-of-text token.

    A prompt a class of `n_context` words, its name and '.'. Forwards from token embeddings (C, L, W) and backwards to them:
    no projection, no loss, no optimiser.
    """
    tokens = clip.tokenize([f"{'a ' * n_context}{prompt_name(name)}." for name in class_names])
    end = tokens.argmax(-1)
    length = int(end.max()) + 1
    embeddings = clip.embed(tokens[:, :length]).detach().clone().requires_grad_()
    text, rows = clip.text, torch.arange(len(end), device=end.device)
    upstream = torch.randn(len(end), clip.width, device=end.device)

    def step() -> tuple[Tensor, ...]:
        with torch.autocast("cuda", torch.bfloat16, enabled=clip.device == "cuda"):
            x = embeddings + text.positional_embedding[:length]
            x = text.ln_final(text.transformer(x, attn_mask=text.attn_mask[:length, :length]))
        return torch.autograd.grad(x[rows, end], embeddings, upstream.to(x.dtype))

    return step


def n_context(state: TrainState) -> int:
    """Context tokens of a run's prompts."""
    return cast(CoOp, state.method).learner.context.shape[1]
