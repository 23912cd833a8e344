"""AP class by class: points are the means over seeds, lines their range, colours the groups."""

import numpy as np
import pandas as pd
import pytest

from lmptlib.suite.figures import class_ap
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS, SYMBOLS, ZERO_SHOT

CLASSES = pd.DataFrame({"class": ["dog", "cow", "owl"], "group": ["head", "medium", "tail"], "train": [300, 40, 7]})


def table(**ap: list[list[float]]) -> pd.DataFrame:
    """row -> a list a seed of the AP of dog, cow and owl; an owl has too few positives for an interval."""
    rows = [CLASSES.assign(row=row, run=row, ap=one) for row, seeds in ap.items() for one in seeds]
    return pd.concat([one.assign(low=one["ap"] - [5, 9, np.nan], high=one["ap"] + [4, 7, np.nan]) for one in rows])


def test_classes_go_from_frequent_to_rare_with_their_counts_behind():
    shuffled = table(clip=[[60, 50, 40]], coop=[[70, 52, 30], [74, 56, 34]]).sample(frac=1, random_state=0)
    counts, *lines = class_ap.per_class_ap(shuffled, "logit").data
    assert list(counts.x) == ["dog", "cow", "owl"] and list(counts.y) == [300, 40, 7]
    assert list(counts.marker.color) == list(COLOURS.values())
    drawn = {line.name: line for line in lines}
    assert list(drawn["clip"].y) == [60, 50, 40]
    np.testing.assert_array_equal(drawn["clip"].error_y.array, [4, 7, np.nan])
    np.testing.assert_array_equal(drawn["clip"].error_y.arrayminus, [5, 9, np.nan])
    assert list(drawn["clip"].customdata) == ["55.0–64.0", "41.0–57.0", "too few positives"]
    assert list(drawn["coop"].customdata) == ["seeds 70.0–74.0", "seeds 52.0–56.0", "seeds 30.0–34.0"]
    assert list(drawn["coop"].y) == [72, 54, 32] and list(drawn["coop"].error_y.array) == [2, 2, 2]
    assert drawn["clip"].line.color == ZERO_SHOT and drawn["coop"].line.color in RUN_COLOURS
    _, *many = class_ap.per_class_ap(table(a=[[1, 2, 3]], b=[[1, 2, 3]], c=[[1, 2, 3]])).data
    assert [line.error_y.array for line in many] == [None] * 3 and many[2].customdata[2] == "too few positives"


def test_rows_of_classes_are_rarest_first_and_have_the_range_of_the_seeds():
    wide = class_ap.class_rows(table(clip=[[60, 50, np.nan]], coop=[[70, 52, np.nan], [74, 56, np.nan]]))
    assert wide.index.get_level_values("class").tolist() == ["cow", "dog"]  # an owl has no positives
    assert wide["coop"].to_numpy().tolist() == [[54, 52, 56], [72, 70, 74]]


def test_the_heat_map_has_the_baselines_ap_and_the_signed_change():
    figure = class_ap.ap_heatmap(table(coop=[[70, 52, 30], [74, 56, 34]], clip=[[60, 54, 40]]), "clip")
    heat = figure.data[0]
    assert list(heat.x) == ["clip", "coop"] and list(heat.y) == ["owl (7)", "cow (40)", "dog (300)"]
    np.testing.assert_allclose(heat.z, [[0, -8], [0, 0], [0, 12]])
    assert np.array(heat.text).tolist() == [["40.0", "-8.0"], ["54.0", "+0.0"], ["60.0", "+12.0"]]
    assert list(heat.customdata[0][1]) == ["32.0", "30.0", "34.0"]
    assert {note.text: note.font.color for note in figure.layout.annotations} == COLOURS


@pytest.mark.parametrize("others", [("coop",), ("coop", "lmpt", "probe", "best")])
def test_dumbbells_go_from_the_open_baseline_to_filled_rows(others):
    values = {row: [[70 + i, 52, 30], [74 + i, 56, 34]] for i, row in enumerate(others)}
    figure = class_ap.ap_dumbbells(table(clip=[[60, 50, 40]], **values), "clip")
    assert [note.text for note in figure.layout.annotations] == list(others)
    assert figure.layout.title.text.endswith(f"to {'coop' if len(others) == 1 else 'each row'} (filled)")
    assert len(figure.data) == 9 * len(others)
    for i in range(len(others)):
        for j, (group, label) in enumerate(zip(COLOURS, ("dog (300)", "cow (40)", "owl (7)"))):
            line, before, after = figure.data[9 * i + 3 * j : 9 * i + 3 * j + 3]
            end = [72 + i, 54, 32][j]
            assert list(before.x) == [[60], [50], [40]][j] and list(after.x) == [end] and list(after.y) == [label]
            said = ["55.0–64.0", "41.0–57.0", "too few positives"][j]
            assert list(before.customdata) == [said] and next(iter(after.customdata)).startswith("seeds ")
            assert list(line.x[:2]) == [before.x[0], after.x[0]] and np.isnan(line.x[2])
            assert list(after.error_x.array) == list(after.error_x.arrayminus) == [2]
            colours = {line.line.color, before.marker.line.color, after.marker.color}
            assert colours == {COLOURS[group]} and before.marker.color == "white"
            assert after.marker.symbol == SYMBOLS[group] and after.showlegend == (i == 0)
