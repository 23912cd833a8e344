"""Measuring: seconds with the device waited for, their medians and quartiles, and on which machine."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch


@dataclass(frozen=True)
class Spread:
    """The median of n measured values and their quartiles, in any unit."""

    median: float
    low: float
    high: float
    n: int = 1

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        return cls(median, low, high, len(values))

    def __mul__(self, factor: float) -> "Spread":
        return Spread(self.median * factor, self.low * factor, self.high * factor, self.n)

    def __add__(self, other: "Spread") -> "Spread":
        """Of a sum, as wide as if both were late at the same time."""
        n = min(self.n, other.n)
        return Spread(self.median + other.median, self.low + other.low, self.high + other.high, n)

    def __truediv__(self, other: "Spread") -> "Spread":
        """Of a ratio, as wide as if one were late when the other is early."""
        n = min(self.n, other.n)
        return Spread(self.median / other.median, self.low / other.high, self.high / other.low, n)


def now(device: str) -> float:
    """Seconds on a clock that is read once the device has done all its work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(work: Callable[[], object], device: str, least: int, budget: float = 0.0, warm_up: int = 1) -> Spread:
    """Seconds that `work` takes: at least so many times, and on until the budget of seconds is spent; warm-up not counted."""
    for _ in range(warm_up):
        work()
    taken: list[float] = []
    while len(taken) < least or sum(taken) < budget:
        started = now(device)
        work()
        taken.append(now(device) - started)
    return Spread.of(taken)


def machine(device: str) -> dict[str, str | int]:
    """What the seconds belong to."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found: dict[str, str | int] = {
        "processor": named[0] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "open_clip": open_clip.__version__,
    }
    return found | ({"gpu": torch.cuda.get_device_name()} if device == "cuda" else {})
