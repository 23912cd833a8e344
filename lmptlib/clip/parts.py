"""Features on disk: files of at most PART rows each, written whole or not at all, mapped into memory and joined."""

import ctypes
import mmap
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lmptlib.errors import first_line
from lmptlib.paths import write_atomically

# A multiple of every batch size, so that batches are those of the whole: another number would give other cache files.
PART = 8_192


class Parts:
    """Unit features (N, D) of images, in memory-mapped files of at most PART images each; what is read of them is float32.

    What is read of them comes from the disk when it is read; the system keeps it as long as it has memory to spare. It is
    told which pages are wanted: left to itself it reads megabytes around each row.

    >>> import torch
    >>> from lmptlib.clip.parts import Parts
    >>> parts = Parts([torch.zeros(3, 2), torch.ones(1, 2)])
    >>> parts.shape, parts.rows(torch.tensor([3, 0])).tolist()
    ((4, 2), [[1.0, 1.0], [0.0, 0.0]])
    """

    def __init__(self, parts: Sequence[Tensor]):
        self._parts = tuple(parts)
        # (parts,): the row behind the last of each
        self._ends = torch.tensor([len(part) for part in self._parts]).cumsum(0)
        for part in self._parts:
            _advise(part, "MADV_RANDOM")

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self._parts[0].shape[1]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def rows(self, index: Tensor) -> Tensor:
        """Copies (B, D) float32 of the rows `index` (B,), int64 on the CPU, in any order. Raises IndexError."""
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(self):
            raise IndexError(f"rows are from 0 to {len(self) - 1}, not {int(index.min())} to {int(index.max())}")
        found = torch.empty(len(index), self.shape[1])
        of_part = torch.bucketize(index, self._ends, right=True)
        for i in of_part.unique().tolist():
            part, here = self._parts[i], of_part == i
            rows = index[here] - (self._ends[i] - len(part))
            if bool((rows.diff() == 1).all()):
                _advise(part[int(rows[0]) : int(rows[-1]) + 1], "MADV_WILLNEED")
            found[here] = part[rows].float()
        return found

    def whole(self) -> Tensor:
        """A copy (N, D) float32 of all rows."""
        for part in self._parts:
            _advise(part, "MADV_WILLNEED")
        return torch.cat(self._parts).float()


def _advise(tensor: Tensor, advice: str) -> None:
    """Tell the system how the pages of a tensor will be read; nothing where it takes no advice. No result depends on it."""
    if sys.platform != "linux":
        return
    first = tensor.data_ptr() - tensor.data_ptr() % mmap.PAGESIZE
    size = tensor.data_ptr() + tensor.nbytes - first
    ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(size), getattr(mmap, advice))


def load_part(path: Path, names: Sequence[str], rows: int, log: Callable[[str], None]) -> dict[str, Tensor] | None:
    """The tensors of a file, which is mapped into memory and not read; None where there is none, and after a line where it
    is damaged."""
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError) as error:
        log(f"{path}: damaged ({first_line(error)}); its features are computed anew")
        return None
    if set(tensors) != set(names) or any(tensor.shape[:1] != (rows,) for tensor in tensors.values()):
        held = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        log(f"{path}: damaged (it holds {held or 'nothing'}); its features are computed anew")
        return None
    return tensors


def store_part(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a file, whole or not at all. Raises ValueError for features that are not finite."""
    write_atomically(path, packed(tensors))


def packed(tensors: dict[str, Tensor]) -> bytes:
    """What a file of these tensors holds. Raises ValueError for features that are not finite."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} features hold values that are not finite: check the weights")
    return save(tensors)
