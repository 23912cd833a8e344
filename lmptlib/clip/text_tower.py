"""The frozen text tower as prompts need it: exact, without what never reaches an end-of-text token.

The tower is causal, and of a prompt its end-of-text token alone is read. So nothing behind that token is computed: tokens
are packed, one behind the other; tokens that all prompts of a set begin with, the start token or a context of all classes,
are computed once; and of the last block what the end-of-text tokens read. Only attention sees prompts side by side: what
it takes is spread out, (P, L), and what it gives is packed again.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

# Tokens that a kernel for attention works on at once: on a GPU as many prompts stand in one row as fit into them, each apart
# from the others by a mask. A prompt a row would leave most of it empty.
TILE = {"cpu": 1, "cuda": 64}


@dataclass(frozen=True)
class Shape:
    """Of a set of prompts: where each one's end-of-text token stands, and how many first tokens all of them share."""

    ends: tuple[int, ...]
    shared: int = 0

    @property
    def own(self) -> list[int]:
        """How many tokens each prompt has beside the shared ones."""
        return [end + 1 - self.shared for end in self.ends]

    def parts(self, n_prompts: int) -> list["Shape"]:
        """In sets of so many prompts."""
        return [Shape(self.ends[i : i + n_prompts], self.shared) for i in range(0, len(self.ends), n_prompts)]


@dataclass(frozen=True)
class Prompts:
    """A set of prompts as token embeddings, before positions are added: the shared ones, then each prompt's own, (T, W)."""

    tokens: Tensor
    shape: Shape

    @classmethod
    def padded(cls, embeddings: Tensor, ends: Sequence[int]) -> "Prompts":
        """Of embeddings (P, L, W) and the places of their end-of-text tokens."""
        return cls(torch.cat([prompt[: end + 1] for prompt, end in zip(embeddings, ends)]), Shape(tuple(ends)))

    def parts(self, n_prompts: int) -> list["Prompts"]:
        """In sets of so many prompts."""
        shapes = self.shape.parts(n_prompts)
        common, *own = self.tokens.split([self.shape.shared, *(sum(shape.own) for shape in shapes)])
        return [Prompts(torch.cat([common, tokens]), shape) for tokens, shape in zip(own, shapes)]


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the tokens of R sets of prompts stand, packed (T,) and side by side (P, L); S tokens at most are shared."""

    places: Tensor  # (P * L,): the token at each place; behind a prompt's end the first of its set
    own: Tensor  # (T,): a place at which a token stands; of a shared one that in its set's first prompt
    positions: Tensor  # (T,): its position in a prompt
    last: Tensor  # (P,): the end-of-text tokens
    ends: Tensor  # (P,): their positions
    read: Tensor  # (P, 1, 1, L) bool: the places that an end-of-text token reads
    shared: Tensor  # (K,): the tokens that prompts share
    shared_places: Tensor  # (K,): theirs among (R * S)
    sizes: list[int]  # (R,): prompts of each set
    most_shared: int  # S
    group: int  # prompts in a row of attention; where several, their number is filled up with such as nobody reads
    mask: Tensor | None  # (group * L, about as many): what is added to attention where several prompts stand in a row

    def apart(self, dtype: torch.dtype) -> Tensor | None:
        """The mask (group * L, group * L), its rows where a kernel wants them to begin."""
        return None if self.mask is None else self.mask.to(dtype)[:, : len(self.mask)]


@lru_cache(maxsize=1024)
def layout_of(shapes: tuple[Shape, ...], device: torch.device) -> Layout:
    """The layout of sets that stand one behind the other."""
    length, most = max(max(shape.ends) for shape in shapes) + 1, max(shape.shared for shape in shapes)
    places: list[list[int]] = []
    own: list[int] = []
    positions: list[int] = []
    last: list[int] = []
    shared: list[int] = []
    shared_places: list[int] = []
    for number, shape in enumerate(shapes):
        start = len(own)
        common = [*range(start, start + shape.shared)]
        shared += common
        shared_places += range(number * most, number * most + shape.shared)
        own += range(len(places) * length, len(places) * length + shape.shared)
        positions += range(shape.shared)
        for end in shape.ends:
            rest, first = range(shape.shared, end + 1), len(places) * length
            places.append([*common, *range(len(own), len(own) + len(rest)), *[start] * (length - end - 1)])
            own += range(first + shape.shared, first + end + 1)
            positions += rest
            last.append(len(own) - 1)

    group = _group(TILE[device.type] // length, shapes)
    unread = -len(places) % group
    mask = _apart(group, length).to(device) if group > 1 else None

    def index(numbers: list) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=device)

    ends = index([end for shape in shapes for end in shape.ends])
    return Layout(
        index(places + [[0] * length] * unread).flatten(),
        index(own),
        index(positions),
        index(last),
        ends,
        (torch.arange(length, device=device) <= ends[:, None])[:, None, None],
        index(shared),
        index(shared_places),
        [len(shape.ends) for shape in shapes],
        most,
        group,
        mask,
    )


def _group(most: int, shapes: tuple[Shape, ...]) -> int:
    """How many prompts stand in a row, `most` at most. No row has prompts of two sets: what is not finite in one, no mask
    would keep from the other."""
    if len(shapes) == 1:
        return max(1, min(most, len(shapes[0].ends)))
    return max(n for n in range(1, max(most, 1) + 1) if n == 1 or all(len(shape.ends) % n == 0 for shape in shapes))


def _apart(group: int, length: int) -> Tensor:
    """Zero where a token may read another of its own prompt that stands no later, else minus infinity; columns up to 8 n."""
    places = torch.arange(group * length)
    own = places[:, None] // length == places // length
    mask = torch.full((len(places), -(-len(places) // 8) * 8), -torch.inf)
    mask[:, : len(places)][own & (places[:, None] >= places)] = 0
    return mask


class _Spread(torch.autograd.Function):
    """Values of packed tokens (T, W) at their places (P * L, W).

    Its gradient sums over the prompts of a set that share a token; on a GPU an index would do so in another order each time.
    """

    @staticmethod
    def forward(context: Any, values: Tensor, layout: Layout) -> Tensor:
        context.layout = layout
        return values.index_select(0, layout.places)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        layout, width = context.layout, gradient.shape[1]
        of_tokens = gradient.index_select(0, layout.own)
        if layout.most_shared:
            length = layout.read.shape[-1]
            # (P, S * W)
            of_prompts = gradient.view(-1, length, width)[: len(layout.last), : layout.most_shared].flatten(1)
            of_sets = _sums(of_prompts, layout.sizes).view(-1, width)  # (R * S, W)
            of_tokens.index_copy_(0, layout.shared, of_sets.index_select(0, layout.shared_places))
        return of_tokens, None


def _sums(values: Tensor, sizes: list[int]) -> Tensor:
    """Sums (R, W) over R sets of rows of values (P, W), each of a size."""
    if len(set(sizes)) == 1:
        return values.unflatten(0, (len(sizes), -1)).sum(1)
    return torch.stack([part.sum(0) for part in values.split(sizes)])


class _Pack(torch.autograd.Function):
    """Values of tokens (T, W), from those at their places (P * L, W)."""

    @staticmethod
    def forward(context: Any, values: Tensor, layout: Layout) -> Tensor:
        context.layout, context.n_places = layout, len(values)
        return values.index_select(0, layout.own)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        at_places = gradient.new_zeros(context.n_places, gradient.shape[1])
        return at_places.index_copy_(0, context.layout.own, gradient), None


def bytes_a_token(text: Any) -> int:
    """What a text tower keeps of a token for gradients, in float32: about 16 numbers a channel and block."""
    return 4 * 16 * text.positional_embedding.shape[1] * len(text.transformer.resblocks)


class TextTower:
    """The text tower of an open_clip model, its matrices in `dtype`, all else in float32.

    `supports` says of which models: blocks of open_clip's usual kind, and a causal mask.
    """

    def __init__(self, text: Any, dtype: torch.dtype = torch.float32):
        self.positions, self.norm, self.dtype = text.positional_embedding, text.ln_final, dtype
        self.blocks = [_Block(block, dtype) for block in text.transformer.resblocks]

    @staticmethod
    def supports(text: Any) -> bool:
        from open_clip.transformer import ResidualAttentionBlock

        mask = text.attn_mask
        causal = mask is not None and torch.equal(mask, torch.full_like(mask, -torch.inf).triu(1))
        return causal and all(type(block) is ResidualAttentionBlock for block in text.transformer.resblocks)

    def __call__(self, tokens: Tensor, layout: Layout) -> Tensor:
        """What the end-of-text tokens (P, W) of prompts, packed (T, W), are after the last normalisation."""
        x = tokens + self.positions.index_select(0, layout.positions)
        # of a GPU's kernels for attention the one that is quickest over a dozen tokens
        with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]) if x.is_cuda else nullcontext():
            mask = layout.apart(self.dtype)
            for block in self.blocks[:-1]:
                x = block(x, layout, mask)
            return self.norm(self.blocks[-1].last(x, layout))


class _Block:
    """A residual block over packed tokens."""

    def __init__(self, block: Any, dtype: torch.dtype):
        attention, mlp = block.attn, block.mlp
        self.norms, self.activation = (block.ln_1, block.ln_2), mlp.gelu
        self.n_heads, self.dtype = attention.num_heads, dtype
        self.scales = [getattr(each, "gamma", None) for each in (block.ls_1, block.ls_2)]
        layers = (
            (attention.in_proj_weight, attention.in_proj_bias),
            *((layer.weight, layer.bias) for layer in (attention.out_proj, mlp.c_fc, mlp.c_proj)),
        )
        self.into, self.out, self.up, self.down = [(weight.to(dtype), bias.to(dtype)) for weight, bias in layers]

    def __call__(self, x: Tensor, layout: Layout, mask: Tensor | None) -> Tensor:
        """Of all tokens (T, W)."""
        query, key, value = self._heads(F.linear(self._normal(0, x), *self.into), 3, layout, layout.group)
        mask = None if mask is None else mask.expand(*query.shape[:2], -1, -1)
        read = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)
        return self._rest(x, _Pack.apply(read.transpose(1, 2).flatten(0, 1).flatten(1), layout))

    def last(self, x: Tensor, layout: Layout) -> Tensor:
        """Of the end-of-text tokens alone, (P, W)."""
        (weight, bias), width = self.into, x.shape[1]
        normal = self._normal(0, x)
        query = F.linear(normal.index_select(0, layout.last), weight[:width], bias[:width])
        key, value = (
            each[: len(query)] for each in self._heads(F.linear(normal, weight[width:], bias[width:]), 2, layout)
        )
        query = query.unflatten(1, (self.n_heads, -1))[:, :, None]
        read = F.scaled_dot_product_attention(query, key, value, attn_mask=layout.read)
        return self._rest(x.index_select(0, layout.last), read.flatten(1))

    def _normal(self, number: int, x: Tensor) -> Tensor:
        return self.norms[number](x).to(self.dtype)

    def _heads(self, values: Tensor, n: int, layout: Layout, group: int = 1) -> list[Tensor]:
        """n of query, key and value of packed ones (T, n * W), each (P / group, heads, group * L, W / heads)."""
        spread = _Spread.apply(values, layout).unflatten(1, (n, self.n_heads, -1))
        return [each.transpose(1, 2) for each in spread.unflatten(0, (-1, group * layout.read.shape[-1])).unbind(2)]

    def _rest(self, x: Tensor, read: Tensor) -> Tensor:
        """What follows attention, for tokens x (T, W) and what they have read."""
        x = self._added(0, x, F.linear(read, *self.out))
        hidden = self.activation(F.linear(self._normal(1, x), *self.up))
        return self._added(1, x, F.linear(hidden, *self.down))

    def _added(self, number: int, x: Tensor, found: Tensor) -> Tensor:
        scale = self.scales[number]
        return x + (found if scale is None else found * scale)
