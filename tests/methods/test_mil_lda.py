"""mil_lda against a slow computation, image by image and view by view."""

import numpy as np
import pytest
from frozen import fitted, make_batch


def lda(x, positives, negatives, known, design, counts, text, kappa, rho):
    """Weights (C, D) from rows (R, D) and lists of the rows of each class: what lda's docstring says."""
    rest = x[known] - design @ (np.linalg.pinv(design) @ x[known])
    scatter = rest.T @ rest / len(rest)
    shrunk = (1 - rho) * scatter + rho * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    differences = [x[p].mean(0) - x[n].mean(0) for p, n in zip(positives, negatives)]
    s = np.mean([np.linalg.norm(difference) for difference in differences])
    prior = text - text.mean(0)
    prior /= np.linalg.norm(prior, axis=1, keepdims=True)
    mixed = [(n * d + kappa * s * p) / (n + kappa) for n, d, p in zip(counts, differences, prior)]
    return np.linalg.solve(shrunk, np.array(mixed).T).T


def by_loops(batch, text, kappa, rho):
    y, n_classes = batch.targets.numpy(), batch.targets.shape[1]
    counts = y.sum(0)
    x = np.concatenate([batch.images, batch.flipped]).astype(float)
    both = np.concatenate([y, y])
    mean, design = x.mean(0), np.column_stack([np.ones(len(both)), both])
    groups = [[np.flatnonzero(both[:, c] == value) for c in range(n_classes)] for value in (1, 0)]
    weight = lda(x - mean, *groups, np.arange(len(x)), design, counts, text, 4.0, 0.2)
    views = [np.concatenate([batch.images[i : i + 1], batch.crops[i]]).astype(float) for i in range(len(y))]
    for settings in ((4.0, 0.2), (kappa, rho)):
        x, positives, negatives = [], [[] for _ in counts], [[] for _ in counts]
        for i, of_image in enumerate(views):
            start = len(x)
            x.extend(of_image)
            for c in range(n_classes):
                if y[i, c]:
                    positives[c].append(
                        start + max(range(len(of_image)), key=lambda v: (of_image[v] - mean) @ weight[c])
                    )
                else:
                    negatives[c].extend(range(start, len(x)))
        x = np.array(x)
        known = sorted({row for part in positives + negatives for row in part})
        design = np.array([[1.0] + [row in part for part in positives] for row in known])
        mean = x.mean(0)
        weight = lda(x - mean, positives, negatives, known, design, counts, text, *settings)
    return weight, mean


@pytest.mark.parametrize("n_classes", [3, 1])
def test_weights_are_what_loops_give(n_classes):
    batch = make_batch(n=30, n_classes=n_classes, views=4)
    ours = fitted("mil_lda", batch, kappa=3.0, rho=0.4)
    text = ours.text.numpy()
    if n_classes == 1:  # one text has no others to stand against
        text = np.concatenate([text, -text])
    weight, mean = by_loops(batch, text, 3.0, 0.4)
    np.testing.assert_allclose(ours.weight.numpy(), weight, atol=1e-9)
    np.testing.assert_allclose(ours.mean.numpy(), mean, atol=1e-12)
