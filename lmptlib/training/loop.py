"""The one loop. It trains one run, or several that share a CLIP, data, epochs and batch size."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lmptlib.errors import NonFiniteLoss
from lmptlib.methods.base import Batch
from lmptlib.training.graphs import Launcher, beside
from lmptlib.training.state import TrainState


def fit(
    states: Sequence[TrainState],
    on_epoch_end: Callable[[TrainState], bool | None],
    on_failure: Callable[[TrainState, NonFiniteLoss], None] | None = None,
) -> None:
    """Train runs to their last epoch; one for which `on_epoch_end` gives False after an epoch goes no further.

    The prompts of all runs are encoded in one pass of the text tower. A run in company gets the numbers that it gets alone,
    but for rounding. `on_failure` sees a run whose loss was not finite, after the epoch in which it was not; the others go
    on. Without it that is raised: NonFiniteLoss; the others have that epoch then. Raises ValueError for runs that do not go
    together.
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
                state.end_epoch(text, len(going))
                whole.append(state)
            except NonFiniteLoss as error:
                failures.append((state, error))
        going = [state for state in whole if on_epoch_end(state) is not False and not state.finished]
        for state, reason in failures:
            if on_failure is None:
                raise reason
            on_failure(state, reason)


def _step(states: Sequence[TrainState], size: int, diagnosed: bool, recorded: bool) -> None:
    """A step of all runs, over the next `size` images of each."""
    batches = beside(lambda state: state.batch(size), states)
    prompts = beside(lambda state, batch: state.method.prompts(batch), states, batches)
    texts = states[0].inputs.clip.encode_prompts(prompts)  # (P, D) each

    def learn(state: TrainState, batch: Batch, text: Tensor | None) -> dict[str, Tensor]:
        losses = state.method.losses(batch, text)
        state.recorder.step(losses, batch.targets, batch.known, recorded)
        state.optimizer.zero_grad()
        return losses

    terms = beside(learn, states, batches, texts)
    if diagnosed:
        for state, batch, text, gradients in zip(states, batches, texts, _gradients(states, terms)):
            state.diagnose(batch, text, gradients)
    # Each run's loss reaches its own parameters alone: their sum moves all of them at once.
    torch.stack([losses["loss"] for losses in terms]).sum().backward()
    beside(lambda state: state.update(), states)


def _gradients(states: Sequence[TrainState], terms: Sequence[dict[str, Tensor]]) -> list[dict[str, Tensor | None]]:
    """Gradients of each run's terms on what moves first in it; of all runs in one pass for a term."""
    found: list[dict[str, Tensor | None]] = [{} for _ in states]
    for name in dict.fromkeys(name for of_run in terms for name in of_run if name.startswith("loss_")):
        having = [run for run, of_run in enumerate(terms) if name in of_run]
        total = torch.stack([terms[run][name] for run in having]).sum()
        moved = [states[run].learned[0] for run in having]
        for run, gradient in zip(having, torch.autograd.grad(total, moved, retain_graph=True, allow_unused=True)):
            found[run][name] = gradient
    return found


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
