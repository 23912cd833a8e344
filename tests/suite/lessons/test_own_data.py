"""What notebook 15 says and asks follows from the data and the runs at hand."""

import pandas as pd
import pytest

from lmptlib.data.dataset import GROUPS
from lmptlib.data.loading import load_dataset
from lmptlib.suite.lessons import own_data


@pytest.fixture
def own(tiny):
    return load_dataset(str(tiny.path))


def test_the_example_is_a_folder_with_a_csv_file_and_a_card(own, tmp_path, monkeypatch):
    monkeypatch.setattr(own_data, "load_dataset", lambda *_: own)
    card = own_data.example(tmp_path / "own", n_images=6)
    table = pd.read_csv(card.with_suffix(".csv"))
    assert len(table) == 6 and all((card.parent / name).is_file() for name in table["image"])
    expected = {name for name, y in zip(own.class_names, own.train.labels[2]) if y}
    assert set(table["labels"][2].split(";")) == expected
    told = own_data.first_lines(str(card), 2)
    assert f"image,labels,caption\n{table['image'][0]}," in told and table["image"][1] not in told
    assert own_data.first_lines(str(tmp_path / "other.json")) == ""
    card.write_text("kept")
    assert own_data.example(tmp_path / "own") == card and card.read_text() == "kept"


def test_a_note_is_told_once():
    told = []
    log = own_data.once(told.append, ["a"])
    for line in ("note: a", "note: b", "x", "note: b", "x"):
        log(line)
    assert told == ["note: b", "x", "x"]


def test_sentences_are_made_of_the_data(own):
    counts = own.class_counts[own.class_counts > 0]
    told = own_data.opening(own)
    assert f"{len(own.train.paths):,} training photographs of {len(counts)} classes" in told
    assert own_data.few_test_images(own).expected == (own.test.labels.sum(0) < 10).sum()


def test_sentences_are_made_of_the_runs(own, make_run):
    zero_shot, run = make_run(method="zero_shot"), make_run(recipe="best", members="ridge, lda", views=1)
    scores = [one.metrics["scores"]["logit"] for one in (zero_shot, run)]
    change = scores[1]["total"] - scores[0]["total"]
    told = own_data.groups_say(zero_shot, run)
    assert f"total {change:+.1f}" in told
    bare = [name for name in ("total", *GROUPS) if scores[1][name] is not None and not scores[1]["ci95"][name]]
    assert told.endswith(f"{', '.join(bare)}.") if bare else "No interval" not in told
    assert own_data.group_guess(zero_shot, run).truth == {g: scores[1][g] for g in GROUPS if scores[1][g] is not None}
    for pair, gain in (((zero_shot, run), change), ((run, zero_shot), -change)):
        right = own_data.quiz(own, *pair)[0].options[0]
        assert right.startswith("The trained" if gain > 0 else "Zero-shot" if gain < 0 else "Their")
    chosen = own_data.chosen_say(run)
    assert f"among {len(run.out_of_fold['trials'])} trials" in chosen and "{" not in chosen
    assert "by folds" in own_data.chosen_say(zero_shot) and len(own_data.take_away(own, zero_shot, run)) == 3


def test_prompts_are_shown_where_a_run_has_some(make_run):
    assert "**x** learns no prompts" in own_data.prompts_say(make_run(method="zero_shot"), "x")
    assert "nearest to each learned context token" in own_data.prompts_say(make_run(method="coop"), "x")
