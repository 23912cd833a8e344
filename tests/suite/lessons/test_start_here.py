"""What notebook 00 says and asks follows from its runs."""

import numpy as np

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
    right = start_here.quiz(zero_shot, tuned)[1].options[0]
    assert ("disagree" in right) != agree
    assert len(start_here.take_away(zero_shot, tuned)) == 3
