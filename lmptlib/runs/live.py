"""A run in a thread of its own: it is watched, paused, edited and stopped from outside while it trains."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from lmptlib.config import Config
from lmptlib.data.dataset import GROUPS, Split
from lmptlib.evaluation.measures import MEASURES
from lmptlib.evaluation.rankings import RANKINGS, ranking_scores
from lmptlib.paths import outputs_folder
from lmptlib.runs.run import Run
from lmptlib.training.events import Event, edited
from lmptlib.training.folder import read_record
from lmptlib.training.plan import plan_again, plan_run
from lmptlib.training.state import TrainState
from lmptlib.training.training import train

_KEPT = 4  # runs of one data set that are remembered: one to see, and three behind it
_STARTED: dict[tuple[Path, str], list["LiveRun"]] = {}


def live_runs(dataset: str, out: str | Path | None = None) -> list["LiveRun"]:
    """The last runs on a data set that were started in this process for an outputs folder, oldest first."""
    return list(_STARTED.get((outputs_folder(out).resolve(), dataset), []))


class LiveRun:
    """Trains a configuration in a thread, or goes on with the run of a folder; what happens is told in lists that grow.

    rows: a dict an epoch, with epoch, loss, loss_cls and loss_cse (NaN where there is none); `positive` and `negative`,
    mean probabilities by group (PG Eq. 6); `softmax` and `logit`, mAP in percent on `split`, the validation images or the
    training images where there are none; `ap`, of each class by ranking; `worst`, as `hardest_images` gives them. NaN and
    empty for epochs before a run went on, and for a run that was finished already. lines: what was printed. events: what
    was edited. classes: class, group, train (images).

    The model is touched by that thread alone: pausing, editing and stopping take effect after an epoch. A stopped run is a
    run folder that `train`, or another LiveRun, goes on with.
    """

    def __init__(self, config: Config, out: str | Path | None = None, begun: Path | None = None):
        self.config, self.out, self.begun = config, out, begun
        self.rows: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self.events: list[Event] = []
        self.classes: pd.DataFrame | None = None  # from the first epoch on
        self.folder: Path | None = None  # once it is written
        self.error: str | None = None
        self.begins = 0  # the epochs that it has before its first here, once they are read
        self.asked: dict[str, Any] | None = None  # what whoever started it was given
        self.watcher: object = None  # who shows it
        self.waiting = False  # between two epochs, because it is paused
        self.wanted: dict[str, float | str] = {}
        self._go, self._stop = threading.Event(), threading.Event()
        self._go.set()
        self._thread = threading.Thread(target=self._train, daemon=True)

    def start(self) -> None:
        runs = _STARTED.setdefault((outputs_folder(self.out).resolve(), self.config.dataset), [])
        runs.append(self)
        del runs[:-_KEPT]
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

    def edit(self, setting: str, value: float | str) -> None:
        """Change a setting for the epochs to come: an event of the run, when the epoch in progress, or a pause, ends.

        Raises ValueError, one line, for what the method cannot have, and in the last epoch.
        """
        config = self.config.with_settings(**{setting: value})
        if config.learning and self.edits_from > config.all_epochs:
            raise ValueError(f"setting '{setting}' cannot change in the last epoch")
        self.wanted[setting] = value

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by name as they stand: those that it began with, and what was edited since."""
        return edited(self.config, self.events).flat()

    @property
    def given(self) -> dict[str, Any]:
        """`settings`, without those that it was never given."""
        return edited(self.config, self.events).given()

    @property
    def pending(self) -> dict[str, float | str]:
        """Edits that wait for the end of the epoch."""
        now = self.settings
        # a copy: another thread may add to it meanwhile
        return {setting: value for setting, value in dict(self.wanted).items() if value != now[setting]}

    @property
    def paused(self) -> bool:
        return not self._go.is_set()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.rows[-1]["epoch"] if self.rows else self.begins

    @property
    def edits_from(self) -> int:
        """The first epoch that has what is edited now."""
        return self.epoch + (1 if self.waiting else 2)

    def wait(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def _train(self) -> None:
        try:
            plan = plan_again(self.begun, self.out) if self.begun else plan_run(self.config, self.out)
            self.events, self.begins = plan.folder.events, plan.folder.epochs_done
            self.folder = train(
                self.config, self.out, log=self.lines.append, plan=plan, on_epoch_end=self._on_epoch_end
            )
            if not self.rows:  # it was finished already
                run = Run(self.folder)
                self.events, self.classes = run.events, run.class_rows
                self.rows += read_rows(run)
        except Exception as error:  # shown where the run was started
            self.error = "; ".join(str(error).splitlines()) or type(error).__name__

    def _on_epoch_end(self, state: TrainState) -> bool:
        dataset, probabilities = state.inputs.dataset, state.recorder.probabilities
        split = "val" if dataset.val else "train"
        counts = {"group": dataset.groups, "train": dataset.class_counts}
        classes = pd.DataFrame({"class": dataset.class_names, **counts})
        classes.attrs |= dataset.task.attrs
        self.classes = classes
        self.events = list(state.events)
        rows = [epoch_row(past, probabilities, dataset.groups, split) for past in state.history[len(self.rows) :]]
        scores, logits = state.evaluate(split)
        labels = state.inputs.labels(split)
        for ranking in RANKINGS:
            ap = 100 * MEASURES[dataset.task.kind].by_class(
                labels, ranking_scores(scores, ranking, state.method.logit_scale)
            )
            rows[-1]["ap"][ranking] = ap
            rows[-1][ranking] = float(np.nanmean(ap))
        rows[-1]["worst"] = hardest_images(labels, logits, dataset.class_names, dataset.splits[split])
        self.rows += rows
        self.waiting = True
        self._go.wait()
        self.waiting = False
        if not self.stopping and not state.finished:
            for setting, value in self.pending.items():
                state.edit(setting, value)
            self.events = list(state.events)
        return not self.stopping


def read_rows(run: Run) -> list[dict[str, Any]]:
    """What a LiveRun tells of each epoch, of a run that lies in its folder: without mAP by epochs, which no run keeps."""
    probabilities = {name: values for name, values in run.class_probabilities().items() if name.startswith("epoch")}
    groups = run.class_rows["group"].to_numpy()
    return [
        epoch_row(past, probabilities, groups, "val" if run.has_val else "train")
        for past in run.history.to_dict("records")
    ]


def epoch_row(past: Mapping[Any, Any], probabilities: dict[str, Any], groups: np.ndarray, split: str) -> dict[str, Any]:
    """An epoch's row, of its line in the history and of probabilities (epochs, C) by class: without scores yet."""
    row = {name: past.get(name, np.nan) for name in ("epoch", "loss", "loss_cls", "loss_cse")}
    for side in ("positive", "negative"):
        p = pd.Series(probabilities[f"epoch_{side}"][past["epoch"]], dtype=float)
        # of the classes that are present
        row[side] = p.groupby(groups).mean().reindex(GROUPS).to_dict()
    return row | {"split": split, "ap": {}, "worst": []} | dict.fromkeys(RANKINGS, np.nan)


def hardest_images(
    labels: np.ndarray, logits: np.ndarray, class_names: tuple[str, ...], split: Split, n: int = 3
) -> list[dict[str, Any]]:
    """The n images with the highest error, worst first: name, path, error, `labels` and `top`.

    labels (N, C), bool; logits (N, C). The error is the mean over classes of the binary cross-entropy, in nats. `labels` are
    the image's with their probabilities, `top` its three most probable classes: lists of (class, probability, whether it is
    a label).
    """
    error = (np.logaddexp(0, logits) - labels * logits).mean(1)
    told = []
    for image in np.argsort(-error, kind="stable")[:n]:
        p, order = expit(logits[image]), np.argsort(-logits[image], kind="stable")
        own, top = (
            [(class_names[c], float(p[c]), bool(labels[image, c])) for c in classes]
            for classes in (order[labels[image, order]], order[:3])
        )
        of_image = {"name": split.names[image], "path": split.paths[image], "error": float(error[image])}
        told.append(of_image | {"labels": own, "top": top})
    return told


def find_begun(data: str, out: str | Path | None = None) -> dict[Path, dict[str, Any]]:
    """Runs that were stopped or killed and can be gone on with, on the data of a fingerprint: folder -> its record, newest first."""
    found = {}
    for path in outputs_folder(out).glob("*/config.json"):
        record = read_record(path.parent)
        whole = (path.parent / "checkpoint.pt").is_file() and not path.parent.name.startswith(".")
        if whole and record.get("fingerprints", {}).get("dataset") == data:
            found[path.parent] = record
    return dict(sorted(found.items(), key=lambda item: -(item[0] / "checkpoint.pt").stat().st_mtime))
