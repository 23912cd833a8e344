"""Closed forms averaged: against loops, what folds choose, reloading, and edges."""

import warnings
from itertools import product

import numpy as np
import pytest
import torch
from frozen import Batch, make_batch, make_method, unit

from lmptlib.evaluation.average_precision import average_precision_of_folds
from lmptlib.methods.ensemble import TEXT_SHARES, even_first, most_sober

MEMBERS = "ridge, mil_lda, kernel"


def standardised(scores: np.ndarray, fitted_to: np.ndarray) -> np.ndarray:
    return (scores - fitted_to.mean(0)) / fitted_to.std(0, ddof=1)


def cosines(method, batch: Batch) -> np.ndarray:
    """(whole + best crop) / 2 of cosines with the text less its mean, image by image."""
    text = method.text.numpy()
    text = text - text.mean(0)
    rows = []
    for whole, crops in zip(batch.images.double().numpy(), batch.crops.double().numpy()):
        rows.append([(whole @ t + max(crop @ t for crop in crops)) / 2 for t in text])
    return np.array(rows)


def test_scores_are_the_formula_written_out():
    """z(z(s_m) + a_m z(text)) by weights; z by what training images have out of fold; then the map of its own."""
    train, new = make_batch(views=4), make_batch(n=9, views=4, seed=3)
    method = make_method("ensemble", train, members=MEMBERS)
    method.solve(train)
    chosen, total, of_training = method.chosen, 0.0, 0.0
    text, text_new = cosines(method, train), cosines(method, new)
    for name, member in method.parts:
        alone = make_method(name, train)
        alone.solve(train)
        assert alone.chosen == {key: chosen[name][key] for key in alone.chosen}
        own = alone.out_of_fold.numpy()
        share = chosen[name]["text"]
        assert share in TEXT_SHARES and member.share == share
        mixed = standardised(own, own) + share * standardised(text, text)
        scores = standardised(alone.ranked(new, None)[0].numpy(), own) + share * standardised(text_new, text)
        of_training = of_training + chosen["weights"][name] * standardised(mixed, mixed)
        total = total + chosen["weights"][name] * standardised(scores, mixed)
    a, b = method.logit_map.a.exp().numpy(), method.logit_map.b.numpy()
    np.testing.assert_allclose(method.ranked(new, None)[0].numpy(), a * total + b, atol=1e-8)
    np.testing.assert_allclose(method.out_of_fold.numpy(), a * of_training + b, atol=1e-8)


def test_a_member_alone_without_text_ranks_as_it_does_by_itself():
    train, new = make_batch(), make_batch(n=30, seed=3)
    alone, together = make_method("gda", train), make_method("ensemble", train, members="gda")
    alone.solve(train)
    together.solve(train)
    together.parts[0][1].share.fill_(0)
    ranks = [method.ranked(new, None)[0].argsort(0) for method in (alone, together)]
    torch.testing.assert_close(*ranks)


def test_weights_are_all_quarters_most_even_first():
    for n in (1, 2, 3):
        every = {tuple(w / 4 for w in weights) for weights in product(range(5), repeat=n) if sum(weights) == 4}
        found = even_first(n)
        assert set(found) == every and len(found) == len(every)
        squares = [sum(w * w for w in weights) for weights in found]
        assert squares == sorted(squares)


def test_the_most_sober_of_those_as_good_as_the_best_is_taken():
    """By hand: the mean gap over classes to the best, against its standard error."""
    batch = make_batch(n=200, n_classes=6)
    noise = torch.randn(200, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    options = [{"noise": level} for level in (3.0, 1.2, 1.0, 0.95, 0.9)]

    def scores(option):
        return batch.targets.double() + option["noise"] * noise

    labels, folds = batch.targets.bool().numpy(), batch.folds.numpy()
    found, trials = most_sober(options, scores, lambda found: average_precision_of_folds(labels, found.numpy(), folds))
    ap = np.array(
        [
            average_precision_of_folds(batch.targets.bool().numpy(), scores(o).numpy(), batch.folds.numpy())
            for o in options
        ]
    )
    best = ap.mean(1).argmax()
    gaps = ap[best] - ap
    as_good = gaps.mean(1) <= gaps.std(1, ddof=1) / np.sqrt(6)
    assert found == options[int(as_good.argmax())] and not as_good[0] and as_good[best]
    np.testing.assert_allclose([trial["total"] for trial in trials], ap.mean(1))


def test_it_is_reloaded_from_its_tensors_alone():
    train, new = make_batch(views=4), make_batch(n=9, views=4, seed=3)
    method = make_method("ensemble", train, members=MEMBERS)
    method.solve(train)
    again = make_method("ensemble", train, members=MEMBERS)
    again.load_state_dict(method.state_dict())
    torch.testing.assert_close(again.ranked(new, None), method.ranked(new, None), atol=0, rtol=0)


@pytest.mark.parametrize("pool", ["max", "softmax"])
@pytest.mark.parametrize("case", ["rare", "everywhere", "one class", "single images"])
def test_edges_stay_finite_and_silent(case, pool):
    """A class of one image, a class in every image, a single class, no class with two images."""
    batch = make_batch(n=30, n_classes=1 if case == "one class" else 3, views=3)
    if case == "rare":
        batch.targets[1:, 0] = 0
    elif case == "everywhere":
        batch.targets[:, 0] = 1
    elif case == "single images":
        batch.targets[:] = 0
        batch.targets[torch.arange(3), torch.arange(3)] = 1
    method = make_method("ensemble", batch, pool, members=MEMBERS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method.solve(batch)
        found = method.ranked(batch, None)[0]
    assert found.isfinite().all() and method.out_of_fold.isfinite().all()


def test_unseen_images_of_a_class_are_ranked_first():
    batch = make_batch(n=300, width=12, views=4)
    train, test = batch.rows(torch.arange(200)), batch.rows(torch.arange(200, 300))
    method = make_method("ensemble", train, members="gda, mil_lda")
    method.solve(train)
    logits, shown = method.ranked(test, None)[0], test.targets.bool()
    wins = [(logits[shown[:, c], c][:, None] > logits[~shown[:, c], c]).double().mean() for c in range(4)]
    assert min(wins) > 0.8
    assert unit(method.directions(None)).shape == (4, 12)
