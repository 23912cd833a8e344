"""`lmpt bench`: what its rows say, on small problems."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from test_library_alone import COMMAND, alone

from lmptlib.benchmark import bars, growth
from lmptlib.benchmark.bars import Bar, Row, judged
from lmptlib.benchmark.clock import Spread
from lmptlib.benchmark.floor import floor_step
from lmptlib.benchmark.memory import LiveBytes, tower_bytes
from lmptlib.benchmark.operations import operation_rows
from lmptlib.benchmark.peers import peer_rows
from lmptlib.benchmark.problems import VOC, Problem, Size, long_tailed, random_problem, real_problem, some_names
from lmptlib.benchmark.sweeps import real_sweep_rows, stack_rows
from lmptlib.benchmark.training import QUICK, Trained, image_costs, train, training_rows
from lmptlib.clip.loading import load_clip
from lmptlib.clip.model import Clip
from lmptlib.config import resolve

FEW = replace(QUICK, epochs=0.0, least_epochs=2, naive_steps=1, naive_batch=2, encoding=0.0)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clip(log=lambda line: None)


@pytest.fixture(scope="module")
def problem(clip) -> Problem:
    return random_problem(clip, Size("tiny", VOC[:4], 24, 12), batch_size=8)


def by_what(rows: list[Row]) -> dict[str, float]:
    return {row.what: row.value.median for row in rows}


# numbers


def test_a_spread_is_the_quartiles_and_is_reckoned_with():
    taken = Spread.of([1, 2, 3, 4, 5])
    assert (taken.low, taken.median, taken.high, taken.n) == (2, 3, 4, 5)
    assert taken * 2 + taken == Spread(9, 6, 12, 5)
    assert taken / Spread(1, 0.5, 2, 3) == Spread(3, 1, 8, 3)


def test_a_run_is_measured_where_all_of_it_ran_and_extrapolated_where_not():
    ran = Trained(begin=1.0, epochs=[2.0, 4.0, 3.0], floors=[1.0, 2.0, 1.0], n_epochs=3)
    assert ran.total() == Spread(10, 10, 10) and ran.total(2).median == 7 and ran.how == "measured"
    assert ran.ratio.median == pytest.approx((2 + 1 / 3) / 1)
    part = replace(ran, n_epochs=30)
    assert part.total().median == 1 + 30 * 3 and part.how == "extrapolated from epochs: 3"


def test_bars_are_met_or_not_or_not_measured():
    rows = [Row("a", "x", Spread.of([3])), Row("b", "x", Spread.of([3])), Row("c", "x", Spread.of([3]))]
    wanted = [
        Bar("cpu", "a", "x", "at least", 3),
        Bar("cpu", "b", "x", "at most", 2.9),
        Bar("cuda", "c", "x", "at most", 9),
    ]
    table = judged(rows, "cpu", [*wanted, Bar("cpu", "d", "x", "at most", 1)])
    assert table["verdict"].fillna("").tolist() == ["met", "not met", "", "not measured", "not measured"]
    assert table["problem"].tolist() == ["a", "b", "c", "d (cpu)", "c (cuda)"]


# problems


def test_labels_are_long_tailed_and_every_image_has_one():
    labels = long_tailed(2000, 20, np.random.default_rng(0))
    counts = labels.sum(0)
    assert labels.any(1).all() and counts[0] > 900 and counts[0] > 5 * counts[-1] > 0


def test_names_are_different_and_known_and_of_one_length(clip):
    names = some_names(10_000)
    ends = clip.tokenize(list(names)).argmax(-1)
    assert len(set(names)) == 10_000 and len(set(ends.tolist())) == 1


# what is measured


def test_the_floor_is_the_text_tower_and_its_cut_changes_nothing(clip):
    torch.manual_seed(0)
    (cut,) = floor_step(clip, VOC[:3], 4)()
    torch.manual_seed(0)
    upstream = torch.randn(3, clip.width)
    tokens = clip.tokenize([f"a a a a {name}." for name in VOC[:3]])
    whole, text = clip.embed(tokens).clone().requires_grad_(), clip.text
    x = text.ln_final(text.transformer(whole + text.positional_embedding, attn_mask=text.attn_mask))
    (expected,) = torch.autograd.grad(x[range(3), tokens.argmax(-1)], whole, upstream)
    torch.testing.assert_close(cut, expected[:, : cut.shape[1]])
    assert not expected[:, cut.shape[1] :].any() and cut.shape[1] < 12


def test_live_bytes_are_the_most_at_once():
    with LiveBytes() as live:
        first = torch.empty(1000) + 1  # 4 kB, and 4 kB that go
        second = first.view(10, 100) + 1
        del first
        second.add_(1)
        third = second + 1
    assert (live.most, live.now) == (8000, 8000) and third.shape == (10, 100)


def test_fewer_prompts_at_once_take_less_memory(clip):
    together, chunks = tower_bytes(clip, 40, None), tower_bytes(clip, 40, 10)
    assert 0 < chunks < 0.6 * together and clip.prompts_at_once is None


def test_rows_of_a_problem_fit_together(problem):
    trained = train(problem, FEW)
    assert len(trained.epochs) == len(trained.floors) == 2
    images = image_costs(problem, FEW)
    found = by_what(training_rows(problem, trained, images, FEW))
    assert found[bars.NAIVE_RATIO] == pytest.approx(found[bars.NAIVE] / found[bars.CACHED])
    assert found[bars.RUN_RATIO] == pytest.approx(found[bars.NAIVE_RUN] / found[bars.RUN])
    assert found[bars.NAIVE_RUN] == pytest.approx(30 * found[bars.NAIVE])
    assert found[bars.RUN] > found[bars.TRAINING] > 0
    assert {row.what for row in training_rows(problem, trained, images, FEW)} >= {bars.FLOOR_RATIO, bars.TRAINING_RATIO}


def test_operations_are_those_of_the_towers_matrices(problem, clip):
    """Of the bare tower a token costs 12 W^2 multiplications a block forwards, and as many backwards."""
    rows = by_what(operation_rows(problem, Trained(0.0, [2.0], [1.0], 1)))
    blocks, tokens = len(clip.text.transformer.resblocks), 4 * floor_step(clip, VOC[:4], 4)()[0].shape[1]
    expected = 2 * 2 * 12 * clip.width**2 * blocks * tokens / 1e9
    assert rows["operations of a step of the bare tower"] == pytest.approx(expected, rel=0.05)
    assert 0.5 * expected < rows["operations of a step"] < 1.5 * expected
    reached = rows["operations a second, a step of the bare tower"]
    assert reached == pytest.approx(3 * rows["operations of a step of the bare tower"])


def test_a_stack_of_runs_is_measured(problem):
    found = by_what(stack_rows(problem, one_run=2.0, epochs=1, seeds=[0]))
    assert found[bars.ALONE] == 14 and found[bars.STACK_COST] == pytest.approx(found[bars.STACKED] / 2)


def test_a_users_own_data_have_sweeps_and_peers(tiny, cache):
    own = real_problem(resolve(dataset=str(tiny.path), cache=str(cache), device="cpu"), log=lambda line: None)
    assert own.name == "tiny, clip-emoji"
    found = by_what(real_sweep_rows(own, epochs=1, seeds=[0]))
    assert found[bars.STACK_RATIO] == pytest.approx(found[bars.ALONE] / found[bars.STACKED])
    peers = by_what(peer_rows(own, image_costs(own, FEW), FEW))
    assert len(peers) == 3 and min(peers.values()) > 0


def test_growth_has_a_point_for_each_value(clip, monkeypatch):
    for name in ("CLASSES", "CONTEXT", "RUNS"):
        monkeypatch.setattr(growth, name, (2, 3))
    monkeypatch.setattr(growth, "IMAGES", (70,))
    monkeypatch.setattr(growth, "BUDGET", 0.0)
    table = growth.growth(clip)
    assert table["value"].tolist() == [2, 3, 70, 2, 3, 2, 3] and (table["median"] > 0).all()
    assert (
        table["per"].tolist() == ["step", "step", "epoch", *["step"] * 4] and table.attrs["of"] == "clip-emoji on cpu"
    )


# the command

TINY = """
from dataclasses import replace
from lmptlib.benchmark import bench, growth
from lmptlib.benchmark.problems import VOC, Size, random_problem
from lmptlib.benchmark.training import QUICK
from lmptlib.clip.loading import load_clip

def tiny(device, own, quick, log):
    effort = replace(QUICK, epochs=0.0, naive_steps=1, naive_batch=2, encoding=0.0)
    yield [random_problem(load_clip(), Size("tiny", VOC[:4], 24, 12))], effort

bench._problems, growth.CLASSES, growth.IMAGES, growth.CONTEXT, growth.RUNS = tiny, (2,), (64,), (4,), (1,)
"""


def test_the_command_needs_the_library_alone_and_leaves_its_tables(tmp_path):
    done = alone(TINY + COMMAND, "bench", "--quick", "--device", "cpu", "--profile", "--out", str(tmp_path))
    assert done.returncode == 0 and "no figure of growth: plotly is not installed" in done.stdout, done.stderr
    saved = json.loads((tmp_path / "bench" / "cpu.json").read_text())
    assert saved["machine"]["torch"] == torch.__version__ and saved["quick"]
    table = pd.read_csv(tmp_path / "bench" / "cpu.csv")
    assert len(table) == len(saved["rows"]) and {"clip-emoji, tiny", "5,000 x 80"} <= set(table["problem"])
    assert "aten::" in (tmp_path / "bench" / "cpu-profile.txt").read_text()
    assert len(saved["growth"]) == 4
