"""Context tokens around class names."""

import torch
from torch import Tensor, nn

from lmptlib.clip.model import Clip, Prompts
from lmptlib.clip.text import prompt_name


class PromptLearner(nn.Module):
    """Learned context tokens around each class name: `[SOT] [V]_1 .. [V]_M [class name] [.] [EOT]` (LMPT Eq. 1).

    ctx_init: words whose embeddings the contexts start from, M of them, or `random` (normal, std 0.02) for n_ctx tokens
    drawn from `generator`. class_specific: one context a class (C, M, W), else one for all (1, M, W). class_position:
    the class name stands at the `end` of the context, at its `front` or in its `middle`, after M // 2 tokens.
    Contexts are kept in fp32. Calling it gives the prompts, to be encoded.
    """

    fixed: Tensor  # (C, L - M, W)
    order: Tensor  # (C, L, 1)
    end: Tensor  # (C,)

    def __init__(
        self,
        clip: Clip,
        class_names: tuple[str, ...],
        ctx_init: str = "a photo of a",
        n_ctx: int | None = None,
        class_specific: bool = True,
        class_position: str = "end",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        names = [prompt_name(name) for name in class_names]
        context = _first_context(clip, ctx_init, n_ctx, generator, len(names) if class_specific else 1)
        n_ctx = context.shape[1]
        tokens = clip.tokenize([f"{name}." for name in names])  # (C, 77): SOT, name, '.', EOT, padding
        name_length = clip.tokenize(names).argmax(-1) - 1
        end = tokens.argmax(-1) + n_ctx
        for name, position in zip(names, end.tolist()):
            if position >= clip.context_length:
                raise ValueError(
                    f"class '{name}' with {n_ctx} context tokens does not fit {clip.context_length} tokens"
                )
        length = int(end.max()) + 1
        fixed = clip.embed(tokens[:, : length - n_ctx]).float()
        before = {"end": n_ctx, "front": 0, "middle": n_ctx // 2}[class_position]  # context tokens before the name
        order = [_order(length, n_ctx, before, words) for words in name_length.tolist()]
        self.context = nn.Parameter(context.to(clip.device))
        self.register_buffer("fixed", fixed, persistent=False)
        self.register_buffer("order", torch.tensor(order, device=clip.device)[..., None], persistent=False)
        self.register_buffer("end", end, persistent=False)

    def forward(self) -> Prompts:
        context = self.context.expand(len(self.fixed), -1, -1)
        tokens = torch.cat([self.fixed, context], 1)
        return Prompts(tokens.gather(1, self.order.expand_as(tokens)), self.end)


def _first_context(
    clip: Clip, ctx_init: str, n_ctx: int | None, generator: torch.Generator | None, n_contexts: int
) -> Tensor:
    """Contexts (n_contexts, M, W) to start from, of words or at random."""
    if ctx_init == "random":
        if n_ctx is None:
            raise ValueError("ctx_init 'random' needs n_ctx, the number of context tokens")
        return 0.02 * torch.randn(n_contexts, n_ctx, clip.width, generator=generator)
    tokens = clip.tokenize([ctx_init])
    context = clip.embed(tokens[:, 1 : tokens.argmax(-1).item()]).float().repeat(n_contexts, 1, 1)
    if n_ctx not in (None, context.shape[1]) or not context.shape[1]:
        raise ValueError(f"ctx_init '{ctx_init}' is {context.shape[1]} tokens, n_ctx is {n_ctx or 'not given'}")
    return context


def _order(length: int, n_ctx: int, before: int, words: int) -> list[int]:
    """Where each of a prompt's tokens stands in [SOT, name, '.', EOT, padding, context]."""
    fixed, context = list(range(length - n_ctx)), list(range(length - n_ctx, length))
    name, rest = fixed[1 : 1 + words], fixed[1 + words :]
    return [0, *context[:before], *name, *context[before:], *rest]
