"""What notebook 03 says and asks follows from its runs."""

import math

import numpy as np
import pytest

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
    assert train.share(run).verdict(f"{100 * expected:.1f} %") == (True, "right")
    assert math.isnan(train.share(make_run(method="coop")).expected)


def test_what_training_did_to_the_map_has_the_sign_of_the_difference(make_run):
    before, after = make_run(method="zero_shot"), make_run(method="coop", epochs=4, lr=0.02)
    for first, second in ((before, after), (after, before)):
        for ranking in ("logit", "softmax"):
            change = second.metrics["scores"][ranking]["total"] - first.metrics["scores"][ranking]["total"]
            assert f"**{ranking}** ranking mAP changes against zero-shot by {change:+.1f}" in train.changed(
                first, second
            )
    assert train.take_away(before, after)[1].startswith("Here mAP (logit) went")


def test_groups_positives_and_methods_without_epochs(make_run):
    run, closed = make_run(method="coop"), make_run(method="ridge")
    (group,) = train.group_order(run).right
    assert train.group_order(run).truth[group] == run.metrics["scores"]["logit"][group]
    ends = run.class_probabilities()["epoch_positive"][-1]
    assert f"{group} {np.nanmean(ends):.2f} and" in train.belief(run)
    assert train.quiz(run)[0].options[0] == f"In the {group}."
    assert [choice.key for choice in train.quiz(closed)] == ["again", "smooth"]
    assert train.belief(closed) == "" and not train.terms(closed) and not train.loss_guess(closed).truth


def test_runs_beside_differ_in_one_setting_alone(make_run):
    run = make_run(method="lmpt")
    others = [make_run(method="lmpt", **given) for given in ({"lam": 0.0}, {"lr": 0.1, "lam": 0.0}, {"seed": 1})]
    (said,) = train.beside(run, [run, *others])
    change = others[0].metrics["scores"]["logit"]["total"] - run.metrics["scores"]["logit"]["total"]
    assert said.startswith(f"**`lam` 0** (above: {run.settings['lam']:g})") and f"under logit {change:+.1f}" in said
    assert train.beside(run, [run, *others[1:]])[0].startswith("There is no finished run yet")
