"""Extreme logits, half precision, classes without images, and what is refused."""

import pytest
import torch
from oracles import COUNTS, DEFAULTS, EDGE_COUNTS, N_IMAGES, C, batch, every_case
from torch.testing import assert_close

from lmptlib.errors import type_words
from lmptlib.losses import LOSSES, make_loss, settings_model


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@every_case
def test_extremes_stay_finite(name, preset, given, dtype):
    for counts in (COUNTS, torch.full((C,), N_IMAGES), EDGE_COUNTS):
        loss = make_loss(name, counts, N_IMAGES, preset, **given)
        for kind in ("mixed", "no labels", "all labels"):
            noise, targets = (x.to(dtype) for x in batch(kind))
            for logits in (noise, *(torch.full_like(noise, x) for x in (1e4, -1e4, 0)), 1e4 * noise.sign()):
                value = loss(logits.requires_grad_(), targets)
                (gradient,) = torch.autograd.grad(value, logits)
                assert value.dtype == torch.float32 and value.isfinite()
                assert gradient.isfinite().all(), (kind, logits)
                assert value == loss(logits.float(), targets.float())


@every_case
def test_forward_writes_no_state(name, preset, given):
    loss = make_loss(name, COUNTS, N_IMAGES, preset, **given)
    before, attributes = {key: value.clone() for key, value in loss.state_dict().items()}, set(vars(loss))
    first = loss(*batch())
    loss(*batch("group absent"))
    assert loss(*batch()) == first
    assert set(vars(loss)) == attributes
    assert_close(loss.state_dict(), before, rtol=0, atol=0)


@every_case
def test_classes_without_images(name, preset, given):
    given = {key: value for key, value in given.items() if not (isinstance(value, tuple) and len(value) == C)}
    empty = COUNTS.clone()
    empty[4] = 0
    with pytest.raises(ValueError, match=r"\b4\b"):
        make_loss(name, empty, N_IMAGES, preset, **given)
    logits, targets = batch()
    targets[:, 4] = 0
    kept = [0, 1, 2, 3, 5]
    got = make_loss(name, empty, N_IMAGES, preset, allow_empty=True, **given).elementwise(logits, targets)
    without = make_loss(name, COUNTS[kept], N_IMAGES, preset, **given).elementwise(logits[:, kept], targets[:, kept])
    assert_close(got[:, kept], without)  # the other classes do not see it
    assert got.isfinite().all()
    if name.startswith(("rw", "cb", "r_bce", "db")):  # those with class weights
        assert (got[:, 4] == 0).all()


@pytest.mark.parametrize("name", DEFAULTS)
def test_wrong_shapes(name):
    logits, targets = batch()
    loss = make_loss(name, COUNTS, N_IMAGES)
    wrong = [(logits, targets[:4]), (logits, targets[:, :1]), (logits[:, :5], targets[:, :5]), (logits[0], targets[0])]
    for arguments in wrong:
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            loss(*arguments)


@pytest.mark.parametrize("name", LOSSES)
def test_every_setting_has_a_meaning_and_refuses_what_it_cannot_be(name):
    for key, field in settings_model(name).model_fields.items():
        assert field.description
        wrong = {"true or false": [1], "text": ["x"], "a list": ["x", ["x"]]}
        for value in wrong.get(type_words(field.annotation), [-9, float("inf"), float("nan"), "x", True]):
            with pytest.raises(ValueError, match=rf"^loss '{name}': {key} is [^\n]+, not "):
                make_loss(name, COUNTS, N_IMAGES, **{key: value})


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("dbfocal",), {}, "Did you mean 'db_focal'"),
        (("db",), dict(kapa=1.0), "Did you mean 'kappa'"),
        (("pg",), dict(focl="none"), "Did you mean 'focal'"),
        (("db", "voc"), {}, "Did you mean 'voc-lt'"),
        (("ntr",), dict(gamma=1.0), "gamma"),
        (("bce",), dict(alpha=1.0), "alpha"),
        (("db",), dict(bias="x"), "bias"),
        (("cb",), dict(mode="min"), "mode"),
        (("pg",), dict(focal="x"), "focal"),
        (("apr",), dict(adaptive=("l1-",)), "l1-"),
        (("pr",), dict(l1_neg=(1, 2)), "l1_neg"),
        (("pr",), dict(l1_neg=(1, -2, 1)), "l1_neg is above 0 and finite, not"),
        (("cb",), dict(beta=1.0), "beta is at least 0 and below 1, not 1.0"),
        (("focal",), dict(alpha=2), "alpha is from 0 to 1, not 2"),
        (("asl",), dict(detach_weight=1), "detach_weight is true or false, not 1"),
    ],
)
def test_wrong_settings_name_the_nearest(arguments, settings, message):
    name, *preset = arguments
    with pytest.raises(ValueError, match=message):
        make_loss(name, COUNTS, N_IMAGES, *preset, **settings)
