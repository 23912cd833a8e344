"""Which steps run as they stand, and which as a graph: with a stand-in for the graph, which runs the step as it stands."""

import logging
from types import SimpleNamespace

import pytest
import torch

from lmptlib.clip.loading import load_clip
from lmptlib.config import resolve
from lmptlib.data.loading import load_dataset
from lmptlib.training import graphs, loop
from lmptlib.training.graphs import Launcher, beside
from lmptlib.training.inputs import Inputs
from lmptlib.training.loop import fit
from lmptlib.training.mapped import MappedInputs
from lmptlib.training.state import TrainState


@pytest.fixture
def inputs(tiny, cache) -> Inputs:
    return Inputs(load_dataset(str(tiny.path)), load_clip(log=lambda line: None), cache, lambda line: None)


def state(inputs, **settings) -> TrainState:
    return TrainState(resolve(**{"device": "cpu", "batch_size": 10, "epochs": 3, **settings}), inputs)


@pytest.fixture
def told(monkeypatch) -> list[tuple]:
    """What a launcher does, in order: (what, images, diagnosed, recorded)."""
    found: list[tuple] = []

    def record(launcher, states, kind):
        found.append(("recorded", *kind))

        def replay():
            found.append(("replayed", *kind))
            step(states, *kind)

        return SimpleNamespace(replay=replay)

    def stands(states, *kind):
        found.append(("stands", *kind))
        step(states, *kind)

    step = loop._step
    monkeypatch.setattr(graphs, "_stays", lambda state: True)
    monkeypatch.setattr(Launcher, "_record", record)
    monkeypatch.setattr(loop, "_step", stands)
    return found


def test_a_kind_of_step_stands_once_is_recorded_once_and_replayed_from_then_on(inputs, told):
    """24 images, 10 a step: the first of an epoch, the second, and the short last one."""
    fit([state(inputs)], lambda _: None)
    kinds = [(10, True, True), (10, False, True), (4, False, True)]
    first = [("stands", *kind) for kind in kinds]
    second = [(what, *kind) for kind in kinds for what in ("recorded", "replayed")]
    assert told == first + second + [("replayed", *kind) for kind in kinds]


def test_graphs_are_dropped_when_what_a_step_computes_becomes_another(inputs, told):
    """After an edit, and when a run of the company leaves."""

    def edits(run):
        if run.epoch == 2:
            run.edit("loss", "bce")

    fit([state(inputs, epochs=4)], edits)
    # two epochs with the first loss, two with the second
    once = ["stands"] * 3 + ["recorded", "replayed"] * 3
    assert [entry[0] for entry in told] == once + once
    told.clear()
    first, second = state(inputs), state(inputs, seed=1)
    fit([first, second], lambda run: run is first or run.epoch < 2)
    assert [entry[0] for entry in told[-3:]] == ["stands"] * 3


def test_another_phase_another_epochs_length_and_a_checkpoint_count_as_changes(inputs):
    run = state(inputs)
    run.begin_epoch()
    before = run.changes
    run.begin_epoch()
    assert run.changes == before
    run._show(torch.zeros(2, 1, 7, dtype=torch.long))
    assert run.changes == before + 1
    run.load_state_dict(state(inputs).state_dict())
    assert run.changes > before + 1


def test_a_step_that_cannot_be_recorded_stands(inputs, told, monkeypatch, caplog):
    """A loss that reads the device, and no room for a graph, are told once; another fault is raised."""
    for error in (RuntimeError("operation not permitted when stream is capturing"), torch.OutOfMemoryError("no room")):
        monkeypatch.undo()
        monkeypatch.setattr(graphs, "_stays", lambda state: True)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)

        def refuses(*_, error=error, **__):
            raise error

        monkeypatch.setattr(torch.cuda, "graph", refuses)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            run, alone = state(inputs), state(inputs)
            fit([run], lambda _: None)
        assert [record.levelname for record in caplog.records] == ["WARNING"] and str(error) in caplog.text
        monkeypatch.setattr(graphs, "_stays", lambda state: False)
        fit([alone], lambda _: None)
        assert [row["loss"] for row in run.history] == [row["loss"] for row in alone.history]
    monkeypatch.setattr(graphs, "_stays", lambda state: True)
    monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("shapes do not fit")))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        fit([state(inputs)], lambda _: None)


def test_only_what_stays_on_a_gpu_is_recorded(inputs, tiny, cache):
    run = state(inputs)
    assert not graphs._stays(run)
    on_gpu = SimpleNamespace(device="cuda", on_device=True)
    run.inputs = on_gpu
    assert graphs._stays(run)
    on_gpu.on_device = MappedInputs.on_device
    assert not graphs._stays(run)


def test_work_of_runs_is_done_in_order_off_a_gpu():
    assert beside(lambda a, b: (a, b), [1, 2, 3], "xyz") == [(1, "x"), (2, "y"), (3, "z")]
