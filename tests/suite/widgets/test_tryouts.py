"""The loss explorer trains: a slider moves, and curves of a short training follow."""

import asyncio
import time

import ipywidgets
import numpy as np
import pytest

from lmptlib.config import resolve
from lmptlib.data.loading import load_dataset
from lmptlib.suite.figures.style import COLOURS
from lmptlib.suite.widgets.landscape import loss_sliders
from lmptlib.suite.widgets.tryouts import LossTryouts


@pytest.fixture
def settings(tiny, cache) -> dict:
    return {"dataset": str(tiny.path), "cache": str(cache), "batch_size": 8}


def explorer(settings, tmp_path) -> tuple:
    """The chooser of the loss, the panel of its settings, and what trains."""
    dataset = load_dataset(settings["dataset"])
    tryouts = LossTryouts(resolve(**settings), tmp_path / "out")
    top, below, last = loss_sliders(dataset.class_counts, len(dataset.train), None, tryouts).children
    assert last is tryouts
    return top.children[0], below.children[0], tryouts


def finish(tryouts) -> None:
    for _ in range(1200):
        if not tryouts.update():
            return
        time.sleep(0.02)
    raise AssertionError("it was not done within 24 s")


def drawn(tryouts, age: str = "now") -> dict:
    return {tuple(trace.meta[1:]): trace for trace in tryouts.figure.data if trace.meta[0] == age}


def slider(panel, name: str) -> ipywidgets.Widget:
    return next(widget for widget in panel.children if widget.description == name)


def test_a_slider_trains_anew_and_what_was_before_is_faint(settings, tmp_path):
    chooser, panel, tryouts = explorer(settings, tmp_path)
    assert "once" in tryouts.status.value
    finish(tryouts)
    chooser.value = "focal"
    finish(tryouts)
    first = {name: list(trace.y) for name, trace in drawn(tryouts).items()}
    rows = tryouts.tryouts.newest.rows
    group = next(group for group, value in rows[0]["positive"].items() if np.isfinite(value))
    assert first["positive", group] == [row["positive"][group] for row in rows] and len(rows) == 5
    assert first["map", group] == [row["map"][group] for row in rows]
    assert first["loss", ""] == [row["loss"] for row in rows]
    slider(panel, "gamma").value = 4.2
    finish(tryouts)
    now, before = drawn(tryouts), drawn(tryouts, "before")
    for name, values in first.items():
        assert list(before[name].y) == values and before[name].opacity < 0.5 and now[name].opacity is None
    assert now["loss", ""].y != before["loss", ""].y and now["positive", group].y != before["positive", group].y
    assert tryouts.status.value == "focal, gamma 4.2: epoch 5 of 5; faint: focal"
    assert tryouts.figure.layout.xaxis.range == (0.5, 5.5)
    low, high = tryouts.figure.layout.yaxis3.range
    for group, colour in COLOURS.items():
        lines = now["positive", group].line, now["negative", group].line, now["map", group].line
        assert {line.color for line in lines} == {colour} and [line.dash for line in lines[:2]] == ["solid", "dot"]
        assert all(value is None or low <= value <= high for value in now["map", group].y)
    assert not (tmp_path / "out").exists()


def test_many_movements_end_with_the_last(settings, tmp_path):
    chooser, panel, tryouts = explorer(settings, tmp_path)
    chooser.value = "focal"
    finish(tryouts)
    stood, gamma = tryouts.tryouts.newest, slider(panel, "gamma")
    for value in np.arange(0.5, 3, 0.5):
        gamma.value = value
    newest = tryouts.tryouts.newest
    assert newest.config.learning.loss_settings == '"gamma": 2.5'
    finish(tryouts)
    assert tryouts.tryouts.newest is newest and newest.done and tryouts.before is stood, (
        "what was given up is no before"
    )
    assert list(drawn(tryouts)["loss", ""].y) == [row["loss"] for row in newest.rows]
    # what is no setting of the loss trains nothing; a number that a page gives back inexactly is the same
    chooser.value = "pg"
    finish(tryouts)
    newest = tryouts.tryouts.newest
    slider(panel, "mean p+").value = 0.8
    slider(panel, "l2_neg").value += 1e-9
    assert tryouts.tryouts.newest is newest


def test_what_fails_is_told_in_a_line(settings, tmp_path):
    _, _, tryouts = explorer(settings | {"lr": 1e30, "optimizer": "sgd"}, tmp_path)
    finish(tryouts)
    assert "not finite" in tryouts.status.value and "lower lr" in tryouts.status.value
    shown = tryouts.status.value
    tryouts.ask("focal", {"gamma": -1.0})
    assert tryouts.status.value != shown and "gamma" in tryouts.status.value
    assert list(drawn(tryouts)["loss", ""].y) == []


def test_a_notebooks_loop_follows_by_itself(settings, tmp_path):
    async def notebook() -> list:
        _, _, tryouts = explorer(settings, tmp_path)
        seen = []
        while len(seen) < 2:
            await asyncio.wait_for(asyncio.shield(tryouts.following), 24)
            seen.append(len(drawn(tryouts)["loss", ""].y))
            tryouts.ask("focal", {"gamma": 1.0})
        return seen

    assert asyncio.run(notebook()) == [5, 5]


def test_it_fits_a_screen_with_its_controls(settings, tmp_path):
    dataset = load_dataset(settings["dataset"])
    tryouts = LossTryouts(resolve(**settings), tmp_path / "out")
    _, below, _ = loss_sliders(dataset.class_counts, len(dataset.train), None, tryouts).children
    figure = below.children[1].children[0]
    # below the line of choosers; 575 pixels is a screen of 1280 x 720
    assert 32 + figure.layout.height + tryouts.figure.layout.height + 22 <= 575
    assert figure.layout.width is None and tryouts.figure.layout.width is None
    finish(tryouts)
