"""How far a long computation is."""

import time
from collections.abc import Callable


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> from lmptlib.clip.progress import duration
    >>> duration(59.6), duration(5400)
    ('60 s', '90 min')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class Progress:
    """A printed line now and then (a bar would be saved half-drawn in a batch notebook)."""

    def __init__(self, label: str, total: int, log: Callable[[str], None], unit: str = "images"):
        self.label, self.log, self.unit = label, log, unit
        self.begin(total)

    def begin(self, total: int) -> None:
        """From now on so many units are to be done."""
        self.total, self.done = total, 0
        self.started = self.last = time.monotonic()

    def add(self, n: int) -> None:
        self.done += n
        now = time.monotonic()
        if now - self.last > 5 and self.done < self.total:
            self.log(f"{self.label}: {self}")
            self.last = now

    def end(self) -> None:
        self.log(f"{self.label}: {self.total:,} in {time.monotonic() - self.started:.1f} s")

    def __str__(self) -> str:
        rate = max(self.done, 1) / (time.monotonic() - self.started)
        left = duration((self.total - self.done) / rate)
        return f"{self.done:,} of {self.total:,} {self.unit}, {rate:,.0f}/s, {left} left"
