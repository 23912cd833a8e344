"""The naive loop is the same training, computed the long way."""

import pytest
import torch

from lmptlib.benchmark.naive import NaiveLoop
from lmptlib.clip.loading import load_clip
from lmptlib.config import resolve
from lmptlib.data.images import open_image
from lmptlib.data.loading import load_dataset
from lmptlib.losses import CSELoss, make_loss
from lmptlib.training.inputs import Inputs
from lmptlib.training.loop import fit
from lmptlib.training.state import TrainState


@pytest.mark.parametrize("batch_size", [24, 8])
def test_it_has_the_losses_of_training_from_cached_features(tiny, cache, batch_size):
    """Step by step: an epoch of 24 images is one step, or the mean of three."""
    clip, dataset, epochs = load_clip(log=lambda line: None), load_dataset(str(tiny.path)), 4
    state = TrainState(
        resolve(epochs=epochs, batch_size=batch_size, device="cpu"), Inputs(dataset, clip, cache, lambda line: None)
    )
    counts = torch.from_numpy(dataset.class_counts)
    naive = NaiveLoop(
        clip.model,
        clip.tokenizer,
        dataset.class_names,
        make_loss("db_focal", counts, 24, "voc-lt"),
        CSELoss(counts),
        n_steps=epochs * 24 // batch_size,
        bias=state.method.logit_map.b.item(),
    )
    pictures = torch.stack([clip.preprocess(open_image(path)) for path in dataset.train.paths])
    both = torch.stack([pictures, pictures.flip(-1)])
    captions, targets = clip.tokenize(list(dataset.train.captions)), torch.from_numpy(dataset.train.labels).float()
    fit([state], lambda state: None)
    seed = torch.Generator().manual_seed(0)
    for row in state.history:
        order, flips = torch.randperm(24, generator=seed), torch.randint(2, (24,), generator=seed)
        losses = [
            naive.step(both[flip, rows], captions[rows], targets[rows])
            for rows, flip in zip(order.split(batch_size), flips.split(batch_size))
        ]
        assert torch.stack(losses).mean().item() == pytest.approx(row["loss"], abs=1e-4, rel=1e-4)
    torch.testing.assert_close(naive.context, state.method.learner.context, atol=1e-4, rtol=1e-3)
    scores = naive.encode_images(pictures) @ naive.encode_prompts().T
    torch.testing.assert_close(scores, torch.from_numpy(state.evaluate("train")[0]), atol=1e-4, rtol=0)
