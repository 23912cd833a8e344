"""One training loop: a run is `train(config) -> folder`. One that was stopped goes on when it is called again."""

import copy
import dataclasses
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmptlib import __version__
from lmptlib.clip.features import Features, extract
from lmptlib.clip.loading import load_clip, weights_fingerprint
from lmptlib.clip.model import Clip
from lmptlib.config import REWEIGHT, Config, read_loss_settings, resolve
from lmptlib.data.dataset import Dataset
from lmptlib.data.loading import load_dataset
from lmptlib.data.samplers import epoch_order
from lmptlib.evaluation.average_precision import average_precision
from lmptlib.evaluation.metrics import evaluate
from lmptlib.evaluation.rankings import softmax_scores
from lmptlib.losses import CSELoss, make_loss, mean_probabilities
from lmptlib.methods.prompts import (
    HAND_WRITTEN,
    METHODS,
    TEMPLATES,
    HandWritten,
    Head,
    LinearProbe,
    PromptLearner,
    class_scores,
    template_features,
    with_hand_written,
)
from lmptlib.paths import outputs_folder
from lmptlib.runs.run import Run
from lmptlib.training.folder import checkpoint, is_finished, run_key, run_name, write_run


class NonFiniteLoss(RuntimeError):
    """The loss became infinite or NaN; nothing was written."""


def pick_device(device: str) -> str:
    """`auto` is cuda where there is one. Raises ValueError when cuda is asked for and absent."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for and no CUDA device is there: pass -p device cpu, or leave it out")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


@dataclass(frozen=True)
class Plan:
    """What a run would be, before a model is loaded."""

    config: Config  # complete
    dataset: Dataset
    fingerprints: dict[str, str]
    key: str
    folder: Path

    @property
    def finished(self) -> bool:
        return is_finished(self.folder, self.key)

    @property
    def checkpoint(self) -> Path | None:
        """Where a run that was stopped goes on from."""
        return checkpoint(self.folder, self.key)


def plan(config: Config, out: str | Path | None = None, known: dict | None = None) -> Plan:
    """The plan of a run: completes the configuration, checks the lists, hashes images and weights.

    `known` keeps data sets and weights' hashes from one call to the next, for the runs of one sweep. Raises DataError or
    ValueError for everything that is wrong with them.
    """
    config = resolve(**vars(config))
    config = dataclasses.replace(config, device=pick_device(config.device))
    known = {} if known is None else known
    weights = _once(known, weights_fingerprint, config.model, config.weights)
    dataset = _once(known, load_dataset, config.dataset, config.data_root)
    if METHODS[config.method].captions and dataset.train.captions is None:
        raise ValueError(
            f"{dataset.name}: method '{config.method}' learns from captions, and there are none: add them, or use method coop"
        )
    if config.select == "val" and dataset.val is None:
        raise ValueError(f"{dataset.name}: select 'val' needs a validation split, and there is none: use 'last'")
    fingerprints = {"dataset": dataset.fingerprint(), "clip": weights}
    key = run_key(config, fingerprints)
    folder = outputs_folder(out) / run_name(config, dataset.name, key)
    return Plan(config, dataset, fingerprints, key, folder)


def _once(known: dict, function: Callable, *arguments: str | None) -> Any:
    if (function, arguments) not in known:
        known[function, arguments] = function(*arguments)
    return known[function, arguments]


def train(
    config: Config,
    out: str | Path | None = None,
    force: bool = False,
    log: Callable[[str], None] = print,
    planned: Plan | None = None,
    watch: "Callable[[Fit], bool] | None" = None,
) -> Path:
    """Train, evaluate and write one run; return its folder.

    `planned` is what `plan` made of the same configuration, where it is at hand. A finished run with the same key
    (configuration, data, weights, version) is returned as it is, unless `force`. `watch` sees the training after each
    epoch, and stops it by returning False. What was stopped, by `watch` or by an interrupt, is written as a run of the
    epochs it had, and goes on from there when `train` is called again, to the very result of a run without a break.
    Raises DataError or ValueError for wrong input before training starts, NonFiniteLoss if the loss stops being finite,
    KeyboardInterrupt after an interrupted run is written.
    """
    planned = planned or plan(config, out)
    config, dataset, folder = planned.config, planned.dataset, planned.folder
    if planned.finished and not force:
        log(f"finished already: {folder}")
        return folder
    started = time.time()
    for warning in dataset.warnings:
        log(f"note: {warning}")
    clip = load_clip(config.model, config.weights, config.device, log, config.preprocess)
    features = extract(clip, dataset, captions=METHODS[config.method].captions and config.level == "feature", log=log)
    state = Fit(config, dataset, clip, features)
    interrupted, past = None, 0.0
    if METHODS[config.method].learns:
        if planned.checkpoint and not force:
            state.go_on_from(torch.load(planned.checkpoint, map_location=config.device, weights_only=True))
            past = sum(row["seconds"] for row in state.history)
            log(f"going on after epoch {len(state.history)} of {config.epochs}: {folder}")
        try:
            state.fit(log, watch)
        except KeyboardInterrupt as error:
            if not state.history:
                raise
            interrupted = error
    stopped = METHODS[config.method].learns and len(state.history) < config.epochs

    scores = {"scores": state.scores(features.test), "labels": dataset.test.labels}
    if dataset.val:
        scores |= {"val_scores": state.scores(features.val), "val_labels": dataset.val.labels}
    metrics = evaluate(dataset.test.labels, scores["scores"], state.scale, dataset.class_names, dataset.groups)
    record = {
        "key": planned.key,
        "settings": dataclasses.asdict(config),
        "dataset": dataset.name,
        "classes": [
            {"class": name, "group": str(group), "train": int(count)}
            for name, group, count in zip(dataset.class_names, dataset.groups, dataset.class_counts)
        ],
        "n_train": len(dataset.train),
        "n_val": len(dataset.val) if dataset.val else 0,
        "n_test": len(dataset.test),
        "logit_scale": state.scale,
        "warnings": dataset.warnings,
        "fingerprints": planned.fingerprints,
        "versions": {"lmptlib": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "device": torch.cuda.get_device_name()
        if config.device == "cuda"
        else platform.processor() or platform.machine(),
        "seconds": round(past + time.time() - started, 2),
        "selected_epoch": state.selected,
    } | ({"stopped_after": len(state.history)} if stopped else {})
    probabilities = {
        name: np.array(rows, np.float32).reshape(-1, len(dataset.class_names))
        for name, rows in state.probabilities.items()
    }
    checkpoint = state.checkpoint if stopped else None
    write_run(folder, record, state.history, probabilities, metrics, scores, state.tensors(), checkpoint)
    softmax, logit = (metrics["scores"][ranking]["total"] for ranking in ("softmax", "logit"))
    marks = "".join(f"; {mark}" for mark in Run(folder).marks)
    log(
        f"mAP {_show(softmax)} softmax, {_show(logit)} logit on {len(dataset.test):,} test images{marks}; written to {folder}"
    )
    if interrupted:
        raise interrupted
    return folder


def _show(percent: float | None) -> str:
    return "none" if percent is None else f"{percent:.2f}"


class Fit:
    """The state of one training: model, head, losses and what is recorded along the way.

    history: a dict an epoch. probabilities: lists of (C,) arrays, `epoch_positive` and `epoch_negative` among them.
    """

    def __init__(self, config: Config, dataset: Dataset, clip: Clip, features: Features):
        self.config, self.dataset, self.features = config, dataset, features
        self.method, self.generator = METHODS[config.method], torch.Generator().manual_seed(config.seed)
        device, counts = config.device, torch.from_numpy(dataset.class_counts)
        self.images = torch.stack([features.train, features.train_flipped]).to(device)  # (2, N, D)
        self.targets = torch.from_numpy(dataset.train.labels).float().to(device)
        templates = TEMPLATES if config.method == "zero_shot_templates" else HAND_WRITTEN
        self.hand_written = template_features(clip, dataset.class_names, templates).clone()  # no inference tensor
        cosines = self.method.prompts and not config.residual
        self.scale = clip.logit_scale if cosines else 1.0  # from a run's scores to the logits that softmax takes
        self.model = self._build(clip).to(device)
        self.head = Head(config.head, clip.logit_scale if self.method.prompts else 1.0, len(counts)).to(device)
        self.residual = LinearProbe(len(counts), self.images.shape[-1]).to(device) if config.residual else None
        with torch.no_grad():
            self.before = self.model().clone()
            if self.head.learned:
                self.head.calibrate(self._scores(self.images[0], self.before), self.targets)
        self.trained = [*self.model.parameters(), *(self.residual.parameters() if self.residual else ())]
        self.learned = self.trained + (list(self.head.parameters()) if self.head.learned else [])
        self.average = [parameter.detach().clone() for parameter in self.learned]
        self.captions = features.captions.to(device) if features.captions is not None else None
        if self.method.captions and config.level == "token":
            self.captions = clip.embed_words(list(dataset.train.captions), self.model.context.shape[1])
        settings = read_loss_settings(config.loss, config.loss_settings)
        self.criterion = make_loss(
            config.loss, counts, len(dataset.train), config.preset, allow_empty=True, **settings
        ).to(device)
        self.cse = CSELoss(
            counts, config.eta, config.gamma, config.soft_margin, REWEIGHT[config.reweight], config.level
        ).to(device)
        self.history: list[dict] = []
        self.best, self.selected, self.kept = (
            -1.0,
            0,
            None,
        )  # kept: the weights of the best epoch, where one is selected
        self.probabilities: dict[str, list[np.ndarray]] = {
            f"{every}_{side}": [] for every in ("iteration", "epoch") for side in ("positive", "negative")
        }
        self._record_epoch()
        if self.method.learns:
            self.optimizer, self.schedule = self._optimizer()
            self.checkpoint = self._snapshot()

    def _optimizer(self) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
        config = self.config
        groups = [{"params": self.trained, "lr": config.lr, "weight_decay": config.weight_decay}]
        if self.head.learned:
            groups.append({"params": list(self.head.parameters()), "lr": config.lr_head, "weight_decay": 0.0})
        if config.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, momentum=config.momentum)
        else:
            optimizer = torch.optim.AdamW(groups, betas=(config.momentum, 0.999))
        n_steps = config.epochs * -(-len(self.targets) // config.batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(step, n_steps, config.warmup)
        )
        return optimizer, schedule

    def _build(self, clip: Clip) -> nn.Module:
        config, names = self.config, self.dataset.class_names
        if not self.method.prompts:
            return LinearProbe(len(names), self.images.shape[-1])
        if not self.method.learns:
            return HandWritten(self.hand_written)
        return PromptLearner(
            clip, names, config.ctx_init, config.n_ctx, config.class_specific, config.class_position, self.generator
        )

    def fit(self, log: Callable[[str], None], watch: "Callable[[Fit], bool] | None" = None) -> None:
        """Train to the last epoch, or until `watch` returns False after one; then put the kept weights in place.

        An interrupt takes back the epoch that it broke, and is raised again.
        """
        try:
            while len(self.history) < self.config.epochs:
                self._epoch(log)
                self.checkpoint = self._snapshot()
                if watch is not None and not watch(self):
                    break
        except KeyboardInterrupt:
            self.go_on_from(self.checkpoint)
            raise
        finally:
            if self.kept is None:
                self.selected = len(self.history)
            self._put(self.average if self.kept is None else self.kept)

    def _epoch(self, log: Callable[[str], None]) -> None:
        config, started = self.config, time.perf_counter()
        epoch, lr = len(self.history) + 1, self.optimizer.param_groups[0]["lr"]
        sums = np.zeros(3)  # loss, loss_cls, loss_cse
        diagnostics: dict[str, float] = {}
        for index in epoch_order(config.sampler, self.targets, self.generator).split(config.batch_size):
            flip = torch.randint(2, (len(index),), generator=self.generator)
            loss, parts, logits, text = self._forward(index, flip)
            if not torch.isfinite(loss):
                raise NonFiniteLoss(self._explain(epoch, index, logits, parts))
            self._record("iteration", logits.detach(), self.targets[index])
            if not diagnostics:
                diagnostics = self._diagnose(parts, text, index)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            for average, parameter in zip(self.average, self.learned):
                average.lerp_(parameter.detach(), 1 - config.ema)
            sums += len(index) * np.array([loss.item(), parts[0].item(), parts[1].item()])
        self._record_epoch()
        means = dict(zip(("loss", "loss_cls", "loss_cse"), (sums / len(self.targets)).tolist()))
        row = {"epoch": epoch, **means, "lr": lr, **diagnostics}
        if config.select != "last":
            with self._averaged():
                row[f"{config.select}_map"] = self.mean_ap(config.select)
            if row[f"{config.select}_map"] > self.best:
                self.best, self.selected = row[f"{config.select}_map"], epoch
                self.kept = [average.clone() for average in self.average]
        row["seconds"] = time.perf_counter() - started
        self.history.append(row)
        log(
            f"epoch {epoch:2d}/{config.epochs}  loss {row['loss']:.4f}  (classification {row['loss_cls']:.4f}, "
            f"CSE {row['loss_cse']:.4f})  lr {lr:.1e}  {row['seconds']:.2f} s"
        )

    def _snapshot(self) -> dict:
        """All that the next epochs depend on."""
        moving = {name: getattr(self, name) for name in ("average", "kept", "best", "selected")}
        moving["learned"] = [parameter.detach() for parameter in self.learned]
        moving["generator"] = self.generator.get_state()
        moving |= {name: getattr(self, name).state_dict() for name in ("optimizer", "schedule")}
        record = {"history": list(self.history)}  # rows that stand do not change
        record["probabilities"] = {
            name: torch.from_numpy(np.array(rows)) for name, rows in self.probabilities.items() if rows
        }
        return copy.deepcopy(moving) | record

    def go_on_from(self, checkpoint: dict) -> None:
        """Take up a training where its checkpoint was made."""
        self.checkpoint, moving = checkpoint, copy.deepcopy(checkpoint)
        self._put(moving["learned"])
        self.generator.set_state(moving["generator"].cpu())
        self.optimizer.load_state_dict(moving["optimizer"])
        self.schedule.load_state_dict(moving["schedule"])
        for name in ("average", "kept", "best", "selected", "history"):
            setattr(self, name, moving[name])
        of_steps = moving["probabilities"]
        self.probabilities = {
            name: list(of_steps[name].cpu().numpy()) if name in of_steps else [] for name in self.probabilities
        }

    @torch.no_grad()
    def scores(self, images: Tensor) -> np.ndarray:
        """Scores (N, C) of image features (N, D) by the run as it stands, with its share of the hand-written prompt."""
        text, share = self.model(), self.config.hand_written
        if share:
            text = with_hand_written(text, self.hand_written, share)
        images = images.to(self.config.device)
        scores = self._logits(images, text) if self.residual else self._scores(images, text)
        return scores.cpu().numpy()

    def _logits(self, images: Tensor, text: Tensor) -> Tensor:
        """Logits (B, C): of the scores and, with a share `residual`, of a linear head beside them."""
        logits, share = self.head(self._scores(images, text)), self.config.residual
        return (1 - share) * logits + share * self.residual.scores(images) if self.residual else logits

    def _scores(self, images: Tensor, text: Tensor) -> Tensor:
        """Scores (B, C) of image features (B, D) by text features or a probe's weights (C, D)."""
        return class_scores(images, text, self.config.centred) if self.method.prompts else self.model.scores(images)

    def tensors(self) -> dict[str, Tensor]:
        """What a run keeps: parameters, the head, and text features (a probe's weights) before and after training."""
        with torch.no_grad():
            after = self.model().clone()
        kept = {"a": self.head.a, "b": self.head.b, "before": self.before, "after": after}
        if self.residual:  # scores are logits already, and the head is inside them
            kept |= {"head_a": self.head.a, "head_b": self.head.b, "a": torch.zeros(()), "b": torch.zeros(())}
            kept |= {f"residual_{name}": value for name, value in self.residual.named_parameters()}
        return dict(self.model.named_parameters()) | kept

    def _forward(self, index: Tensor, flip: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor, Tensor]:
        """Loss, its two terms, logits (B, C) and text (C, D) of a batch: LMPT Eq. 11 without its bracket slip."""
        text = self.model()
        logits = self._logits(self.images[flip, index], text)
        targets = self.targets[index]
        loss_cls = self.criterion(logits, targets)
        if self.captions is None:
            return loss_cls, (loss_cls, torch.zeros_like(loss_cls)), logits, text
        loss_cse = self.cse(self.captions[index], self._cse_operand(text), targets)
        return self.config.lam * loss_cls + (1 - self.config.lam) * loss_cse, (loss_cls, loss_cse), logits, text

    def _cse_operand(self, text: Tensor) -> Tensor:
        if self.config.level == "feature":
            return text
        return self.model.context.expand(len(text), -1, -1)

    def _diagnose(self, parts: tuple[Tensor, Tensor], text: Tensor, index: Tensor) -> dict[str, float]:
        """Gradient norms of both terms on what is learned, and the share of negatives inside the CSE margin."""
        (gradient,) = torch.autograd.grad(parts[0], self.learned[0], retain_graph=True)
        found = {"grad_cls": gradient.norm().item()}
        if self.captions is not None:
            (gradient,) = torch.autograd.grad(parts[1], self.learned[0], retain_graph=True)
            found["grad_cse"] = gradient.norm().item()
            operand = self._cse_operand(text).detach()
            found["inside_margin"] = self.cse.inside_margin(self.captions[index], operand, self.targets[index])
        return found

    def _record_epoch(self) -> None:
        with torch.no_grad():
            logits = self._logits(self.images[0], self.model())
        if not logits.isfinite().all():
            raise NonFiniteLoss(
                f"logits are not finite after epoch {len(self.history) + 1} (lr {self.config.lr:g}): lower lr"
            )
        self._record("epoch", logits, self.targets)

    def _record(self, every: str, logits: Tensor, targets: Tensor) -> None:
        positive, negative = mean_probabilities(logits, targets)
        self.probabilities[f"{every}_positive"].append(positive.cpu().numpy())
        self.probabilities[f"{every}_negative"].append(negative.cpu().numpy())

    def mean_ap(self, split: str, ranking: str = "softmax") -> float:
        """mAP in percent of the live weights on a split: val, train or, which is leakage where it chooses, test."""
        scores = self.scores(getattr(self.features, split))
        ranked = softmax_scores(scores, self.scale) if ranking == "softmax" else scores
        return float(100 * np.nanmean(average_precision(self.dataset.splits[split].labels, ranked)))

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.learned, values):
            parameter.copy_(value)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averaged weights in place of the live ones."""
        live = [parameter.detach().clone() for parameter in self.learned]
        self._put(self.average)
        try:
            yield
        finally:
            self._put(live)

    def _explain(self, epoch: int, index: Tensor, logits: Tensor, parts: tuple[Tensor, Tensor]) -> str:
        per_class = self.criterion.elementwise(logits, self.targets[index]).sum(0)
        bad = (~per_class.isfinite()).nonzero().flatten().tolist()
        names = ", ".join(self.dataset.class_names[i] for i in bad[:3]) or "none of one class (the CSE term)"
        return (
            f"the loss is not finite in epoch {epoch} (class: {names}; loss {self.config.loss}, lr {self.config.lr:g}, "
            f"head {self.config.head}): lower lr, or choose another loss"
        )


def learning_rate(step: int, n_steps: int, warmup: int) -> float:
    """The factor on the learning rate: cosine from 1 to 0, with a linear rise from a third over `warmup` iterations."""
    rise = 1 / 3 + 2 / 3 * step / warmup if step < warmup else 1.0
    return rise * 0.5 * (1 + math.cos(math.pi * step / n_steps))
