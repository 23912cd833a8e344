"""Sweeps: grids, runs side by side, the comparison of rows, and its figures and tables."""

import errno
import os
import re
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats
from sklearn.metrics import f1_score
from tiny import make_tiny

from lmptlib.config import fitting, resolve
from lmptlib.evaluation.calibration import thresholds
from lmptlib.evaluation.intervals import resampled_means
from lmptlib.evaluation.metrics import evaluate
from lmptlib.paths import DiskError
from lmptlib.runs.comparison import _difference, compare
from lmptlib.runs.run import Run, find_runs
from lmptlib.runs.tables import class_table, f1_table
from lmptlib.suite import notebooks
from lmptlib.suite.cli.main import main
from lmptlib.suite.figures import class_ap, group_ap, paper
from lmptlib.sweeps import engine
from lmptlib.sweeps.engine import run_sweep
from lmptlib.sweeps.grid import read_sweep, sweep_names
from lmptlib.sweeps.tables import step_table, sweep_summary, sweep_table
from lmptlib.training import training
from lmptlib.training.folder import RunFolder
from lmptlib.training.plan import Plan
from lmptlib.training.training import train


def quiet(line: str) -> None:
    pass


def train_quietly(plan: Plan, force: bool) -> None:
    train(plan.config, force=force, log=quiet, plan=plan)


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("sweep") / "tiny").path


@pytest.fixture
def write(card, tmp_path):
    """Write a grid on the tiny data set; give its path."""

    def write(text: str) -> str:
        path = tmp_path / "grid.yaml"
        path.write_text(text.replace("TINY", f"dataset: {card}, epochs: 1, batch_size: 8"))
        return str(path)

    return write


ROWS = """
settings: {TINY, method: coop}
rows:
  CLIP: {method: zero_shot}
  soft: {loss: db_focal}
  bce: {loss: bce}
seeds: [0, 1]
baseline: soft
published: {bce: lmpt/2/bce}
"""


@pytest.fixture(scope="module")
def made(card, tmp_path_factory):
    """A sweep of zero-shot and two losses with two seeds, made once."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "grid.yaml").write_text(ROWS.replace("TINY", f"dataset: {card}, epochs: 1, batch_size: 8"))
    sweep = read_sweep(str(folder / "grid.yaml"))
    return sweep, run_sweep(sweep, folder / "out", log=quiet), folder / "out"


# grids


def test_the_grids_that_come_along_are_read():
    assert {"losses", "ablation", "lmpt_table2"} <= set(sweep_names())
    for name in sweep_names():
        # rows of these have epochs of their own
        given = {} if name in ("ballad", "single", "several") else {"epochs": 2}
        sweep = read_sweep(name, given | {"seeds": [3]})
        assert not given or {config.flat().get("epochs", 2) for config in sweep.configs} == {2}
        assert {config.flat().get("seed", 3) for config in sweep.configs} == {3}
        assert sweep.baseline is None or sweep.baseline in sweep.rows


def test_rows_times_grid_times_seeds(write):
    sweep = read_sweep(
        write("""
settings: {TINY, method: coop}
rows: {one: {n_ctx: 4}, two: {n_ctx: 8}}
grid: {loss: [bce, focal], lr: [0.001, 0.002, 0.003], logit_map: raw}
seeds: [0, 1]
""")
    )
    assert len(sweep.rows) == 12 and len(sweep.configs) == len(set(sweep.configs)) == 24
    own = sweep.rows["two, focal, lr 0.003"][1].settings
    assert (own.n_ctx, own.loss, own.lr, own.logit_map, own.seed) == (8, "focal", 0.003, "raw", 1)


def test_zero_shot_has_one_run(write):
    sweep = read_sweep(write("settings: {TINY}\ngrid: {method: [zero_shot, coop]}"))
    assert [len(part) for part in sweep.rows.values()] == [1, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("setings: {epochs: 1}", "unknown key 'setings'. Did you mean 'settings'?"),
        ("rows: {one: {loss: bce}}\nbaseline: on", "no row 'True' to compare with"),
        ("rows: {one: {loss: bce}}\nbaseline: ones", "no row 'ones' to compare with. Did you mean 'one'?"),
        ("settings: {epoch: 1}", "unknown setting 'epoch'. Did you mean 'epochs'?"),
        ("settings: {epochs: many}", "parameter 'epochs' must be a whole number, not 'many'"),
        ("rows: {one: {loss: bse}}", "setting 'loss' is one of"),
        ("settings: {lam: 2}", "setting 'lam' must be from 0 to 1"),
        ("settings: [epochs, 1]", "'settings' is a mapping of 'name: value' lines"),
        ("rows: {one: {loss: bce}", "not a YAML file"),
        ("just words", "a grid has the keys about, settings"),
        ("", "a grid has the keys about, settings"),
        ("about: nothing", "a grid needs 'settings', 'rows' or 'grid'"),
        ("grid: {loss: [bce, bce]}", "two rows are called 'bce'"),
        ("settings: {}\nseeds: 3", "'seeds' is a list of different whole numbers, at least one, not 3"),
        ("settings: {}\nseeds: [one]", "'seeds' is a list of different whole numbers"),
        ("settings: {}\nseeds: []", "'seeds' is a list of different whole numbers"),
        ("settings: {}\nseeds: [0, 0]", "'seeds' is a list of different whole numbers"),
        ("settings: {seed: 5}", "'seed' is given by 'seeds', a list"),
        ("grid: {loss: []}", "no rows, a list in 'grid' is empty"),
        ("grid: {dataset: [emoji-lt, voc-lt]}", "rows on several data sets do not compare"),
        ("rows: {one: {}}\nensembles: {one: {one: 1}}", "'one' is a row and an ensemble"),
        ("rows: {one: {}}\npublished: {two: lmpt/2/bce}", "no row 'two' to have a printed counterpart"),
        (
            "rows: {one: {}}\npublished: {one: lmpt/9/bce}",
            "nothing printed at 'lmpt/9/bce'. Did you mean 'lmpt/2/bce'?",
        ),
        ("rows: {one: bce}", "row 'one' is a mapping of 'name: value' lines"),
    ],
)
def test_what_is_wrong_with_a_grid_is_said_in_a_line(write, text, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_sweep(write(text))
    assert len(str(caught.value).splitlines()) == 1


def test_what_rows_vary_cannot_be_given_for_all():
    with pytest.raises(ValueError, match=r"losses: its rows vary 'loss', which cannot be given for all of them"):
        read_sweep("losses", {"loss": "bce"})
    with pytest.raises(ValueError, match="its rows vary 'recipe'"):
        read_sweep("lmpt_table2", {"recipe": "calibrated"})


def test_labels_may_be_numbers_and_leaks_are_named(write):
    text = "settings: {TINY, select: test}\nrows: {4: {n_ctx: 4}, 16: {n_ctx: 16}}\nbaseline: 4"
    sweep = read_sweep(write(text))
    assert list(sweep.rows) == ["4", "16"] and sweep.baseline == "4"
    assert [sweep.marked(row) for row in sweep.rows] == ["4 (TEST-SET LEAKAGE)", "16 (TEST-SET LEAKAGE)"]


def test_an_unknown_sweep_is_named():
    with pytest.raises(ValueError, match=re.escape("loses: no sweep of this name. Did you mean 'losses'?")):
        read_sweep("loses")
    with pytest.raises(ValueError, match=re.escape("grid.yaml: no such file")):
        read_sweep("no/grid.yaml")


# runs


def test_finished_runs_are_not_repeated(made):
    sweep, first, out = made
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    for workers in (1, 2):
        lines = []
        again = run_sweep(sweep, out, workers, lines.append)
        assert lines == ["grid: 5 runs, 5 finished, 0 to make"]
        assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
        assert again == first


def test_what_is_logged_tells_no_result(write, tmp_path):
    lines = []
    run_sweep(read_sweep(write("settings: {TINY, method: coop}\nseeds: [0]")), tmp_path / "out", log=lines.append)
    assert lines[0].endswith("1 to make") and "done" in lines[1] and not re.search(r"mAP|softmax|logit", "".join(lines))


def test_each_row_is_set_against_the_row_before_it(made):
    _, runs, _ = made
    (first, *_), names = runs.values(), list(runs)
    table = step_table(runs).set_index(["ranking", "row", "group"])
    assert list(dict.fromkeys(table["before"])) == names[:-1]
    for ranking in ("softmax", "logit"):
        totals = [np.mean([run.metrics["scores"][ranking]["total"] for run in part]) for part in runs.values()]
        found = [table.loc[(ranking, row, "total"), "difference"] for row in names[1:]]
        np.testing.assert_allclose(found, np.diff(totals))
    assert len(first) == 1, "zero-shot is paired with every seed"


def test_a_run_that_fails_does_not_stop_the_others(write, tmp_path):
    sweep = read_sweep(
        write("settings: {TINY, method: coop}\nrows: {bad: {lr: 1.0e+30}, good: {lr: 0.001}}\nseeds: [0]")
    )
    with pytest.raises(RuntimeError, match=r"1 of 2 runs failed(.|\n)*tiny-coop(.|\n)*(not finite|lower lr)"):
        run_sweep(sweep, tmp_path / "out", log=quiet)
    (left,) = find_runs(tmp_path / "out")
    assert left.config["settings"]["lr"] == 0.001


def test_runs_of_a_sweep_train_at_once(write, tmp_path, monkeypatch):
    """As many as go together, or as are asked for; to the numbers of runs one by one."""
    sweep = read_sweep(
        write("settings: {TINY, method: coop}\nrows: {CLIP: {method: zero_shot}, soft: {}}\nseeds: [0, 1, 2]")
    )
    sizes, found, together = [], [], engine.RunTask.make

    def count(task: engine.RunTask) -> list:
        sizes.append(len(task.plans))
        return together(task)

    monkeypatch.setattr(engine.RunTask, "make", count)
    for stack, expected in ((None, [1, 3]), (2, [1, 1, 2]), (1, [1] * 4)):
        lines: list[str] = []
        runs = run_sweep(sweep, tmp_path / str(stack), log=lines.append, stack=stack)
        assert sizes == expected
        told = [f"trained at once: {max(sizes)} runs, up to {max(sizes)} in a stack"] if max(sizes) > 1 else []
        assert [line for line in lines if "at once" in line] == told
        assert [line[:5] for line in lines if "done in" in line] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
        found.append([run.scores()["scores"] for run in runs["soft"]])
        sizes.clear()
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-5)
    with pytest.raises(ValueError, match="a stack has at least 1 run, not 0"):
        run_sweep(sweep, tmp_path, log=quiet, stack=0)


def test_a_stack_that_fails_as_a_whole_is_made_run_by_run(write, tmp_path, monkeypatch):
    """Where memory does not hold it, or a method has a fault, which is its run's alone."""
    sweep = read_sweep(write("settings: {TINY, method: coop}\nrows: {bad: {lr: 0.5}, good: {}}\nseeds: [0, 1]"))
    fit = training.fit

    def limited(states, *others):
        if len(states) > 1 or states[0].learning.lr == 0.5:
            raise RuntimeError("out of memory")
        fit(states, *others)

    monkeypatch.setattr(training, "fit", limited)
    with pytest.raises(RuntimeError, match="2 of 4 runs failed") as error:
        run_sweep(sweep, tmp_path / "out", log=quiet)
    assert str(error.value).count("FAILED: out of memory") == 2
    assert {run.config["settings"]["lr"] for run in find_runs(tmp_path / "out")} == {2e-3}


def test_a_full_disk_stops_all_runs(write, tmp_path, monkeypatch):
    """In one line, the finished ones stay; where nothing can be written, none is begun."""
    sweep, begun = (
        read_sweep(write("settings: {TINY, method: coop}\ngrid: {lr: [0.001, 0.002, 0.003]}\nseeds: [0]")),
        [],
    )

    def fills_up(plan, force):
        begun.append(plan)
        if len(begun) > 1:
            monkeypatch.setattr(os, "fsync", full)
        train_quietly(plan, force)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskError) as error:
        run_sweep(sweep, tmp_path / "out", log=quiet, runner=fills_up)
    assert str(error.value).startswith(f"{begun[1].path}: the disk is full") and len(begun) == 2
    assert begun[0].folder.finished and not list((tmp_path / "out").rglob("*.draft"))
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DiskError, match=f"^{tmp_path / 'out'}: the disk is full"):
        run_sweep(sweep, tmp_path / "out", log=quiet, runner=fills_up)
    assert len(begun) == 2
    monkeypatch.undo()
    assert len(run_sweep(sweep, tmp_path / "out", log=quiet)) == 3


def test_an_interrupt_says_what_is_there(write, tmp_path):
    sweep, begun = read_sweep(write("settings: {TINY, method: coop}\ngrid: {lr: [0.001, 0.002]}\nseeds: [0]")), []

    def interrupted(plan, force):
        begun.append(plan)
        if len(begun) > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^stopped; 1 of 2 runs are made, the same call goes on$"):
        run_sweep(sweep, tmp_path / "out", log=quiet, runner=interrupted)


def test_a_run_as_a_notebook(write, tmp_path):
    sweep = read_sweep(write("settings: {TINY, method: coop}\nseeds: [0]"))
    made = run_sweep(
        sweep,
        tmp_path / "out",
        log=quiet,
        runner=partial(notebooks.run_training, notebooks.find_notebook("train")),
        leaves="notebook.ipynb",
    )
    ((run,),) = made.values()
    assert (run.folder / "notebook.ipynb").is_file() and len(run.history) == 1


# the comparison


def write_example(folder: Path, seed: int, signal: float, method: str = "coop", val: bool = False) -> Run:
    """A run folder with invented scores: `signal` says how well they rank."""
    names, groups = ("cat", "dog", "cow", "owl"), np.array(["tail", "head", "medium", "tail"])
    labels = np.random.default_rng(0).random((60, 4)) < [0.6, 0.4, 0.3, 0.2]
    rng = np.random.default_rng([seed, int(10 * signal)])
    scores = {"scores": signal * labels + rng.normal(size=labels.shape), "labels": labels}
    if val:
        scores |= {"val_scores": signal * labels + rng.normal(size=labels.shape), "val_labels": labels}
    config = {
        "key": "", "settings": resolve(**fitting({"method": method, "seed": seed})).flat(), "dataset": "example",
        "classes": [{"class": name, "group": group, "train": count} for name, group, count in zip(names, groups, (9, 300, 40, 7))],
        "fingerprints": {"dataset": "example", "clip": "none"}, "logit_scale": 1.0, "warnings": [], "versions": {},
        "n_train": 300, "n_val": 60 * val, "n_test": 60,
    }  # fmt: skip
    metrics = evaluate(labels, scores["scores"], 1.0, names, groups)
    run = RunFolder(folder / f"{method}-{signal}-{seed}", "")
    run.path.mkdir(parents=True)
    run.begin(config)
    run.finish(config, {}, scores, {}, {}, metrics)
    return Run(run.path)


def test_compare_is_the_calculation_by_hand(tmp_path):
    rows = {
        "CLIP": [write_example(tmp_path, 0, 0.5, "zero_shot")],
        "one": [write_example(tmp_path, seed, 1.0) for seed in range(3)],
        "two": [write_example(tmp_path, seed, 2.0) for seed in (2, 0, 1)],  # paired by seed, in whatever order
    }
    table = compare(rows, "one", "softmax").set_index(["row", "group"])
    values = {row: {run.seed: run.metrics["scores"]["softmax"]["total"] for run in part} for row, part in rows.items()}
    for row in ("one", "two"):
        found, own = table.loc[(row, "total")], list(values[row].values())
        assert found["n_seeds"] == 3
        assert found["mean"] == pytest.approx(np.mean(own)) and found["sd"] == pytest.approx(np.std(own, ddof=1))
        interval = stats.t.interval(0.95, 2, np.mean(own), stats.sem(own))
        assert (found["low"], found["high"]) == pytest.approx(interval)
    found = table.loc[("two", "total")]
    assert found["difference"] == pytest.approx(
        np.mean([values["two"][seed] - values["one"][seed] for seed in range(3)])
    )
    assert 0 < found["difference_low"] < found["difference"] < found["difference_high"]
    alone = table.loc[("CLIP", "total")]  # one run, against every seed
    assert alone["n_seeds"] == 1 and np.isnan([alone["sd"], alone["low"], alone["high"]]).all()
    assert alone["difference"] == pytest.approx(values["CLIP"][0] - np.mean(list(values["one"].values())))
    assert table.loc["one", "difference"].isna().all()
    # one seed: the draws of the images alone, of a group with positives enough
    pair = {row: rows[row][i] for row, i in (("one", 2), ("two", 0))}
    groups = np.array(["tail", "head", "medium", "tail"])
    drawn = {row: resampled_means(*run.ranking_scores("logit"), groups)["head"] for row, run in pair.items()}
    found = compare({row: [run] for row, run in pair.items()}, "one").set_index(["row", "group"]).loc[("two", "head")]
    half = 210 * np.std(drawn["two"] - drawn["one"], ddof=1)
    assert found["difference_high"] - found["difference"] == pytest.approx(half)
    assert found["difference"] - found["difference_low"] == pytest.approx(half)
    itself = compare({"one": rows["one"], "again": rows["one"]}, "one").set_index("row").loc["again"]
    assert (itself[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)


def test_compare_names_what_it_cannot_do(tmp_path):
    rows = {"one": [write_example(tmp_path, 0, 1.0)]}
    with pytest.raises(ValueError, match=re.escape("no row 'on' to compare with. Did you mean 'one'?")):
        compare(rows, "on")
    assert compare(rows)["difference"].isna().all()


def test_printed_numbers_stand_beside_ours(made):
    sweep, rows, _ = made
    table = sweep_table(sweep, rows)
    assert list(table["ranking"].unique()) == ["softmax", "logit"]
    printed = table.set_index(["ranking", "row", "group"])["voc-lt printed"]
    assert printed["logit", "bce", "total"] == 82.18 and np.isnan(printed["logit", "soft", "total"])
    summary = sweep_summary(table)
    assert len(summary) == 6 and summary["total"].str.contains("±").sum() == 4


# F1


def test_f1_takes_its_thresholds_from_the_validation_split(tmp_path):
    rows = {"one": [write_example(tmp_path, seed, 2.0, val=True) for seed in (0, 1)]}
    table = f1_table(rows)
    by_hand = []
    for run in rows["one"]:
        scores = run.scores()
        predicted = scores["scores"] >= thresholds(scores["val_labels"], scores["val_scores"])
        by_hand.append(100 * f1_score(scores["labels"], predicted, average="micro"))
    assert table.loc["one", ("OF1", "mean")] == pytest.approx(np.mean(by_hand))
    assert table.loc["one", ("OF1", "std")] == pytest.approx(np.std(by_hand, ddof=1))


def test_f1_needs_a_validation_split(made):
    assert f1_table(made[1]).empty


# figures and tables


def classes(rows) -> pd.DataFrame:
    tables = {row: class_table(part, "logit") for row, part in rows.items()}
    return pd.concat(tables, names=["row"]).reset_index("row")


def test_the_heat_map_has_the_change_from_the_baseline(made):
    table = classes(made[1])
    heat = class_ap.ap_heatmap(table, "soft").data[0]
    ap = table.groupby(["row", "class"])["ap"].mean()
    assert list(heat.x) == ["soft", "CLIP", "bce"]
    for i, label in enumerate(heat.y):
        name = label.rpartition(" ")[0]
        np.testing.assert_allclose(heat.z[i], [ap[row, name] - ap["soft", name] for row in heat.x], atol=1e-9)
        assert heat.text[i][0] == f"{ap['soft', name]:.1f}" and heat.text[i][2][0] in "+-"


def test_classes_are_in_the_order_of_their_counts(tmp_path):
    rows = {"one": [write_example(tmp_path, 0, 1.0)], "two": [write_example(tmp_path, 0, 2.0)]}
    order = ["owl (7)", "cat (9)", "cow (40)", "dog (300)"]  # from the bottom
    heat = class_ap.ap_heatmap(classes(rows), "one")
    assert list(heat.data[0].y) == order and [line.y0 for line in heat.layout.shapes] == [1.5, 2.5]
    assert list(class_ap.ap_dumbbells(classes(rows), "one").layout.yaxis.categoryarray) == order
    axis = paper.ap_heatmap(classes(rows), "one").axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == order[::-1]


def test_dumbbells_have_a_panel_a_row(made):
    figure = class_ap.ap_dumbbells(classes(made[1]), "soft")
    assert [annotation.text for annotation in figure.layout.annotations] == ["CLIP", "bce"]
    assert all(trace.x is not None and len(trace.x) for trace in figure.data)


def test_intervals_are_drawn_around_their_value(made):
    table = compare(made[1], "soft")
    figure = group_ap.intervals(table)
    total = table[(table["group"] == "total") & table["difference"].notna()].iloc[::-1]
    trace = figure.data[0]
    np.testing.assert_allclose(trace.x, total["difference"])
    np.testing.assert_allclose(trace.x + trace.error_x.array, total["difference_high"])
    np.testing.assert_allclose(trace.x - trace.error_x.arrayminus, total["difference_low"])
    assert group_ap.intervals(table, "mean").data


def test_static_figures_are_saved(made, tmp_path):
    table = compare(made[1], "soft")
    for name, figure in {
        "heat": paper.ap_heatmap(classes(made[1]), "soft"), "gap": paper.intervals(table),
        "mean": paper.intervals(table, "mean"),
    }.items():  # fmt: skip
        paper.save(figure, tmp_path, name)
        assert (tmp_path / f"{name}.pdf").stat().st_size > 1000 and (tmp_path / f"{name}.png").stat().st_size > 1000


def test_the_latex_table_is_whole(made, tmp_path):
    sweep, rows, _ = made
    table = sweep_table(sweep, rows).query("ranking == 'logit'").replace({"soft": "soft_prompt & 50%"})
    ticks = pd.DataFrame({"soft prompt": {"CLIP": False, "soft_prompt & 50%": True, "bce": True}})
    text = paper.latex_table(table, tmp_path / "tables" / "table.tex", ticks).read_text()
    assert text.count(r"\begin{") == text.count(r"\end{") == 1 and text.count("{") == text.count("}")
    assert text.count("$") % 2 == 0 and r"soft\_prompt \& 50\%" in text and text.count(r"\checkmark") == 2
    layout = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1]
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 4
    for line in lines:
        assert len(re.findall(r"(?<!\\)&", line)) == len(layout) - 1
    assert text.count(r"\mathbf") >= 1 and r"\pm" in text and "82.18" in text


# the command


def lmpt(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    return result.output


def test_the_command_runs_a_sweep_and_leaves_its_table(made, card):
    _, _, out = made
    grid = out.parent / "grid.yaml"
    text = lmpt("sweep", grid, "--out", out)
    assert "5 runs, 5 finished, 0 to make" in text and "differences from 'soft'" in text
    assert len(pd.read_csv(out / "sweeps" / "grid-tiny.csv")) == 2 * 3 * 4
    fewer = lmpt("sweep", grid, "--out", out, "--seeds", "1")
    assert "3 runs, 3 finished, 0 to make" in fewer


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["loses"], "loses: no sweep of this name. Did you mean 'losses'?"),
        (["losses", "--seeds", "a"], "--seeds takes whole numbers"),
        (["losses", "--workers", "0"], "--workers must be at least 1"),
        (["losses", "--stack", "0"], "--stack must be at least 1"),
        (["losses", "--workers", "2", "--scheduler", "tcp://x"], "say who does the work: give one of them"),
        (["losses", "-p", "epoch", "1"], "unknown setting 'epoch'. Did you mean 'epochs'?"),
        (["losses", "--notebook", "trian"], "no notebook 'trian'"),
    ],
)
def test_the_command_says_what_is_wrong(args, message):
    text = lmpt("sweep", *args, code=1)
    assert message in text and "Traceback" not in text


def test_the_command_lists_recipes():
    assert {"calibrated", "paper", "reported"} <= {line.split()[0] for line in lmpt("recipes").splitlines()}
    text = lmpt("recipes", "lmpt_table2/asl")
    assert "loss: asl" in text and "86.4" in text
    assert "unknown recipe 'papr'. Did you mean 'paper'?" in lmpt("recipes", "papr", code=1)


def test_ensembles_are_rows_made_of_rows(made, write):
    _, parts, out = made
    grid = write(ROWS + "ensembles:\n  both: {soft: 0.75, CLIP: 0.25}\n")
    averaged = run_sweep(read_sweep(grid, baseline="both"), out, log=quiet)["both"]
    assert [run.seed for run in averaged] == [0, 1], "zero-shot has a part in every seed"
    for run, soft in zip(averaged, parts["soft"]):
        scale = soft.config["logit_scale"]
        logits = scale * (0.75 * soft.scores()["scores"] + 0.25 * parts["CLIP"][0].scores()["scores"])
        np.testing.assert_allclose(run.ranking_scores("logit")[1], logits, rtol=1e-5)
    table = sweep_table(read_sweep(grid, baseline="both"), {**parts, "both": averaged})
    assert (
        table.query("row == 'both'")["difference"].isna().all()
        and table.query("row == 'soft'")["difference"].notna().any()
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ensembles: {both: {soft: 1, hard: 1}}", "no row 'hard' to average. Known: soft"),
        ("ensembles: {both: [soft]}", "ensemble 'both' is a mapping of 'row: weight' lines"),
        ("ensembles: {both: {soft: half}}", "ensemble 'both' is a mapping of 'row: weight' lines"),
    ],
)
def test_wrong_ensembles_are_named(write, text, message):
    with pytest.raises(ValueError, match=message):
        read_sweep(write(f"settings: {{TINY}}\nrows: {{soft: {{}}}}\n{text}"))


def test_the_paired_interval_covers_what_it_should():
    """95 in 100 intervals of three seeds hold the true difference when seeds and test images both move it."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        over_images = rng.normal()
        resampled = rng.normal(over_images, 1.0, 200)
        gaps = over_images + rng.normal(0, 1.5, 3)
        ours = [pd.DataFrame({"total": [gap, *(resampled + gap - over_images)]}) for gap in gaps]
        theirs = [pd.DataFrame({"total": np.zeros(201)})] * 3
        found = _difference(ours, theirs, [0, 1, 2], [0, 1, 2], "total")
        held += found["difference_low"] <= 0 <= found["difference_high"]
    assert 0.92 <= held / 400 <= 1.0
    with pytest.raises(ValueError, match="no seed in common"):
        _difference(ours[:2], theirs[:2], [0, 1], [2, 3], "total")
