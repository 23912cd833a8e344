"""A run of single labels, as its tables, `lmpt results` and the report show it."""

import re

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import confusion_matrix, top_k_accuracy_score

from lmptlib.data.loading import load_dataset
from lmptlib.runs.comparison import compare_rankings
from lmptlib.runs.decisions import label_rule, labels_said
from lmptlib.runs.tables import class_table, group_table, results_table
from lmptlib.suite.analysis.cases import confusions, read_cases
from lmptlib.suite.cli.main import main
from lmptlib.suite.report.site import write_site


@pytest.fixture
def run(tiny, make_run):
    tiny.single()
    return make_run(method="coop")


def test_tables_have_one_figure_and_top_5(run):
    labels, scores = run.ranking_scores("logit")
    found = results_table([run]).iloc[0]
    classes = np.arange(labels.shape[1])
    assert found["top-1"] == pytest.approx(
        100 * top_k_accuracy_score(labels.argmax(1), scores, k=1, labels=classes), abs=1e-3
    )
    assert found["top-5"] == 100 and not [name for name in found.index if "softmax" in name]
    assert compare_rankings({"run": [run]})["ranking"].unique().tolist() == ["logit"]
    for table in (results_table([run]), class_table([run]), group_table([run]), compare_rankings({"run": [run]})):
        assert table.attrs["task"] == "single-label"


def test_the_class_of_the_highest_score_is_said_and_rare_ones_are_confused(run, tiny):
    labels, scores = run.ranking_scores("logit")
    assert label_rule(run).told == "the class of the highest score is said"
    assert (labels_said(run).argmax(1) == scores.argmax(1)).all() and (labels_said(run).sum(1) == 1).all()
    names = list(run.class_rows["class"])
    matrix = confusion_matrix(labels.argmax(1), scores.argmax(1), labels=range(len(names)))
    table = confusions(read_cases({"run": run}, load_dataset(str(tiny.path))), "run", k=3)
    by_class = table.groupby("class")
    assert table["class"].nunique() == min(3, labels.any(0).sum())
    assert (by_class["images"].sum() == by_class["shown"].first()).all()
    for row in table.to_dict("records"):
        assert row["images"] == matrix[names.index(row["class"]), names.index(row["said"])] > 0
    assert table["train"].is_monotonic_increasing


def test_results_report_and_check_say_accuracy_by_many_medium_and_few(run, tiny, tmp_path):
    told = CliRunner().invoke(main, ["results", "--out", str(run.folder.parent)])
    assert told.exit_code == 0, told.output
    header = told.output.splitlines()[2].split()
    assert told.output.startswith("tiny: accuracy in percent") and {"many", "few", "top-5"} <= set(header)
    assert not re.search(r"mAP|softmax|\btail\b", told.output.replace("soft", ""))
    rows = CliRunner().invoke(main, ["results", "--csv", "--out", str(run.folder.parent)]).output.splitlines()
    assert "logit tail" in rows[0] and "softmax" not in rows[0] and "accuracy" in rows[1]
    checked = CliRunner().invoke(main, ["data", "check", str(tiny.path)]).output
    assert "many:medium:few" in checked and "tail" not in checked
    write_site([], [run], tmp_path / "site", "runs")
    page = (tmp_path / "site" / f"run-{run.folder.name}.html").read_text()
    assert "accuracy by class group" in page and "top-5" in page and "few" in page
    assert not re.search(r"mAP|<td>(head|tail)</td>|logit ranking", page)
    assert ">few</th>" in (tmp_path / "site" / "index.html").read_text()
