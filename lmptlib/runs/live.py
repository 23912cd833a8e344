"""A run in a thread of its own: it is watched, paused and stopped from outside while it trains."""

import queue
import threading
import traceback
from pathlib import Path

import numpy as np

from lmptlib.config import Config
from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.run import Run
from lmptlib.training.state import TrainState
from lmptlib.training.training import train


class LiveRun:
    """Trains a configuration in a thread; `news` gives what happened since it was last asked.

    The model is touched by that thread alone: pausing and stopping take effect after an epoch. A stopped run is a run
    folder that `train`, or another LiveRun of the same configuration, goes on with.
    """

    def __init__(self, config: Config, out: str | Path | None = None):
        self.config, self.out = config, out
        self.folder: Path | None = None  # once it is written
        self.error: str | None = None
        self._told = 0  # epochs
        self._news: queue.SimpleQueue = queue.SimpleQueue()
        self._go, self._stop = threading.Event(), threading.Event()
        self._go.set()
        self._thread = threading.Thread(target=self._train, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        """Wait after the epoch in progress, until `go_on`."""
        self._go.clear()

    def go_on(self) -> None:
        self._go.set()

    def stop(self) -> None:
        """End after the epoch in progress; the run is written as it is."""
        self._stop.set()
        self._go.set()

    @property
    def paused(self) -> bool:
        return not self._go.is_set()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def wait(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def news(self) -> tuple[list[dict], list[str]]:
        """Rows, one an epoch, and printed lines that came since the last call.

        A row has epoch, loss, loss_cls, loss_cse; `positive` and `negative`, mean probabilities by group (PG Eq. 6);
        `softmax` and `logit`, mAP in percent on `split`: the validation images, or the training images without any (NaN
        for epochs before a stopped run went on, and for a run that was finished already).
        """
        rows: list[dict] = []
        lines: list[str] = []
        while True:
            try:
                kind, item = self._news.get_nowait()
            except queue.Empty:
                return rows, lines
            (rows if kind == "row" else lines).append(item)

    def _train(self) -> None:
        try:
            self.folder = train(self.config, self.out, log=self._tell, on_epoch_end=self._on_epoch_end)
            if not self._told:  # it was finished already
                self._show(Run(self.folder))
        except Exception as error:  # shown where the run was started
            self.error = str(error) or traceback.format_exc()

    def _tell(self, line: str) -> None:
        self._news.put(("line", line))

    def _on_epoch_end(self, state: TrainState) -> bool:
        dataset = state.inputs.dataset
        split = "val" if dataset.val else "train"
        sides = {side: state.recorder.probabilities[f"epoch_{side}"] for side in ("positive", "negative")}
        means = {ranking: state.mean_ap(split, ranking) for ranking in RANKINGS}
        for past in state.history[self._told :]:  # several where a stopped run goes on
            self._put(past, sides, dataset.groups, split, means if past is state.history[-1] else {})
        self._told = len(state.history)
        self._go.wait()
        return not self._stop.is_set()

    def _show(self, run: Run) -> None:
        groups = run.classes["group"].to_numpy()
        arrays = run.class_probabilities()
        sides = {side: arrays[f"epoch_{side}"] for side in ("positive", "negative")}
        for past in run.history.to_dict("records"):
            self._put(past, sides, groups, "val" if run.has_val else "train", {})

    def _put(self, past: dict, sides: dict, groups: np.ndarray, split: str, means: dict[str, float]) -> None:
        row = {name: past.get(name, np.nan) for name in ("epoch", "loss", "loss_cls", "loss_cse")} | {"split": split}
        for side, of_epochs in sides.items():
            p = of_epochs[past["epoch"]]
            row[side] = {g: float(p[groups == g].mean()) if (groups == g).any() else np.nan for g in GROUPS}
        self._news.put(("row", row | {ranking: means.get(ranking, np.nan) for ranking in RANKINGS}))
