"""The kernel against loops over single images."""

import math

import numpy as np
import torch
from frozen import fitted, make_batch

from lmptlib.methods import kernel


def unit(v: np.ndarray) -> np.ndarray:
    return v / math.sqrt(sum(v * v))


def by_loops(batch, images, beta: float, c: int, own: bool) -> list[float]:
    plain, flipped = batch.images.double().numpy(), batch.flipped.double().numpy()
    mean = (plain.mean(0) + flipped.mean(0)) / 2
    scores = []
    for i, image in enumerate(images.double().numpy()):
        sums = {0: 0.0, 1: 0.0}
        for k in range(len(plain)):
            if own and i == k:
                continue
            key = unit((plain[k] + flipped[k]) / 2 - mean)
            sums[int(batch.targets[k, c])] += math.exp(-beta * (1 - unit(image - mean) @ key))
        n = int(batch.targets[:, c].sum())
        scores.append(math.log(sums[1] / n) - math.log(sums[0] / (len(plain) - n)) if 0 < n < len(plain) else 0.0)
    return scores


def test_scores_are_what_loops_give(monkeypatch):
    monkeypatch.setattr(kernel, "_CHUNK", 16)  # several, the last one not full
    batch, new = make_batch(n=40), make_batch(n=20, seed=1)
    batch.targets[:, 1], batch.targets[:, 2] = 0, 1
    for beta in (1.0, 30.0, 300.0):
        method = fitted("kernel", batch, beta=beta)
        for c in range(4):
            np.testing.assert_allclose(
                method.raw(new)[:, c], by_loops(batch, new.images, beta, c, own=False), atol=1e-9
            )
    found = method.raw_of_fitted(batch)
    np.testing.assert_allclose(found[:, 0], by_loops(batch, batch.images, 300.0, 0, own=True), atol=1e-9)


def test_the_steepest_kernel_stays_finite_at_opposite_features():
    batch = make_batch(n=20, n_classes=1, width=1)
    batch.images[:10], batch.images[10:] = 1, -1
    batch.flipped.copy_(batch.images)
    batch.targets[:, 0] = (batch.images[:, 0] > 0).float()
    scores = fitted("kernel", batch, beta=300.0).raw(batch)
    torch.testing.assert_close(scores, 600 * batch.images.double())
