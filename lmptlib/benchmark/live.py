"""How long whoever moves a slider of the loss explorer waits."""

import time

from lmptlib.benchmark import bars
from lmptlib.benchmark.bars import Row
from lmptlib.benchmark.clock import Spread
from lmptlib.benchmark.problems import Problem
from lmptlib.runs.tryouts import Tryouts


def live_row(problem: Problem) -> Row:
    """Seconds from asking for a loss until all of its 5 epochs are there, mAP by group after each; data and CLIP are open."""
    tryouts = Tryouts(problem.config)

    def wait(loss: str) -> float:
        started, tryout = time.perf_counter(), tryouts.ask(loss, {})
        while not tryout.done:
            time.sleep(0.005)
        if tryout.error:
            raise ValueError(tryout.error)
        return time.perf_counter() - started

    wait("bce")
    return Row(
        problem.name, bars.LIVE, Spread.of([wait(loss) for loss in ("focal", "asl", "pg", "db")]), "s", "measured"
    )
