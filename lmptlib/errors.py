"""What went wrong, in one line: the errors of the library, and nearest names."""

import difflib
from collections.abc import Iterable


class DataError(ValueError):
    """What is wrong with a data set: one line a problem."""

    def __init__(self, problems: Iterable[str], shown: int = 20):
        self.problems = list(problems)
        lines = self.problems[:shown]
        if len(self.problems) > shown:
            lines.append(f"... and {len(self.problems) - shown:,} more problems like these")
        super().__init__("\n".join(lines))


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` when a known name is near, else the list of all."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(known)}."


def first_line(error: BaseException) -> str:
    """An exception's message, cut to its first line."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


class NonFiniteLoss(RuntimeError):
    """The loss became infinite or NaN; the run stands at its last whole epoch."""
