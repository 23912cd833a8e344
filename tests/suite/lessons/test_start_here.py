"""What notebook 00 says and asks follows from its runs."""

import numpy as np
import pytest

from lmptlib.data.loading import load_dataset
from lmptlib.suite.lessons import start_here


def test_sentences_are_made_of_the_data_and_the_runs(tiny, make_run):
    zero_shot, tuned = make_run(method="zero_shot"), make_run(method="coop")
    dataset = load_dataset(str(tiny.path))
    counts = dataset.class_counts[dataset.class_counts > 0]
    assert f"{counts.max():,}" in start_here.opening(dataset) and f"{counts.min():,}" in start_here.opening(dataset)
    assert start_here.ratio(dataset).verdict(f"{counts.max()}/{counts.min()}") == (True, "right")
    assert "each class," in start_here.pictures(dataset, len(counts)) and "each of 1 of" in start_here.pictures(
        dataset, 1
    )
    change = tuned.metrics["scores"]["logit"]["total"] - zero_shot.metrics["scores"]["logit"]["total"]
    assert f"total {change:+.1f}" in start_here.moved(zero_shot, tuned)
    guess = start_here.group_guess(zero_shot, tuned)
    assert all(tuned.metrics["scores"]["logit"][group] == value for group, value in guess.truth.items()) and guess.truth
    gains = [run.metrics["scores"][r]["total"] for r in ("logit", "softmax") for run in (zero_shot, tuned)]
    agree = np.sign(gains[1] - gains[0]) == np.sign(gains[3] - gains[2])
    frozen, rankings, _ = start_here.quiz(zero_shot, tuned)
    assert "4 context vectors for each class, and a scale and a bias." in frozen.why
    right = rankings.options[0]
    assert ("disagree" in right) != agree
    # the card's classes are one group, which pays for no other
    assert len(start_here.take_away(zero_shot, tuned)) == 2
    assert "head from 100 training images on, medium from 20" in start_here.opening(dataset)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_ctx": 2, "ctx_init": "random", "logit_map": "raw"}, "2 context vectors for each class."),
        ({"ctx_init": "a", "n_ctx": None}, "learned are the context vectors for each class, and a scale and a bias."),
        ({"class_specific": False, "logit_map": "affine_per_class"}, "all classes together, and a scale and a bias of"),
    ],
)
def test_what_was_learned_is_that_of_the_settings(make_run, settings, said):
    zero_shot, tuned = make_run(method="zero_shot"), make_run(method="coop", **settings)
    assert said in start_here.quiz(zero_shot, tuned)[0].why


@pytest.mark.parametrize("method", ["linear_probe", "ridge", "zero_shot"])
def test_nothing_is_said_of_prompts_where_none_are_learned(make_run, method):
    zero_shot, tuned = make_run(method="zero_shot"), make_run(method=method)
    asked = start_here.quiz(zero_shot, tuned)
    assert [choice.key for choice in asked] == ["rankings", "few"]
    said = (start_here.group_guess(zero_shot, tuned).ask, start_here.moved(zero_shot, tuned), *asked[0].options)
    assert not any("prompt" in sentence.lower() for sentence in (*said, *start_here.take_away(zero_shot, tuned)))
    assert tuned.title in said[0] and tuned.title in said[1]


class Scores:
    """Stands in for a run with these mAP by group."""

    def __init__(self, **scores):
        self.task, self.settings = "multi-label", {}
        self.metrics = {"scores": {"logit": {"head": None, "medium": None, "tail": None, **scores}}}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"head": 29.0, "tail": 12.0}, "A total hides who pays: here the tail changes by +2.0 and the head by -1.0."),
        ({"head": 31.0, "tail": 12.0}, "groups that differ: here the tail changes by +2.0 and the head by +1.0."),
        ({"head": 31.0, "tail": 11.0}, None),
    ],
)
def test_who_pays(after, said):
    lines = start_here.take_away(Scores(head=30.0, tail=10.0), Scores(**after))
    assert len(lines) == 2 if said is None else lines[1].endswith(said)
