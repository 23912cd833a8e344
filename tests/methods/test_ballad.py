"""BALLAD: its losses against loops, both phases, and the towers that it leaves."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss
from safetensors.torch import load_file
from tiny import TinyCard, make_tiny
from torch.testing import assert_close

from lmptlib.clip.features import live_features
from lmptlib.clip.loading import load_clip
from lmptlib.clip.text import HAND_WRITTEN, prompt_name, template_features
from lmptlib.config import resolve
from lmptlib.data.loading import load_dataset
from lmptlib.errors import NonFiniteLoss
from lmptlib.evaluation.average_precision import average_precision
from lmptlib.evaluation.rankings import ranking_scores
from lmptlib.methods.ballad import Ballad, contrast_loss, encode_in_chunks
from lmptlib.methods.base import Batch
from lmptlib.runs.classifier import Classifier
from lmptlib.runs.run import Run
from lmptlib.training import pixels
from lmptlib.training.inputs import Inputs
from lmptlib.training.loop import fit
from lmptlib.training.plan import plan_run
from lmptlib.training.state import TrainState
from lmptlib.training.training import train

silent = lambda line: None  # noqa: E731
SMALL = {"method": "ballad", "tune_epochs": 2, "lr_tune": 1e-3, "epochs": 2}  # small for testing


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> TinyCard:
    """As it is: what spoils one takes `tiny`."""
    return make_tiny(tmp_path_factory.mktemp("ballad") / "tiny")


@pytest.fixture(scope="module")
def inputs(card, cache) -> Inputs:
    return Inputs(load_dataset(str(card.path)), load_clip(log=silent), cache, silent)


@pytest.fixture(scope="module")
def run_of(card, cache, tmp_path_factory):
    """Runs on the card, each made once: of `SMALL` with other settings."""
    out = tmp_path_factory.mktemp("outputs")

    def run(**settings) -> Run:
        given = {"dataset": str(card.path), "cache": str(cache), **settings}
        given = given if "method" in given else {"batch_size": 8, **SMALL, **given}
        return Run(train(resolve(**given), out, log=silent))

    return run


def state(inputs: Inputs, **settings) -> TrainState:
    return TrainState(resolve(**{**SMALL, "batch_size": 8, "device": "cpu", **settings}), inputs)


# ------------------------------------------------------------------------------------------------------ phase A's loss


def drawn(n_images: int, n_texts: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (B, T) and positives (B, T), in float64: every text has an image, and every image a text."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n_images, n_texts, generator=generator, dtype=torch.float64)
    positives = torch.rand(n_images, n_texts, generator=generator) < 0.3
    positives[torch.arange(max(n_images, n_texts)) % n_images, torch.arange(max(n_images, n_texts)) % n_texts] = True
    return logits, positives


def by_loops(z: list[list[float]], y: list[list[bool]]) -> float:
    """One direction as NEIGHBOURS and the poster write it, in Python's floats."""
    total, rows = 0.0, 0
    for scores, positive in zip(z, y):
        chosen = [j for j in range(len(scores)) if positive[j]]
        if chosen:
            rows += 1
            total -= sum(math.log(math.exp(scores[j]) / sum(map(math.exp, scores))) for j in chosen) / len(chosen)
    return total / rows


def transposed(rows: list[list]) -> list[list]:
    return [list(column) for column in zip(*rows)]


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_the_posters_formula(seed):
    logits, positives = drawn(6, 4, seed)
    images, texts = contrast_loss(logits, positives)
    z, y = logits.tolist(), positives.tolist()
    assert images.item() == pytest.approx(by_loops(z, y), rel=1e-12)
    assert texts.item() == pytest.approx(by_loops(transposed(z), transposed(y)), rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: sum(contrast_loss(x, positives)), logits.requires_grad_())


def test_each_direction_is_at_least_the_mean_log_of_positives():
    """Reached where the softmax is uniform on a row's positives."""
    logits, positives = drawn(7, 5)
    for transpose in (False, True):
        y = positives.T if transpose else positives
        least = y.sum(1).double().log().mean()
        uniform = 200.0 * y.double()
        assert contrast_loss(logits, positives)[transpose] > least
        assert_close(contrast_loss(uniform.T if transpose else uniform, positives)[transpose], least)


def test_with_single_positives_it_is_clips_loss_without_the_half():
    generator = torch.Generator().manual_seed(0)
    images, texts = (F.normalize(torch.randn(5, 8, generator=generator), dim=-1) for _ in range(2))
    found = sum(contrast_loss(50 * images @ texts.T, torch.eye(5).bool()))
    assert_close(found, 2 * ClipLoss()(images, texts, logit_scale=50))


def test_texts_and_images_without_each_other():
    """A text of no image is as if it were not there; an image without a text is a negative, and no term."""
    logits, positives = drawn(5, 4)
    positives[:, 1], positives[3] = False, False
    images, texts = contrast_loss(logits, positives)
    z, y = logits.tolist(), positives.tolist()
    kept = [[row[j] for j in (0, 2, 3)] for row in z], [[row[j] for j in (0, 2, 3)] for row in y]
    assert images.item() == pytest.approx(by_loops(*kept), rel=1e-12)
    assert texts.item() == pytest.approx(by_loops(*map(transposed, kept)), rel=1e-12)
    x = logits.requires_grad_()
    (gradient,) = torch.autograd.grad(sum(contrast_loss(x, positives)), x)
    assert gradient.isfinite().all() and not gradient[:, 1].any() and gradient[3].abs().max() > 1e-6
    (gradient,) = torch.autograd.grad(sum(contrast_loss(x, torch.zeros(5, 4, dtype=torch.bool))), x)
    assert not gradient.any(), "a batch without labels moves nothing"


@pytest.mark.parametrize("settings", [{}, {"contrast": "code"}, {"tune_captions": True}], ids=str)
def test_phase_a_compares_a_batchs_images_with_its_texts(inputs, settings):
    """The whole of a step, from pictures and texts encoded one by one."""
    run = state(inputs, **settings, crop_area=1.0)
    run.begin_epoch()
    batch, rows = run.batch(8), run.drawn[0, 0, :8].tolist()
    found, clip, train_split = run.method.losses(batch, None), inputs.clip, inputs.dataset.train
    f = live_features(clip, train_split)[rows]
    shown = [c for c in range(4) if batch.targets[:, c].any()]
    texts, y = template_features(clip, inputs.dataset.class_names)[shown], batch.targets[:, shown].bool()
    if settings.get("tune_captions"):
        captions = [train_split.captions[row] for row in rows]
        assert len(set(captions)) < len(captions), "some are of several images"
        prompts = {HAND_WRITTEN[0].format(prompt_name(name)) for name in inputs.dataset.class_names}
        own = [caption for caption in dict.fromkeys(captions) if caption not in prompts]
        texts = torch.cat([texts, clip.encode_texts(own)])
        y = torch.cat([y, torch.tensor([[caption == text for text in own] for caption in captions])], 1)
    z = (clip.logit_scale * f @ texts.T).double()
    images, of_texts = by_loops(z.tolist(), y.tolist()), by_loops(z.T.tolist(), y.T.tolist())
    expected = images if settings.get("contrast") == "code" else images + of_texts
    assert found["loss"].item() == pytest.approx(expected, rel=1e-4)
    assert found["loss_images"].item() == pytest.approx(images, rel=1e-4)


def test_code_compares_with_all_classes(inputs):
    run = state(inputs, contrast="code")
    run.begin_epoch()
    batch = run.batch(8)
    found = run.method.losses(batch, None)
    shares = batch.targets / batch.targets.sum(1, keepdim=True)
    assert found["logits"].shape == (8, 4)
    assert_close(found["loss"], F.cross_entropy(found["logits"], shares))


# ------------------------------------------------------------------------------------------------------- large batches


def gradients(run: TrainState) -> list[torch.Tensor]:
    run.begin_epoch()
    loss = run.method.losses(run.batch(run.sizes[0]), None)["loss"]
    return [torch.zeros(1) if g is None else g for g in torch.autograd.grad(loss, run.learned, allow_unused=True)]


def test_chunks_have_the_gradient_of_the_whole_batch(inputs):
    """Up to rounding, and a batch that is cut into parts with losses of their own has another."""
    whole, chunks, parts = (
        gradients(state(inputs, batch_size=size, tune_chunk=chunk)) for size, chunk in ((12, 0), (12, 5), (5, 0))
    )
    largest = max(g.abs().nan_to_num().max() for g in whole)
    assert largest > 0
    assert max((a - b).abs().nan_to_num().max() for a, b in zip(whole, chunks)) < 1e-4 * largest
    assert max((a - b).abs().nan_to_num().max() for a, b in zip(whole, parts)) > 1e-2 * largest


def test_chunks_are_encoded_one_at_a_time():
    seen = []
    weight = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    x = torch.randn(7, 3, dtype=torch.float64)

    def encode(part: torch.Tensor) -> torch.Tensor:
        seen.append(len(part))
        return torch.tanh(part @ weight)

    found = torch.autograd.grad((encode_in_chunks(encode, x, 3) ** 2).sum(), weight)[0]
    assert seen == [3, 3, 1, 1, 3, 3], "once for the features, once more for the gradient"
    assert_close(found, torch.autograd.grad((torch.tanh(x @ weight) ** 2).sum(), weight)[0])


def test_towers_learn_in_full_precision_and_keep_their_norms(inputs):
    """Updates of 1e-5 would round away in half precision; batch norms' statistics would depend on chunks."""
    run = state(inputs, tune_epochs=1, lr_tune=1e-5, optimizer="adamw")
    before = copy.deepcopy(run.method.towers.state_dict())
    assert all(parameter.dtype == torch.float32 for parameter in run.learned)
    fit([run], lambda run: False)
    after = run.method.towers.state_dict()
    weight = "transformer.resblocks.0.mlp.c_fc.weight"
    assert (after[weight] != before[weight]).float().mean() > 0.9
    for name in before:
        if "running" in name or name == "logit_scale":
            assert torch.equal(after[name], before[name]), name
    assert not run.method.towers.training and run.history[0]["lr"] == 1e-5
    assert all(p.requires_grad is False for p in inputs.clip.model.parameters()), "the run's CLIP stays frozen"


# -------------------------------------------------------------------------------------------------------------- phase B


def test_an_adapter_without_a_share_is_zero_shot(run_of):
    run = run_of(tune_epochs=0, adapter_share=0.0)
    assert_close(run.scores()["scores"], run_of(method="zero_shot").scores()["scores"])
    assert run.towers() == {}


def built(inputs: Inputs, **settings) -> Ballad:
    return state(inputs, tune_epochs=0, **settings).method


@pytest.mark.parametrize("adapter", ["linear", "relu"])
def test_the_adapter_is_the_formula(inputs, adapter):
    method = built(inputs, adapter=adapter, adapter_share=0.3)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.normal_() if parameter.dim() else None
    f = F.normalize(torch.randn(5, 128), dim=-1)
    added = torch.stack([method.weight @ image for image in f])
    if adapter == "relu":
        added = (added + method.bias).clamp(min=0)
    mixed = 0.3 * added + 0.7 * f
    assert_close(method.adapted(f), mixed / mixed.norm(dim=1, keepdim=True))
    batch = Batch(torch.zeros(5, 4), images=f)
    assert_close(method.scores(batch, None), method.adapted(f) @ method.text.T)


def test_unit_features_are_exact_without_bias(inputs):
    """The adapter of a feature of any length is that of its direction; a bias would see the length."""
    f = torch.randn(5, 128)
    for adapter, same in (("linear", True), ("relu", False)):
        method = built(inputs, adapter=adapter)
        with torch.no_grad():
            for parameter in method.parameters():
                parameter.normal_() if parameter.dim() else None
        assert torch.allclose(method.adapted(f), method.adapted(F.normalize(f, dim=-1)), atol=1e-5) is same


def test_b_starts_where_a_ended(inputs):
    method = built(inputs)
    f = F.normalize(torch.randn(5, 128), dim=-1)
    assert_close(method.adapted(f), f)


def test_four_images_of_a_class_in_turn(inputs):
    run = state(inputs, tune_epochs=0, sampler="class_aware")
    run.begin_epoch()
    labels = inputs.dataset.train.labels[run.drawn[0, 0].numpy()]
    turns = labels.reshape(-1, 4, 4)  # turn, image, class
    assert (turns.all(1).sum(1) >= 1).all(), "the four of a turn share a class"
    threes = labels[:21].reshape(7, 3, 4)
    assert not (threes.all(1).sum(1) >= 1).all()


# ------------------------------------------------------------------------------------------------------ runs and towers


def test_a_alone_b_alone_and_both(run_of):
    given = ({}, {"epochs": 0}, {"tune_epochs": 0}, {"epochs": 0, "tune_epochs": 0})
    both, a, b, none = (run_of(**settings) for settings in given)
    assert [len(run.history) for run in (both, a, b)] == [4, 2, 2]
    assert [bool(run.towers()) for run in (both, a, b, none)] == [True, True, False, False]
    assert ["weight" in run.prompts() for run in (both, a, b, none)] == [True, False, True, False]
    for name, tensor in a.towers().items():
        assert_close(both.towers()[name], tensor, atol=0, rtol=0, equal_nan=True)
    assert_close(none.scores()["scores"], run_of(method="zero_shot").scores()["scores"])
    history = both.history
    for column in ("train_map", "loss_texts"):
        assert history[column].notna().tolist() == [True, True, False, False]
    assert history["lr"].iloc[[0, 2]].tolist() == [1e-3, both.settings["lr"]] and (history["lr"] > 0).all()
    assert a.history["loss"].iloc[1] < a.history["loss"].iloc[0]


def test_each_epoch_of_phase_a_is_scored_by_its_towers(run_of, card):
    """The figure of the last, once more by the classifier of a run that ends there."""
    run = run_of(epochs=0)
    classifier, split = Classifier(run), load_dataset(str(card.path)).train
    scores = classifier.scores(classifier.features(split.paths))
    ranked = ranking_scores(scores, "softmax", run.config["logit_scale"])
    expected = 100 * np.mean(average_precision(split.labels, ranked))
    assert run.history["train_map"].iloc[1] == pytest.approx(expected, abs=1e-3)


def test_a_classifier_and_any_other_method_open_the_towers(run_of, card):
    run, a = run_of(), run_of(epochs=0)
    test = load_dataset(str(card.path)).test
    classifier = Classifier(run.folder)
    features = classifier.features(test.paths)
    np.testing.assert_allclose(classifier.scores(features[:, 0]), run.scores()["scores"], atol=1e-5)
    file = run.folder / "tuned.safetensors"
    assert not [name for name in run.prompts() if name.startswith("towers")], "they are stored once"
    opened = load_clip(weights=str(file), log=silent)
    assert_close(live_features(opened, test), features[:, 0])
    assert set(load_file(file)) == set(opened.model.state_dict())
    other, first = run_of(method="zero_shot", weights=str(file)), run_of(method="zero_shot")
    np.testing.assert_allclose(other.scores()["scores"], a.scores()["scores"], atol=1e-5)
    assert other.config["fingerprints"]["clip"] != first.config["fingerprints"]["clip"]
    assert not np.allclose(first.scores()["scores"], a.scores()["scores"], atol=1e-3)


def test_what_is_without_effect_changes_no_key(card, tmp_path):
    def key(**settings) -> str:
        return plan_run(resolve(dataset=str(card.path), **{**SMALL, **settings}), tmp_path).key

    assert key(tune_chunk=3) == key() != key(crop_area=0.9)
    assert key(tune_epochs=0, lr_tune=0.5) == key(tune_epochs=0, crop_area=0.9)
    assert key(epochs=0, adapter_share=0.9) == key(epochs=0)


def test_the_recipe_has_the_published_settings():
    single, several = (resolve(recipe="ballad", dataset=name).settings for name in ("emoji-single-lt", "emoji-lt"))
    assert (single.loss, several.loss) == ("ce", "bce")
    assert (single.tune_epochs, single.epochs, single.lr_tune, single.lr, single.per_class) == (50, 10, 1e-5, 0.2, 4)


def test_captions_that_are_not_there(tiny, tmp_path):
    tiny.edit(captions=None)
    with pytest.raises(ValueError, match="learns from captions, and there are none"):
        train(resolve(dataset=str(tiny.path), **SMALL, tune_captions=True), tmp_path, log=silent)
    with pytest.raises(ValueError, match="setting 'tune_captions' goes with contrast poster"):
        resolve(method="ballad", contrast="code", tune_captions=True)


def test_a_loss_that_is_not_finite_names_the_rate_that_acts(run_of):
    with pytest.raises(NonFiniteLoss, match=r"not finite in epoch 1 \(lr_tune 1e\+38\): lower lr_tune$"):
        run_of(lr_tune=1e38, optimizer="sgd")
    with pytest.raises(NonFiniteLoss, match=r"not finite after epoch \d \(lr 3e\+38\): lower lr$"):
        run_of(tune_epochs=0, lr=3e38, optimizer="sgd", batch_size=24)


def test_the_epoch_that_is_kept_may_be_one_of_phase_a(run_of):
    run = run_of(epochs=0, select="test", ema=0.5, lr_tune=3e-3)
    best = run.history["test_map"].idxmax()
    assert run.config["selected_epoch"] == run.history["epoch"][best]
    found = run.metrics["scores"]["softmax"]["total"]
    assert found == pytest.approx(run.history["test_map"][best], abs=1e-3)


def test_single_labels(tiny, make_run):
    tiny.edit(task="single-label")
    for split in ("train", "test"):
        path = tiny.folder / f"{split}.txt"
        path.write_text("".join(" ".join(line.split()[:2]) + "\n" for line in path.read_text().splitlines()))
    run = make_run(**{**SMALL, "tune_epochs": 1, "epochs": 1})
    assert run.settings["loss"] == "ce" and "top1" in run.metrics["accuracy"]


# -------------------------------------------------------------------------------------------------------------- pixels


def test_pictures_do_not_depend_on_workers(inputs, monkeypatch):
    """Nor on what was drawn of torch's own generator, which they leave as it was."""
    found = []
    for workers in (0, 2):
        monkeypatch.setattr(pixels, "n_workers", lambda n, workers=workers: workers)
        run = state(inputs, batch_size=10)
        torch.manual_seed(workers)
        before = torch.get_rng_state()
        run.begin_epoch()
        found.append([run.batch(size).pixels for size in run.sizes])
        assert torch.equal(torch.get_rng_state(), before)
        run.begin_epoch()
        assert not torch.equal(run.batch(10).pixels, found[-1][0])
    assert [len(step) for step in found[0]] == [10, 10, 4]
    assert all(torch.equal(a, b) for a, b in zip(*found))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_is_gone_is_told_in_one_line(tiny, inputs, monkeypatch, workers):
    monkeypatch.setattr(pixels, "n_workers", lambda n: workers)
    dataset = load_dataset(str(tiny.path))
    (tiny.folder / "train" / "7.jpg").unlink()
    drawn = torch.zeros(3, 1, 3, dtype=torch.long)
    drawn[0, 0] = torch.tensor([6, 7, 8])
    reader = pixels.read_ahead(pixels.Pictures(inputs.clip, dataset.train.paths, 1.0), drawn, 2, "cpu")
    with pytest.raises(ValueError) as error:
        list(reader)
    assert str(error.value) == f"{tiny.folder / 'train' / '7.jpg'}: cannot be decoded as an image (no such file)"


def test_without_crops_pictures_are_as_they_are(inputs):
    run = state(inputs, crop_area=1.0)
    run.begin_epoch()
    batch = run.batch(8)
    seen = inputs.clip.encode_images(batch.pixels)
    assert_close(seen, live_features(inputs.clip, inputs.dataset.train)[run.drawn[0, 0, :8]])
    run = state(inputs)
    run.begin_epoch()
    assert not torch.equal(run.batch(8).pixels, batch.pixels)


def test_a_run_stopped_in_phase_a_is_scored_by_its_towers(card, cache, tmp_path):
    config = resolve(dataset=str(card.path), cache=str(cache), batch_size=8, **SMALL)
    run = Run(train(config, tmp_path, log=silent, on_epoch_end=lambda run: False))
    assert run.stopped == 1 and "stopped after 1 of 4 epochs" in run.marks
    classifier = Classifier(run)
    scores = classifier.scores(classifier.features(load_dataset(str(card.path)).test.paths))
    np.testing.assert_allclose(scores, run.scores()["scores"], atol=1e-5)


def test_pairs_of_which_nothing_is_known_are_no_part_and_have_no_gradient():
    """Against the loss written out over the known pairs alone."""
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64, requires_grad=True)
    positives = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1]]).bool()
    known = torch.ones_like(positives)
    known[3, 1:3], known[4, :3] = False, False

    def direction(z, positive, there):
        rows = []
        for scores, own, of in zip(z, positive, there):
            total = scores[of].logsumexp(0)
            rows.append((total - scores[own]).mean())
        return torch.stack(rows).mean()

    images, texts = contrast_loss(logits, positives, known)
    assert_close(images, direction(logits, positives, known))
    assert_close(texts, direction(logits.T, positives.T, known.T))
    (gradient,) = torch.autograd.grad(images + texts, logits)
    assert (gradient[~known] == 0).all() and (gradient[known] != 0).all()
