"""Tables of runs: figures out of fold beside those of test images."""

import numpy as np
import pytest

from lmptlib.evaluation.metrics import OUT_OF_FOLD
from lmptlib.runs.comparison import compare
from lmptlib.runs.tables import (
    class_table,
    curve_table,
    f1_table,
    group_table,
    purpose_table,
    result_rows,
    results_table,
    results_text,
    run_names,
)


def test_results_have_the_figure_out_of_fold_where_there_is_one(make_run):
    runs = [make_run(method="lda"), make_run(method="zero_shot")]
    table = results_table(runs).set_index("method")
    assert table.loc["lda", "out of fold"] == runs[0].metrics["out_of_fold"]["total"]
    assert np.isnan(table.loc["zero_shot", "out of fold"])


def test_results_are_means_over_the_seeds_of_one_configuration(make_run):
    runs = [make_run(method="coop", seed=seed) for seed in (0, 1)] + [make_run(method="coop", lr=1e-3)]
    totals = np.array([run.metrics["scores"]["logit"]["total"] for run in runs])
    table = results_table(runs, spread=True)
    assert list(table)[:2] == ["run", "softmax total"] and list(table)[-2:] == ["lr", "folder"]
    assert table["run"].tolist() == ["CoOp, lr 2e-3", "CoOp, lr 1e-3"] and table["n"].tolist() == [2, 1]
    assert table["lr"].tolist() == [2e-3, 1e-3] and table.round(2)["lr"].tolist() == [2e-3, 1e-3]
    assert table["folder"].tolist() == [runs[0].folder.name, runs[2].folder.name]
    np.testing.assert_allclose(table["logit total"], [totals[:2].mean(), totals[2]])
    np.testing.assert_allclose(table["logit total sd"], [totals[:2].std(ddof=1), np.nan])
    # of two values: 12.706 is the t quantile with one degree of freedom
    half = 12.7062 * totals[:2].std(ddof=1) / np.sqrt(2)
    assert table["logit total high"][0] == pytest.approx(totals[:2].mean() + half, rel=1e-4)
    assert np.isnan(table["logit total high"][1]), "twelve test images"
    text = results_text(result_rows(runs)).query("ranking == 'logit'")
    shown = f"{totals[:2].mean():.1f} ± {totals[:2].std(ddof=1):.1f}"
    assert text["total"].tolist() == [shown, f"{totals[2]:.1f}"]
    assert text["95% interval"].tolist()[1] == "too few positives"
    single = results_table(runs, by_run=True)
    names = ["CoOp, lr 2e-3, seed 0", "CoOp, lr 2e-3, seed 1", "CoOp, lr 1e-3"]
    assert single["run"].tolist() == run_names(runs) == names and single["seed"].tolist() == [0, 1, 0]
    np.testing.assert_array_equal(single["logit total"], totals)


def test_each_figure_says_what_it_is_for(make_run):
    run = make_run(method="lda")
    scores = run.metrics["scores"]["logit"]
    scores["ci95"] |= {"total": [10.0, 20.04], "tail": None}
    run.out_of_fold["ci95"]["total"] = None
    table = purpose_table(run)
    assert table.loc[OUT_OF_FOLD, "total"] == f"{run.out_of_fold['total']:.1f} (too few positives)"
    assert table.loc[OUT_OF_FOLD, "for"] == "choosing settings"
    test = table.loc["test images, logit ranking"]
    assert test["total"] == f"{scores['total']:.1f} [10.0, 20.0]"
    assert test["tail"] == f"{scores['tail']:.1f} (too few positives)"
    assert "head" not in table.columns, "the tiny data set has tail classes alone"
    assert list(purpose_table(make_run(method="zero_shot")).index) == ["test images, logit ranking"]


def test_thresholds_come_from_training_images_out_of_fold_where_there_is_no_validation_split(make_run):
    runs = {"gda": [make_run(method="gda")], "zero-shot": [make_run(method="zero_shot")]}
    found, scores = f1_table(runs), runs["gda"][0].scores()
    assert list(found.index) == ["gda"]
    # By hand: the best F1 of each class among cuts at its own scores out of fold.
    cuts = []
    for shown, values in zip(scores["fold_labels"].T, scores["fold_scores"].T):
        f1 = [2 * (shown & (values >= cut)).sum() / (shown.sum() + (values >= cut).sum()) for cut in np.sort(values)]
        cuts.append(np.sort(values)[int(np.argmax(f1))])
    predicted, labels = scores["scores"] >= np.array(cuts), scores["labels"]
    expected = 200 * (predicted & labels).sum() / (predicted.sum() + labels.sum())
    assert found.loc["gda", ("OF1", "mean")] == pytest.approx(expected)
    with pytest.raises(ValueError, match="folds chose nothing"):
        runs["zero-shot"][0].ranking_scores("logit", "fold")


def test_tables_of_groups_that_are_thirds_say_so(make_run, tiny):
    usual = make_run(method="zero_shot")
    tiny.replace("train.txt", "train/14.jpg 2 3", "train/14.jpg 2")
    run = make_run(method="coop")
    assert run.class_rows["group"].tolist() == ["head", "head", "medium", "tail"]
    assert run.grouping.startswith("groups are thirds of the classes (head from 12 training images on, medium from 9)")
    assert f"tiny: {run.grouping}" in run.config["warnings"]
    compared = compare({"coop": [run], "again": [run]}, "coop")
    for table in (group_table([run]), class_table([run]), curve_table([run]), run.probabilities("epoch"), compared):
        assert table.attrs["grouping"] == run.grouping
    assert purpose_table(run).columns.name == run.grouping and purpose_table(usual).columns.name is None
    assert results_table([run])["groups"].tolist() == [run.grouping]
    assert not usual.grouping and "groups" not in results_table([usual])
