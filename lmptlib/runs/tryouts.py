"""Short trainings that write nothing: of the settings of a loss that were asked for last, in a thread."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lmptlib.clip.loading import load_clip
from lmptlib.config import Config
from lmptlib.data.dataset import GROUPS
from lmptlib.errors import first_line
from lmptlib.evaluation.measures import MEASURES
from lmptlib.evaluation.rankings import ranking_scores
from lmptlib.runs.live import epoch_row
from lmptlib.training.inputs import Inputs
from lmptlib.training.loop import fit
from lmptlib.training.mapped import inputs_of
from lmptlib.training.plan import plan_run
from lmptlib.training.state import TrainState


class Tryout:
    """What one short training tells. The thread that trains adds to it, and it alone.

    rows: a dict an epoch, as `LiveRun.rows` but for single classes and images; `map` is mAP in percent by group, of the
    logit ranking. error: one line, where it failed. done: it has all its epochs, or failed; one that gave way to a newer
    one never is.
    """

    def __init__(self, config: Config):
        self.config = config
        self.rows: list[dict[str, Any]] = []
        self.error: str | None = None
        self.done = False


class Tryouts:
    """Trains a configuration for a few epochs with the loss that was asked for last, and writes no run.

    A newer one takes the place of an older, which ends after the epoch in progress: nothing queues up. Data, CLIP and
    features are opened once, by the thread that trains, which alone touches them. lines: what is told of that.
    """

    def __init__(self, config: Config, epochs: int = 5, out: str | Path | None = None):
        self._config, self.out = config.with_settings(epochs=epochs, select="last", trials=""), out
        self.newest: Tryout | None = None
        self.lines: list[str] = []
        self._inputs: Inputs | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, loss: str, settings: dict[str, Any]) -> Tryout:
        """Train with a loss and settings of it (None: its default); the same again changes nothing.

        Raises ValueError, one line, for what the loss cannot have.
        """
        text = json.dumps({name: value for name, value in settings.items() if value is not None})[1:-1]
        config = self._config.with_settings(loss=loss, loss_settings=text)
        with self._lock:
            if self.newest and self.newest.config == config and not self.newest.error:
                return self.newest
            self.newest = asked = Tryout(config)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        return asked

    def _work(self) -> None:
        """Train the newest, until none is newer than the last one trained."""
        trained: Tryout | None = None
        while True:
            with self._lock:
                if trained is self.newest or self.newest is None:
                    self._thread = None
                    return
                trained = self.newest
            self._train(trained)

    def _train(self, tryout: Tryout) -> None:
        def after_epoch(state: TrainState) -> bool:
            tryout.rows.append(_row(state))
            return self.newest is tryout

        try:
            state = TrainState(tryout.config, self._opened())
            fit([state], after_epoch)
            tryout.done = state.finished
        except Exception as error:  # shown where it was asked for
            tryout.error, tryout.done = first_line(error), True

    def _opened(self) -> Inputs:
        if self._inputs is None:
            plan = plan_run(self._config, self.out)
            config, log = plan.config, self.lines.append
            clip = load_clip(config.model, config.weights, config.device, log, config.preprocess, config.precision)
            dataset = plan.enriched(clip, log)
            self._inputs = inputs_of(dataset, clip, plan.cache, log, config.views, config.extraction)
        return self._inputs


def _row(state: TrainState) -> dict[str, Any]:
    """The last epoch of a training, with mAP by group of the validation images, or of the training images where there are none."""
    dataset = state.inputs.dataset
    split = "val" if dataset.val else "train"
    row = epoch_row(state.history[-1], state.recorder.probabilities, dataset.groups, split)
    ranked = ranking_scores(state.evaluate(split)[0], "logit", state.method.logit_scale)
    ap = MEASURES[dataset.task.kind].by_class(state.inputs.labels(split), ranked)
    by_group = 100 * pd.Series(np.asarray(ap, dtype=float)).groupby(dataset.groups).mean()
    return row | {"map": by_group.reindex(GROUPS).to_dict()}
