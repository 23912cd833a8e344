"""Ridge, lda, gda and logistic against scikit-learn and against slow computations written apart."""

import numpy as np
import pytest
import torch
from frozen import fitted, make_batch, rows
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge


def direction(weight) -> np.ndarray:
    weight = np.asarray(weight)
    return weight / np.linalg.norm(weight, axis=-1, keepdims=True)


def centred_text(method) -> np.ndarray:
    text = method.text.numpy()
    return text - text.mean(0)


@pytest.mark.parametrize("ridge", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("n", [60, 4])
def test_ridge_is_that_of_scikit_learn(ridge, n):
    batch = make_batch(n=n)
    x, y = rows(batch)
    ours = fitted("ridge", batch, ridge=ridge)
    theirs = SklearnRidge(alpha=ridge, fit_intercept=True, solver="cholesky").fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(ours.weight.numpy(), theirs.coef_, atol=1e-10)
    new = make_batch(seed=1)
    # Theirs adds the share of positives.
    np.testing.assert_allclose(
        ours.raw(new).numpy() + y.mean(0).numpy(), theirs.predict(new.images.double().numpy()), atol=1e-10
    )


@pytest.mark.parametrize("rho", [1e-9, 0.3, 1.0])
def test_lda_of_one_class_is_that_of_scikit_learn(rho):
    batch = make_batch(n_classes=1)
    x, y = rows(batch)
    ours = fitted("lda", batch, kappa=0.0, rho=rho)
    theirs = LinearDiscriminantAnalysis(solver="eigen", shrinkage=rho).fit(x.numpy(), y[:, 0].numpy())
    np.testing.assert_allclose(direction(ours.weight), direction(theirs.coef_), atol=1e-10)


@pytest.mark.parametrize(("kappa", "rho"), [(0.0, 0.2), (5.0, 0.2), (5.0, 1.0)])
def test_lda_of_many_labels_is_what_its_docstring_says(kappa, rho):
    batch = make_batch()
    batch.targets[:, 2] = 0  # a class of none
    ours = fitted("lda", batch, kappa=kappa, rho=rho)

    x, y = (part.numpy() for part in rows(batch))
    centred = x - x.mean(0)
    rest = centred.copy()
    design = np.column_stack([np.ones(len(y)), y[:, [0, 1, 3]]])
    for column in range(x.shape[1]):
        rest[:, column] -= design @ np.linalg.lstsq(design, centred[:, column])[0]
    scatter = sum(np.outer(row, row) for row in rest) / len(rest)
    shrunk = (1 - rho) * scatter + rho * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    differences = [x[y[:, c] == 1].mean(0) - x[y[:, c] == 0].mean(0) for c in (0, 1, 3)]
    s = np.mean([np.linalg.norm(difference) for difference in differences])
    prior = direction(centred_text(ours))
    for c, difference in zip((0, 1, 3), differences):
        n = batch.targets[:, c].sum().item()
        mixed = (n * difference + kappa * s * prior[c]) / (n + kappa)
        np.testing.assert_allclose(ours.weight[c].numpy(), np.linalg.solve(shrunk, mixed), atol=1e-9)
    # What its text says is all that a class of none has, however little texts count.
    np.testing.assert_allclose(shrunk @ ours.weight[2].numpy(), s * prior[2], atol=1e-10)


@pytest.mark.parametrize(("kappa", "ridge"), [(0.0, 1.0), (4.0, 0.3), (4.0, 30.0)])
def test_gda_is_a_direct_inverse_for_each_class(kappa, ridge):
    batch = make_batch()
    batch.targets[:, 1] = 0  # a class of none
    ours = fitted("gda", batch, kappa=kappa, ridge=ridge)

    x, y = (part.numpy() for part in rows(batch))
    n_images = len(batch.targets)
    for c in (0, 2, 3):
        groups = x[y[:, c] == 1], x[y[:, c] == 0]
        scatter = sum((part - part.mean(0)).T @ (part - part.mean(0)) for part in groups) / len(x)
        inverse = np.linalg.inv(scatter + ridge * np.trace(scatter) / (n_images - 1) * np.eye(x.shape[1]))
        n = batch.targets[:, c].sum().item()
        positive = (n * groups[0].mean(0) + kappa * (x.mean(0) + centred_text(ours)[c])) / (n + kappa)
        np.testing.assert_allclose(ours.weight[c].numpy(), inverse @ (positive - groups[1].mean(0)), atol=1e-9)
    total = np.cov(x.T, bias=True)
    bracket = total + ridge * np.trace(total) / (n_images - 1) * np.eye(len(total))
    np.testing.assert_allclose(bracket @ ours.weight[1].numpy(), centred_text(ours)[1], atol=1e-10)


def test_gda_without_text_ranks_as_ridge_regression_with_its_ridge():
    batch = make_batch()
    x, y = (part.numpy() for part in rows(batch))
    ours = fitted("gda", batch, kappa=0.0, ridge=3.0)
    for c in range(y.shape[1]):
        within = sum(len(part) * np.trace(np.cov(part.T, bias=True)) for part in (x[y[:, c] == 1], x[y[:, c] == 0]))
        theirs = SklearnRidge(alpha=3.0 * within / (len(batch.targets) - 1)).fit(x, y[:, c])
        np.testing.assert_allclose(direction(ours.weight[c]), direction(theirs.coef_), atol=1e-10)


def test_logistic_is_that_of_scikit_learn_on_scaled_features():
    batch = make_batch()
    images = batch.images.double().numpy()
    centred = images - images.mean(0)
    scale = np.sqrt(np.mean(centred**2))
    method = fitted("logistic", batch, C=1e-4)
    prepared = method.prepare(batch)
    for C in (1e-3, 0.03, 0.3):  # each from the one before
        method.fit(prepared, {"C": C})
        for c, shown in enumerate(batch.targets.numpy().T):
            theirs = LogisticRegression(C=C, class_weight="balanced", tol=1e-10, solver="newton-cholesky")
            theirs.fit(centred / scale, shown)
            found = method.raw(batch)[:, c].numpy()
            np.testing.assert_allclose(found, (centred / scale) @ theirs.coef_[0], rtol=0, atol=2e-3 * found.std())


def test_logistic_gives_classes_of_none_and_of_all_no_weight():
    batch = make_batch()
    batch.targets[:, 0], batch.targets[:, 1] = 1, 0
    weight = fitted("logistic", batch, C=0.1).weight
    assert (weight[:2] == 0).all() and (weight[2:].norm(dim=1) > 0).all()


@pytest.mark.parametrize(("name", "other"), [("lda", {"rho": 0.3}), ("gda", {"ridge": 1.0})])
def test_text_counts_more_the_fewer_images_a_class_has(name, other):
    batch = make_batch(n=400, n_classes=2)
    batch.targets[5:, 1] = 0
    turns = []
    for kappa in (0.0, 5.0):
        turns.append(torch.nn.functional.normalize(fitted(name, batch, kappa=kappa, **other).weight, dim=1))
    frequent, rare = (turns[0] * turns[1]).sum(1)
    assert 0.9 < frequent < 1 and rare < frequent
