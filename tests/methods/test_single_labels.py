"""Closed forms of single labels: their highest score tells the class, whatever the classes' frequencies."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from frozen import fitted, make_batch, make_method, rows, unit
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import balanced_accuracy_score, recall_score

from lmptlib.methods.ensemble import MEMBERS
from lmptlib.methods.logit_map import LogitMap
from lmptlib.methods.ridge import balancing

GIVEN = {
    "ridge": {"ridge": 1.0},
    "lda": {"kappa": 4.0, "rho": 0.2},
    "gda": {"kappa": 4.0, "ridge": 1.0},
    "logistic": {"C": 0.1},
    "kernel": {"beta": 5.0},
    "mil_lda": {"kappa": 4.0, "rho": 0.2},
}
every_form = pytest.mark.parametrize("name", GIVEN)
BATCH = make_batch(n=80, views=3, single=True)
NEW = make_batch(n=40, views=3, single=True, seed=1)


def centred(scores) -> np.ndarray:
    """Scores as argmax and softmax see them."""
    scores = np.asarray(scores)
    return scores - scores.mean(1, keepdims=True)


def classes_of(batch) -> np.ndarray:
    return batch.targets.argmax(1).numpy()


def balanced_batch():
    targets = torch.eye(4).repeat(20, 1)
    images = unit(1 + 3 * targets @ torch.randn(4, 6, generator=torch.Generator().manual_seed(3)) + BATCH.images)
    return replace(BATCH, targets=targets, images=images, flipped=images)


@pytest.mark.parametrize("rho", [1e-9, 0.3, 1.0])
def test_lda_is_scikit_learns_at_uniform_priors(rho):
    batch = balanced_batch()
    ours = fitted("lda", batch, single=True, kappa=0.0, rho=rho)
    theirs = LinearDiscriminantAnalysis(solver="eigen", shrinkage=rho, priors=[0.25] * 4)
    theirs.fit(batch.images.double().numpy(), classes_of(batch))
    np.testing.assert_allclose(
        centred(ours.raw(NEW)), centred(theirs.decision_function(NEW.images.double().numpy())), atol=1e-7
    )
    assert (ours.raw(batch).argmax(1).numpy() == classes_of(batch)).mean() > 0.95


@pytest.mark.parametrize("rho", [1e-9, 0.3])
def test_lda_of_unequal_classes_is_scikit_learns_less_the_log_of_its_priors(rho):
    x, y = rows(BATCH)
    ours = fitted("lda", BATCH, single=True, kappa=0.0, rho=rho)
    theirs = LinearDiscriminantAnalysis(solver="eigen", shrinkage=rho).fit(x.numpy(), y.argmax(1).numpy())
    assert theirs.priors_.max() > 2 * theirs.priors_.min()
    expected = theirs.decision_function(NEW.images.double().numpy()) - np.log(theirs.priors_)
    np.testing.assert_allclose(centred(ours.raw(NEW)), centred(expected), atol=1e-8)


def discriminants(centres: np.ndarray, covariance: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Gaussian log densities (N, C) of rows x, each class by itself, up to a constant of the row."""
    inverse = np.linalg.inv(covariance)
    return np.array([[-(row - centre) @ inverse @ (row - centre) / 2 for centre in centres] for row in x])


def by_class(batch) -> tuple[np.ndarray, np.ndarray]:
    """Class means (C, D) and the covariance within classes (D, D), class by class."""
    x, y = (part.numpy() for part in rows(batch))
    groups = [x[y[:, c] == 1] for c in range(y.shape[1])]
    within = sum(len(group) * np.cov(group.T, bias=True) for group in groups) / len(x)
    return np.array([group.mean(0) for group in groups]), within


def test_lda_leans_on_its_texts_as_if_they_were_photographs():
    ours = fitted("lda", BATCH, single=True, kappa=5.0, rho=0.2)
    means, within = by_class(BATCH)
    mean, counts = means.mean(0), BATCH.targets.sum(0).numpy()[:, None]
    text = ours.text.numpy() - ours.text.numpy().mean(0)
    text *= np.linalg.norm(means - mean, axis=1).mean() / np.linalg.norm(text, axis=1, keepdims=True)
    centres = mean + (counts * (means - mean) + 5.0 * text) / (counts + 5.0)
    shrunk = 0.8 * within + 0.2 * np.trace(within) / len(within) * np.eye(len(within))
    expected = discriminants(centres, shrunk, NEW.images.double().numpy())
    np.testing.assert_allclose(centred(ours.raw(NEW)), centred(expected), atol=1e-8)


def test_gda_is_the_sources_with_texts_in_its_means():
    ours = fitted("gda", BATCH, single=True, kappa=3.0, ridge=2.0)
    means, within = by_class(BATCH)
    mean, counts = means.mean(0), BATCH.targets.sum(0).numpy()[:, None]
    text = ours.text.numpy() - ours.text.numpy().mean(0)
    centres = mean + (counts * (means - mean) + 3.0 * text) / (counts + 3.0)
    bracket = within + 2.0 * np.trace(within) / (len(BATCH.targets) - 1) * np.eye(len(within))
    expected = discriminants(centres, bracket, NEW.images.double().numpy())
    np.testing.assert_allclose(centred(ours.raw(NEW)), centred(expected), atol=1e-8)


def test_ridge_is_scikit_learns_with_classes_that_weigh_alike():
    x, y = (part.numpy() for part in rows(BATCH))
    weights = len(y) / 4 / y.sum(0)[y.argmax(1)]
    np.testing.assert_allclose(balancing(torch.from_numpy(y))[:, 0], weights)
    theirs = SklearnRidge(alpha=3.0, solver="cholesky").fit(x, y, sample_weight=weights)
    ours = fitted("ridge", BATCH, single=True, ridge=3.0)
    expected = theirs.predict(NEW.images.double().numpy())
    # Theirs adds the share of a class, a quarter each.
    np.testing.assert_allclose(ours.raw(NEW).numpy() + 0.25, expected, atol=1e-9)


@pytest.mark.parametrize("n_classes", [4, 2])
def test_logistic_is_scikit_learns_of_all_classes(n_classes):
    batch = make_batch(n_classes=n_classes, single=True)
    images = batch.images.double().numpy()
    x = (images - images.mean(0)) / np.sqrt(np.mean((images - images.mean(0)) ** 2))
    theirs = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-10, solver="newton-cholesky")
    theirs.fit(x, classes_of(batch))
    ours = fitted("logistic", batch, single=True, C=0.1).raw(batch)
    np.testing.assert_allclose(ours.softmax(1).numpy(), theirs.predict_proba(x), atol=2e-3)


def test_kernel_is_the_bayes_rule_of_parzens_densities():
    x = (BATCH.images.double() + BATCH.flipped).numpy() / 2
    mean = rows(BATCH)[0].mean(0).numpy()
    keys, queries = x - mean, NEW.images.double().numpy() - mean
    cosines = queries @ keys.T / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(keys, axis=1)
    densities = [logsumexp(-5.0 * (1 - cosines[:, classes_of(BATCH) == c]), axis=1) for c in range(4)]
    expected = np.array(densities).T - np.log(BATCH.targets.double().sum(0).numpy())
    found = fitted("kernel", BATCH, single=True, beta=5.0).raw(NEW)
    np.testing.assert_allclose(centred(found), centred(expected), atol=1e-9)


def test_mil_lda_is_lda_of_the_views_that_it_takes():
    """A blank view beside every image: twice lda chooses one of the two, and what is not chosen counts nowhere."""
    blank = unit(torch.ones(80, 6))
    images = unit(BATCH.images - 0.9 * BATCH.images.mean(0))
    batch = replace(BATCH, images=images, flipped=images, crops=blank[:, None])
    views, every = torch.stack([images, blank], 1), torch.arange(80)
    taken, choosing = images, {"kappa": 4.0, "rho": 0.2}
    for settings in (choosing, choosing, {"kappa": 2.0, "rho": 0.4}):
        lda = fitted("lda", replace(batch, images=taken, flipped=taken, crops=None), single=True, **settings)
        scores = [lda.raw(replace(batch, images=view))[every, batch.targets.argmax(1)] for view in views.unbind(1)]
        taken = views[every, torch.stack(scores, 1).argmax(1)]
    found = fitted("mil_lda", batch, single=True, **settings)
    assert 0 < (taken == blank).all(1).sum() < 80
    np.testing.assert_allclose(centred(found.raw(NEW)), centred(lda.raw(NEW)), atol=1e-7)


def one_temperature(scores: np.ndarray, classes: np.ndarray) -> float:
    """The slope under which the mean over classes of their mean cross-entropy is least."""

    def loss(log_slope: float) -> float:
        logs = log_softmax(np.exp(log_slope) * scores, axis=1)
        return -np.mean([logs[classes == c, c].mean() for c in np.unique(classes)])

    return np.exp(minimize_scalar(loss, bounds=(-8, 8), method="bounded", options={"xatol": 1e-10}).x)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_one_temperature_is_fitted_for_classes_that_weigh_alike(scale):
    scores = 2 * BATCH.targets + torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    found = LogitMap("affine_per_class", 1.0, 4).double()
    found.fit_over_classes(scale * scores.double(), BATCH.targets)
    expected = one_temperature(scores.double().numpy(), classes_of(BATCH))
    np.testing.assert_allclose(found.a.exp().detach().numpy() * scale, np.full(4, expected), rtol=1e-4)
    assert (found.b == 0).all()


@pytest.mark.parametrize("sign", [1, -1, 0])
def test_scores_without_an_error_or_a_hit_have_a_finite_temperature(sign):
    found = LogitMap("affine_per_class", 1.0, 4).double()
    found.fit_over_classes(sign * BATCH.targets.double(), BATCH.targets)
    assert found.a.isfinite().all() and found(BATCH.targets.double()).isfinite().all()


@every_form
def test_the_mean_accuracy_of_classes_out_of_fold_chooses(name):
    method = make_method(name, BATCH, single=True)
    method.solve(BATCH)
    best = max(method.trials, key=lambda trial: trial["total"])
    assert method.chosen == {k: v for k, v in best.items() if k != "total"}
    predicted = method.out_of_fold.argmax(1).numpy()
    assert best["total"] == pytest.approx(balanced_accuracy_score(classes_of(BATCH), predicted), abs=1e-12)
    assert best["total"] > 0.5


@every_form
def test_probabilities_are_a_softmax_over_the_classes(name):
    method = make_method(name, BATCH, single=True, **GIVEN[name])
    method.solve(BATCH)
    scores, logits = method.ranked(NEW, None)
    assert method.over_classes
    torch.testing.assert_close(logits.sigmoid(), scores.softmax(1), atol=1e-9, rtol=1e-6)
    again = make_method(name, BATCH, single=True)
    again.load_state_dict(method.state_dict())
    torch.testing.assert_close(again.ranked(NEW, None)[0], scores, atol=0, rtol=0)


@every_form
def test_rare_classes_are_found_as_often_as_frequent_ones(name):
    """Classes that lie alike, the last with a twentieth of the images: its accuracy is not far below the others'."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.eye(4)[torch.repeat_interleave(torch.arange(4), torch.tensor([100, 100, 100, 5]))]

    def images(targets):
        return unit(2 + 1.6 * targets @ torch.eye(4, 6) + 0.8 * torch.randn(len(targets), 6, generator=generator))

    train, test = images(targets), torch.eye(4).repeat(200, 1)
    crops = train[:, None] + 0.05 * torch.randn(305, 1, 6, generator=generator)
    batch = replace(BATCH, targets=targets, images=train, flipped=train, crops=unit(crops), folds=torch.arange(305) % 5)
    method = fitted(name, batch, single=True, **GIVEN[name] | ({"kappa": 0.0} if "kappa" in GIVEN[name] else {}))
    predicted = method.raw(replace(batch, images=images(test), crops=None)).argmax(1).numpy()
    recalls = recall_score(test.argmax(1).numpy(), predicted, average=None)
    assert recalls.min() > 0.45 and recalls[3] > recalls[:3].mean() - 0.25


@pytest.mark.parametrize("members", ["ridge, lda", ", ".join(MEMBERS)])
def test_an_ensemble_keeps_what_a_member_alone_says(members):
    method = make_method("ensemble", BATCH, single=True, members=members)
    method.solve(BATCH)
    predicted = method.out_of_fold.argmax(1).numpy()
    assert balanced_accuracy_score(classes_of(BATCH), predicted) > 0.5
    for name, member in method.parts:
        member.share.fill_(0)
        method.weights.copy_(torch.tensor([float(name == each) for each in method.names]))
        alone = make_method(name, BATCH, single=True, **member.method.chosen)
        alone.solve(BATCH)
        assert (method.ranked(NEW, None)[0].argmax(1) == alone.ranked(NEW, None)[0].argmax(1)).all()


def with_classes(*classes: int, n_classes: int = 4):
    """Images, each of one of these classes."""
    batch = BATCH.rows(torch.arange(len(classes)))
    return replace(batch, targets=torch.eye(n_classes)[torch.tensor(classes)], folds=torch.arange(len(classes)) % 5)


EDGES = {
    "classes of none and of one": with_classes(*[0, 1] * 10, 2),
    "an only class": with_classes(*[0] * 12, n_classes=1),
    "one class of four": with_classes(*[2] * 12),
    "two images": with_classes(0, 3),
    "no class of two": with_classes(0, 1, 2, 3),
}


@pytest.mark.parametrize("name", [*GIVEN, "ensemble"])
@pytest.mark.parametrize("kind", [*EDGES, "features all the same"])
def test_edges_stay_finite_and_silent(name, kind):
    batch = EDGES.get(kind, BATCH)
    if kind == "features all the same":
        one = unit(torch.ones(6))
        batch = replace(batch, images=one.expand(80, 6), flipped=one.expand(80, 6), crops=one.expand(80, 2, 6))
    settings = {"members": "ridge, mil_lda"} if name == "ensemble" else GIVEN[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method = make_method(name, batch, "softmax", single=True, **settings)
        method.solve(batch)
        for found in (*method.ranked(NEW, None), method.out_of_fold, *method.state_dict().values()):
            assert found.isfinite().all()
    if kind == "classes of none and of one" and name in ("ridge", "logistic", "kernel"):
        # What nothing is known of is never ahead.
        assert (method.raw(NEW).argmax(1) != 3).all()
