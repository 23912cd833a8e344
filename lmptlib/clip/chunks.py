"""Encoding some inputs at a time, with the gradient of all at once."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(encode: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """What `encode` gives of its inputs; what its gradient needs is not kept, and computed again when it is its turn.

    Chen et al., arXiv 1604.06174.
    """
    # nothing random happens in the towers, and to keep the state of a device's generator would wait for the device
    return checkpoint(encode, *inputs, use_reentrant=False, preserve_rng_state=False)


def encode_in_chunks(encode: Callable[[Tensor], Tensor], inputs: Tensor, chunk: int) -> Tensor:
    """Features (N, D) of inputs (N, ...), `chunk` at a time; 0: all at once. Memory is that of one chunk, time a third more."""
    if chunk == 0 or len(inputs) <= chunk:
        return encode(inputs)
    return torch.cat([recomputed(encode, part) for part in inputs.split(chunk)])
