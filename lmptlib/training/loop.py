"""The one loop. It trains one run, or several that share a CLIP, data, epochs and batch size."""

from collections.abc import Callable, Sequence

import torch

from lmptlib.training.state import TrainState


def fit(states: Sequence[TrainState], on_epoch_end: Callable[[TrainState], bool | None]) -> None:
    """Train runs to their last epoch; one for which `on_epoch_end` gives False after an epoch goes no further.

    The prompts of all runs are encoded in one pass of the text tower. A run in company gets the numbers that it gets alone.
    Raises NonFiniteLoss after the epoch in which a loss was not finite.
    """
    going = [state for state in states if not state.finished]
    while going:
        for state in going:
            state.begin_epoch()

        # Inside an epoch nothing is read back from the device: it never waits.
        for step in range(going[0].n_steps):
            batches = [state.batch(step) for state in going]
            prompts = [state.method.prompts(batch) for state, batch in zip(going, batches)]  # (P, L, W) each
            texts = going[0].inputs.clip.encode_prompts(prompts)  # (P, D) each
            terms = [state.method.losses(batch, text) for state, batch, text in zip(going, batches, texts)]
            for state, batch, text, losses in zip(going, batches, texts, terms):
                state.recorder.step(losses, batch.targets)
                if step == 0:
                    state.diagnose(batch, text, losses)
                state.optimizer.zero_grad()
            # Each run's loss reaches its own parameters alone: their sum moves all of them at once.
            torch.stack([losses["loss"] for losses in terms]).sum().backward()
            for state in going:
                state.update()

        # Here the device is read: losses, probabilities and whether all was finite.
        for state in going:
            state.end_epoch()
        going = [state for state in going if on_epoch_end(state) is not False and not state.finished]
