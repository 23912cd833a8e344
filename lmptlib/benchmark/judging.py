"""What AP and its intervals cost."""

import numpy as np

from lmptlib.benchmark import bars
from lmptlib.benchmark.bars import Row
from lmptlib.benchmark.clock import seconds
from lmptlib.benchmark.problems import long_tailed
from lmptlib.data.dataset import class_groups
from lmptlib.evaluation.metrics import evaluate


def evaluation_row(n_images: int, n_classes: int, least: int) -> Row:
    """Seconds of AP and intervals under both rankings, by class and by group, of random scores that know a little."""
    rng = np.random.default_rng(0)
    labels = long_tailed(n_images, n_classes, rng)
    scores = (rng.normal(size=labels.shape) + labels).astype(np.float32) / 10
    names, groups = tuple(map(str, range(n_classes))), class_groups(labels.sum(0))
    taken = seconds(lambda: evaluate(labels, scores, 100.0, names, groups), "cpu", least, warm_up=least > 1)
    return Row(f"{n_images:,} x {n_classes:,}", bars.EVALUATION, taken)
