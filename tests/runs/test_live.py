"""Live training: buttons start, pause and stop a run in a thread, and curves follow it."""

import asyncio
import time
from unittest.mock import Mock

import numpy as np
import pytest

from lmptlib.config import resolve
from lmptlib.methods import learns
from lmptlib.recipes.reading import recipe_names
from lmptlib.runs.live import LiveRun
from lmptlib.runs.run import Run
from lmptlib.suite.widgets.live import LiveTraining
from lmptlib.training.training import train


def until(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 30 s")


def test_a_paused_run_waits_and_a_stopped_one_goes_on(tiny, tmp_path):
    config = resolve(dataset=str(tiny.path), epochs=5, batch_size=8)
    live = LiveRun(config, tmp_path / "live")
    live.pause()
    live.start()
    until(lambda: live.waiting)
    time.sleep(0.5)
    assert live.epoch == 1 and live.running and live.paused
    rows = live.rows
    live.stop()
    live.wait(30)
    part = Run(live.folder)
    assert not live.running and part.stopped == 1 and rows[0]["epoch"] == 1
    again = LiveRun(config, tmp_path / "live")
    again.start()
    again.wait(60)
    news, lines = again.rows, again.lines
    assert [row["epoch"] for row in news] == [1, 2, 3, 4, 5] and any("going on after epoch 1" in line for line in lines)
    assert np.isnan(news[0]["logit"]) and news[-1]["logit"] > 0 and news[-1]["split"] == "train"
    whole = Run(train(config, tmp_path / "whole", log=lambda line: None))
    assert Run(again.folder).metrics == whole.metrics
    table = whole.probabilities("epoch").query("step == 5").set_index("group")
    assert news[-1]["positive"] == pytest.approx(table["positive"].to_dict(), nan_ok=True)
    assert news[-1]["loss"] == whole.history["loss"].iloc[-1]
    finished = LiveRun(config, tmp_path / "live")
    finished.start()
    finished.wait(60)
    rows, lines = finished.rows, finished.lines
    assert "finished already" in lines[-1] and [row["loss_cls"] for row in rows] == list(whole.history["loss_cls"])
    assert rows[-1]["negative"] == news[-1]["negative"]


def test_an_error_is_told(tiny, tmp_path):
    live = LiveRun(resolve(dataset=str(tiny.path), epochs=2, lr=1e30, optimizer="sgd", batch_size=8), tmp_path)
    live.start()
    live.wait(60)
    assert "lower lr" in live.error and live.folder is None and not list(tmp_path.glob("*/metrics.json"))


def test_buttons_and_sliders_make_a_run(tiny, tmp_path):
    widget = LiveTraining({"dataset": str(tiny.path), "batch_size": 8}, tmp_path)
    for name, value in {"lam": 0.25, "lr": 1e-3, "eta": 2.0, "loss": "asl", "epochs": 4}.items():
        widget.controls[name].value = value

    async def work() -> None:
        widget.start.click()
        assert widget.start.disabled and not widget.stop.disabled
        widget.pause.click()
        assert widget.pause.description == "go on"
        widget.pause.click()
        await asyncio.sleep(0)
        for _ in range(200):
            if not widget.start.disabled:
                break
            await asyncio.sleep(0.1)

    asyncio.run(work())
    run = Run(widget.run.folder)
    wanted = {"lam": 0.25, "lr": pytest.approx(1e-3), "eta": 2.0, "loss": "asl", "method": "lmpt", "batch_size": 8}
    assert {name: run.config["settings"][name] for name in wanted} == wanted
    drawn = {trace.meta if isinstance(trace.meta, str) else tuple(trace.meta): trace for trace in widget.curves.data}
    assert list(drawn["loss"].x) == [1, 2, 3, 4]
    np.testing.assert_allclose(drawn["loss_cse"].y, run.history["loss_cse"])
    table = run.probabilities("epoch").query("group == 'tail' and step > 0")
    np.testing.assert_allclose(drawn["positive", "tail"].y, table["positive"], rtol=1e-6)
    assert "written to" in widget.status.value and widget.stop.disabled


@pytest.mark.parametrize("recipe", recipe_names())
def test_what_is_not_moved_stays_as_given(recipe, monkeypatch):
    asked, told = [], {"rows": [], "events": [], "lines": [""], "pending": {}, "running": False, "folder": None}

    def plan_nothing(*_):
        raise ValueError("no data")

    monkeypatch.setattr("lmptlib.suite.widgets.live.LiveRun", lambda config, *_: asked.append(config) or Mock(**told))
    monkeypatch.setattr("lmptlib.suite.widgets.live.plan_run", plan_nothing)
    base = resolve(recipe=recipe)
    if learns(base.method):
        widget = LiveTraining({"recipe": recipe})
        widget.start.click()
        assert asked == [base]


def test_a_failure_is_shown_and_can_be_tried_again(tiny, tmp_path):
    widget = LiveTraining({"dataset": str(tiny.path), "optimizer": "sgd", "batch_size": 8}, tmp_path)
    tiny.replace("train.txt", "train/0.jpg", "train/nothing.jpg")

    async def work() -> None:
        widget.start.click()
        for _ in range(200):
            await asyncio.sleep(0.1)
            if not widget.start.disabled:
                break

    asyncio.run(work())
    assert "failed: " in widget.status.value and "nothing.jpg" in widget.status.value
