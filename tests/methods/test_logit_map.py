"""Platt's map: scikit-learn finds the same, and what it states comes true."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from lmptlib.evaluation.calibration import reliability
from lmptlib.methods.logit_map import LogitMap


def draw(n: int = 300, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of classes at several levels and scales, and labels that they speak of."""
    rng = np.random.default_rng(seed)
    standard = rng.normal(size=(n, 4))
    targets = rng.random((n, 4)) < 1 / (1 + np.exp(-(2 * standard + np.array([0.0, -1.0, -2.0, -4.0]))))
    return torch.from_numpy(standard * [1, 10, 0.1, 3] + [0, 5, -1, 100]), torch.from_numpy(targets)


def fit(scores: torch.Tensor, targets: torch.Tensor) -> LogitMap:
    found = LogitMap("affine_per_class", 1.0, scores.shape[1]).double()
    found.fit(scores, targets)
    return found


def smoothed(targets: np.ndarray) -> np.ndarray:
    n, positives = len(targets), targets.sum(0)
    return np.where(targets, (positives + 1) / (positives + 2), 1 / (n - positives + 2))


def test_it_is_logistic_regression_with_a_bias_for_each_class():
    scores, targets = draw()
    smooth = smoothed(targets.numpy())
    standard = ((scores - scores.mean(0)) / scores.std(0)).numpy()
    n, n_classes = standard.shape
    rows = np.column_stack([standard.T.ravel(), np.repeat(np.eye(n_classes), n, axis=0)])
    weights = np.concatenate([smooth.T.ravel(), 1 - smooth.T.ravel()])
    labels = np.repeat([1, 0], n * n_classes)
    theirs = LogisticRegression(C=1e10, fit_intercept=False, tol=1e-10, solver="newton-cholesky", max_iter=1000)
    theirs.fit(np.concatenate([rows, rows]), labels, sample_weight=weights)
    expected = (rows @ theirs.coef_[0]).reshape(n_classes, n).T
    np.testing.assert_allclose(fit(scores, targets)(scores).detach().numpy(), expected, atol=1e-3)


def test_at_its_best_nothing_pulls():
    scores, targets = draw()
    pull = torch.sigmoid(fit(scores, targets)(scores)).detach().numpy() - smoothed(targets.numpy())
    np.testing.assert_allclose(pull.mean(0), 0, atol=1e-5)
    assert abs((pull * ((scores - scores.mean(0)) / scores.std(0)).numpy()).mean()) < 1e-5


def test_order_is_kept_even_of_scores_that_mislead():
    scores, targets = draw()
    for given in (scores, -scores, torch.full_like(scores, 3.0)):
        found = fit(given, targets)
        assert found.a.isfinite().all() and found.b.isfinite().all()
        logits = found(given).detach()
        assert logits.isfinite().all()
        assert (logits.argsort(dim=0, stable=True) == given.argsort(dim=0, stable=True)).all()


@pytest.mark.parametrize("kind", [torch.zeros, torch.ones])
def test_a_class_of_none_or_of_all_has_a_finite_bias(kind):
    scores, targets = draw()
    targets[:, 0] = kind(len(targets))
    share = torch.sigmoid(fit(scores, targets)(scores)).mean(0)[0].item()
    assert share == pytest.approx(smoothed(targets.numpy())[:, 0].mean(), abs=1e-4)


def test_what_it_states_comes_true_on_scores_it_has_not_seen():
    found = fit(*draw(n=2000))
    scores, targets = draw(n=20_000, seed=1)
    table = reliability(targets.numpy(), torch.sigmoid(found(scores)).detach().numpy())
    assert len(table) == 10 and (table["count"] > 1000).all()
    assert (table["stated"] - table["observed"]).abs().max() < 0.03
