"""What is learned: prompts in front of class names, and the logits made from them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmptlib.clip import Clip


@dataclass(frozen=True)
class Method:
    """What a method learns and from what."""

    learns: bool  # prompts are trained
    captions: bool  # with the CSE loss against captions


METHODS = {
    "zero_shot": Method(learns=False, captions=False),  # "a photo of a {}."
    "coop": Method(learns=True, captions=False),
    "lmpt": Method(learns=True, captions=True),
}


def prompt_name(class_name: str) -> str:
    """A class name as a prompt says it: `_` is a space."""
    return class_name.replace("_", " ")


class PromptLearner(nn.Module):
    """Learned context tokens in front of each class name: `[SOT] [V]_1 .. [V]_M [class name] [.] [EOT]` (LMPT Eq. 1).

    ctx_init: words whose embeddings the contexts start from, M of them, or `random` (normal, std 0.02) for n_ctx tokens
    drawn from `generator`. class_specific: one context a class (C, M, W), else one for all (1, M, W).
    Contexts are kept in fp32. Calling it gives unit text features (C, D).
    """

    def __init__(
        self,
        clip: Clip,
        class_names: tuple[str, ...],
        ctx_init: str = "a photo of a",
        n_ctx: int | None = None,
        class_specific: bool = True,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.clip = clip
        names = [prompt_name(name) for name in class_names]
        n_contexts = len(names) if class_specific else 1
        if ctx_init == "random":
            context = 0.02 * torch.randn(n_contexts, n_ctx, clip.width, generator=generator)
        else:
            tokens = clip.tokenize([ctx_init])
            context = clip.embed(tokens[:, 1 : tokens.argmax(-1).item()]).float().repeat(n_contexts, 1, 1)
            if n_ctx not in (None, context.shape[1]) or not context.shape[1]:
                raise ValueError(f"ctx_init '{ctx_init}' is {context.shape[1]} tokens, n_ctx is {n_ctx or 'not given'}")
            n_ctx = context.shape[1]

        tokens = clip.tokenize([f"{name}." for name in names])  # (C, 77): SOT, name, '.', EOT, padding
        end = tokens.argmax(-1) + n_ctx
        for name, position in zip(names, end.tolist()):
            if position >= clip.context_length:
                raise ValueError(
                    f"class '{name}' with {n_ctx} context tokens does not fit {clip.context_length} tokens"
                )
        length = int(end.max()) + 1
        embeddings = clip.embed(tokens[:, : length - n_ctx]).float()
        self.context = nn.Parameter(context.to(clip.device))
        self.register_buffer("start", embeddings[:, :1])  # (C, 1, W)
        self.register_buffer("rest", embeddings[:, 1:])  # (C, L - M - 1, W)
        self.register_buffer("end", end)

    def forward(self) -> Tensor:
        context = self.context.expand(len(self.start), -1, -1)
        return self.clip.encode_embeddings(torch.cat([self.start, context, self.rest], 1), self.end)


class Head(nn.Module):
    """Logits from cosines: `raw` gives exp(logit_scale) * cos, `affine` gives exp(a) * cos + b with a, b learned.

    a starts at CLIP's logit scale; `calibrate` sets b so that the mean logit meets the label density.
    """

    def __init__(self, kind: str, logit_scale: float):
        super().__init__()
        learned = kind == "affine"
        self.a = nn.Parameter(torch.tensor(logit_scale).log(), requires_grad=learned)
        self.b = nn.Parameter(torch.zeros(()), requires_grad=learned)

    def forward(self, cosine: Tensor) -> Tensor:
        return self.a.exp() * cosine + self.b

    @torch.no_grad()
    def calibrate(self, cosine: Tensor, targets: Tensor) -> None:
        """b = logit(label density) - mean of exp(a) * cos, over training images: cosine and targets (N, C)."""
        density = torch.logit(targets.float().mean(), eps=0.5 / targets.numel())
        self.b.copy_(density - (self.a.exp() * cosine).mean())
