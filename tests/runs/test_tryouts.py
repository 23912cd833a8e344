"""Short trainings: the newest alone trains, to the numbers of a run, and nothing is written."""

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from lmptlib.config import resolve
from lmptlib.runs.run import Run
from lmptlib.runs.tryouts import Tryout, Tryouts
from lmptlib.training.training import train


def until(condition) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen within 24 s")


@pytest.fixture
def card(tiny, cache) -> dict:
    return {"dataset": str(tiny.path), "cache": str(cache), "batch_size": 8}


def test_it_is_the_run_with_these_settings_and_writes_nothing(card, tmp_path):
    out = tmp_path / "out"
    tryouts = Tryouts(resolve(**card), epochs=2, out=out)
    tryout = tryouts.ask("focal", {"gamma": 3.0, "alpha": None})
    assert tryouts.ask("focal", {"alpha": None, "gamma": 3.0}) is tryout, "the same again changes nothing"
    until(lambda: tryout.done)
    assert tryout.error is None and not out.exists()
    run = Run(train(resolve(**card, epochs=2, loss="focal", loss_settings="gamma: 3"), out, log=lambda line: None))
    assert [row["loss_cls"] for row in tryout.rows] == run.history["loss_cls"].tolist()
    table = run.probabilities("epoch").query("step == 2").set_index("group")
    for side in ("positive", "negative"):
        assert tryout.rows[-1][side] == pytest.approx(table[side].to_dict(), nan_ok=True)
    again = tryouts.ask("focal", {"gamma": 0.0})
    until(lambda: again.done)
    assert again.rows[-1]["loss_cls"] != tryout.rows[-1]["loss_cls"]


def test_map_by_group_is_that_of_the_validation_images(card, tiny, tmp_path):
    lines = (tiny.folder / "test.txt").read_text().splitlines(keepends=True)
    (tiny.folder / "val.txt").write_text("".join(lines[::2]))
    (tiny.folder / "test.txt").write_text("".join(lines[1::2]))
    tiny.edit(val="val.txt")
    tryout = Tryouts(resolve(**card, ema=0.0), epochs=1, out=tmp_path).ask("bce", {})
    until(lambda: tryout.done)
    run = Run(train(resolve(**card, epochs=1, loss="bce", ema=0.0), tmp_path, log=lambda line: None))
    scores, rows = run.scores(), run.class_rows
    labels, given = scores["val_labels"], scores["val_scores"]
    pairs = zip(labels.T, given.T)
    ap = [100 * average_precision_score(y, s) if y.any() else np.nan for y, s in pairs]
    expected = pd.Series(ap).groupby(rows["group"].to_numpy()).mean()
    assert tryout.rows[0]["split"] == "val" and expected.notna().any()
    for group, value in expected.items():
        assert tryout.rows[0]["map"][group] == pytest.approx(value)


def test_a_newer_one_takes_the_place_of_what_trains(card, tmp_path):
    tryouts = Tryouts(resolve(**card), epochs=40, out=tmp_path)
    first = tryouts.ask("bce", {})
    until(lambda: first.rows)
    later = [tryouts.ask("focal", {"gamma": gamma / 10}) for gamma in range(12)]
    until(lambda: later[-1].rows)
    given_up = [(tryout, len(tryout.rows)) for tryout in (first, *later[:-1])]
    until(lambda: later[-1].done)
    assert len(later[-1].rows) == 40 and tryouts.newest is later[-1]
    assert all(not tryout.done and len(tryout.rows) == n < 40 for tryout, n in given_up)
    # a queue would have an epoch of each
    assert sum(n for _, n in given_up[1:]) <= 1


def test_what_cannot_be_is_said_in_a_line_and_the_next_one_trains(card, tiny, tmp_path):
    tryouts = Tryouts(resolve(**card, lr=1e30, optimizer="sgd"), epochs=1, out=tmp_path)
    with pytest.raises(ValueError, match="loss 'focal' has no setting 'lam'"):
        tryouts.ask("focal", {"lam": 1.0})
    assert tryouts.newest is None
    for gamma in (1.0, 2.0):
        broken = tryouts.ask("focal", {"gamma": gamma})
        until(lambda broken=broken: broken.done)
        assert "lower lr" in broken.error and "\n" not in broken.error
    tiny.edit(pictures="photographs")
    unread: Tryout = Tryouts(resolve(**card), epochs=1, out=tmp_path).ask("bce", {})
    until(lambda: unread.done)
    assert "is a toy that has seen drawings of emoji alone" in unread.error and unread.rows == []
    assert not any(tmp_path.glob("*/config.json"))
