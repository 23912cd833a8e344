"""Labels said: thresholds come from validation images, else out of fold, else a label needs a probability of a half."""

import numpy as np

from lmptlib.runs.decisions import label_rule, labels_said


def best_cuts(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The lowest of the cuts of best F1 of each class, tried one by one; infinite without positives."""
    cuts = []
    for shown, values in zip(labels.T, scores.T):
        tried = np.sort(values)
        f1 = [2 * (shown & (values >= cut)).sum() / (shown.sum() + (values >= cut).sum()) for cut in tried]
        cuts.append(tried[int(np.argmax(f1))] if shown.any() else np.inf)
    return np.array(cuts)


def test_thresholds_are_chosen_on_validation_images_else_out_of_fold(make_run, tiny):
    folds, nothing = make_run(method="gda"), make_run(method="zero_shot")
    for run, prefix in ((folds, "fold_"), (nothing, "")):
        scores = run.scores()
        if prefix:
            expected = scores["scores"] >= best_cuts(scores["fold_labels"], scores["fold_scores"])
        else:
            expected = 1 / (1 + np.exp(-scores["logits"].astype(float))) >= 0.5
        assert (labels_said(run) == expected).all() and 0 < expected.mean() < 1
    assert "each scored by a fit without its fold" in label_rule(folds).told
    assert label_rule(nothing).thresholds is None and "a half" in label_rule(nothing).told

    *val, last, before_last = (tiny.folder / "test.txt").read_text().splitlines(keepends=True)
    (tiny.folder / "val.txt").write_text("".join(val))
    (tiny.folder / "test.txt").write_text(last + before_last)
    tiny.edit(val="val.txt")
    run = make_run(method="gda")
    scores = run.scores()
    assert (labels_said(run) == (scores["scores"] >= best_cuts(scores["val_labels"], scores["val_scores"]))).all()
    assert "on the validation images" in label_rule(run).told
