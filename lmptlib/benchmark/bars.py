"""What `lmpt bench` says of a problem, row by row, and what is to be reached."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from lmptlib.benchmark.clock import Spread

# What rows say.
CACHED, NAIVE, BARE = "an epoch, from cached features", "an epoch, naive", "an epoch's steps, bare text tower"
NAIVE_RATIO, FLOOR_RATIO = "an epoch, naive / cached", "an epoch, cached / bare tower"
RUN, NAIVE_RUN, RUN_RATIO = "30 epochs, features included", "30 epochs, naive", "30 epochs, naive / features included"
TRAINING, TRAINING_RATIO = "30 epochs, from cached features", "30 epochs, cached / bare tower"
LIVE = "loss explorer, from a change to its 5 epochs"
ALONE, STACKED = "7 losses x 3 seeds, one by one", "7 losses x 3 seeds, stacked"
STACK_RATIO, STACK_COST = "7 losses x 3 seeds, one by one / stacked", "7 losses x 3 seeds stacked / one run"
MEMORY = "memory of activations, 10,000 classes / 80"
EVALUATION = "AP and intervals, both rankings"


@dataclass(frozen=True)
class Row:
    """A measured value: of which problem, what, in which unit (s, x, MB), and how it came."""

    problem: str
    what: str
    value: Spread
    unit: str = "s"
    how: str = "measured"


@dataclass(frozen=True)
class Bar:
    """What a row's median is to reach on a device: `at least` or `at most` the limit."""

    device: str
    problem: str
    what: str
    side: str
    limit: float

    def met(self, value: float) -> bool:
        return value >= self.limit if self.side == "at least" else value <= self.limit


VIT_VOC, VIT_COCO = "ViT-B-16, VOC-LT size", "ViT-B-16, COCO-LT size"
BARS = (
    Bar("cpu", VIT_VOC, NAIVE_RATIO, "at least", 200),
    Bar("cpu", VIT_VOC, FLOOR_RATIO, "at most", 1.15),
    Bar("cpu", "emoji", FLOOR_RATIO, "at most", 1.25),
    Bar("cpu", VIT_VOC, RUN_RATIO, "at least", 22),
    Bar("cpu", VIT_COCO, RUN_RATIO, "at least", 16),
    Bar("cpu", "photos, photo-mini", TRAINING_RATIO, "at most", 1.2),
    Bar("cpu", "emoji", STACK_RATIO, "at least", 1.6),
    Bar("cuda", VIT_VOC, TRAINING, "at most", 1.5),
    Bar("cuda", VIT_COCO, TRAINING, "at most", 4),
    Bar("cuda", VIT_VOC, STACKED, "at most", 5),
    Bar("cuda", VIT_VOC, STACK_COST, "at most", 3),
    Bar("cpu", "ViT-B-16", MEMORY, "at most", 2),
    Bar("cuda", "ViT-B-16", MEMORY, "at most", 2),
    Bar("cpu", "5,000 x 80", EVALUATION, "at most", 3),
    Bar("cpu", "emoji", LIVE, "at most", 2),
)


def judged(rows: Sequence[Row], device: str, bars: Sequence[Bar] = BARS) -> pd.DataFrame:
    """A row each, with its bar and whether it is met; behind them the bars of which nothing was measured."""
    of_rows = {(bar.problem, bar.what): bar for bar in bars if bar.device == device}
    found = []
    for row in rows:
        bar = of_rows.pop((row.problem, row.what), None)
        told = {} if bar is None else {"bar": _told(bar), "verdict": "met" if bar.met(row.value.median) else "not met"}
        found.append(
            {"problem": row.problem, "what": row.what, **asdict(row.value), "unit": row.unit, "how": row.how} | told
        )
    left = [*of_rows.values(), *(bar for bar in bars if bar.device != device)]
    found += [
        {"problem": f"{bar.problem} ({bar.device})", "what": bar.what, "bar": _told(bar), "verdict": "not measured"}
        for bar in left
    ]
    columns = ["problem", "what", "median", "low", "high", "n", "unit", "how", "bar", "verdict"]
    return pd.DataFrame(found, columns=columns)


def _told(bar: Bar) -> str:
    return f"{bar.side} {bar.limit:g}"
