"""What notebook 03 says and asks follows from its runs."""

import json

import numpy as np
import pytest

from lmptlib.data.loading import load_dataset
from lmptlib.runs.run import Run
from lmptlib.suite.lessons import train


def test_sentences_follow_the_losses(make_run):
    run = make_run(method="lmpt")
    guess, history = train.loss_guess(run), run.history
    assert guess.truth == {
        "classification loss": pytest.approx(history["loss_cls"].iloc[-1]),
        "CSE loss": pytest.approx(history["loss_cse"].iloc[-1]),
    }
    assert max(max(values) for values in guess.curves.values()) < guess.bounds[1]
    for column, name in (("loss_cls", "classification loss"), ("loss_cse", "CSE loss")):
        first, last = history[column].iloc[[0, -1]]
        verb = "stays" if abs(last / first - 1) < 0.02 else "falls" if last < first else "rises"
        assert f"The {name} {verb} from {first:.3f}" in train.fallen(run)
    lam, last = run.settings["lam"], history.iloc[-1]
    expected = 1 - (1 - lam) * last["loss_cse"] / last["loss"]
    (asked,) = train.share(run)
    assert asked.verdict(f"{100 * expected:.1f} %") == (True, "right")
    assert not train.share(make_run(method="coop")), "one term"


def test_the_result_is_that_of_the_run(make_run, tiny):
    run = make_run(method="coop")
    for ranking, entry in run.metrics["scores"].items():
        assert f"**{ranking}** ranking mAP is {entry['total']:.1f} (" in train.result(run)
        assert f"{entry['total']:.1f} ({ranking})" in train.take_away(run)[1]
    dataset = load_dataset(str(tiny.path))
    assert f" in {dataset.class_counts.max():,} training images" in train.opening(dataset, run.asked)
    assert "2 times through these images" in train.opening(dataset, run.asked)
    assert "all at once" in train.opening(dataset, make_run(method="ridge").asked)


def test_groups_positives_and_methods_without_epochs(make_run):
    run, closed = make_run(method="coop"), make_run(method="ridge")
    (group,) = train.group_order(run).right
    assert train.group_order(run).truth[group] == run.metrics["scores"]["logit"][group]
    ends = run.class_probabilities()["epoch_positive"][-1]
    assert f"{group} {np.nanmean(ends):.2f} and" in train.belief(run)
    assert [choice.key for choice in train.quiz(run)] == ["again", "smooth"], "a single group is no choice"
    assert [choice.key for choice in train.quiz(closed)] == ["again"]
    assert train.belief(closed) == "" and not train.terms(closed) and not train.loss_guess(closed).truth


def test_the_quiz_asks_for_the_group_that_is_believed_least(make_run, tiny):
    tiny.replace("train.txt", "train/14.jpg 2 3", "train/14.jpg 2")  # groups are thirds
    run = make_run(method="coop")
    ends, groups = run.class_probabilities()["epoch_positive"][-1], run.class_rows["group"]
    means = {group: ends[groups == group].mean() for group in ("head", "medium", "tail")}
    asked = train.quiz(run)[0]
    assert asked.options[0] == f"In the {min(means, key=means.get)}." and len(set(asked.options)) == 3


def test_runs_beside_differ_in_one_setting_alone(make_run):
    run = make_run(method="lmpt")
    others = [make_run(method="lmpt", **given) for given in ({"lam": 0.0}, {"lr": 0.1, "lam": 0.0}, {"seed": 1})]
    (said,) = train.beside(run, [run, *others])
    change = others[0].metrics["scores"]["logit"]["total"] - run.metrics["scores"]["logit"]["total"]
    assert said.startswith(f"**`lam` 0** (above: {run.settings['lam']:g})") and f"under logit {change:+.1f}" in said
    assert train.beside(run, [run, *others[1:]])[0].startswith("There is no finished run yet")


def test_runs_beside_have_the_same_marks_and_are_finished(make_run):
    ours, theirs = (make_run(method="lmpt", select="test", **given) for given in ({}, {"lam": 0.0}))
    assert ours.marks and train.beside(ours, [theirs])[0].startswith("**`lam` 0**")
    assert train.beside(ours, [make_run(method="lmpt", lam=0.0)])[0].startswith("There is no finished run yet")
    # the same marks on both, and yet none that is finished
    stopped = []
    for run in (ours, theirs):
        (run.folder / "config.json").write_text(json.dumps(run.config | {"stopped_after": 1}))
        stopped.append(Run(run.folder))
    assert stopped[0].marks == stopped[1].marks
    assert train.beside(stopped[0], stopped[1:])[0].startswith("There is no finished run yet")
