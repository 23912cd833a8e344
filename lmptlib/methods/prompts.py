"""What is learned: prompts in front of class names or a linear probe, and the logits made from their scores."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmptlib.clip.model import Clip


@dataclass(frozen=True)
class Method:
    """What a method learns and from what."""

    learns: bool = True
    captions: bool = False  # with the CSE loss against captions
    prompts: bool = True  # classes are texts; else rows of a matrix


METHODS = {
    "zero_shot": Method(learns=False),  # "a photo of a {}."
    "zero_shot_templates": Method(learns=False),  # the mean over seven templates
    "coop": Method(),
    "lmpt": Method(captions=True),
    "linear_probe": Method(prompts=False),
}
HEADS = ("raw", "affine", "affine_per_class")
POSITIONS = ("end", "front", "middle")
HAND_WRITTEN = ("a photo of a {}.",)
# Seven that do well together, by CLIP's authors (their notebook on prompts for ImageNet).
TEMPLATES = (
    "itap of a {}.", "a bad photo of the {}.", "a origami {}.", "a photo of the large {}.", "a {} in a video game.",
    "art of the {}.", "a photo of the small {}.",
)  # fmt: skip


def prompt_name(class_name: str) -> str:
    """A class name as a prompt says it: `_` is a space."""
    return class_name.replace("_", " ")


def template_features(clip: Clip, class_names: tuple[str, ...], templates: tuple[str, ...] = HAND_WRITTEN) -> Tensor:
    """Unit features (C, D) of the class names in hand-written templates, the mean of several."""
    features = [clip.encode_texts([t.format(prompt_name(name)) for name in class_names]) for t in templates]
    return F.normalize(torch.stack(features).mean(0), dim=-1)


def with_hand_written(text: Tensor, hand_written: Tensor, share: float) -> Tensor:
    """Unit text features (C, D) with a share of the hand-written prompt's."""
    return F.normalize((1 - share) * text + share * hand_written, dim=-1)


def class_scores(images: Tensor, text: Tensor, centred: bool) -> Tensor:
    """Cosines (B, C) of unit image features (B, D) with text features (C, D).

    `centred` text features are without what all classes share: a score is then relative to the other classes.
    """
    return images @ (text - text.mean(0) if centred else text).T


class PromptLearner(nn.Module):
    """Learned context tokens around each class name: `[SOT] [V]_1 .. [V]_M [class name] [.] [EOT]` (LMPT Eq. 1).

    ctx_init: words whose embeddings the contexts start from, M of them, or `random` (normal, std 0.02) for n_ctx tokens
    drawn from `generator`. class_specific: one context a class (C, M, W), else one for all (1, M, W). class_position:
    the class name stands at the `end` of the context, at its `front` or in its `middle`, after M // 2 tokens.
    Contexts are kept in fp32. Calling it gives unit text features (C, D).
    """

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
        self.register_buffer("fixed", fixed)  # (C, L - M, W)
        self.register_buffer("order", torch.tensor(order, device=clip.device)[..., None])  # (C, L, 1)
        self.register_buffer("end", end)

    def forward(self) -> Tensor:
        context = self.context.expand(len(self.fixed), -1, -1)
        tokens = torch.cat([self.fixed, context], 1)
        return self.clip.encode_embeddings(tokens.gather(1, self.order.expand_as(tokens)), self.end)


def _order(length: int, n_ctx: int, before: int, words: int) -> list[int]:
    """Where each of a prompt's tokens stands in [SOT, name, '.', EOT, padding, context]."""
    fixed, context = list(range(length - n_ctx)), list(range(length - n_ctx, length))
    name, rest = fixed[1 : 1 + words], fixed[1 + words :]
    return [0, *context[:before], *name, *context[before:], *rest]


class HandWritten(nn.Module):
    """Fixed text features. Calling it gives them, (C, D)."""

    def __init__(self, text: Tensor):
        super().__init__()
        self.register_buffer("text", text)

    def forward(self) -> Tensor:
        return self.text


class LinearProbe(nn.Module):
    """A linear head `W f + b` on image features f, W and b starting at zero (LMPT Fig. 4's FC). Calling it gives W (C, D)."""

    def __init__(self, n_classes: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_classes, width))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self) -> Tensor:
        return self.weight

    def scores(self, images: Tensor) -> Tensor:
        """W f + b, (B, C), of image features (B, D)."""
        return images @ self.weight.T + self.bias


class Head(nn.Module):
    """Logits from scores: `raw` gives scale * score, `affine` gives exp(a) * score + b with a, b learned.

    `affine_per_class` learns a and b of each class. a starts at log(scale), CLIP's logit scale for cosines; `calibrate`
    sets b so that the mean logit meets the label density.
    """

    def __init__(self, kind: str, scale: float, n_classes: int):
        super().__init__()
        self.learned = kind != "raw"
        shape = (n_classes,) if kind == "affine_per_class" else ()
        self.a = nn.Parameter(torch.full(shape, scale).log(), requires_grad=self.learned)
        self.b = nn.Parameter(torch.zeros(shape), requires_grad=self.learned)

    def forward(self, scores: Tensor) -> Tensor:
        return self.a.exp() * scores + self.b

    @torch.no_grad()
    def calibrate(self, scores: Tensor, targets: Tensor) -> None:
        """b = logit(label density) - mean of exp(a) * score, over training images: scores and targets (N, C).

        Over all classes, or of each class by itself where b is per class.
        """
        over = 0 if self.b.dim() else (0, 1)
        density = torch.logit(targets.float().mean(over), eps=0.5 / targets.numel())
        self.b.copy_(density - (self.a.exp() * scores).mean(over))
