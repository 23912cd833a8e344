"""Does the figure out of fold tell what a test will say? Many test sets drawn from one training list."""

import numpy as np
import pandas as pd

from lmptlib.config import Config
from lmptlib.data.stratified import draw_test
from lmptlib.evaluation.metrics import evaluate, evaluate_folds
from lmptlib.training.folds import FoldInputs
from lmptlib.training.inputs import Inputs
from lmptlib.training.state import TrainState


def drawn_tests(config: Config, inputs: Inputs, n_draws: int = 20) -> pd.DataFrame:
    """A closed form fitted again and again, each time with other training images drawn for testing.

    One row a draw, in percent of mAP under the logit ranking: draw, out_of_fold, test, low, high (the test figure's
    interval), difference (out of fold less test). The draws are `draw_test`'s under other orders of the images.
    """
    train = inputs.dataset.train
    rows = []
    for draw in range(n_draws):
        held = draw_test(train.labels, [f"{draw} {name}" for name in train.names]) & train.listed
        part = FoldInputs(inputs, ~held, held)
        state = TrainState(config, part)
        dataset, selection = part.dataset, state.selection
        if selection is None:
            raise ValueError(f"method '{config.method}' has no figure out of fold by itself: choose a closed form")
        of_data = dataset.class_names, dataset.groups, dataset.task.kind
        judged = dataset.train.labels[dataset.train.listed]
        of_folds = evaluate_folds(judged, selection.scores, selection.folds, *of_data)
        of_test = evaluate(dataset.test.labels, state.evaluate("test")[0], 1.0, *of_data)["scores"]["logit"]
        low, high = of_test["ci95"]["total"] or (np.nan, np.nan)
        row = {"draw": draw, "out_of_fold": of_folds["total"], "test": of_test["total"], "low": low, "high": high}
        rows.append(row | {"difference": of_folds["total"] - of_test["total"]})
    return pd.DataFrame(rows)
