"""Closed forms, of images of which one class is known: the others are neither shown nor absent."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from frozen import Batch, fitted, make_batch, make_method
from sklearn.linear_model import LogisticRegression

from lmptlib.methods import METHODS
from lmptlib.methods.closed_form import ClosedForm

MASKING = {"lda": {"kappa": 0.0, "rho": 0.2}, "logistic": {"C": 0.03}, "kernel": {"beta": 5.0}}


def with_fetched(n: int = 60, n_fetched: int = 8, views: int = 1) -> Batch:
    """The last images were fetched for class 3 or 2, which is all that is known of them; they are in no fold."""
    batch = make_batch(n=n, views=views)
    batch.targets[-n_fetched:] = 0
    batch.targets[-n_fetched:-2, 3] = batch.targets[-2:, 2] = 1
    known = torch.ones_like(batch.targets, dtype=torch.bool)
    known[-n_fetched:] = batch.targets[-n_fetched:] > 0
    batch.folds[-n_fetched:] = -1
    return replace(batch, known=known)


def of_class(batch: Batch, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Which images (N,) are known to show a class, and which not to."""
    shown, known = batch.targets[:, c].numpy() == 1, batch.known[:, c].numpy()
    return shown, known & ~shown


def test_lda_takes_means_over_known_labels_and_the_scatter_of_labelled_images():
    batch = with_fetched()
    ours = fitted("lda", batch, **MASKING["lda"])
    x = torch.cat([batch.images, batch.flipped]).double().numpy()
    x = x - x.mean(0)
    labelled = np.tile(batch.known.all(1).numpy(), 2)
    design = np.column_stack([np.ones(labelled.sum()), np.tile(batch.targets.numpy(), (2, 1))[labelled]])
    left = x[labelled] - design @ np.linalg.lstsq(design, x[labelled], rcond=None)[0]
    scatter = left.T @ left / len(left)
    shrunk = 0.8 * scatter + 0.2 * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    for c in range(4):
        shown, absent = (np.tile(rows, 2) for rows in of_class(batch, c))
        difference = x[shown].mean(0) - x[absent].mean(0)
        np.testing.assert_allclose(ours.weight[c].numpy(), np.linalg.solve(shrunk, difference), atol=1e-9)


def test_logistic_learns_a_class_from_the_images_of_which_it_is_known():
    batch = with_fetched()
    x = batch.images.double().numpy()
    x = x - x.mean(0)
    scale = np.sqrt(np.mean(x**2))
    ours = fitted("logistic", batch, **MASKING["logistic"])
    for c in range(4):
        shown, absent = of_class(batch, c)
        rows = shown | absent
        theirs = LogisticRegression(C=0.03, class_weight="balanced", tol=1e-10, solver="newton-cholesky")
        theirs.fit(x[rows] / scale, shown[rows])
        np.testing.assert_allclose(ours.weight[c].numpy() * scale, theirs.coef_[0], atol=2e-3)


def test_kernel_sums_over_known_labels():
    batch, new = with_fetched(), make_batch(n=5, seed=1)
    ours = fitted("kernel", batch, **MASKING["kernel"])
    mean = torch.cat([batch.images, batch.flipped]).double().mean(0)
    unit = torch.nn.functional.normalize
    keys, images = unit(batch.images.double() + batch.flipped - 2 * mean), unit(new.images.double() - mean)
    for c in range(4):
        shown, absent = of_class(batch, c)
        for score, image in zip(ours.raw(new)[:, c].tolist(), images):
            near = [[math.exp(-5 * (1 - float(image @ keys[k]))) for k in np.flatnonzero(of)] for of in (shown, absent)]
            means = [sum(each) / len(each) for each in near]
            assert score == pytest.approx(math.log(means[0]) - math.log(means[1]), abs=1e-9)


@pytest.mark.parametrize("name", ["lda", "logistic", "kernel", "mil_lda", "ensemble"])
def test_what_was_fetched_is_learned_from_and_never_judged(name):
    batch = with_fetched(views=3)
    settings = {"members": "lda, kernel"} if name == "ensemble" else {}
    method = make_method(name, batch, **settings)
    method.solve(batch)
    assert len(method.out_of_fold) == 52 and method.out_of_fold.isfinite().all()
    without = make_method(name, batch, **settings)
    without.solve(batch.rows(batch.folds >= 0))
    assert (method.out_of_fold[:, 2:] - without.out_of_fold[:, 2:]).abs().min() > 0
    # a fold's fit has seen all fetched images, and none of the fold
    if name == "lda":
        judged = batch.judged()
        for fold in range(5):
            apart = fitted(name, batch.rows(batch.folds != fold), **method.chosen)
            held = judged.folds == fold
            found = method.logit_map(apart.raw_of_views(judged.rows(held)))
            torch.testing.assert_close(method.out_of_fold[held], found, atol=1e-10, rtol=0)


def test_mil_lda_with_nothing_fetched_knows_all():
    batch = make_batch(views=3)
    known = replace(batch, known=torch.ones_like(batch.targets, dtype=torch.bool))
    values = {"kappa": 4.0, "rho": 0.2}
    torch.testing.assert_close(fitted("mil_lda", known, **values).weight, fitted("mil_lda", batch, **values).weight)


def test_which_methods_mask_unknown_labels():
    masking = {name for name, method in METHODS.items() if method.masks_unknown(method.Settings())}
    assert masking >= {"zero_shot", "coop", "lmpt", "linear_probe", "prompts_and_probe", "lda", "logistic", "kernel"}
    assert not masking & {"ridge", "gda", "ensemble"}, "its members are ridge and lda"
    assert METHODS["ensemble"].masks_unknown(METHODS["ensemble"].Settings(members="lda, logistic"))
    assert all(issubclass(METHODS[name], ClosedForm) for name in ("ridge", "gda"))
