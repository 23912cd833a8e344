"""How features are made and kept, where that is a choice: how large photographs are decoded, and in how many bits features lie."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lmptlib.clip.model import Clip

# So many times the size of a model's pictures the shorter side of a reduced one has at least. Features of photographs then have
# a cosine of 0.9998 with those of the full decoding, of 0.998 at least; a texture as fine as the pixels may be seen otherwise
# altogether, which is why reduced is not the default.
ROOM = 3

Decoding = Literal["full", "reduced"]
Stored = Literal["float32", "float16"]


@dataclass(frozen=True)
class Extraction:
    """decoding: `full`, or `reduced`, by which a JPEG that is much larger than what the model sees is decoded at a half, a
    quarter or an eighth of its size. stored: the numbers in files of the cache; what is read of them is float32."""

    decoding: Decoding = "full"
    stored: Stored = "float32"

    def least(self, clip: Clip) -> int | None:
        """Pixels that the shorter side of a decoded picture needs for this CLIP; None where it is decoded in full."""
        size = clip.model.visual.image_size
        return ROOM * max(size if isinstance(size, (tuple, list)) else (size,)) if self.decoding == "reduced" else None

    def marks(self, kind: str) -> str:
        """What makes features of a kind (plain, flipped, crops ..., captions) others than the usual ones; empty where nothing does.

        Crops are cut from the picture as it is, and texts are not decoded.
        """
        reduced = self.decoding == "reduced" and kind in ("plain", "flipped")
        return f"{', reduced to {ROOM}' if reduced else ''}{', float16' if self.stored == 'float16' else ''}"

    def packed(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors as they are kept.

        float16 rounds each number by 2^-11 of it at most, so a unit feature moves by at most 2^-11, and so does its cosine to
        any text: |a'b - ab| <= |a' - a| |b| (Cauchy, Schwarz).
        """
        return {name: tensor.to(getattr(torch, self.stored)) for name, tensor in tensors.items()}


EXACT = Extraction()
