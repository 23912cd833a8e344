"""Live training: buttons start, pause and stop a run in a thread, and curves follow it."""

import asyncio
import threading
import time
from unittest.mock import Mock

import numpy as np
import pytest

from lmptlib.config import resolve
from lmptlib.data.loading import load_dataset
from lmptlib.methods import learns
from lmptlib.recipes.reading import recipe_names
from lmptlib.runs.live import LiveRun, find_begun, hardest_images, live_runs, read_rows
from lmptlib.runs.run import Run
from lmptlib.suite.figures.live_figures import map_range
from lmptlib.suite.widgets.live import LiveTraining
from lmptlib.training.plan import plan_run
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
    assert rows[-1]["negative"] == pytest.approx(news[-1]["negative"], nan_ok=True)


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
    np.testing.assert_allclose(np.array(drawn["positive", "tail"].y, float), table["positive"], rtol=1e-6)
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


@pytest.fixture
def card(tiny, cache):
    """Settings of a run on the tiny card."""
    return {"dataset": str(tiny.path), "cache": str(cache), "epochs": 4, "batch_size": 8}


def traces(widget: LiveTraining) -> dict:
    return {trace.meta if isinstance(trace.meta, str) else tuple(trace.meta): trace for trace in widget.curves.data}


def test_a_run_is_edited_while_it_is_paused(card, tmp_path):
    """What is moved then is an event, when it goes on; another cockpit shows the same run from its first epoch."""
    widget = LiveTraining(card, tmp_path)
    plain = plan_run(resolve(**card), tmp_path).path
    assert "new run" in widget.outlook.value and not widget.curves.layout.shapes
    widget.start.click()
    widget.pause.click()
    run = widget.run
    until(lambda: run.waiting)
    widget.update()
    assert "paused at 1" in widget.outlook.value and widget.controls["eta"].disabled
    widget.controls["lr"].value = 0.05
    widget.controls["lr"].value = 0.01
    assert "lr 0.01 from epoch 2" in widget.outlook.value and run.events == []
    other = LiveTraining(card, tmp_path)
    assert other.run is run and other.controls["lr"].value == 0.01 and list(traces(other)["loss"].x) == [1]
    assert other.start.disabled and "paused at 1" in other.outlook.value
    assert "model" not in other.settings, "the default is not asked for because a run had it"
    other.pause.click()
    run.wait(60)
    for one in (widget, other):
        one.update()
        assert list(traces(one)["loss"].x) == [1, 2, 3, 4] and one.curves.layout.shapes[0].x0 == 1.5
        assert one.curves.layout.annotations[-1].text == "lr 0.002 → 0.01"
        assert one.controls["lr"].value == 0.01 and "finished already" in one.outlook.value
    assert [event["after"] for event in run.events] == [0.01] and Run(run.folder).events == run.events
    widget.controls["lr"].value = 0.002
    assert "goes on from epoch 1 of 4" in widget.outlook.value, "the run without the edit"
    assert plain != run.folder and widget.going_on.options[1][1] == plain


def test_a_begun_run_is_gone_on_with(card, tmp_path):
    """Its settings come into the controls; whoever moves one begins another run."""
    stop = {"log": lambda line: None, "on_epoch_end": lambda state: state.epoch < 2}
    folder = train(resolve(**card, method="coop", lr=0.03, seed=5), tmp_path, **stop)
    data = plan_run(resolve(**card), tmp_path).fingerprints["dataset"]
    assert list(find_begun(data, tmp_path)) == [folder] and not find_begun("other", tmp_path)
    widget = LiveTraining(card, tmp_path)
    assert "new run" in widget.outlook.value
    widget.going_on.value = folder
    assert "goes on from epoch 2 of 4" in widget.outlook.value
    values = {name: widget.controls[name].value for name in ("method", "lr", "seed")}
    assert values == {"method": "coop", "lr": 0.03, "seed": 5} and widget.controls["lam"].disabled
    assert ("0.03", 0.03) in widget.controls["lr"].options, "what is shown is what is used"
    widget.controls["seed"].value = 6
    assert "new run" in widget.outlook.value
    widget.controls["seed"].value = 5
    widget.start.click()
    widget.run.wait(60)
    widget.update()
    assert widget.run.folder == folder and not Run(folder).stopped
    assert "finished already" in widget.outlook.value and len(widget.going_on.options) == 1
    widget.controls["method"].value, widget.controls["epochs"].value = "linear_probe", 2
    widget.start.click()
    widget.run.wait(60)
    widget.update()
    ghosts = [trace for trace in widget.curves.data if trace.showlegend and trace.name.startswith("before")]
    assert [trace.name for trace in ghosts] == ["before: method coop, epochs 4"]
    np.testing.assert_allclose(ghosts[0].y, Run(folder).history["loss"])
    assert live_runs(card["dataset"], tmp_path)[-1] is widget.run and not live_runs(card["dataset"], tmp_path / "other")


def test_another_cockpit_takes_up_what_was_started_among_its_settings(card, tiny, tmp_path):
    card |= {"epochs": 1}
    widget = LiveTraining(card, tmp_path)
    widget.controls["lam"].value = 0.25
    widget.start.click()
    widget.run.wait(60)
    same, other = LiveTraining(dict(card), tmp_path), LiveTraining(card | {"lr": 0.05}, tmp_path)
    assert same.run is widget.run and same.controls["lam"].value == 0.25 and "model" not in same.settings
    assert other.run is None and other.controls["lr"].value == 0.05 and other.controls["lam"].value == 0.5
    assert "new run" in other.outlook.value
    tiny.edit(pictures="photographs")
    for _ in range(2):
        widget = LiveTraining(card, tmp_path / "photographs")
        assert widget.run is None, "a run that failed is not taken up"
        widget.start.click()
        widget.run.wait(60)
        assert "is a toy that has seen drawings of emoji alone" in widget.run.error


def test_an_edit_counts_from_the_checkpoint_and_the_last_epoch_has_none(card, tmp_path, monkeypatch):
    config, let = resolve(**card), threading.Event()
    folder = train(config, tmp_path, log=lambda line: None, on_epoch_end=lambda state: state.epoch < 2)

    def wait(*_, **__):
        let.wait(30)
        return folder

    monkeypatch.setattr("lmptlib.runs.live.train", wait)
    widget = LiveTraining(card, tmp_path)
    widget.start.click()
    until(lambda: widget.run.begins == 2)
    widget.controls["lr"].value = 0.05
    assert widget.run.epoch == 2 and "lr 0.05 from epoch 4" in widget.outlook.value
    widget.run.begins = 3
    widget.controls["lr"].value = 0.01
    widget.update()
    assert "cannot change in the last epoch" in widget.status.value
    assert widget.controls["lr"].value == 0.05 and widget.run.wanted == {"lr": 0.05}
    let.set()
    widget.run.wait(30)


def test_edits_are_read_while_another_thread_adds_one():
    live = LiveRun(resolve())

    class Meanwhile(float):
        def __ne__(self, other):
            live.wanted["lam"] = 0.25
            return True

    live.wanted |= {"lr": Meanwhile(0.1)}
    assert set(live.pending) == {"lr"} and set(live.pending) == {"lr", "lam"}
    assert live_runs("nothing") is not live_runs("nothing")


def test_a_class_without_training_images_hides_no_group(make_run, tiny):
    with (tiny.folder / "labels.txt").open("a") as file:
        file.write("zebra 4\n")
    tiny.edit(allow_empty=True)
    run = make_run(method="coop")
    table = run.probabilities("epoch").query("step == 2").set_index("group")
    row = read_rows(run)[-1]
    assert run.class_rows.query("train == 0")["group"].tolist() == ["tail"] and row["positive"]["tail"] > 0
    for side in ("positive", "negative"):
        assert row[side] == pytest.approx(table[side].to_dict(), nan_ok=True)


def test_a_run_of_thirds_says_so_above_its_bars(card, tiny, tmp_path):
    tiny.replace("train.txt", "train/14.jpg 2 3", "train/14.jpg 2")
    widget = LiveTraining(card | {"epochs": 1}, tmp_path)
    widget.start.click()
    widget.run.wait(60)
    widget.update()
    assert widget.classes.layout.title.subtitle.text == Run(widget.run.folder).grouping
    assert widget.run.classes.attrs["grouping"].startswith("groups are thirds")


def test_the_map_axis_only_widens():
    rows = [{"softmax": 41.0, "logit": float("nan")}, {"softmax": 43.0, "logit": 47.0}]
    first = map_range(rows[:1])
    assert map_range([]) is None and first == (40, 45)
    assert map_range(rows, first) == (40, 50) and map_range(rows[:1], (40, 50)) == (40, 50)
    assert map_range([{"softmax": 0.2, "logit": 99.9}]) == (0, 100)


def test_the_hardest_images_are_those_that_surprise_most(tiny):
    train = load_dataset(str(tiny.path)).train
    logits = np.where(train.labels, 3.0, -3.0)
    logits[7], logits[2, 0] = -logits[7], 9.0 if not train.labels[2, 0] else -9.0
    first, second, _ = hardest_images(train.labels, logits, ("a", "b", "c", "d"), train)
    p = 1 / (1 + np.exp(-logits[7]))
    error = -np.log(np.where(train.labels[7], p, 1 - p)).mean()
    assert (
        first["name"] == train.names[7] and first["error"] == pytest.approx(error) and second["name"] == train.names[2]
    )
    assert not any(right for _, _, right in first["top"][:2]) and all(right for _, _, right in first["labels"])


def test_an_edit_that_cannot_be_is_refused_and_one_that_breaks_the_run_is_told(card, tmp_path):
    config = resolve(**card, optimizer="sgd")
    live = LiveRun(config, tmp_path)
    live.pause()
    live.start()
    until(lambda: live.waiting)
    with pytest.raises(ValueError, match="setting 'lam' must be from 0 to 1"):
        live.edit("lam", 2.0)
    live.edit("lr", 1e30)
    live.go_on()
    live.wait(60)
    assert "lower lr" in live.error and "\n" not in live.error and live.folder is None
    assert plan_run(config, tmp_path).folder.epochs_done == 1
