"""A run is `train(config) -> folder`. One that was stopped or killed goes on when it is called again."""

import math
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

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
from lmptlib.training import version_0_1
from lmptlib.training.events import event_text
from lmptlib.training.folder import RunFolder
from lmptlib.training.folds import choose
from lmptlib.training.loop import fit
from lmptlib.training.mapped import inputs_of
from lmptlib.training.plan import Plan, plan_run
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
    plan = plan or plan_run(config, out)
    with ExitStack() as locks:
        locks.enter_context(plan.folder.lock(log))
        if plan.folder.finished and not force:
            log(f"finished already: {plan.path}")
            return plan.path
        return _work(plan, force, log, on_epoch_end or (lambda state: None), locks)


def _work(
    plan: Plan,
    force: bool,
    log: Callable[[str], None],
    on_epoch_end: Callable[[TrainState], bool | None],
    locks: ExitStack,
) -> Path:
    """Train what is missing of a run, evaluate it and write it; its folder."""
    config, dataset, started = plan.config, plan.dataset, time.time()
    for warning in dataset.warnings:
        log(f"note: {warning}")
    clip = load_clip(config.model, config.weights, config.device, log, config.preprocess)
    dataset = plan.enriched(clip, log)
    captions = dataset.train.captions if METHODS[config.method].needs_captions(config.settings) else None
    for note in cut_texts(clip, dataset.class_names, captions or ()):
        log(f"note: {dataset.name}: {note}")
    _check_tables(config, dataset)
    inputs = inputs_of(dataset, clip, plan.cache, log, config.views, config.extraction)
    for name in dataset.splits:
        inputs.read(name)  # what cannot be read is said before training, and before crops, which take longer
    for name in dataset.splits:
        if name != "train":
            inputs.crops(name)
    selection = None
    if config.learning and config.learning.select == "folds":
        selection = choose(config, inputs, plan.fingerprints, log, force)
        config = config.with_settings(select="last", trials="", **selection.chosen)
    state = TrainState(config, inputs, selection, plan.folder.events)
    checkpoint = None if force else plan.folder.checkpoint(log)
    if checkpoint:
        _go_on(state, plan.folder, checkpoint)
        log(f"going on after epoch {state.epoch} of {state.epochs}: {plan.path}")
    else:
        for name in version_0_1.stopped_twins(config, dataset.name, plan.path.parent):
            log(f"note: {name} was stopped by version 0.1, and is not gone on with: this run begins anew")
        plan.folder.begin(_record(plan, state))
    past = sum(row["seconds"] for row in state.history)

    def after_epoch(state: TrainState) -> bool | None:
        nonlocal plan
        plan.folder.add_epoch(state.state_dict())
        log(_line(state))
        known = len(state.events)
        goes_on = on_epoch_end(state)
        for event in state.events[known:]:
            log(f"edited: {event_text(event)}")
        if not known and state.events:
            plan = plan.edited()
            locks.enter_context(plan.folder.lock(log))
            plan.folder.branch(_record(plan, state), state.state_dict())
        elif known < len(state.events):
            plan.folder.rewrite(_record(plan, state))
        return goes_on

    interrupt = None
    try:
        fit([state], after_epoch)
    except KeyboardInterrupt as error:
        whole = plan.folder.checkpoint(log)
        if not whole:
            raise
        _go_on(state, plan.folder, whole)  # the epoch that it broke is taken back
        interrupt = error
    state.finish()
    metrics = _write(plan, state, past + time.time() - started)
    if state.selection:
        log(
            f"{OUT_OF_FOLD}: {MEASURES[dataset.task.kind].name} {_percent(metrics['out_of_fold']['total'])}; "
            f"chosen: {in_words(state.selection.chosen)}"
        )
    if "on_validation" in metrics:
        log(f"chosen on the validation images: {in_words(state.method.chosen)}")
    log(_result(plan, state, metrics))
    if interrupt:
        raise interrupt
    return plan.path


def _check_tables(config: Config, dataset: Dataset) -> None:
    """Raises DataError where a run is to need a table of labels that is too large: before features, which take long."""
    method, select = METHODS[config.method], config.learning.select if config.learning else "last"
    needed = {select, *(["train"] if method.reads or select == "folds" else []), *(["val"] if method.settles else [])}
    for name in needed & dataset.splits.keys():
        check_table(dataset.splits[name].shown, str(dataset.splits[name].source))


def _go_on(state: TrainState, folder: RunFolder, checkpoint: dict[str, Any]) -> None:
    state.load_state_dict(checkpoint)
    folder.go_on(checkpoint)


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
