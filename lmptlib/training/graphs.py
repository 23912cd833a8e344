"""Steps as CUDA graphs: a GPU is done with a step's hundreds of small kernels sooner than Python has launched them."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TypeVar

import torch

from lmptlib.errors import first_line
from lmptlib.training.state import TrainState

# A step of runs that train together: how many images, whether it is diagnosed, whether it is recorded.
Step = Callable[[Sequence[TrainState], int, bool, bool], None]

Result = TypeVar("Result")

# Branches of a graph that runs of a stack are spread over. [ours]
_LANES = 32


def beside(work: Callable[..., Result], *of_runs: Iterable) -> list[Result]:
    """What `work` gives of each run. In a CUDA graph of several, runs are branches of it: their small kernels run side by side."""
    runs = list(zip(*of_runs))
    if len(runs) == 1 or not torch.cuda.is_available() or not torch.cuda.is_current_stream_capturing():
        return [work(*run) for run in runs]
    trunk, lanes, found = torch.cuda.current_stream(), _lanes()[: len(runs)], []
    for lane in lanes:
        lane.wait_stream(trunk)
    for number, run in enumerate(runs):
        with torch.cuda.stream(lanes[number % len(lanes)]):
            found.append(work(*run))
    for lane in lanes:
        trunk.wait_stream(lane)
    return found


@cache
def _lanes() -> list[torch.cuda.Stream]:
    return [torch.cuda.Stream() for _ in range(_LANES)]


class Launcher:
    """Takes steps; on a GPU, one of a kind that it has taken before as a CUDA graph.

    The first step of a kind runs as it stands, for libraries prepare themselves then; the second is recorded, and from then
    on all its kernels are launched at once. A step that reads the host, as pixels, features on the disk or a loss may make
    it do, and one that has no room for a graph, always runs as it stands. So does the first of each kind after a run's
    phase, loss or company became another.
    """

    def __init__(self, step: Step):
        self._step = step
        self._of: list[tuple[int, int]] = []
        self._graphs: dict[tuple[int, bool, bool], torch.cuda.CUDAGraph | None] = {}
        self._able = True

    def __call__(self, states: Sequence[TrainState], size: int, diagnosed: bool, recorded: bool) -> None:
        kind = size, diagnosed, recorded
        if not self._able or not all(map(_stays, states)):
            self._step(states, *kind)
            return
        if (of := [(id(state), state.changes) for state in states]) != self._of:
            self._of, self._graphs = of, {}
        if kind not in self._graphs:
            self._graphs[kind] = None
            self._step(states, *kind)
            return
        if graph := self._graphs[kind] or self._record(states, kind):
            self._graphs[kind] = graph
            graph.replay()
        else:
            self._step(states, *kind)

    def _record(self, states: Sequence[TrainState], kind: tuple[int, bool, bool]) -> torch.cuda.CUDAGraph | None:
        """A step's graph, which has not run yet; None where the step waits for the device, or there is no room."""
        graph = torch.cuda.CUDAGraph()
        try:
            # of this thread: others may use the device meanwhile, as a notebook's cells do
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._step(states, *kind)
        except RuntimeError as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None
            if "captur" not in str(error) and not isinstance(error, torch.OutOfMemoryError):
                raise
            self._able, self._graphs = False, {}
            torch.cuda.synchronize()
            logging.getLogger(__name__).warning("steps run without a CUDA graph (%s)", first_line(error))
            return None
        return graph


def _stays(state: TrainState) -> bool:
    """Whether all that a run's step reads is on the GPU."""
    return state.inputs.device == "cuda" and state.inputs.on_device and "pixels" not in state.phase.needs
