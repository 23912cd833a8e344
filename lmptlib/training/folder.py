"""The run folder, written: it is there from the start, grows by epochs, and is finished when `metrics.json` stands.

outputs/<run>/config.json            the resolved configuration, fingerprints, versions, classes; `events` of an edited run
              history.jsonl          a line an epoch: losses, learning rate, gradient norms, seconds
              checkpoint.pt          after each epoch, where the run goes on from; gone when it is finished
              probabilities.npz      mean probabilities of positives and negatives per class (PG Eq. 6)
              test_scores.npy        in place of these where there are very many: scores (classes, images), memory-mapped
              spread.npz             with it, from which differences to other runs have their intervals
              scores.npz             scores, logits and labels of test and validation images; those of training images out
                                     of fold, and their folds, where folds chose
              prompts.safetensors    what was learned, text features before and after
              tuned.safetensors      CLIP's towers, where they were tuned, in open_clip's names: opens as `weights`
              metrics.json           AP per class and group under both rankings, with intervals
              fetched.csv            class, image, p, rank of each image from a pool, where one enriched rare classes
              notebook.ipynb         the executed notebook, where one made the run
outputs/labels.json                  what a user calls configurations, where one gave a label: nothing depends on it
"""

import hashlib
import io
import json
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from safetensors.torch import save
from torch import Tensor

from lmptlib.config import Config
from lmptlib.data.images import READING
from lmptlib.errors import first_line
from lmptlib.paths import held, safe_name, write_atomically, writing
from lmptlib.training.events import Event

FORMAT = 2  # of run folders, and of what the same settings give: raise it when either changes


def run_key(config: Config, fingerprints: dict[str, str]) -> str:
    """What a run's result depends on, as a hash: effective settings, data, how pictures are read, weights and FORMAT."""
    content = json.dumps([config.effective(), fingerprints, FORMAT, READING], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def run_name(config: Config, dataset_name: str, key: str) -> str:
    """A folder's name: what the run is, for the eye, and the beginning of its key."""
    learned = [config.learning.loss, f"s{config.learning.seed}"] if config.learning else []
    return safe_name("-".join([dataset_name, config.method, *learned, key[:12]]))


def read_record(folder: Path) -> dict[str, Any]:
    """What a run's `config.json` says; nothing where it is missing or damaged."""
    try:
        record = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


class RunFolder:
    """The folder of the run with a key. Files are replaced whole; the history alone grows by lines."""

    def __init__(self, path: Path, key: str):
        self.path, self.key = path, key

    def _config(self) -> dict[str, Any]:
        """The record of this run, if the folder has one of its key."""
        record = read_record(self.path)
        return record if record.get("key") == self.key else {}

    @property
    def events(self) -> list[Event]:
        """The settings that were changed while it trained."""
        return self._config().get("events", [])

    @property
    def finished(self) -> bool:
        """Whether it holds the finished run: its metrics, and no checkpoint any more."""
        config, checkpoint = self._config(), self.path / "checkpoint.pt"
        whole = bool(config) and not config.get("stopped_after") and not checkpoint.exists()
        return whole and (self.path / "metrics.json").is_file()

    @property
    def epochs_done(self) -> int:
        """The whole epochs that it would go on from; 0 where it would begin anew."""
        checkpoint = self.checkpoint(log=lambda line: None)
        return len(checkpoint["history"]) if checkpoint else 0

    @contextmanager
    def lock(self, log: Callable[[str], None]) -> Iterator[None]:
        """One process at a time works on a run: waits for another that does, and says so."""
        lock = FileLock(self.path / ".lock", is_singleton=True)
        if lock.is_locked:
            raise ValueError(f"{self.path}: this process trains the run already; stop it first")
        with held(lock, f"waiting for another process that works on {self.path}", log):
            yield

    def begin(self, record: dict[str, Any]) -> None:
        """Write what the run will be, and take away what an earlier one of this name has left."""
        self._clear("metrics.json", "checkpoint.pt", "history.jsonl", "tuned.safetensors")
        self._clear("scores.npz", "test_scores.npy", "spread.npz")
        self._write_json("config.json", record)
        write_atomically(self.path / "history.jsonl", b"")

    def checkpoint(self, log: Callable[[str], None]) -> dict[str, Any] | None:
        """What the run goes on from, if it was begun and not finished; None, after a line, where the file is damaged."""
        path = self.path / "checkpoint.pt"
        if not self._config() or not path.is_file():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
            log(f"{path}: damaged ({first_line(error)}); the run begins anew")
            return None

    def go_on(self, state: dict[str, Any]) -> None:
        """Take up the run of a checkpoint: it has no metrics until it ends, and no epochs that the checkpoint lacks."""
        self._clear("metrics.json")
        lines = "".join(json.dumps(row) + "\n" for row in state["history"])
        write_atomically(self.path / "history.jsonl", lines.encode())

    def add_epoch(self, state: dict[str, Any]) -> None:
        """Append the last epoch's line, and replace the checkpoint."""
        with writing(self.path), (self.path / "history.jsonl").open("a") as file:
            file.write(json.dumps(state["history"][-1]) + "\n")
        self._write_checkpoint(state)

    def branch(self, record: dict[str, Any], state: dict[str, Any]) -> None:
        """Begin an edited run with the epochs that a run without the edit has had, which stays where it is."""
        self.begin(record)
        self.go_on(state)
        self._write_checkpoint(state)

    def rewrite(self, record: dict[str, Any]) -> None:
        """Another event: from now on the run has it, whenever it is killed."""
        self._write_json("config.json", record)

    def finish(
        self,
        record: dict[str, Any],
        probabilities: dict[str, np.ndarray],
        scores: dict[str, np.ndarray],
        tensors: dict[str, Tensor],
        towers: dict[str, Tensor],
        metrics: dict[str, Any],
    ) -> None:
        """Write what the run gave; metrics come last. A run that was stopped keeps its checkpoint."""
        self._write_arrays("probabilities.npz", probabilities)
        if scores:
            self._write_arrays("scores.npz", scores)
        self._write_tensors("prompts.safetensors", tensors)
        if towers:
            self._write_tensors("tuned.safetensors", towers)
        self._write_json("config.json", record)
        self._write_json("metrics.json", metrics)
        if not record.get("stopped_after"):
            (self.path / "checkpoint.pt").unlink(missing_ok=True)

    @contextmanager
    def drafted(self, name: str) -> Iterator[Path]:
        """Where to write a file that is on the disk under its name when the block ends well, and vanishes when it does not."""
        draft = self.path / f".{name}.draft"
        try:
            yield draft
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(self.path / name)
        finally:
            draft.unlink(missing_ok=True)

    def write_spread(self, spread: dict[str, np.ndarray]) -> None:
        """Write what the intervals of differences to other runs are made of."""
        self._write_arrays("spread.npz", {name: values.astype(np.float32) for name, values in spread.items()})

    def write_fetched(self, table: pd.DataFrame) -> None:
        """Write which images from a pool it was trained on."""
        write_atomically(self.path / "fetched.csv", table.to_csv(index=False).encode())

    def _clear(self, *names: str) -> None:
        """Take away files, and the drafts of a process that was killed while it wrote: nobody else writes here now."""
        for path in (*(self.path / name for name in names), *self.path.glob(".*.draft")):
            path.unlink(missing_ok=True)

    def _write_checkpoint(self, state: dict[str, Any]) -> None:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.path / "checkpoint.pt", buffer.getbuffer())

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        write_atomically(self.path / name, json.dumps(content, indent=2).encode())

    def _write_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        content = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        write_atomically(self.path / name, save(content))

    def _write_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        buffer = io.BytesIO()
        # mypy takes any name for that of an option.
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        write_atomically(self.path / name, buffer.getvalue())
