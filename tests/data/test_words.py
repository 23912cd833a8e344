"""Single labels in their words; names of classes, and all of several labels, as they are."""

import pandas as pd
import pytest

from lmptlib.data.words import said, shown

ATTRS = {"task": "single-label", "grouping": ""}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mAP (%), logit ranking", "accuracy (%)"),
        ("mAP, logit ranking (%)", "accuracy (%)"),
        ("AP of each class, from frequent to rare", "Accuracy of each class, from frequent to rare"),
        ("Under the **logit** ranking mAP is 3.0 (1.0\u20135.0).", "Accuracy is 3.0 (1.0\u20135.0)."),
        ("Class by class, under the logit ranking: open", "Class by class: open"),
        ("(bce 1.0; logit ranking, one seed)", "(bce 1.0; one seed)"),
        ("Who gains? Under **logit**: a gain in head and tail.", "Who gains? Under **logit**: a gain in many and few."),
        ("A long tail. Head and tail; the 3 tail classes", "A long tail. Many and few; the 3 few-shot classes"),
        ("best classes; H head, M medium, T tail (scales differ)", "best classes (scales differ)"),
        ("+1.2 (too few positives)", "+1.2 (too few test images)"),
        ("an image of the same rarest class", "an image of the same class"),
        ("logit map raw, mapped, headland, tails", "logit map raw, mapped, headland, tails"),
    ],
)
def test_said(text, told):
    assert said(text, "single-label") == told
    assert said(text, "multi-label") == text


def test_a_table_has_other_words_and_the_same_classes():
    table = pd.DataFrame(
        {"class": ["tail", "dog"], "group": ["tail", "head"], "logit": [1.0, 2.0], "softmax": [1.0, 2.0]}
    )
    assert shown(table) is table
    table.attrs |= ATTRS
    found = shown(table)
    assert found.to_dict("list") == {"class": ["tail", "dog"], "group": ["few", "many"], "accuracy": [1.0, 2.0]}
    assert list(table) == ["class", "group", "logit", "softmax"], "the table itself is as it was"
    wide = shown(table.set_index(["class", "group"])[["logit"]])
    assert wide.index.to_list() == [("tail", "few"), ("dog", "many")] and list(wide) == ["accuracy"]


def test_a_table_of_results_has_one_figure():
    columns = ["ranking", "run", "logit total", "logit tail", "logit tail sd", "softmax total"]
    found = shown(pd.DataFrame([["logit", "tail", 1, 2, 3, 4]], columns=columns), "single-label")
    assert list(found) == ["run", "total", "few", "few sd"]
