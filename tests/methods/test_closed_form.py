"""What closed forms share: honesty out of fold, choosing, reloading, views, and edges that stay finite."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from frozen import Batch, fitted, make_batch, make_method, unit

from lmptlib.data.stratified import draw_folds
from lmptlib.evaluation.average_precision import average_precision_of_folds
from lmptlib.methods import METHODS
from lmptlib.methods.base import over_views, pooled, view_weights
from lmptlib.methods.closed_form import ClosedForm
from lmptlib.methods.ensemble import MEMBERS

GIVEN = {
    "ridge": {"ridge": 1.0},
    "lda": {"kappa": 4.0, "rho": 0.2},
    "gda": {"kappa": 4.0, "ridge": 1.0},
    "logistic": {"C": 0.1},
    "kernel": {"beta": 5.0},
    "mil_lda": {"kappa": 4.0, "rho": 0.2},
}
every_form = pytest.mark.parametrize("name", GIVEN)


def test_every_closed_form_is_tested_here_and_tries_ten_settings():
    forms = {name for name, method in METHODS.items() if issubclass(method, ClosedForm)}
    assert forms - {"ensemble"} == GIVEN.keys() == MEMBERS.keys()
    for name in GIVEN:
        candidates = make_method(name, make_batch()).candidates()
        assert len({tuple(values.items()) for values in candidates}) == 10


@every_form
def test_out_of_fold_scores_are_those_of_fits_to_the_other_folds(name):
    batch = make_batch(views=3)
    method = make_method(name, batch, **GIVEN[name])
    method.solve(batch)
    for fold in range(5):
        held = np.flatnonzero(batch.folds.numpy() == fold)
        rest = np.flatnonzero(batch.folds.numpy() != fold)
        apart = fitted(name, batch.rows(torch.from_numpy(rest)), **GIVEN[name])
        raw = apart.raw_of_views(batch.rows(torch.from_numpy(held)))
        torch.testing.assert_close(method.out_of_fold[held], method.logit_map(raw), atol=1e-10, rtol=0)


@every_form
def test_an_images_own_label_does_not_move_its_score_out_of_fold(name):
    batch = make_batch(views=3)
    raw = make_method(name, batch, **GIVEN[name]).select(batch)
    targets = batch.targets.clone()
    targets[7] = 1 - targets[7]
    moved = make_method(name, batch, **GIVEN[name]).select(replace(batch, targets=targets))
    alike = batch.folds == batch.folds[7]
    torch.testing.assert_close(raw[alike], moved[alike], atol=0, rtol=0)
    assert (raw[~alike] != moved[~alike]).any(1).all()


@every_form
def test_the_best_settings_out_of_fold_are_chosen(name):
    batch = make_batch(views=3)
    method = make_method(name, batch)
    method.solve(batch)
    assert [{k: v for k, v in trial.items() if k != "total"} for trial in method.trials] == method.candidates()
    best = max(method.trials, key=lambda trial: trial["total"])
    assert method.chosen == {k: v for k, v in best.items() if k != "total"}
    one = make_method(name, batch, **method.chosen)
    one.solve(batch)
    # Logistic regression comes from another start.
    torch.testing.assert_close(one.out_of_fold, method.out_of_fold, atol=0.02 if name == "logistic" else 1e-10, rtol=0)
    scores = method.out_of_fold.numpy()
    total = average_precision_of_folds(batch.targets.bool().numpy(), scores, batch.folds.numpy()).mean()
    assert total == pytest.approx(best["total"], abs=1e-12)


@every_form
def test_a_setting_that_is_given_is_not_chosen(name):
    method = make_method(name, make_batch(), **dict([next(iter(GIVEN[name].items()))]))
    setting, value = next(iter(GIVEN[name].items()))
    candidates = method.candidates()
    assert {values[setting] for values in candidates} == {value}
    assert len(candidates) == 10 / len(method.grid[setting])


@every_form
@pytest.mark.parametrize("pool", ["max", "mean", "softmax"])
def test_a_reloaded_method_ranks_alike(name, pool):
    batch, new = make_batch(views=3), make_batch(n=20, views=3, seed=1)
    method = make_method(name, batch, pool, **GIVEN[name])
    method.solve(batch)
    again = make_method(name, batch, pool)
    again.load_state_dict(method.state_dict())
    for found, expected in zip(again.ranked(new, None), method.ranked(new, None)):
        torch.testing.assert_close(found, expected, atol=0, rtol=0)


@every_form
@pytest.mark.parametrize("pool", ["max", "mean"])
def test_views_are_pooled_alike_before_and_behind_the_logit_map(name, pool):
    batch, new = make_batch(views=4), make_batch(n=20, views=4, seed=1)
    method = make_method(name, batch, pool, **GIVEN[name])
    method.solve(batch)
    views = over_views(method.scores, new, None)
    torch.testing.assert_close(
        method.ranked(new, None)[1], pooled(views, view_weights(views[:, 1:], pool)), atol=1e-9, rtol=0
    )


@every_form
def test_a_softmax_over_views_counts_in_deviations_of_training_scores(name):
    batch, new = make_batch(views=4), make_batch(n=20, views=4, seed=1)
    method = fitted(name, batch, "softmax", **GIVEN[name])
    deviation = method.raw_of_fitted(batch).numpy().std(0)
    whole, *crops = over_views(method.raw, new, None).numpy().swapaxes(0, 1)
    mass = np.exp(np.array(crops) / deviation)
    expected = (whole + (mass * crops).sum(0) / mass.sum(0)) / 2
    np.testing.assert_allclose(method.raw_of_views(new).numpy(), expected, atol=1e-10)


@every_form
def test_logits_of_training_images_mean_their_share(name):
    batch = make_batch(n=100, views=3)
    method = make_method(name, batch, **GIVEN[name])
    method.solve(batch)
    found = torch.sigmoid(method.out_of_fold).mean(0)
    torch.testing.assert_close(found, batch.targets.double().mean(0), atol=0.02, rtol=0)


def with_labels(batch: Batch, targets: torch.Tensor) -> Batch:
    """With these labels, and folds drawn by them."""
    folds = draw_folds(targets.bool().numpy(), [str(row) for row in batch.images.tolist()])
    return replace(batch, targets=targets, folds=torch.from_numpy(folds))


def few_images_each() -> torch.Tensor:
    """Labels (23, 4): classes of 0, 1, N - 1 and N images."""
    targets = torch.zeros(23, 4)
    targets[0, 1] = targets[1:, 2] = targets[:, 3] = 1
    return targets


def all_the_same(batch: Batch) -> Batch:
    one = unit(torch.ones(6))
    return replace(batch, images=one.expand(23, 6), flipped=one.expand(23, 6), crops=one.expand(23, 2, 6))


SMALL = make_batch(n=23, views=3)
EDGES = {
    "one class": with_labels(SMALL, SMALL.targets[:, :1]),
    "no class of two": with_labels(SMALL, torch.eye(23)[:, :4]),
    "classes of 0, 1, N - 1 and N": with_labels(SMALL, few_images_each()),
    "all in every image": with_labels(SMALL, torch.ones(23, 4)),
    "nothing in any": with_labels(SMALL, torch.zeros(23, 4)),
    "fewer images than features": make_batch(n=8, width=32, views=3),
    "one feature": make_batch(n=23, width=1, views=3),
    "two images": with_labels(SMALL.rows(torch.arange(2)), torch.tensor([[1.0, 0, 1, 0], [0, 0, 1, 1]])),
    "each image thrice": with_labels(SMALL.rows(torch.arange(24) % 8), SMALL.targets[torch.arange(24) % 8]),
    "features all the same": all_the_same(SMALL),
}


@every_form
@pytest.mark.parametrize("kind", EDGES)
def test_edges_stay_finite_and_silent(name, kind, capfd):
    batch = EDGES[kind]
    new = make_batch(n=9, width=batch.images.shape[1], views=3, seed=1)
    new = replace(new, images=torch.cat([new.images[:8], batch.images[:1]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pool in ("max", "softmax"):
            method = make_method(name, batch, pool)
            if name == "logistic":
                method.grid = {"C": (1e-4, 0.3)}  # ten take a second
            method.solve(batch)
            for found in (*method.ranked(new, None), method.out_of_fold, *method.state_dict().values()):
                assert found.isfinite().all()
    assert capfd.readouterr() == ("", "")


@every_form
def test_images_that_are_all_the_same_picture_are_refused(name):
    batch = replace(make_batch(views=3), folds=torch.zeros(60, dtype=torch.long))
    with pytest.raises(ValueError, match="folds need training images that differ"):
        make_method(name, batch).solve(batch)
