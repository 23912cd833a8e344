"""Whether prompt tuning is worth it: draws, what is counted, intervals over draws, and an answer that says what tables do."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from lmptlib.config import resolve
from lmptlib.runs.run import Run
from lmptlib.suite.analysis import worth_it
from lmptlib.training.training import train

LABELS = np.random.default_rng(0).random((300, 6)) < np.array([0.5, 0.3, 0.1, 0.05, 0.02, 0.01])


@pytest.mark.parametrize("k", [1, 4, 16])
def test_each_class_has_k_images_or_all(k):
    drawn = worth_it.draw_few(LABELS, k, seed=0)
    shown = LABELS[drawn].sum(0)
    assert len(set(drawn)) == len(drawn) and (np.diff(drawn) > 0).all()
    assert (shown >= np.minimum(LABELS.sum(0), k)).all()
    assert len(drawn) <= k * LABELS.shape[1], "an image is drawn for a class that has fewer than k"


def test_draws_are_the_seeds_and_single_labels_give_exactly_k():
    one_each = np.eye(4, dtype=bool)[np.arange(40) % 4]
    assert (one_each[worth_it.draw_few(one_each, 3, 1)].sum(0) == 3).all()
    np.testing.assert_array_equal(worth_it.draw_few(LABELS, 4, 1), worth_it.draw_few(LABELS, 4, 1))
    assert set(worth_it.draw_few(LABELS, 4, 1)) != set(worth_it.draw_few(LABELS, 4, 2))


def test_images_that_show_full_classes_come_last():
    # 0 has its image from the rarer 1; of the images of 2, the one without 0 is drawn
    labels = np.array([[1, 1, 0], [1, 0, 1], [1, 0, 1], [0, 0, 1], [1, 0, 0]], bool)
    for seed in range(5):
        assert worth_it.draw_few(labels, 1, seed).tolist() == [0, 3]


def test_shots_are_read_and_wrong_ones_named():
    assert worth_it.read_shots("4, 1,1") == [1, 4]
    for text in ("", "0, 1", "one", "1; 2"):
        with pytest.raises(ValueError, match="shots must be like '1, 2, 4'"):
            worth_it.read_shots(text)


@pytest.fixture
def configs(tiny, cache):
    given = {"dataset": str(tiny.path), "cache": str(cache)}
    steps = {"epochs": 2, "batch_size": 8}
    rows = {"zero": {"method": "zero_shot"}, "lda": {"method": "lda"}}
    rows |= {"coop": {"method": "coop", "n_ctx": 3} | steps, "probe": {"method": "linear_probe"} | steps}
    return {row: resolve(**given, **settings) for row, settings in rows.items()}


def test_numbers_learned_are_counted_and_ap_is_the_runs(configs, tmp_path):
    inputs = worth_it.read_inputs(configs, tmp_path)
    found = {row: worth_it.fitted(config, inputs[row]) for row, config in configs.items()}
    n_classes, width = 4, inputs["lda"].images.shape[-1]
    context = Run(train(configs["coop"], tmp_path, log=lambda line: None)).prompts()["learner.context"]
    assert found["zero"].n_learned == 2, "the logit map's scale and bias"
    assert found["probe"].n_learned == n_classes * (width + 1)
    assert found["coop"].n_learned == n_classes * 3 * context.shape[-1] + 2
    assert found["lda"].n_learned == n_classes * width + width + n_classes + 2 * n_classes
    for row in ("lda", "coop"):
        run = Run(train(configs[row], tmp_path, log=lambda line: None))
        labels, scores = run.ranking_scores("logit")
        by_class = [100 * average_precision_score(y, s) for y, s in zip(labels.T, scores.T)]
        np.testing.assert_allclose(found[row].ap, by_class, atol=1e-6)
    assert worth_it.tunes_prompts("lmpt") and not worth_it.tunes_prompts("linear_probe")


def test_curves_train_on_the_draw_and_test_on_all(configs, tmp_path):
    few = {row: configs[row] for row in ("lda", "probe")}
    inputs = worth_it.read_inputs(few, tmp_path)
    curves = worth_it.learning_curves(few, inputs, [2], 2, log=lambda line: None)
    assert set(curves["shots"]) == {"2", "all"} and set(curves["draw"]) == {0, 1}
    dataset = inputs["lda"].dataset
    for draw in range(2):
        shown = dataset.train.labels[worth_it.draw_few(dataset.train.labels, 2, draw)].sum(0)
        part = curves.query("shots == '2' and draw == @draw and row == 'lda'")
        assert part["train"].tolist() == shown.tolist()
    whole = curves.query("shots == 'all' and row == 'lda' and draw == 0")["ap"]
    np.testing.assert_allclose(whole, worth_it.fitted(few["lda"], inputs["lda"]).ap)
    assert worth_it._epochs(configs["probe"], 24, 4) == 6, "the two epochs of three steps, at least"


def curves(gains: dict[str, list[float]]) -> pd.DataFrame:
    """AP of two classes: `a` by the gain of each draw ahead of `b`, whose AP is 40 and 60."""
    lines = []
    for shots, of_draws in gains.items():
        for draw, gain in enumerate(of_draws):
            for name, group, ap, count in (("x", "head", 40.0, 4), ("y", "tail", 60.0, 1)):
                told = {"shots": shots, "draw": draw, "class": name, "group": group, "train": count}
                lines += [told | {"row": "a", "ap": ap + gain}, told | {"row": "b", "ap": ap}]
    return pd.DataFrame(lines)


def test_gaps_have_t_intervals_over_draws():
    gains = [3.0, 4.0, 8.0]
    table = worth_it.gap_table(curves({"1": gains, "all": [1.0, 1.0, 1.0]}), "a", "b")
    first = table.query("shots == '1' and group == 'total'").iloc[0]
    low, high = stats.t.interval(0.95, 2, np.mean(gains), stats.sem(gains))
    np.testing.assert_allclose([first["mean"], first["low"], first["high"]], [5, low, high])
    means = worth_it.curve_table(curves({"1": gains})).query("row == 'b' and group == 'total'").iloc[0]
    assert means["mean"] == means["low"] == means["high"] == 50


def test_where_prompts_stop_is_said():
    ahead, level, behind = [5.0, 5.1, 5.2], [-4.0, 0.0, 4.0], [-5.0, -5.1, -5.2]
    gaps = worth_it.gap_table(curves({"1": ahead, "2": level, "4": behind, "all": behind}), "a", "b")
    text = worth_it.curve_sentence(gaps, "a", "b")
    assert (
        "'a' against 'b' is ahead with 1; not told apart with 2; behind with 4 and all, and stays so from 4 on." in text
    )
    gaps = worth_it.gap_table(curves({"1": behind, "2": level}), "a", "b")
    assert worth_it.curve_sentence(gaps, "a", "b").endswith("not told apart with 2; behind with 1.")
    gaps = worth_it.gap_table(curves({"1": behind, "2": behind}), "a", "b")
    assert worth_it.curve_sentence(gaps, "a", "b").endswith("behind with 1 and 2: throughout.")
    gaps = worth_it.gap_table(curves({"1": [5.0]}), "a", "b")
    assert worth_it.curve_sentence(gaps, "a", "b").endswith("is without an interval with 1.")


def test_the_prior_by_the_images_that_a_class_has():
    table = worth_it.prior_table(curves({"4": [1.0, 2.0, 3.0], "all": [50.0] * 3}), "b", "a").set_index("images")
    assert list(table.index) == ["1", "3 to 4"] and table["pairs"].tolist() == [3, 3]
    assert (
        table.loc["1", "mean"] == pytest.approx(2) and table.loc["1", "without"] == 60 and table.loc["1", "with"] == 62
    )
    by_class = worth_it.prior_by_class(curves({"all": [1.0, 3.0]}), "b", "a")
    assert by_class["class"].tolist() == ["y", "x"] and by_class["gain"].tolist() == [2, 2]


def compared(total: tuple, tail: tuple) -> pd.DataFrame:
    rows = [("ours", "total", 45.0, *total), ("ours", "tail", 30.0, *tail), ("ours", "head", 60.0, *[np.nan] * 3)]
    rows += [("theirs", "total", 50.0, *[np.nan] * 3), ("clip", "total", 40.0, -10.0, -12.0, -8.0)]
    columns = ["row", "group", "mean", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=columns)


COST = pd.DataFrame({"searched": [90.0, 3.0], "learned": [20000, 5000]}, index=["ours", "theirs"])


@pytest.mark.parametrize(
    ("total", "tail", "verdict", "words"),
    [
        ((-5, -7, -3), (2, 1, 3), "No, not in total.", "'ours' is ahead in tail; behind in total"),
        ((-5, -11, 1), (-2, -3, -1), "Not shown in total.", "'ours' is behind in tail; not told apart in total"),
        ((5, 3, 7), (2, -1, 5), "Yes, in total.", "'ours' is ahead in total; not told apart in tail"),
        ((5, 3, 7), (9, np.nan, np.nan), "Yes, in total.", "ahead in total; with too few positives in tail"),
        ((5, np.nan, np.nan), (9, 1, 12), "It cannot be told.", "ahead in tail; with too few positives in total"),
    ],
)
def test_the_answer_says_what_the_tables_do(total, tail, verdict, words):
    text = worth_it.answer(compared(total, tail), COST, "ours", "theirs", "clip", "data")
    assert text.startswith(f"{verdict} On data, 'ours' has mAP 45.0") and words in text and " head" not in text
    assert "'theirs', the first of the others out of fold, 50.0; 'clip' 40.0" in text
    assert "20,000 numbers in 90 s" in text and "'theirs' sets 5,000 in 3.0 s: 30.0 times as long" in text
    gap = f"total {total[0]:+.1f}" + ("" if np.isnan(total[1]) else f" [{total[1]:+.1f}, {total[2]:+.1f}]")
    assert gap in text


class Folds:
    def __init__(self, total):
        self.metrics = {"out_of_fold": {"total": total}} if total else {}


def test_the_rival_is_picked_out_of_fold_and_the_prompts_by_the_test():
    rows = ["coop", "lmpt", "lda", "best", "probe"]
    table = pd.DataFrame({"row": rows, "group": "total", "mean": [40, 42, 60, 50, 70]})
    table["prompts"] = [True, True, False, False, False]
    runs = {row: [Folds(total)] for row, total in zip(rows, (80, None, 60, 70, None))}
    assert worth_it.pick_rows(table, runs) == ("lmpt", "best")
    with pytest.raises(ValueError, match="the answer needs a row that tunes prompts"):
        worth_it.pick_rows(table[~table["prompts"]], runs)


def test_single_labels_are_judged_by_accuracy(tiny, cache, tmp_path):
    tiny.single()
    configs = {"CLIP": resolve(dataset=str(tiny.path), cache=str(cache), method="zero_shot")}
    inputs = worth_it.read_inputs(configs, tmp_path)["CLIP"]
    run = Run(train(configs["CLIP"], tmp_path, log=lambda line: None))
    labels, scores = run.ranking_scores("logit")
    expected = [100 * np.mean(scores[labels[:, c]].argmax(1) == c) if labels[:, c].any() else np.nan for c in range(4)]
    np.testing.assert_allclose(worth_it.fitted(configs["CLIP"], inputs).ap, expected)
