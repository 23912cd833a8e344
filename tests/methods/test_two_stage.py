"""Second stages: tau-normalisation, post-hoc logit adjustment, LWS and cRT against plain numpy and the probe of stage 1."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from frozen import make_batch, make_method
from sklearn.metrics import balanced_accuracy_score
from torch.testing import assert_close

from lmptlib.clip.loading import load_clip
from lmptlib.config import resolve
from lmptlib.data.loading import load_dataset
from lmptlib.evaluation.average_precision import average_precision
from lmptlib.losses import make_loss
from lmptlib.methods.two_stage import TAUS
from lmptlib.runs.classifier import Classifier
from lmptlib.training.inputs import Inputs
from lmptlib.training.loop import fit
from lmptlib.training.state import TrainState

ALL = ("tau_norm", "logit_adjusted", "lws", "crt")
BATCH = make_batch(n=80, single=True)
NEW = make_batch(n=40, single=True, seed=1)
X = NEW.images.double().numpy()


def probed(name: str, single: bool = True, **settings):
    """A method whose stage 1 gave some weights: those of frequent classes are long."""
    method = make_method(name, BATCH, single=single, **settings)
    generator = torch.Generator().manual_seed(5)
    lengths = torch.tensor([8.0, 4.0, 2.0, 1.0])[:, None]
    method.probe.weight.data = lengths * torch.randn(4, 6, generator=generator)
    method.probe.bias.data = torch.tensor([2.0, 1.0, 0.0, -1.0])
    return method.eval().requires_grad_(False), *(part.double().numpy() for part in method.probe.parameters())


@pytest.mark.parametrize("tau", [0.0, 0.7, 1.0, 2.0])
def test_tau_norm_is_the_formula(tau):
    method, weight, _ = probed("tau_norm", tau=tau)
    lengths = np.sqrt((weight**2).sum(1))
    np.testing.assert_allclose(method.scores(NEW, None), X @ (weight.T / lengths**tau), rtol=1e-4, atol=1e-4)


def test_tau_norm_of_a_class_without_a_weight_is_finite():
    method, _, _ = probed("tau_norm", tau=2.0)
    method.probe.weight[1] = 0
    assert (method.scores(NEW, None)[:, 1] == 0).all()


@pytest.mark.parametrize("tau", [0.0, 1.0])
@pytest.mark.parametrize("single", [True, False])
def test_post_hoc_logit_adjustment_is_the_formula(tau, single):
    """z - tau log pi; of many labels the odds."""
    method, weight, bias = probed("logit_adjusted", single, tau=tau)
    n = BATCH.targets.double().sum(0).numpy()
    share = n / 80 if single else n / (80 - n)
    np.testing.assert_allclose(
        method.scores(NEW, None), X @ weight.T + bias - tau * np.log(share), rtol=1e-4, atol=1e-4
    )


def test_logit_adjustment_afterwards_undoes_that_of_the_loss():
    """LA(tau) = Balanced Softmax at tau 1, the identity at 0: CE of z + tau log pi is CE of what adjustment made z of."""
    counts = BATCH.targets.sum(0).long()
    for tau, name in ((1.0, "balanced_softmax"), (0.0, "ce")):
        method, weight, bias = probed("logit_adjusted", tau=tau)
        plain = torch.from_numpy(X @ weight.T + bias)
        adjusted = method.scores(NEW, None).double()
        assert_close(
            make_loss(name, counts, 80)(adjusted, NEW.targets), make_loss("ce", counts, 80)(plain, NEW.targets)
        )


def test_lws_is_the_formula_and_starts_as_the_probe():
    method, weight, bias = probed("lws")
    np.testing.assert_allclose(method.scores(NEW, None), X @ weight.T + bias, rtol=1e-4, atol=1e-4)
    method.scale[:] = torch.tensor([0.5, 1.0, 2.0, 3.0])
    expected = (X @ weight.T + bias) * [0.5, 1, 2, 3]
    np.testing.assert_allclose(method.scores(NEW, None), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["tau_norm", "logit_adjusted", "lws"])
def test_average_precision_of_a_class_is_that_of_the_probe(name):
    """An increasing map of each class: its ranking by itself cannot change, that over classes does."""
    labels = NEW.targets.bool().numpy()
    method, weight, bias = probed(name, single=False, **({} if name == "lws" else {"tau": 1.5}))
    if name == "lws":
        method.scale[:] = torch.tensor([0.5, 1.0, 2.0, 3.0])
    plain, found = X @ weight.T + bias, method.scores(NEW, None).double().numpy()
    np.testing.assert_allclose(average_precision(labels, found), average_precision(labels, plain), atol=1e-12)
    assert (found.argmax(1) != plain.argmax(1)).any()


@pytest.mark.parametrize("name", ["tau_norm", "logit_adjusted"])
def test_the_tau_of_the_best_mean_accuracy_on_validation_images_is_taken(name):
    method, weight, bias = probed(name)
    method.settle(NEW, None)
    classes, accuracy = NEW.targets.argmax(1).numpy(), []
    share = BATCH.targets.double().mean(0).numpy()
    for tau in np.arange(21) / 10:
        z = X @ (weight.T / np.linalg.norm(weight, axis=1) ** tau) if name == "tau_norm" else X @ weight.T + bias
        z = z if name == "tau_norm" else z - tau * np.log(share)
        accuracy.append(balanced_accuracy_score(classes, z.argmax(1)))
    assert tuple(np.arange(21) / 10) == TAUS and len(set(accuracy)) > 2
    np.testing.assert_allclose([trial["total"] for trial in method.trials], accuracy)
    assert method.chosen == {"tau": TAUS[int(np.argmax(accuracy))]} and method.tau == pytest.approx(
        method.chosen["tau"]
    )
    given, _, _ = probed(name, tau=0.3)
    given.settle(NEW, None)
    assert not given.chosen and given.tau == pytest.approx(0.3)


@pytest.mark.parametrize("name", ["tau_norm", "logit_adjusted"])
def test_learning_knows_nothing_of_tau(name):
    method, weight, bias = probed(name, tau=2.0)
    np.testing.assert_allclose(method.train().scores(NEW, None), X @ weight.T + bias, rtol=1e-4, atol=1e-4)


@pytest.fixture
def trained(tiny, cache):
    """Trains on the tiny card for two epochs, and two of stage 2 where there is one; the training as it ends."""
    shared = Inputs(load_dataset(str(tiny.path)), load_clip(log=print), cache, print)

    def make(name: str, **settings) -> TrainState:
        second = {"epochs_second": 2} if name in ("lws", "crt") else {}
        given = {"dataset": str(tiny.path), "epochs": 2, "batch_size": 8, "lr": 0.1, "loss": "bce"} | second
        state = TrainState(resolve(method=name, **given | settings), shared)
        fit([state], lambda state: None)
        state.finish()
        return state

    return make


@pytest.mark.parametrize("name", ["tau_norm", "logit_adjusted", "lws"])
def test_stage_1_is_the_linear_probe(name, trained):
    found, probe = trained(name).method.probe, trained("linear_probe").method.probe
    assert_close(found.weight, probe.weight, atol=0, rtol=0)
    assert_close(found.bias, probe.bias, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["lws", "crt"])
def test_stage_2_is_class_aware_and_moves_what_it_is_to_move(name, trained):
    state = trained(name)
    assert [phase.sampler for phase in state.phases] == ["shuffle", "class_aware"] and state.epochs == 4
    still = trained(name, lr_second=0.0).method
    moved = state.method
    if name == "lws":
        assert (still.scale == 1).all() and (moved.scale != 1).all()
    else:
        assert not still.probe.weight.any() and moved.probe.weight.any(1).all()


def test_nothing_of_stage_1_is_left_in_crt(trained):
    first, other = trained("crt").method.probe, trained("crt", lr=0.001).method.probe
    assert_close(first.weight, other.weight, atol=0, rtol=0)


def test_without_validation_images_tau_is_1_or_what_folds_choose(make_run):
    run = make_run(method="tau_norm")
    assert "on_validation" not in run.metrics and run.prompts()["tau"] == 1
    run = make_run(method="tau_norm", select="folds", trials="tau: [0.0, 2.0]", loss="bce")
    assert run.prompts()["tau"] == run.config["chosen"]["tau"]


@pytest.mark.parametrize("name", ALL)
def test_a_run_is_read_back_with_what_validation_chose(name, make_run, tiny):
    """Other test images choose no other tau."""
    lines = (tiny.folder / "train.txt").read_text().splitlines(keepends=True)
    (tiny.folder / "val.txt").write_text("".join(lines[:12]))
    (tiny.folder / "train.txt").write_text("".join(lines[12:]))
    tiny.edit(val="val.txt", captions=None)
    run = make_run(method=name, lr=0.1)
    classifier = Classifier(run)
    inputs = Inputs(load_dataset(str(tiny.path)), classifier.clip, tiny.folder, print)
    np.testing.assert_allclose(classifier.scores(inputs.of_split("test")), run.scores()["scores"], atol=1e-6)
    if name in ("tau_norm", "logit_adjusted"):
        chosen = run.metrics["on_validation"]["chosen"]["tau"]
        assert run.prompts()["tau"] == pytest.approx(chosen) and len(run.metrics["on_validation"]["trials"]) == 21
        assert classifier.method.tau == pytest.approx(chosen)
        test = (tiny.folder / "test.txt").read_text().splitlines(keepends=True)
        (tiny.folder / "test.txt").write_text("".join(test[:6]))
        assert make_run(method=name, lr=0.1).metrics["on_validation"] == run.metrics["on_validation"]


def test_they_learn_several_labels_and_one(trained):
    for name in ALL:
        history = trained(name).history
        assert history[1]["loss"] < history[0]["loss"]
    method = make_method("lws", BATCH, single=True)
    loss = make_loss("ce", BATCH.targets.sum(0).long(), 80)
    method.problem = replace(method.problem, loss=loss)
    terms = method.losses(BATCH, None)
    terms["loss"].backward()
    p, y = terms["logits"].softmax(1), BATCH.targets
    assert_close(method.probe.bias.grad, (p - y).mean(0))
