"""Context tokens around class names."""

import torch
from torch import Tensor, nn

from lmptlib.clip.model import Clip, Prompts
from lmptlib.clip.text import prompt_name
from lmptlib.clip.text_tower import Shape


class PromptLearner(nn.Module):
    """Learned context tokens around each class name: `[SOT] [V]_1 .. [V]_M [class name] [.] [EOT]` (LMPT Eq. 1).

    ctx_init: words whose embeddings the contexts start from, M of them, or `random` (normal, std 0.02) for n_ctx tokens
    drawn from `generator`. class_specific: one context a class (C, M, W), else one for all (1, M, W). class_position:
    the class name stands at the `end` of the context, at its `front` or in its `middle`, after M // 2 tokens.
    Contexts are kept in fp32. Calling it gives the prompts, to be encoded.
    """

    fixed: Tensor  # (T, W): the prompts' tokens, packed
    free: Tensor  # those of them whose places context tokens take

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
        ends = (tokens.argmax(-1) + n_ctx).tolist()
        for name, position in zip(names, ends):
            if position >= clip.context_length:
                raise ValueError(
                    f"class '{name}' with {n_ctx} context tokens does not fit {clip.context_length} tokens"
                )
        before = {"end": n_ctx, "front": 0, "middle": n_ctx // 2}[class_position]  # context tokens before the name
        # of one context for all, what stands before the name is the same in all prompts, as the start token always is
        self.n_shared = 0 if class_specific else before
        sequences = [  # None is a context token
            [
                row[0],
                *[None] * before,
                *row[1 : 1 + words],
                *[None] * (n_ctx - before),
                *row[1 + words : end - n_ctx + 1],
            ]
            for row, words, end in zip(tokens.tolist(), name_length.tolist(), ends)
        ]
        self.shape = Shape(tuple(ends), 1 + self.n_shared)
        packed = sequences[0][: self.shape.shared] + [token for row in sequences for token in row[self.shape.shared :]]
        free = [place for place, token in enumerate(packed) if token is None]
        self.context = nn.Parameter(context.to(clip.device))
        self.register_buffer("free", torch.tensor(free, device=clip.device), persistent=False)
        fixed = clip.embed(torch.tensor([token or 0 for token in packed], device=clip.device)).float()
        self.register_buffer("fixed", fixed, persistent=False)

    def forward(self) -> Prompts:
        shared, own = self.context[0, : self.n_shared], self.context[:, self.n_shared :]
        context = torch.cat([shared, own.expand(len(self.shape.ends), -1, -1).flatten(0, 1)])
        return Prompts(self.fixed.index_copy(0, self.free, context), self.shape)


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
