"""A run is `train(config) -> folder`. One that was stopped or killed goes on when it is called again."""

import math
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from lmptlib import __version__
from lmptlib.clip.loading import load_clip
from lmptlib.clip.tackle import fetched_table
from lmptlib.clip.text import cut_texts
from lmptlib.config import Config
from lmptlib.data.dataset import Dataset, check_table
from lmptlib.evaluation.by_class import judge
from lmptlib.evaluation.measures import MEASURES
from lmptlib.evaluation.metrics import OUT_OF_FOLD, evaluate, evaluate_folds
from lmptlib.methods import METHODS
from lmptlib.paths import DiskError
from lmptlib.training import version_0_1
from lmptlib.training.events import event_text
from lmptlib.training.folder import RunFolder
from lmptlib.training.folds import choose
from lmptlib.training.inputs import Inputs
from lmptlib.training.loop import fit
from lmptlib.training.mapped import inputs_of
from lmptlib.training.plan import Plan, once, plan_run
from lmptlib.training.selection import in_words
from lmptlib.training.state import TrainState

# Test images x classes up to which all scores are in memory at once: 1 GB.
DENSE = 250_000_000


def train(
    config: Config,
    out: str | Path | None = None,
    force: bool = False,
    log: Callable[[str], None] = print,
    plan: Plan | None = None,
    on_epoch_end: Callable[[TrainState], bool | None] | None = None,
) -> Path:
    """Train, evaluate and write one run; return its folder.

    `plan` is what `plan_run` made of the same configuration, where it is at hand, or `plan_again` of a folder. A finished
    run with the same key (effective settings, data, weights) is returned as it is, unless `force`. `on_epoch_end` sees the
    training after each epoch, and stops it by returning False. What was stopped, by it or by an interrupt, is written as a
    run of the epochs it had; that, and a run whose process was killed, goes on from its last whole epoch when `train` is
    called again, to the very result of a run without a break. A run that `on_epoch_end` edits (`TrainState.edit`) goes on
    in a folder of its own, that of no configuration, and the run without the edit stays where it was. Raises DataError or
    ValueError for wrong input before training starts, NonFiniteLoss if the loss stops being finite, KeyboardInterrupt after
    an interrupted run is written.
    """
    (made,) = train_together([plan or plan_run(config, out)], force, log, on_epoch_end)
    if isinstance(made, Exception):
        raise made
    return made


def train_together(
    plans: Sequence[Plan],
    force: bool = False,
    log: Callable[[str], None] = print,
    on_epoch_end: Callable[[TrainState], bool | None] | None = None,
    opened: dict | None = None,
) -> list[Path | Exception]:
    """Train runs as `train` does one, in one pass of the text tower for all: the folder of each, or what it failed by.

    Plans as a stack of `lmptlib.training.stacks` has them. A run that fails leaves the others going. They may stand at
    different epochs: each goes on from its own. `opened` keeps the CLIP and the inputs for the next call that reads the
    same. Raises DiskError, and what stops all of them: KeyboardInterrupt, once those that have an epoch are written.
    """
    runs = [_Run(plan, log if len(plans) == 1 else _naming(plan, log)) for plan in plans]
    opened, started, interrupt = {} if opened is None else opened, time.time(), None
    with ExitStack() as locks:
        # in one order, so that no two processes wait for each other
        for run in sorted(runs, key=lambda run: run.plan.path):
            with run.may_fail():
                run.begin(force, locks, opened)
        going = {run.state: run for run in runs if run.made is None}
        try:
            fit(
                [*going],
                lambda state: going[state].after_epoch(on_epoch_end),
                lambda state, error: going[state].fail(error),
            )
        except KeyboardInterrupt as error:
            interrupt = error
        going = {state: run for state, run in going.items() if run.made is None and (not interrupt or run.take_back())}
        share = (time.time() - started) / max(len(going), 1)
        for run in going.values():
            with run.may_fail():
                run.finish(share)
    if interrupt:
        raise interrupt
    return [cast(Path | Exception, run.made) for run in runs]


def _naming(plan: Plan, log: Callable[[str], None]) -> Callable[[str], None]:
    """A log of one of several runs."""
    return lambda line: log(f"{plan.path.name}: {line}")


class _Run:
    """A run on its way to its folder. made: that folder, once it is finished, or what the run failed by."""

    state: TrainState

    def __init__(self, plan: Plan, log: Callable[[str], None]):
        self.plan, self.log = plan, log
        self.made: Path | Exception | None = None

    @contextmanager
    def may_fail(self) -> Iterator[None]:
        """What stops this run is what it failed by; a disk that takes no more stops all."""
        try:
            yield
        except DiskError:
            raise
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        self.made = error

    def begin(self, force: bool, locks: ExitStack, opened: dict) -> None:
        """Lock its folder, and bring its training to the last whole epoch that is there; a finished run is made."""
        plan, self.locks = self.plan, locks
        locks.enter_context(plan.folder.lock(self.log))
        if plan.folder.finished and not force:
            self.log(f"finished already: {plan.path}")
            self.made = plan.path
            return
        config, selection, inputs = plan.config, None, _open_inputs(plan, opened, self.log)
        if config.learning and config.learning.select == "folds":
            selection = choose(config, inputs, plan.fingerprints, self.log, force)
            config = config.with_settings(select="last", trials="", **selection.chosen)
        self.state = TrainState(config, inputs, selection, plan.folder.events)
        checkpoint = None if force else plan.folder.checkpoint(self.log)
        if checkpoint:
            self._go_on(checkpoint)
            self.log(f"going on after epoch {self.state.epoch} of {self.state.epochs}: {plan.path}")
        else:
            for name in version_0_1.stopped_twins(config, plan.dataset.name, plan.path.parent):
                self.log(f"note: {name} was stopped by version 0.1, and is not gone on with: this run begins anew")
            plan.folder.begin(_record(plan, self.state))
        self.past = sum(row["seconds"] for row in self.state.history)

    def _go_on(self, checkpoint: dict[str, Any]) -> None:
        self.state.load_state_dict(checkpoint)
        self.plan.folder.go_on(checkpoint)

    def after_epoch(self, on_epoch_end: Callable[[TrainState], bool | None] | None) -> bool | None:
        """Write an epoch down, and what is edited after it; False ends the training."""
        state = self.state
        self.plan.folder.add_epoch(state.state_dict())
        self.log(_line(state))
        known = len(state.events)
        goes_on = on_epoch_end(state) if on_epoch_end else None
        for event in state.events[known:]:
            self.log(f"edited: {event_text(event)}")
        if not known and state.events:
            self.plan = self.plan.edited()
            self.locks.enter_context(self.plan.folder.lock(self.log))
            self.plan.folder.branch(_record(self.plan, state), state.state_dict())
        elif known < len(state.events):
            self.plan.folder.rewrite(_record(self.plan, state))
        return goes_on

    def take_back(self) -> bool:
        """Return to the last whole epoch, from one that an interrupt broke; whether there is one."""
        whole = self.plan.folder.checkpoint(self.log)
        if whole:
            self._go_on(whole)
        return bool(whole)

    def finish(self, seconds: float) -> None:
        """Evaluate and write it; `seconds` are its share of the training."""
        state, started = self.state, time.time()
        state.finish()
        metrics = _write(self.plan, state, self.past + seconds + time.time() - started)
        if state.selection:
            self.log(
                f"{OUT_OF_FOLD}: {MEASURES[self.plan.dataset.task.kind].name} "
                f"{_percent(metrics['out_of_fold']['total'])}; chosen: {in_words(state.selection.chosen)}"
            )
        if "on_validation" in metrics:
            self.log(f"chosen on the validation images: {in_words(state.method.chosen)}")
        self.log(_result(self.plan, state, metrics))
        self.made = self.plan.path


def _open_inputs(plan: Plan, opened: dict, log: Callable[[str], None]) -> Inputs:
    """What a run reads, whole images and crops of all splits; what is `opened` already, where it is the same."""
    config, found = plan.config, opened.get(plan.reads)
    for warning in plan.dataset.warnings:
        log(f"note: {warning}")
    if not found:
        # the last one makes room for the next
        opened.clear()
    towers = config.model, config.weights, config.device, log, config.preprocess, config.precision
    clip = found.clip if found else load_clip(*towers)
    dataset = found.dataset if found else plan.enriched(clip, log)
    captions = dataset.train.captions if METHODS[config.method].needs_captions(config.settings) else None
    for note in once(opened, cut_texts, clip, dataset.class_names, captions or ()):
        log(f"note: {dataset.name}: {note}")
    _check_tables(config, dataset)
    inputs = opened[plan.reads] = found or inputs_of(dataset, clip, plan.cache, log, config.views, config.extraction)
    for name in dataset.splits:
        inputs.read(name)  # what cannot be read is said before training, and before crops, which take longer
    for name in dataset.splits:
        if name != "train":
            inputs.crops(name)
    return inputs


def _check_tables(config: Config, dataset: Dataset) -> None:
    """Raises DataError where a run is to need a table of labels that is too large: before features, which take long."""
    method, select = METHODS[config.method], config.learning.select if config.learning else "last"
    needed = {select, *(["train"] if method.reads or select == "folds" else []), *(["val"] if method.settles else [])}
    for name in needed & dataset.splits.keys():
        check_table(dataset.splits[name].shown, str(dataset.splits[name].source))


def _write(plan: Plan, state: TrainState, seconds: float) -> dict[str, Any]:
    """Write what a run gave; return its metrics."""
    record = _record(plan, state) | {"seconds": round(seconds, 2), "selected_epoch": state.selected_epoch}
    record |= {} if state.finished else {"stopped_after": state.epoch}
    record |= {"chosen": state.selection.chosen} if state.selection else {}
    metrics, scores = _evaluate(state, plan.folder)
    directions = {"before": state.before, "after": state.directions()}
    tensors = state.method.state_dict() | {name: tensor for name, tensor in directions.items() if tensor is not None}
    if plan.pool:
        plan.folder.write_fetched(fetched_table(state.inputs.dataset))
    towers = {name.removeprefix("towers."): tensors.pop(name) for name in [*tensors] if name.startswith("towers.")}
    plan.folder.finish(record, state.recorder.arrays(), scores, tensors, towers, metrics)
    return metrics


def _result(plan: Plan, state: TrainState, metrics: dict[str, Any]) -> str:
    task = plan.dataset.task.kind
    totals = ", ".join(f"{_percent(entry['total'])} {ranking}" for ranking, entry in metrics["scores"].items())
    learning = plan.config.learning
    marks = [*plan.marks]
    marks += [] if state.finished else [f"stopped after {state.epoch} of {state.epochs} epochs"]
    marks += ["TEST-SET LEAKAGE"] if learning and learning.select == "test" else []
    if task == "single-label":
        totals = ", ".join(f"{_percent(value)} {name}" for name, value in metrics["accuracy"].items())
    return "; ".join(
        [f"{MEASURES[task].name} {totals} on {len(plan.dataset.test):,} test images", *marks, f"written to {plan.path}"]
    )


def _record(plan: Plan, state: TrainState) -> dict[str, Any]:
    """What `config.json` says of a run."""
    dataset, config = plan.dataset, plan.config
    processor = platform.processor() or platform.machine()
    events = {"events": state.events} if state.events else {}
    return events | {
        "key": plan.key,
        "settings": config.flat(),
        "dataset": dataset.name,
        "task": dataset.task.kind,
        "classes": [
            {"class": name, "group": str(group), "train": int(count)}
            for name, group, count in zip(dataset.class_names, dataset.groups, dataset.class_counts)
        ],
        "n_train": len(dataset.train),
        **({"n_fetched": len(state.inputs.dataset.train) - len(dataset.train)} if plan.pool else {}),
        "n_val": len(dataset.val) if dataset.val else 0,
        "n_test": len(dataset.test),
        "logit_scale": state.method.logit_scale,
        **({"recorded_every": state.recorder.every} if state.recorder.every > 1 else {}),
        "grouping": dataset.task.grouping,
        "warnings": dataset.warnings,
        "marks": plan.marks,
        "fingerprints": plan.fingerprints,
        "versions": {"lmptlib": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "device": torch.cuda.get_device_name() if config.device == "cuda" else processor,
    }


def _evaluate(state: TrainState, folder: RunFolder) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metrics of the test images and out of fold, and scores, logits and labels of test, validation and training images.

    Scores of more than DENSE test images x classes go to files of the folder, and those of so many validation images nowhere.
    """
    dataset = state.inputs.dataset
    found: dict[str, np.ndarray] = {}
    for name, prefix in (("test", ""), ("val", "val_")):
        if name in dataset.splits and math.prod(dataset.splits[name].shown.shape) <= DENSE:
            scores, logits = state.evaluate(name)
            labels = state.inputs.labels(name)
            found |= {f"{prefix}scores": scores, f"{prefix}logits": logits, f"{prefix}labels": labels}
    of_data = dataset.class_names, dataset.groups, dataset.task.kind
    if "scores" in found:
        metrics = evaluate(found["labels"], found["scores"], state.method.logit_scale, *of_data)
    else:
        metrics = _evaluate_by_class(state, folder)
    if selection := state.selection:
        labels = dataset.train.labels[dataset.train.listed]
        found |= {"fold_scores": selection.scores, "fold_logits": selection.logits, "fold_labels": labels}
        found["folds"] = selection.folds
        of_folds = evaluate_folds(labels, selection.scores, selection.folds, *of_data)
        metrics["out_of_fold"] = of_folds | {"chosen": selection.chosen, "trials": selection.trials}
    if state.method.chosen and state.phases:
        metrics["on_validation"] = {"chosen": state.method.chosen, "trials": state.method.trials}
    return metrics, found


def _evaluate_by_class(state: TrainState, folder: RunFolder) -> dict[str, Any]:
    """Metrics of the test images by scores on the disk, which the folder keeps with the spread of the means."""
    dataset = state.inputs.dataset
    with folder.drafted("test_scores.npy") as draft:
        scores, scale = state.write_scores("test", draft), state.method.logit_scale
        found = judge(dataset.test.shown, scores, scale, dataset.groups, dataset.task.kind)
    of_means = {
        f"{ranking}_{group}": spread
        for ranking, judged in found.judged.items()
        for group, spread in judged.spread.items()
    }
    folder.write_spread(of_means)
    return found.metrics(dataset.class_names)


def _line(state: TrainState) -> str:
    row = state.history[-1]
    names = {"loss_cls": "classification", "loss_cse": "CSE", "loss_images": "images", "loss_texts": "texts"}
    terms = ", ".join(f"{names.get(name, name)} {row[name]:.4f}" for name in row if name.startswith("loss_"))
    scored = "".join(f"{name.removesuffix('_map')} {row[name]:.2f}  " for name in row if name.endswith("_map"))
    return (
        f"epoch {row['epoch']:2d}/{state.epochs}  loss {row['loss']:.4f}  ({terms})  lr {row['lr']:.1e}  {scored}"
        f"{row['seconds']:.2f} s"
    )


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
