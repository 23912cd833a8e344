"""What notebook 08 says and asks follows from the losses and the counts at hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from lmptlib.data.loading import load_dataset
from lmptlib.losses import CSELoss, make_loss
from lmptlib.suite.analysis.landscape import landscape
from lmptlib.suite.lessons import loss_landscape

COUNTS, N_IMAGES = np.array([300, 40, 5]), 400


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return landscape(["bce", "asl", "pg", "ntr"], COUNTS, N_IMAGES, "voc-lt")


@pytest.fixture(scope="module")
def bce() -> pd.DataFrame:
    return landscape(["bce"], COUNTS, N_IMAGES)


def test_pushes_in_units_of_bce(table, bce):
    traits = loss_landscape.traits(table, bce).set_index("loss")
    assert (traits.loc["bce"].drop(traits.columns[-1]) == 1).all()
    # d/dz of the loss of a negative, by hand: PG's tail pushes twice as hard as its head
    assert traits.loc["pg", "push on negatives, tail"] == pytest.approx(
        2 * traits.loc["pg", "push on negatives, head"], rel=0.01
    )
    assert loss_landscape.push_order(table).right[0] == "pg" and loss_landscape.push_order(table).right[-1] == "asl"
    assert loss_landscape.blind(table) == ["bce", "asl"]
    assert loss_landscape.quiz(table)[0].options[0] == "bce and asl"
    assert "`pg`'s" in loss_landscape.take_away(table)[1]
    assert loss_landscape.quiz(bce)[0].options[0] == "bce"


def test_an_easy_negative_under_bce_and_focal(bce):
    focal = landscape(["focal"], COUNTS, N_IMAGES, settings={"focal": {"gamma": 2.0}})
    negatives = pd.concat([bce, focal])
    guess = loss_landscape.easy_guess(negatives)
    z = torch.tensor(-2.2, dtype=torch.float64, requires_grad=True)
    (torch.sigmoid(z) ** 2 * -torch.log(1 - torch.sigmoid(z))).backward()
    assert guess.known["focal"] == pytest.approx(1 / (1 + np.exp(2.2)))
    # the suite's focal loss has factors of its own; by itself it is the textbook's times a number
    assert guess.truth["focal"] == pytest.approx(float(z.grad), rel=0.01)
    assert loss_landscape.pushes(negatives)["loss"].tolist() == ["bce", "focal"]
    questions = (
        guess,
        loss_landscape.push_order(negatives),
        loss_landscape.same_as_bce(),
        *loss_landscape.quiz(negatives),
    )
    keys = [question.key for question in (*questions, loss_landscape.exponent(None, (0.5, 0.95)))]
    assert len(set(keys)) == len(keys)


def test_exercises(bce):
    lam = loss_landscape.same_as_bce().expected
    alike = landscape(["ntr"], COUNTS, N_IMAGES, settings={"ntr": {"lam": float(lam), "kappa": 0.0}})
    assert np.allclose(alike["gradient"], bce["gradient"])
    loss = make_loss("apaf", COUNTS, N_IMAGES)
    means = tuple(torch.full((3,), mean, dtype=torch.float64) for mean in (0.5, 0.95))
    logits = torch.zeros(1, 3, dtype=torch.float64)
    expected = float(loss.factors(logits, logits, means)["gamma_neg"][0])
    assert loss_landscape.exponent(None, (0.5, 0.95)).expected == pytest.approx(expected, rel=1e-4)
    assert loss_landscape.exponent(None, (0.1, 0.9)).expected == pytest.approx(4 * loss.l0)


def test_sentences_on_counts_margins_and_company(tiny, bce):
    dataset = load_dataset(str(tiny.path))
    counts = dataset.class_counts
    said = loss_landscape.opening(dataset, bce)
    assert f"in {counts.min()} training images and not in {len(dataset.train) - counts.min()}" in said
    assert f"{counts.min() ** -0.25:.2f}" in loss_landscape.margins(dataset, CSELoss(counts, 1.0, 1.0))
    ratio = pd.DataFrame({"a": [1.0, 0.2], "b": [1.0, 0.9]}, index=["bce", "db"])
    assert (
        loss_landscape.company(ratio)
        == "`bce` does not look at the image. `db` multiplies its gradients by 0.20 to 0.90."
    )
    assert loss_landscape.pg_factors("voc-lt").count(";") == 2 and "same for head" in loss_landscape.pg_factors(
        "coco-lt"
    )
