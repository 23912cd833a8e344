"""Tables of runs: figures out of fold beside those of test images."""

import numpy as np

from lmptlib.evaluation.metrics import OUT_OF_FOLD
from lmptlib.runs.tables import purpose_table, results_table


def test_results_have_the_figure_out_of_fold_where_there_is_one(make_run):
    runs = [make_run(method="lda"), make_run(method="zero_shot")]
    table = results_table(runs).set_index("method")
    assert table.loc["lda", "out of fold"] == runs[0].metrics["out_of_fold"]["total"]
    assert np.isnan(table.loc["zero_shot", "out of fold"])


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
