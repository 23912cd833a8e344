"""Test sets drawn from one training list: each draw against a run on the data so divided."""

import numpy as np
import pytest

from lmptlib.clip.loading import load_clip
from lmptlib.config import resolve
from lmptlib.data.loading import load_dataset
from lmptlib.data.stratified import draw_test
from lmptlib.runs.run import Run
from lmptlib.suite.analysis.out_of_fold import drawn_tests
from lmptlib.training.inputs import Inputs
from lmptlib.training.training import train


@pytest.fixture
def inputs(tiny, cache):
    return Inputs(load_dataset(str(tiny.path)), load_clip(log=lambda line: None), cache, lambda line: None)


def test_a_draw_is_a_run_on_the_images_it_leaves(inputs, tiny, cache, tmp_path):
    config = resolve(dataset=str(tiny.path), cache=str(cache), method="gda", ridge=1.0)
    found = drawn_tests(config, inputs, 3)
    assert found["draw"].tolist() == [0, 1, 2]
    split = inputs.dataset.train
    held = draw_test(split.labels, [f"2 {name}" for name in split.names])
    # The same data set, written as lists.
    lines = (tiny.folder / "train.txt").read_text().splitlines()
    captions = (tiny.folder / "captions.txt").read_text().splitlines()
    for name, rows in (("train", np.flatnonzero(~held)), ("test", np.flatnonzero(held))):
        (tiny.folder / f"{name}.txt").write_text("".join(lines[i] + "\n" for i in rows))
    (tiny.folder / "captions.txt").write_text("".join(captions[i] + "\n" for i in np.flatnonzero(~held)))
    run = Run(train(config, tmp_path, log=lambda line: None))
    last = found.iloc[2]
    assert last["test"] == pytest.approx(run.metrics["scores"]["logit"]["total"], abs=1e-3)
    assert last["out_of_fold"] == pytest.approx(run.metrics["out_of_fold"]["total"], abs=1e-3)
    np.testing.assert_allclose(found["difference"], found["out_of_fold"] - found["test"])


def test_what_has_no_figure_is_refused(inputs, tiny):
    with pytest.raises(ValueError, match="method 'zero_shot' has no figure out of fold by itself"):
        drawn_tests(resolve(dataset=str(tiny.path), method="zero_shot"), inputs, 1)
