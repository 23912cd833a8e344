"""A frozen CLIP."""

import copy
import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmptlib.clip.chunks import recomputed
from lmptlib.clip.text_tower import Prompts, Shape, TextTower, bytes_a_token, layout_of

# Bytes that the text tower keeps for the gradients of prompts that are encoded at once; on a GPU an eighth of its memory.
KEPT = 2 * 10**9


def precision_of(device: str, precision: str) -> str:
    """fp32 or bf16: `auto` is bf16 on a GPU."""
    return ("bf16" if device == "cuda" else "fp32") if precision == "auto" else precision


class Clip:
    """A frozen CLIP on one device.

    Attributes: name; logit_scale, exp of CLIP's learned logit scale; width of the text tower's tokens;
    context_length; preprocess, from a PIL image to pixels (3, H, W); precision, that of its matrices, fp32 or bf16 (auto: bf16
    on a GPU); fingerprint of weights, preprocessing and another precision than the device's own. Model and tokenizer are
    open_clip's, which come without types.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        preprocess: Callable,
        name: str,
        fingerprint: str,
        device: str,
        precision: str = "auto",
    ):
        self.model = model.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
        self.text = getattr(model, "text", model)  # CustomTextCLIP keeps its text tower in a module of its own
        self.tokenizer, self.preprocess, self.name, self.device = tokenizer, preprocess, name, device
        self.precision = precision_of(device, precision)
        self._origin = hashlib.sha256(f"{fingerprint} {preprocess}".encode()).hexdigest()
        self.fingerprint = self.fingerprint_on(device, precision)
        self.logit_scale = model.logit_scale.exp().item()
        self.width = self.text.token_embedding.weight.shape[1]
        self.context_length = self.text.positional_embedding.shape[0]
        # Prompts that are encoded at once, where that is not left to the memory that there is.
        self.prompts_at_once: int | None = None
        # (V,): which tokens have an embedding
        self._vocabulary = self.text.token_embedding.weight.isfinite().all(1).cpu()

    def fingerprint_on(self, device: str, precision: str) -> str:
        """Its fingerprint on another device, or with another precision."""
        found = precision_of(device, precision)
        if found == precision_of(device, "auto"):
            return self._origin
        return hashlib.sha256(f"{self._origin} {found}".encode()).hexdigest()

    @torch.inference_mode()
    def encode_images(self, pixels: Tensor) -> Tensor:
        """Unit features (B, D) of pixels (B, 3, H, W), without gradients."""
        return self.image_features(pixels)

    def image_features(self, pixels: Tensor) -> Tensor:
        """Unit features (B, D) of pixels (B, 3, H, W)."""
        with self._autocast():
            features = self.model.encode_image(pixels.to(self.device, memory_format=torch.channels_last))
        return F.normalize(features.float(), dim=-1)

    def tokenize(self, texts: list[str]) -> Tensor:
        """Tokens (B, 77), cut at 77 with the end-of-text token kept.

        Raises ValueError naming the first text with a word that the model has no embedding for.
        """
        tokens = self.tokenizer(texts, context_length=self.context_length)
        unknown = ~self._vocabulary[tokens] & (torch.arange(tokens.shape[1]) <= tokens.argmax(-1, keepdim=True))
        if unknown.any():
            row, column = unknown.nonzero()[0].tolist()
            token = self.tokenizer.decode([tokens[row, column].item()]).strip()
            raise ValueError(
                f"{self.name} never learned the token '{token}' of '{texts[row]}': name it otherwise, or choose another "
                "model (-p model, -p weights)"
            )
        return tokens.to(self.device)

    def is_cut(self, texts: Sequence[str]) -> list[bool]:
        """Which texts have more tokens than the text tower reads. One with fewer bytes than that has not."""
        longest = self.context_length
        long = [i for i, text in enumerate(texts) if len(text.encode()) > longest - 2]
        cut = [False] * len(texts)
        if long:
            ends = self.tokenizer([texts[i] for i in long], context_length=longest + 1).argmax(-1)
            for i, end in zip(long, ends.tolist()):
                cut[i] = end == longest
        return cut

    def embed(self, tokens: Tensor) -> Tensor:
        """Token embeddings (B, L, W) of tokens (B, L), before positions are added."""
        return self.text.token_embedding(tokens)

    def embed_words(self, tokens: Tensor, length: int) -> Tensor:
        """Embeddings (N, L, W) of the first L of tokens (N, 77), without the start token; zero past a text's end."""
        inside = torch.arange(1, length + 1, device=tokens.device) < tokens.argmax(-1, keepdim=True)
        return torch.where(inside[..., None], self.embed(tokens[:, 1 : length + 1]).float(), 0.0)

    @torch.inference_mode()
    def nearest_words(self, vectors: Tensor, k: int) -> list[list[list[tuple[str, float]]]]:
        """The k words whose embeddings are nearest to each of vectors (B, M, W), with their Euclidean distances."""
        words = self._vocabulary.clone()
        words[self.tokenizer([""])[0, :2]] = False  # start and end of text
        tokens = words.nonzero().flatten()
        table = self.text.token_embedding.weight[tokens.to(vectors.device)].float()
        distances, nearest = torch.cdist(vectors.float(), table).topk(k, largest=False)
        return [
            [
                [(self.tokenizer.decode([tokens[i].item()]).strip(), d.item()) for d, i in zip(ds, ids)]
                for ds, ids in zip(*of_row)
            ]
            for of_row in zip(distances, nearest)
        ]

    def encode_prompts(self, prompts: Sequence[Prompts | None]) -> list[Tensor | None]:
        """Unit features (P, D) of each set of prompts, all of them in one pass of the tower; None stays None.

        Where their gradients would take more than KEPT bytes, in as many passes as it takes: features and gradients are the
        same, memory is that of `prompts_at_once`, and time a third more.
        """
        sets = [each for each in prompts if each is not None]
        if not sets:
            return [None] * len(prompts)
        sizes = [len(each.shape.ends) for each in sets]
        at_once = self.prompts_at_once or self._room(sets)
        if sum(sizes) <= at_once:
            together = torch.cat([each.tokens for each in sets]), tuple(each.shape for each in sets)
            features = self._encode_packed(*together).split(sizes)
        else:
            features = tuple(
                torch.cat([recomputed(self._encode_packed, part.tokens, (part.shape,)) for part in each.parts(at_once)])
                for each in sets
            )
        found = iter(features)
        return [None if each is None else next(found) for each in prompts]

    def _room(self, sets: Sequence[Prompts]) -> int:
        """How many prompts of the kind can be encoded at once."""
        n_prompts = sum(len(each.shape.ends) for each in sets)
        n_tokens = sum(len(each.tokens) for each in sets)
        return max(self._kept * n_prompts // (n_tokens * bytes_a_token(self.text)), 1)

    @cached_property
    def _kept(self) -> int:
        if self.device == "cpu":
            return KEPT
        # an eighth, for each kind of step of a training has a CUDA graph that keeps its own
        return torch.cuda.get_device_properties(self.device).total_memory // 8

    def _encode_packed(self, tokens: Tensor, shapes: tuple[Shape, ...]) -> Tensor:
        """Unit features (P, D) of sets of prompts, packed (T, W)."""
        layout = layout_of(shapes, tokens.device)
        if self._tower is None:
            return self.encode_embeddings(tokens[layout.places].unflatten(0, (len(layout.ends), -1)), layout.ends)
        return F.normalize(self._project(self._tower(tokens, layout)).float(), dim=-1)

    @cached_property
    def _tower(self) -> TextTower | None:
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        return TextTower(self.text, dtype) if TextTower.supports(self.text) else None

    def encode_embeddings(self, embeddings: Tensor, end: Tensor) -> Tensor:
        """Unit features (B, D) of token embeddings (B, L, W) whose end-of-text token is at `end` (B,).

        L may be any length up to 77: the tower is causal, so what follows the end-of-text token changes nothing.
        """
        with self._autocast():
            x = self._text_tower(embeddings)
            x = self._project(x[torch.arange(len(x), device=x.device), end])
        return F.normalize(x.float(), dim=-1)

    @torch.inference_mode()
    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """A unit feature for each of tokens (B, L), (B, L, D), projected as the end-of-text token's is; zero past the end."""
        with self._autocast():
            features = self._project(self._text_tower(self.embed(tokens)))
        inside = torch.arange(tokens.shape[1], device=tokens.device) <= tokens.argmax(-1, keepdim=True)
        return torch.where(inside[..., None], F.normalize(features.float(), dim=-1), 0.0)

    def _text_tower(self, embeddings: Tensor) -> Tensor:
        """What the text tower makes of token embeddings (B, L, W), after its last normalisation."""
        length = embeddings.shape[1]
        x = embeddings + self.text.positional_embedding[:length]
        return self.text.ln_final(self.text.transformer(x, attn_mask=self.text.attn_mask[:length, :length]))

    def _project(self, x: Tensor) -> Tensor:
        projection = self.text.text_projection
        if projection is None:
            return x
        return projection(x) if isinstance(projection, nn.Linear) else x @ projection

    def text_features(self, tokens: Tensor) -> Tensor:
        """Unit features (B, D) of tokens (B, L)."""
        return self.encode_embeddings(self.embed(tokens), tokens.argmax(-1))

    def copy(self) -> "Clip":
        """The same CLIP with weights of its own."""
        model = copy.deepcopy(self.model)
        return Clip(model, self.tokenizer, self.preprocess, self.name, self.fingerprint, self.device, self.precision)

    def tuned(self, model: nn.Module) -> "Clip":
        """This CLIP with the weights of `model`, a copy of its own, under a fingerprint of their own."""
        digest = hashlib.sha256(self.fingerprint.encode())
        for name, tensor in model.state_dict().items():
            digest.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
        fingerprint = digest.hexdigest()
        return Clip(
            copy.deepcopy(model), self.tokenizer, self.preprocess, self.name, fingerprint, self.device, self.precision
        )

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], batch_size: int = 256) -> Tensor:
        """Unit features (N, D) of texts, cut right after the longest end-of-text token of each batch."""
        features = []
        for tokens in self.tokenize(texts).split(batch_size):
            features.append(self.text_features(tokens[:, : int(tokens.argmax(-1).max()) + 1]))
        return torch.cat(features)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.precision == "bf16")
