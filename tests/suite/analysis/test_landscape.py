"""The landscape of each loss against the loss on whole batches, finite differences and BCE's known gradient."""

import numpy as np
import pytest
import torch

from lmptlib.losses import LOSSES, ProbabilityGuidedLoss, make_loss, mean_probabilities
from lmptlib.suite.analysis.landscape import labels_around, landscape, representatives
from lmptlib.suite.figures import loss_curves

COUNTS = np.array([12, 400, 60, 25, 30, 130, 3])
N_IMAGES = 500
PLACES = {"head": 1, "medium": 4, "tail": 6}
Z = [-3.0, -0.5, 0.0, 2.0]


def curve(table, group: str, side: str, column: str = "value") -> np.ndarray:
    return table[(table["group"] == group) & (table["side"] == side)][column].to_numpy()


def test_each_group_has_its_representative():
    assert representatives(COUNTS) == PLACES
    assert representatives([60, 20, 80, 40]) == {
        "head": 2,
        "medium": 0,
        "tail": 1,
    }  # thirds; of two in the middle the more frequent
    assert representatives([400, 0, 3, 3]) == {"head": 0, "tail": 2}
    assert set(landscape(["bce", "pg", "cb"], [400, 0, 3], N_IMAGES)["group"]) == {"head", "tail"}


def test_the_other_labels_of_the_image():
    def positives(*args):
        return labels_around(*args[:2], COUNTS, *args[2:]).nonzero().flatten().tolist()

    assert positives(4, "positive") == [4] and positives(4, "negative") == [1]
    assert positives(1, "negative") == [5]  # the most frequent class cannot be its own company
    assert positives(4, "positive", 6) == [4, 6] and positives(4, "negative", 6) == [6]
    assert positives(6, "positive", 6) == [6] and positives(6, "negative", 6) == [1]


def test_bce_is_softplus_and_its_gradient_sigmoid():
    table = landscape(["bce"], COUNTS, N_IMAGES)
    z = curve(table, "tail", "negative", "z")
    sigmoid = 1 / (1 + np.exp(-z))
    for group in PLACES:
        np.testing.assert_allclose(curve(table, group, "negative", "gradient"), sigmoid, rtol=1e-12)
        np.testing.assert_allclose(curve(table, group, "positive", "gradient"), sigmoid - 1, rtol=1e-9)
        np.testing.assert_allclose(curve(table, group, "negative"), np.log1p(np.exp(z)), rtol=1e-12)


@pytest.mark.parametrize("preset", [None, "voc-lt", "coco-lt"])
@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_the_slope_of_the_value(name, preset):
    settings = {"asl": {"detach_weight": False}}
    low, middle, high = (
        landscape([name], COUNTS, N_IMAGES, preset, settings, z=np.array(Z) + step) for step in (-1e-5, 0, 1e-5)
    )
    slope = (high["value"] - low["value"]) / 2e-5
    np.testing.assert_allclose(middle["gradient"], slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("beside", [None, 6])
@pytest.mark.parametrize("name", [name for name, (kind, _) in LOSSES.items() if kind is not ProbabilityGuidedLoss])
def test_an_element_is_that_of_its_image(name, beside):
    """The image of the documented labels, written out, in a batch with others."""
    settings = {"cb": {"mode": "average_n"}, "cb_focal": {"mode": "min_n"}}
    loss = make_loss(name, COUNTS, N_IMAGES, "voc-lt", **settings.get(name, {}))
    table = landscape([name], COUNTS, N_IMAGES, "voc-lt", settings, beside=beside, z=Z)
    images = {  # by side and group, the positives of the image
        None: {"positive": ([1], [4], [6]), "negative": ([5], [1], [1])},
        6: {"positive": ([1, 6], [4, 6], [6]), "negative": ([6], [6], [1])},
    }[beside]
    for side, of_group in images.items():
        for (group, index), positives in zip(PLACES.items(), of_group):
            targets = torch.ones(2, len(COUNTS), dtype=torch.float64)
            targets[0] = 0
            targets[0, positives] = 1
            for z, value in zip(Z, curve(table, group, side)):
                logits = torch.full_like(targets, 0.0 if loss.over_classes else 0.7)
                logits[0, index] = z
                elements = loss.elementwise(logits, targets)[0]
                expected = elements.sum() if loss.over_classes else elements[index]
                assert value == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("name", ["pr", "apr", "apaf", "pg"])
def test_adaptive_losses_take_the_given_means(name):
    """As in a batch that has these means: the positive at z and its mirror image, so that both have mean p 1/2."""
    loss = make_loss(name, COUNTS, N_IMAGES, "voc-lt")
    for z in Z:
        logits = torch.tensor([[z], [-z], [-1.0]], dtype=torch.float64).repeat(1, len(COUNTS))
        targets = torch.tensor([[1.0], [1.0], [0.0]], dtype=torch.float64).repeat(1, len(COUNTS))
        means = tuple(mean[0].item() for mean in mean_probabilities(logits, targets))
        assert means[0] == pytest.approx(0.5)
        expected = loss.elementwise(logits, targets)
        table = landscape([name], COUNTS, N_IMAGES, "voc-lt", means=means, z=[z, -1.0])
        for group, index in PLACES.items():
            assert curve(table, group, "positive")[0] == pytest.approx(expected[0, index].item(), rel=1e-9)
            assert curve(table, group, "negative")[1] == pytest.approx(expected[2, index].item(), rel=1e-9)


def test_equal_means_make_apaf_focal_and_settings_go_over_the_presets():
    table = landscape(
        ["apaf", "focal"], COUNTS, N_IMAGES, "voc-lt", {"apaf": {"l0": 3}, "focal": {"gamma": 3}}, (0.6, 0.6)
    )
    apaf, focal = (table[table["loss"] == name].reset_index() for name in ("apaf", "focal"))
    np.testing.assert_allclose(apaf[["value", "gradient"]], focal[["value", "gradient"]], rtol=1e-9)
    ntr, bce = (
        landscape([name], COUNTS, N_IMAGES, None, {"ntr": {"lam": 1.0, "kappa": 0.0}}) for name in ("ntr", "bce")
    )
    np.testing.assert_allclose(ntr[["value", "gradient"]], bce[["value", "gradient"]], rtol=1e-9)


def test_the_figure_has_a_line_for_each_loss_group_side_and_row():
    table = landscape(LOSSES, COUNTS, N_IMAGES, z=Z)
    figure = loss_curves.loss_landscape(table)
    assert len(figure.data) == len(LOSSES) * 3 * 2 * 2
    assert [trace.name for trace in figure.data if trace.showlegend] == list(LOSSES)
    looks = {(trace.line.color, trace.line.dash) for trace in figure.data}
    assert len(looks) == 2 * len(LOSSES)  # no two losses look alike
    only = table[(table["side"] == "negative") & (table["group"] == "tail")]
    figure = loss_curves.loss_landscape(only, rows=("gradient",))
    assert len(figure.data) == len(LOSSES) and {trace.line.dash for trace in figure.data[:8]} == {"dot"}
