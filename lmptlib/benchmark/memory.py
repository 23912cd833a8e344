"""The most memory that tensors take at once while something is computed."""

import weakref
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lmptlib.benchmark.problems import Size, random_problem, some_names
from lmptlib.clip.model import Clip
from lmptlib.clip.text_tower import Prompts
from lmptlib.training.state import TrainState


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations make, while they are there. `most`: the most of them at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: weakref.WeakSet = weakref.WeakSet()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        found = function(*arguments, **(keywords or {}))
        given = {id(each.untyped_storage()) for each in tree_leaves((arguments, keywords)) if isinstance(each, Tensor)}
        for each in tree_leaves(found):
            # a view, or what was changed in place, takes no memory of its own
            if isinstance(each, Tensor) and id(each.untyped_storage()) not in given:
                self._add(each.untyped_storage())
        self.most = max(self.most, self.now)
        return found

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._known:
            self._known.add(storage)
            self.now += storage.nbytes()
            weakref.finalize(storage, self._drop, storage.nbytes())

    def _drop(self, size: int) -> None:
        self.now -= size


def most_bytes(work: Callable[[], object], device: str) -> int:
    """The most bytes that tensors take while `work` is done, beside those that were there before."""
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with LiveBytes() as live:
        work()
    return live.most


def tower_bytes(clip: Clip, n_classes: int, at_once: int | None) -> int:
    """Of the text tower's activations, forwards and backwards, with a prompt for each of so many classes, so many at once.

    Without the prompts and the features, and the gradients of both, which are there whatever the tower does.
    """
    problem = random_problem(clip, Size("", some_names(n_classes), 64, 8))
    prompts = cast(Prompts, TrainState(problem.config, problem.inputs).method.prompts(None))
    tokens = prompts.tokens.detach().requires_grad_()
    features = 4 * n_classes * problem.inputs.width

    def work() -> None:
        (text,) = cast(list[Tensor], clip.encode_prompts([Prompts(tokens, prompts.shape)]))
        text.sum().backward()

    before, clip.prompts_at_once = clip.prompts_at_once, at_once
    try:
        return most_bytes(work, clip.device) - tokens.nbytes - 2 * features
    finally:
        clip.prompts_at_once = before
