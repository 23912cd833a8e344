"""The one loop. It trains one run, or several that share a CLIP, data, epochs and batch size."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lmptlib.errors import NonFiniteLoss
from lmptlib.training.graphs import Launcher
from lmptlib.training.state import TrainState


def fit(states: Sequence[TrainState], on_epoch_end: Callable[[TrainState], bool | None]) -> None:
    """Train runs to their last epoch; one for which `on_epoch_end` gives False after an epoch goes no further.

    The prompts of all runs are encoded in one pass of the text tower. A run in company gets the numbers that it gets alone.
    Raises ValueError for runs that do not go together, and NonFiniteLoss after the epoch in which a loss was not finite;
    the others have that epoch then.
    """
    going = [state for state in states if not state.finished]
    launch = Launcher(_step)
    while going:
        for state in going:
            state.begin_epoch()
        _check_company(going)

        # Inside an epoch nothing is read back from the device: it never waits.
        for step, size in enumerate(going[0].sizes):
            launch(going, size, step == 0, step % going[0].recorded_every == 0)
            for state in going:
                state.advance()

        # Here the device is read: losses, probabilities and whether all was finite.
        texts = encode(going)
        whole, failures = [], []
        for state, text in zip(going, texts):
            try:
                state.end_epoch(text)
                whole.append(state)
            except NonFiniteLoss as error:
                failures.append(error)
        going = [state for state in whole if on_epoch_end(state) is not False and not state.finished]
        if failures:
            raise failures[0]


def _step(states: Sequence[TrainState], size: int, diagnosed: bool, recorded: bool) -> None:
    """A step of all runs, over the next `size` images of each."""
    batches = [state.batch(size) for state in states]
    prompts = [state.method.prompts(batch) for state, batch in zip(states, batches)]
    texts = states[0].inputs.clip.encode_prompts(prompts)  # (P, D) each
    terms = [state.method.losses(batch, text) for state, batch, text in zip(states, batches, texts)]
    for state, batch, text, losses in zip(states, batches, texts, terms):
        state.recorder.step(losses, batch.targets, batch.known, recorded)
        if diagnosed:
            state.diagnose(batch, text, losses)
        state.optimizer.zero_grad()
    # Each run's loss reaches its own parameters alone: their sum moves all of them at once.
    torch.stack([losses["loss"] for losses in terms]).sum().backward()
    for state in states:
        state.update()


@torch.no_grad()
def encode(states: Sequence[TrainState]) -> list[Tensor | None]:
    """Features (P, D) of the runs' prompts as they stand."""
    return states[0].inputs.clip.encode_prompts([state.method.prompts(None) for state in states])


def _check_company(states: Sequence[TrainState]) -> None:
    shared = {
        (state.n_steps, state.learning.batch_size, state.inputs.clip.fingerprint, id(state.inputs.dataset))
        for state in states
    }
    if len(shared) > 1:
        raise ValueError("runs that train together share a CLIP, data and batch size")
