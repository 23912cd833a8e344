"""What folds of the training images choose, and what they say: `select: folds`, without spending an image."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmptlib.config import Config, trials_of
from lmptlib.data.images import READING
from lmptlib.errors import NonFiniteLoss, first_line
from lmptlib.evaluation.measures import MEASURES
from lmptlib.evaluation.rankings import ranking_scores
from lmptlib.paths import write_atomically
from lmptlib.training.folder import FORMAT
from lmptlib.training.inputs import Inputs, folds_of
from lmptlib.training.loop import fit
from lmptlib.training.selection import Selection
from lmptlib.training.state import TrainState

N_FOLDS = 3  # of a method that learns step by step; closed forms have five


def choose(
    config: Config, inputs: Inputs, fingerprints: dict[str, str], log: Callable[[str], None], force: bool = False
) -> Selection:
    """Train every trial of a configuration on two of three folds in turn, and take the one that ranks the third best.

    The search is made with seed 0 and kept in the cache folder: all seeds of a configuration share it. `force` makes it
    anew. A trial whose loss is not finite drops out. Raises ValueError where nothing can be judged.
    """
    search = config.with_settings(seed=0)
    content = json.dumps([search.effective(), fingerprints, FORMAT, READING], sort_keys=True)
    path = inputs.cache / f"folds-{hashlib.sha256(content.encode()).hexdigest()[:32]}.npz"
    if not force and (found := _load(path, log)):
        return found
    train = inputs.dataset.train
    folds = folds_of(train, inputs.cache, N_FOLDS)
    judged = folds >= 0
    labels, of_judged = train.labels[judged], folds[judged]
    if len(np.unique(of_judged)) < N_FOLDS or not (labels.sum(0) > 1).any():
        raise ValueError(f"{inputs.dataset.name}: select 'folds' needs three pictures, and a class with two of them")
    trials, table = trials_of(search), []
    measure = MEASURES[inputs.dataset.task.kind]
    finite: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # of the number of a trial, its scores and logits
    for number, values in enumerate(trials):
        told, total = f"trial {number + 1} of {len(trials)}, {values}", None
        try:
            every = _out_of_fold(search.with_settings(select="last", trials="", **values), inputs, folds)
            finite[number] = every[0][judged], every[1][judged]
            total = float(np.nanmean(measure.of_folds(labels, finite[number][0], of_judged)))
            log(f"{told}: {measure.name} {100 * total:.2f} out of fold")
        except NonFiniteLoss as error:
            log(f"{told}: {error}")
        table.append({**values, "total": total})
    if not finite:
        raise NonFiniteLoss("no trial has a finite loss: name others, with a lower lr")
    best = max(finite, key=lambda number: table[number]["total"])
    selection = Selection(of_judged, *finite[best], trials[best], table)
    _store(selection, path)
    return selection


def _out_of_fold(config: Config, inputs: Inputs, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores, as the logit ranking takes them, and logits (N, C) of each image by a training without its fold.

    Those of images in no fold, which every training has, stay zero.
    """
    scores, logits = np.zeros((2, *inputs.dataset.train.shown.shape))
    for fold in range(N_FOLDS):
        held = folds == fold
        state = TrainState(config, FoldInputs(inputs, ~held, held))
        fit([state], lambda state: None)
        state.finish()
        of_fold = state.evaluate("test")
        scores[held] = ranking_scores(of_fold[0], "logit", state.method.logit_scale)
        logits[held] = of_fold[1]
    return scores, logits


class FoldInputs(Inputs):
    """Of the training images of other inputs, some for training (mask (N,)), tested on others of them, or on the test images."""

    def __init__(self, whole: Inputs, train: np.ndarray, held: np.ndarray | None = None):
        rows, test = np.flatnonzero(train), None if held is None else np.flatnonzero(held)
        super().__init__(whole.dataset.of_rows(rows, test), whole.clip, whole.cache, whole.log, whole.views)
        self.whole_inputs, self.train = whole, torch.from_numpy(rows).to(whole.device)
        self.held = None if test is None else torch.from_numpy(test).to(whole.device)

    @cached_property
    def images(self) -> Tensor:
        return self.whole_inputs.images[:, self.train]

    @cached_property
    def captions(self) -> Tensor:
        return self.whole_inputs.captions[self.train]

    @cached_property
    def caption_ids(self) -> Tensor:
        return self.whole_inputs.caption_ids[self.train]

    @cached_property
    def caption_tokens(self) -> Tensor:
        return self.whole_inputs.caption_tokens[self.train]

    def of_split(self, name: str) -> Tensor:
        if name == "train":
            return self.images[0]
        return self.whole_inputs.of_split(name) if self.held is None else self.whole_inputs.images[0, self.held]

    def crops(self, name: str) -> Tensor | None:
        rows = self.train if name == "train" else self.held
        if rows is None:
            return self.whole_inputs.crops(name)
        crops = self.whole_inputs.crops("train")
        return None if crops is None else crops[rows]


def _store(selection: Selection, path: Path) -> None:
    buffer = io.BytesIO()
    told = json.dumps([selection.chosen, selection.trials])
    np.savez_compressed(buffer, folds=selection.folds, scores=selection.scores, logits=selection.logits, told=told)
    write_atomically(path, buffer.getvalue())


def _load(path: Path, log: Callable[[str], None]) -> Selection | None:
    """A stored search; None where there is none, and after a line where it is damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path) as file:
            chosen, trials = json.loads(str(file["told"]))
            return Selection(file["folds"], file["scores"], file["logits"], chosen, trials)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        log(f"{path}: damaged ({first_line(error)}); the search is made anew")
        return None
