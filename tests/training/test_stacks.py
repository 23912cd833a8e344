"""Runs that train together: each is the run that it is alone, whatever becomes of the others; and which ones do."""

import errno
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from lmptlib.config import fitting, resolve
from lmptlib.errors import NonFiniteLoss
from lmptlib.paths import DiskError
from lmptlib.runs.run import Run
from lmptlib.training import training
from lmptlib.training.plan import Plan, plan_run
from lmptlib.training.stacks import PROMPTS, stacks
from lmptlib.training.state import TrainState
from lmptlib.training.training import train, train_together

silent = lambda line: None  # noqa: E731

# Losses, methods, learning rates, samplers, optimisers and seeds of one stack; prompts of other lengths, and none at all.
MIXED = [
    {"loss": "bce"},
    {"seed": 1, "sampler": "class_aware", "loss": "asl"},
    {"method": "coop", "n_ctx": 16, "lr": 1e-2, "class_specific": False},
    {"method": "prompts_and_probe", "seed": 2},
    {"method": "linear_probe", "lr": 0.1, "optimizer": "sgd", "ema": 0.9},
    {"method": "crt", "epochs": 1, "epochs_second": 1},
    {"recipe": "paper", "level": "token"},
]


@pytest.fixture
def plan(tiny, cache, tmp_path):
    memory: dict = {}

    def plan(out: str = "together", **settings) -> Plan:
        given = {"dataset": str(tiny.path), "cache": str(cache), "epochs": 2, "batch_size": 8, "device": "cpu"}
        return plan_run(resolve(**fitting(given | settings)), tmp_path / out, memory)

    return plan


def assert_alike(one: Path, other: Path, exact: bool = False) -> None:
    """The same histories, probabilities, scores and metrics: to the bit, or but for rounding."""
    one, other = Run(one), Run(other)
    within = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-4, "atol": 1e-5}
    columns = other.history.columns.drop("seconds")
    assert one.history.columns.drop("seconds").tolist() == columns.tolist()
    np.testing.assert_allclose(*(run.history[columns].astype(float) for run in (one, other)), **within)
    pd.testing.assert_frame_equal(one.probabilities(), other.probabilities(), **within)
    for name, values in other.scores().items():
        np.testing.assert_allclose(one.scores()[name], values, **within)
    assert {path.name for path in one.folder.iterdir()} == {path.name for path in other.folder.iterdir()}
    for ranking, scores in other.metrics["scores"].items():
        assert one.metrics["scores"][ranking]["total"] == pytest.approx(scores["total"], abs=0 if exact else 1e-3)


def test_a_stack_is_its_runs(plan):
    made = train_together([plan(**settings) for settings in MIXED], log=silent)
    assert made == [plan(**settings).path for settings in MIXED], "one folder a plan, in their order"
    for settings, folder in zip(MIXED, made):
        assert_alike(folder, train(plan(**settings).config, plan=plan("alone", **settings), log=silent))
        assert Run(folder).config["settings"] == plan(**settings).config.flat()


def test_runs_of_a_stack_go_on_from_where_each_stands(plan):
    """One is new, one was begun, one is finished: the others keep what they have."""
    asked = [{"epochs": 3, "seed": seed} for seed in range(3)]
    begun, finished = plan(**asked[1]), plan(**asked[2])
    train(begun.config, plan=begun, log=silent, on_epoch_end=lambda state: False)
    train(finished.config, plan=finished, log=silent)
    stamp, lines = (finished.path / "metrics.json").stat().st_mtime_ns, []
    made = train_together([plan(**settings) for settings in asked], log=lines.append)
    assert f"{begun.path.name}: going on after epoch 1 of 3: {begun.path}" in lines
    assert f"{finished.path.name}: finished already: {finished.path}" in lines
    assert (finished.path / "metrics.json").stat().st_mtime_ns == stamp
    for settings, folder in zip(asked, made):
        assert_alike(folder, train(plan(**settings).config, plan=plan("alone", **settings), log=silent))


def test_a_run_that_fails_fails_alone(plan):
    broken = {"recipe": "paper", "lr": 1e38, "epochs": 5}
    asked = [{"seed": 1, "epochs": 5}, broken, {"seed": 2, "epochs": 5}]
    first, error, last = train_together([plan(**settings) for settings in asked], log=silent)
    assert isinstance(error, NonFiniteLoss) and "lr 1e+38" in str(error)
    assert not plan(**broken).folder.finished
    for settings, folder in ((asked[0], first), (asked[2], last)):
        assert_alike(folder, train(plan(**settings).config, plan=plan("alone", **settings), log=silent))


def test_a_run_that_is_trained_in_this_process_already_is_named(plan):
    one, other = plan(seed=1), plan(seed=2)
    with one.folder.lock(silent):
        error, folder = train_together([one, other], log=silent)
    assert "this process trains the run already" in str(error) and folder == other.path and other.folder.finished


class Killed(BaseException):
    """What no run has an answer to."""


@pytest.mark.parametrize("where", ["in a step", "between two checkpoints"])
def test_a_stack_that_is_killed_goes_on(plan, monkeypatch, where):
    asked = [{"epochs": 3, "seed": seed, "ema": 0.9} for seed in range(3)]
    whole = train_together([plan("whole", **settings) for settings in asked], log=silent)
    plans, batch = [plan(**settings) for settings in asked], TrainState.batch

    def kill(state: TrainState, *arguments):
        if state.epoch == 1 and where == "in a step" and state.config.learning.seed == 1:
            raise Killed
        return batch(state, *arguments)

    def kill_between(state: TrainState) -> None:
        if state.epoch == 2 and where == "between two checkpoints":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(TrainState, "batch", kill)
        with pytest.raises(Killed):
            train_together(plans, log=silent, on_epoch_end=kill_between)
    assert sorted(each.folder.epochs_done for each in plans) == ([1, 1, 1] if where == "in a step" else [1, 1, 2])
    for folder, expected in zip(train_together(plans, log=silent), whole):
        assert_alike(folder, expected, exact=where == "in a step")


def test_an_interrupted_stack_is_written_and_goes_on(plan, monkeypatch):
    asked = [{"epochs": 3, "seed": 0}, {"epochs": 3, "seed": 1}, {"recipe": "paper", "lr": 1e38, "epochs": 3}]
    whole = train_together([plan("whole", **settings) for settings in asked], log=silent)
    plans, batch = [plan(**settings) for settings in asked], TrainState.batch

    def interrupt(state: TrainState, *arguments):
        if state.epoch == 1:
            raise KeyboardInterrupt
        return batch(state, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainState, "batch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_together(plans, log=silent)
    assert [Run(each.path).stopped for each in plans[:2]] == [1, 1]
    made = train_together(plans, log=silent)
    for folder, expected in zip(made[:2], whole):
        assert_alike(folder, expected, exact=True)
    assert isinstance(made[2], NonFiniteLoss) and str(made[2]) == str(whole[2])


def test_a_full_disk_stops_a_stack(plan, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    plans = [plan(seed=1), plan(seed=2)]
    with pytest.raises(DiskError, match="the disk is full"):
        train_together(plans, log=silent, on_epoch_end=lambda state: monkeypatch.setattr(os, "fsync", full))
    monkeypatch.undo()
    assert train_together(plans, log=silent) == [each.path for each in plans]


def test_a_stack_that_waits_holds_no_lock_behind_the_one_it_waits_for(plan):
    """So that no two processes wait for each other, whatever the order of their runs."""
    first, last = sorted((plan(seed=1), plan(seed=2)), key=lambda each: each.path)
    first.path.mkdir(parents=True)
    path = str(first.path / ".lock")
    lines = f"import filelock; lock = filelock.FileLock({path!r}); lock.acquire(); print('held', flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", lines], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    held = []

    def until_it_waits(line: str) -> None:
        if "waiting for another process" in line:
            held.append(FileLock(last.path / ".lock", is_singleton=True).is_locked)
            other.communicate("go\n", timeout=60)

    assert train_together([last, first], log=until_it_waits) == [last.path, first.path]
    assert held == [False]


def test_a_clip_is_opened_once_for_runs_that_read_the_same(plan, monkeypatch):
    opened, open_clip = [], training.load_clip
    monkeypatch.setattr(training, "load_clip", lambda *arguments: opened.append(arguments) or open_clip(*arguments))
    kept: dict = {}
    for stack in ([plan(), plan(seed=1)], [plan(method="ridge")], [plan(method="coop", epochs=1)]):
        train_together(stack, log=silent, opened=kept)
    assert len(opened) == 1
    other = plan(method="ridge", preprocess="imagenet")
    train_together([other], log=silent, opened=kept)
    assert len(opened) == 2 and other.reads in kept and plan().reads not in kept, "the last one alone is kept"


# which runs train together


def test_what_goes_into_one_stack(plan):
    together = [plan(**settings) for settings in MIXED]
    assert stacks(together) == [together]
    alone = [
        plan(batch_size=4), plan(epochs=3), plan(preprocess="imagenet"), plan(views=5),
        plan(select="folds", trials="lr: [1e-3, 1e-2]"), plan(method="ballad", tune_epochs=1), plan(method="ridge"),
        plan(method="lda"), plan(method="zero_shot"),
    ]  # fmt: skip
    assert stacks([*together, *alone]) == [together, *([each] for each in alone)]
    assert len(stacks([plan(method="ballad", tune_epochs=0), plan()])) == 1, "a method that has no pixels to read"


def test_stacks_are_of_like_sizes(plan):
    plans = [plan(seed=seed) for seed in range(7)]
    for most, sizes in ((None, [7]), (7, [7]), (6, [3, 4]), (3, [2, 2, 3]), (1, [1] * 7)):
        found = stacks(plans, most)
        assert [len(each) for each in found] == sizes and [*chain(*found)] == plans


def test_prompts_of_a_stack_are_bounded(plan, monkeypatch):
    monkeypatch.setitem(PROMPTS, "cpu", 11)  # 4 classes
    assert [len(each) for each in stacks([plan(seed=seed) for seed in range(5)])] == [1, 2, 2]
    monkeypatch.setitem(PROMPTS, "cpu", 3)
    assert [len(each) for each in stacks([plan(seed=seed) for seed in range(2)])] == [1, 1]
