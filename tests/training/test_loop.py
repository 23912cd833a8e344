"""The loop: several runs at once, nothing read back inside an epoch, and methods of other kinds than ours."""

import copy
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from lmptlib.clip.loading import load_clip
from lmptlib.clip.model import Prompts
from lmptlib.clip.text import prompt_name
from lmptlib.config import resolve
from lmptlib.data.loading import load_dataset
from lmptlib.errors import NonFiniteLoss
from lmptlib.methods import METHODS
from lmptlib.methods.base import Learning, Method, Phase
from lmptlib.methods.linear_probe import LinearProbe, Probe
from lmptlib.runs.run import Run
from lmptlib.training.inputs import Inputs
from lmptlib.training.loop import fit
from lmptlib.training.state import TrainState
from lmptlib.training.training import train

silent = lambda line: None  # noqa: E731


@pytest.fixture
def inputs(tiny, cache) -> Inputs:
    return Inputs(load_dataset(str(tiny.path)), load_clip(log=silent), cache, silent)


def state(inputs: Inputs, **settings) -> TrainState:
    return TrainState(resolve(**{"epochs": 3, "batch_size": 8, "device": "cpu", **settings}), inputs)


# several runs


def test_three_runs_at_once_are_three_runs(inputs):
    """Prompts of other lengths, another sampler, no prompts at all: each has the history that it has alone."""
    asked = [
        {},
        {"method": "coop", "n_ctx": 16, "seed": 1, "sampler": "class_aware"},
        {"method": "linear_probe", "lr": 0.1},
    ]
    together, alone = ([state(inputs, **settings) for settings in asked] for _ in range(2))
    fit(together, lambda _: None)
    for one, other in zip(together, alone):
        fit([other], lambda _: None)
        columns = pd.DataFrame(other.history).columns.drop("seconds")
        rows = (pd.DataFrame(run.history)[columns].astype(float) for run in (one, other))
        np.testing.assert_allclose(*rows, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(one.evaluate("test")[0], other.evaluate("test")[0], atol=1e-5)


def test_a_run_that_stops_leaves_the_others_going(inputs):
    states = [state(inputs), state(inputs, seed=1)]
    fit(states, lambda run: run is not states[0] or run.epoch < 1)
    assert [run.epoch for run in states] == [1, 3]


# reading back


class Reads(TorchDispatchMode):
    """Counts what makes the host wait for the device."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "unique")

    def __init__(self):
        super().__init__()
        self.found: Counter = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        name = function.overloadpacket.__name__.lstrip("_")
        if any(waiting.lstrip("_") in name for waiting in self.WAITING):
            self.found[name] += 1
        if name.startswith("index") and len(arguments) > 1 and isinstance(arguments[1], (list, tuple)):
            self.found["boolean index"] += sum(
                i is not None and i.dtype in (torch.bool, torch.uint8) for i in arguments[1]
            )
        return function(*arguments, **(keywords or {}))


@contextmanager
def counted(monkeypatch):
    """Reads by dispatch, and calls of Tensor's methods that copy to the host."""
    with monkeypatch.context() as patch, Reads() as mode:
        for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__"):
            original = getattr(torch.Tensor, name)
            patch.setattr(
                torch.Tensor,
                name,
                lambda self, *a, _f=original, _n=name, **k: mode.found.update([_n]) or _f(self, *a, **k),
            )
        yield mode.found


SETTINGS = [
    {}, {"method": "coop", "loss": "pg"}, {"recipe": "prompts_and_probe"}, {"recipe": "probe"}, {"level": "token"},
    {"recipe": "paper"}, {"logit_map": "affine_per_class", "ema": 0.9, "loss": "cb_focal"},
    {"loss": "pr", "loss_settings": "l1_neg: [1, 2, 3]"}, {"loss": "asl"}, {"loss": "apr"},
    {"method": "ballad", "tune_epochs": 1, "tune_captions": True}, {"method": "ballad", "contrast": "code", "epochs": 0},
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_nothing_is_read_back_inside_an_epoch(inputs, settings, monkeypatch):
    """What an epoch reads does not grow with its steps."""
    totals = []
    fit([state(inputs, **{**settings, "epochs": 1})], lambda _: None)  # features are there
    for batch_size in (12, 2):  # 2 steps, 12 steps
        run = state(inputs, **{"epochs": 1, **settings, "batch_size": batch_size})
        with counted(monkeypatch) as found:
            fit([run], lambda _: None)
        totals.append(found)
    assert totals[0] == totals[1], "something is read at each step"
    assert totals[0]["item"] > 0, "the counter counts"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_never_waits_inside_an_epoch(tiny, cache):
    inputs = Inputs(load_dataset(str(tiny.path)), load_clip(device="cuda", log=silent), cache, silent)
    run = state(inputs, device="cuda")
    run.begin_epoch()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for size in run.sizes:
            batch = run.batch(size)
            (text,) = inputs.clip.encode_prompts([run.method.prompts(batch)])
            terms = run.method.losses(batch, text)
            run.recorder.step(terms, batch.targets)
            terms["loss"].backward()
            run.update()
            run.advance()
    finally:
        torch.cuda.set_sync_debug_mode("default")


# methods of other kinds


class TwoBranches(LinearProbe):
    """BBN in small: two draws a step, one uniform and one by class, for two probes whose shares change."""

    def __init__(self, settings, problem):
        super().__init__(settings, problem)
        self.rare = Probe(len(problem.class_names), problem.width)
        self.register_buffer("step", torch.tensor(0.0))  # a run that goes on must know it

    def phases(self):
        groups = [{"params": list(self.parameters()), "lr": self.settings.lr}]
        return [Phase(groups, ("shuffle", "class_aware"), self.settings.epochs)]

    def losses(self, batch, text):
        share = 1 - (self.step / 100) ** 2
        self.step += 1
        logits = 2 * (share * self.probe(batch.images[0]) + (1 - share) * self.rare(batch.images[1]))
        common, rare = (self.problem.loss(logits, targets) for targets in batch.targets)
        loss = share * common + (1 - share) * rare
        return {"loss": loss, "loss_common": common, "loss_rare": rare, "logits": torch.stack([logits, logits])}

    def scores(self, batch, text):
        return self.probe(batch.images) + self.rare(batch.images)


class TextAsImages(Method):
    """TaI-DPT in small: epochs over captions, a feature for each of their tokens."""

    Settings = Learning
    captions = True

    def __init__(self, settings, problem):
        super().__init__(settings, problem)
        tokens = problem.clip.tokenize([f"a {prompt_name(name)}." for name in problem.class_names])
        self.register_buffer("end", tokens.argmax(-1))
        self.words = nn.Parameter(problem.clip.embed(tokens[:, : int(self.end.max()) + 1]).float().clone())

    def phases(self):
        groups = [{"params": [self.words], "lr": self.settings.lr}]
        return [Phase(groups, "shuffle", self.settings.epochs, ("caption_tokens", "captions"), over="captions")]

    def prompts(self, batch):
        return Prompts.padded(self.words, self.end.tolist())

    def losses(self, batch, text):
        similarity = batch.caption_tokens @ text.T  # (B, 77, C)
        shown = batch.caption_tokens.any(-1, keepdim=True)
        weights = (50 * similarity).masked_fill(~shown, -torch.inf).softmax(1)
        logits = 4 * ((weights * similarity).sum(1) + batch.captions @ text.T)
        return {"loss": (loss := self.problem.loss(logits, batch.targets)), "loss_cls": loss, "logits": logits}

    def scores(self, batch, text):
        return batch.images @ text.T


class TunedTower(Method):
    """BALLAD in small: a phase that tunes the image tower on pixels, and one on features of the tower that it tuned."""

    Settings = Learning

    def __init__(self, settings, problem):
        super().__init__(settings, problem)
        self.tower = copy.deepcopy(problem.clip.model.visual).requires_grad_(True)
        self.probe = Probe(len(problem.class_names), problem.width)
        self.register_buffer("tuning", torch.tensor(0))
        texts = problem.clip.encode_texts([f"a photo of a {prompt_name(name)}." for name in problem.class_names])
        self.register_buffer("text", texts.clone())

    def phases(self):
        towers = [{"params": list(self.tower.parameters()), "lr": 1e-3}]
        adapter = [{"params": list(self.probe.parameters()), "lr": 0.1}]
        return [
            Phase(towers, "shuffle", 1, ("pixels",)),
            Phase(adapter, "class_aware", 2, begin=lambda batch: self.tuning.fill_(1)),
        ]

    def tuned(self):
        model = copy.deepcopy(self.problem.clip.model)
        model.visual.load_state_dict(self.tower.state_dict())
        same = all(torch.equal(a, b) for a, b in zip(model.parameters(), self.problem.clip.model.parameters()))
        return None if same else self.problem.clip.tuned(model)

    def losses(self, batch, text):
        if batch.pixels is None:
            return super().losses(batch, text)
        logits = 10 * F.normalize(self.tower(batch.pixels), dim=-1) @ self.text.T
        return {"loss": (loss := self.problem.loss(logits, batch.targets)), "loss_cls": loss, "logits": logits}

    def scores(self, batch, text):
        return batch.images @ self.text.T + self.probe(batch.images)

    def directions(self, text):
        return self.text


@pytest.fixture
def doubles(monkeypatch):
    for kind in (TwoBranches, TextAsImages, TunedTower):
        monkeypatch.setitem(METHODS, kind.__name__, kind)


def unchecked(method: str, tiny, cache, **settings):
    """A configuration of a method that the table of methods gets only for a test."""
    base = resolve(dataset=str(tiny.path), cache=str(cache), method="linear_probe", batch_size=8, **settings)
    return base.model_copy(update={"method": method})


@pytest.mark.parametrize("method", ["TwoBranches", "TextAsImages", "TunedTower"])
def test_other_methods_train_and_go_on_to_the_same_bits(method, doubles, tiny, cache, tmp_path):
    config = unchecked(method, tiny, cache, epochs=3, lr=1e-3)
    whole = Run(train(config, tmp_path / "whole", log=silent))
    assert len(whole.history) == 3 and whole.history["loss"].iloc[-1] < whole.history["loss"].iloc[0]
    for epochs in (1, 2):
        train(config, tmp_path / "broken", log=silent, on_epoch_end=lambda run, last=epochs: run.epoch < last)
    joined = Run(train(config, tmp_path / "broken", log=silent))
    columns = whole.history.columns.drop("seconds")
    pd.testing.assert_frame_equal(joined.history[columns], whole.history[columns], check_exact=True)
    assert joined.metrics == whole.metrics
    for name, tensor in whole.prompts().items():
        assert torch.equal(joined.prompts()[name], tensor), name


def test_what_the_doubles_read(doubles, inputs, tiny, cache):
    two, text, tuned = (
        TrainState(unchecked(name, tiny, cache, epochs=2), inputs)
        for name in ("TwoBranches", "TextAsImages", "TunedTower")
    )
    for run in (two, text, tuned):
        run.begin_epoch()
    assert (batch := two.batch(8)).images.shape == (2, 8, 128) and batch.targets.shape == (2, 8, 4)
    assert (batch := text.batch(8)).caption_tokens.shape == (8, 77, 128) and batch.images is None
    assert tuned.batch(8).pixels.shape[:2] == (8, 3)
    before = inputs.images.clone()
    fit([tuned], lambda _: None)
    assert tuned.inputs.clip.fingerprint != inputs.clip.fingerprint, "its features have a fingerprint of their own"
    assert not torch.allclose(tuned.inputs.images, before, atol=1e-3) and torch.equal(inputs.images, before)


def test_an_interrupt_in_a_later_phase_takes_back_its_epoch(doubles, tiny, cache, tmp_path, monkeypatch):
    config = unchecked("TunedTower", tiny, cache, epochs=3, lr=1e-3)
    whole = Run(train(config, tmp_path / "whole", log=silent))
    batch = TrainState.batch

    def interrupt(run, size):
        if run.epoch == 1 and run.steps == 1:  # the first epoch of the second phase
            raise KeyboardInterrupt
        return batch(run, size)

    monkeypatch.setattr(TrainState, "batch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "broken", log=silent)
    monkeypatch.undo()
    monkeypatch.setitem(METHODS, "TunedTower", TunedTower)
    (folder,) = (path.parent for path in (tmp_path / "broken").glob("*/metrics.json"))
    assert Run(folder).stopped == 1
    assert Run(train(config, tmp_path / "broken", log=silent)).metrics == whole.metrics


def test_runs_that_do_not_go_together_are_refused(inputs):
    with pytest.raises(ValueError, match="share a CLIP, data and batch size"):
        fit([state(inputs), state(inputs, batch_size=4)], lambda _: None)


def test_a_run_that_breaks_does_not_take_the_others_epoch(inputs):
    good, bad, seen = state(inputs, epochs=1), state(inputs, recipe="paper", lr=1e38, epochs=1), []
    with pytest.raises(NonFiniteLoss):
        fit([bad, good], seen.append)
    assert seen == [good] and good.epoch == 1 and bad.epoch == 0


class Bare(LinearProbe):
    """A method whose loss has no named terms."""

    def losses(self, batch, text):
        found = super().losses(batch, text)
        return {name: found[name] for name in ("loss", "logits")}


def test_a_loss_without_named_terms_has_no_gradients_told(inputs, monkeypatch):
    monkeypatch.setitem(METHODS, "linear_probe", Bare)
    run = state(inputs, recipe="probe", epochs=1)
    fit([run], lambda _: None)
    assert set(run.history[0]) == {"epoch", "loss", "lr", "seconds"}
