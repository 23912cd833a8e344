"""Zero-shot scores: their offsets, the table of rankings, templates, and the explorer."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from lmptlib.evaluation.intervals import mean_interval, resampled_means
from lmptlib.evaluation.rankings import relative, softmax_scores
from lmptlib.suite.analysis.zero_shot import offsets, ranking_table, read_templates
from lmptlib.suite.widgets.zero_shot import zero_shot_explorer

RNG = np.random.default_rng(0)
COSINE = RNG.normal(0.2, 0.1, (60, 5))
LABELS = RNG.random((60, 5)) < 0.3
GROUPS = np.array(["head", "medium", "tail", "tail", "tail"])


def test_the_variance_falls_into_its_parts():
    pure = np.add.outer(np.array([0.0, 2.0]), np.array([0.0, 4.0, 8.0]))  # an image offset and a class offset, no rest
    np.testing.assert_allclose(
        offsets(pure)[["image", "class", "rest"]], [1 / (1 + 32 / 3), 32 / 3 / (1 + 32 / 3), 0], atol=1e-12
    )
    assert offsets(COSINE).sum() == pytest.approx(1)


def test_the_table_has_means_and_paired_differences():
    better = COSINE + 0.2 * LABELS
    table = ranking_table(LABELS, {"plain": COSINE, "better": better}, GROUPS, "plain")
    table = table.set_index(["row", "group"])
    by_class = [100 * average_precision_score(y, s) for y, s in zip(LABELS.T, better.T)]
    assert table.loc[("better", "total"), "mean"] == pytest.approx(np.mean(by_class))
    assert table.loc[("better", "tail"), "mean"] == pytest.approx(np.mean(by_class[2:]))
    assert table.loc[("plain", "total"), ["difference", "difference_low"]].isna().all()
    drawn, plain = (resampled_means(LABELS, values, GROUPS)["total"] for values in (better, COSINE))
    found = table.loc[("better", "total")].astype(float)
    np.testing.assert_allclose(found[["low", "high"]], 100 * mean_interval(drawn))
    assert found["difference"] == pytest.approx(found["mean"] - table.loc[("plain", "total"), "mean"])
    half = 210 * np.std(drawn - plain, ddof=1)
    gap = found["difference"]
    np.testing.assert_allclose(found[["difference_low", "difference_high"]], [gap - half, gap + half])
    only_tail = ranking_table(LABELS[:, 2:], {"plain": COSINE[:, 2:]}, GROUPS[2:])
    assert list(only_tail["group"]) == ["total", "tail"]


def test_templates_are_read_and_wrong_ones_named():
    assert read_templates(" a {}. | the {} |") == ("a {}.", "the {}")
    for text in ("", "a photo", "a {} and a {}", "a {name}", "a {0}", "a {"):
        with pytest.raises(ValueError, match=r"templates: '.*' needs one \{\} for the class name"):
            read_templates(text)


def test_the_explorer_follows_its_controls():
    images, plain, other = RNG.normal(size=(60, 8)), RNG.normal(size=(5, 8)), RNG.normal(size=(5, 8))
    explorer = zero_shot_explorer(images, {"plain": plain, "other": other}, LABELS, tuple("abcde"), 20.0)
    (chosen, template), (ranking, slider) = (row.children for row in explorer.children[:2])
    figure = explorer.children[2]
    assert slider.disabled
    chosen.value, template.value, ranking.value, slider.value = 3, "other", "softmax", 2.0
    assert not slider.disabled
    scores = softmax_scores(images @ other.T, 2.0)
    ap = [100 * average_precision_score(y, s) for y, s in zip(LABELS.T, scores.T)]
    assert figure.layout.title.text == f"d: AP {ap[3]:.1f}; mean over all classes {np.mean(ap):.1f}"
    assert figure.layout.annotations[0].text == "softmax, scale 2"
    negatives, positives = figure.data
    drawn = relative(images @ other.T, 2.0)[:, 3]
    for trace, side in ((negatives, ~LABELS[:, 3]), (positives, LABELS[:, 3])):
        assert sum(trace.y) == pytest.approx(1)
        assert sum(np.array(trace.y) * trace.x) == pytest.approx(drawn[side].mean(), abs=np.ptp(drawn) / 80)
