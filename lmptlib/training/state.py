"""One run in training: its method, the phase that it is in, and all that its next epochs depend on."""

import copy
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from lmptlib.clip.model import Clip
from lmptlib.config import Config, read_loss_settings
from lmptlib.data.dataset import MULTI_LABEL, Task
from lmptlib.data.samplers import epoch_order
from lmptlib.errors import NonFiniteLoss
from lmptlib.evaluation.measures import MEASURES
from lmptlib.evaluation.rankings import ranking_scores
from lmptlib.losses import ClassificationLoss, class_logits, make_loss
from lmptlib.methods import METHODS
from lmptlib.methods.base import Batch, Learning, Method, Phase, Problem
from lmptlib.paths import check_room, take_room
from lmptlib.training.events import EDITABLE, Event, edited
from lmptlib.training.inputs import Inputs
from lmptlib.training.recorder import Recorder
from lmptlib.training.selection import Selection

# Records of mean probabilities that an epoch has at most.
_RECORDS = 256


def learning_rate(step: int, n_steps: int, warmup: int) -> float:
    """The factor on the learning rate: cosine from 1 to 0, with a linear rise from a third over `warmup` iterations."""
    rise = 1 / 3 + 2 / 3 * step / warmup if step < warmup else 1.0
    return rise * 0.5 * (1 + math.cos(math.pi * step / n_steps))


def build_method(
    config: Config,
    class_names: tuple[str, ...],
    class_counts: Tensor,
    n_images: int,
    width: int,
    clip: Clip,
    task: Task = MULTI_LABEL,
    most_labels: int = 1,
) -> Method:
    """A configuration's method, untrained. class_counts (C,) of n_images training images, D = width, the rest as of `Problem`."""
    generator = torch.Generator()
    if config.learning:
        generator.manual_seed(config.learning.seed)
    problem = Problem(class_names, class_counts, max(n_images, 1), width, generator, clip, pool=config.pool)
    problem = replace(problem, single=task.single, most_labels=max(most_labels, 1))
    problem = with_loss(problem, config.learning, task.cutoffs)
    return METHODS[config.method](config.settings, problem).to(clip.device)


def with_loss(problem: Problem, learning: Learning | None, cutoffs: tuple[int, int]) -> Problem:
    """A problem with the classification loss of the settings of learning; as it is where nothing is learned by steps."""
    if learning is None:
        return problem
    own, counts = read_loss_settings(learning.loss_settings), problem.class_counts
    loss = make_loss(learning.loss, counts, problem.n_images, learning.preset, True, cutoffs, **own)
    return replace(problem, loss=loss.to(problem.clip.device))


class TrainState:
    """A run's method, optimiser, schedule, averaged weights, generator, phase and epoch.

    history: a dict an epoch. recorder: mean probabilities. selected: the epoch whose weights are kept. selection: what
    folds chose, where they did. events: settings changed between epochs; those that are given are taken in their turn, and
    `edit` adds one. config: the settings as they stand. steps: those of the phase so far. changes: how often what a step
    computes became another.
    """

    def __init__(
        self, config: Config, inputs: Inputs, selection: Selection | None = None, events: Sequence[Event] = ()
    ):
        self.config, self.inputs, self._first_inputs, self.selection = config, inputs, inputs, selection
        self.events, self._first_config = list(events), config
        dataset = inputs.dataset
        counts, shown = torch.from_numpy(dataset.class_counts), dataset.train.shown
        of_data = dataset.class_names, counts, len(dataset.train), inputs.width, inputs.clip, dataset.task
        self.method = build_method(config, *of_data, most_labels=int(shown.sum(1).max()))
        self.generator = self.method.problem.generator
        self.history: list[dict[str, Any]] = []
        self.best: float = -1.0
        self.selected = self.changes = 0
        self.best_weights: list[Tensor] | None = None
        self.phases = self.method.phases()
        self.ends = np.cumsum([phase.epochs for phase in self.phases]).tolist()  # whole epochs after each phase
        self.method.train()
        self.number = 0
        self.drawn, self.cursor = torch.empty(0), torch.zeros((), dtype=torch.long)
        batch_size = config.learning.batch_size if config.learning else 1
        over_classes, every = self.method.over_classes, self.recorded_every
        self.recorder = Recorder(len(dataset.class_names), batch_size, inputs.device, over_classes, every)
        if self.phases:
            self._begin_phase(0)
        else:
            self.method.calibrate(inputs.chunks())
            if self.method.reads:
                self.method.solve(inputs.whole(self.method.reads))
            self.selection = self._own_selection()
        text = self.encoded()
        self._record_epoch(text)
        self.before = self._directions(text)

    # ---------------------------------------------------------------------------------------- phases and epochs

    @property
    def epoch(self) -> int:
        """Whole epochs done, of all phases."""
        return len(self.history)

    @property
    def epochs(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def finished(self) -> bool:
        return self.epoch >= self.epochs

    @property
    def phase(self) -> Phase:
        return self.phases[self.number]

    def _begin_phase(self, number: int) -> None:
        """Enter a phase: what it does first, then its optimiser, schedule and average."""
        self.number, self.inputs = number, self._first_inputs
        if number and (tuned := self.method.tuned()):
            self.inputs = self.inputs.of_tuned(tuned)
        phase, settings, on_gpu = self.phase, self.learning, self.inputs.device == "cuda"
        if phase.begin:
            phase.begin(self.inputs.chunks())
        self.rates = [group["lr"] for group in phase.parameters]
        if settings.optimizer == "sgd":
            self.optimizer: torch.optim.Optimizer = torch.optim.SGD(
                phase.parameters, momentum=settings.momentum, fused=on_gpu
            )
        else:  # fused: the plain one reads its step count back from the device at each step
            betas = (settings.momentum, 0.999)
            self.optimizer = torch.optim.AdamW(phase.parameters, betas=betas, fused=True, capturable=on_gpu)
        self.steps, self.changes = 0, self.changes + 1
        self.recorder.forget_terms()
        self._set_rates()
        self.learned: list[nn.Parameter] = [p for group in phase.parameters for p in group["params"]]
        self.average = [parameter.detach().clone() for parameter in self.learned]

    def _own_selection(self) -> Selection | None:
        """What the method has chosen by itself, where it does."""
        method = self.method
        if method.out_of_fold is None:
            return None
        scores, folds = method.out_of_fold, self.inputs.folds
        logits = class_logits(scores) if method.over_classes else scores
        of_images = scores.cpu().numpy(), logits.cpu().numpy()
        return Selection(folds[folds >= 0].cpu().numpy(), *of_images, method.chosen, method.trials)

    @property
    def learning(self) -> Learning:
        """The settings of learning step by step, of a method that has phases."""
        return cast(Learning, self.config.learning)

    @property
    def n_steps(self) -> int:
        """Steps an epoch."""
        return -(-self.inputs.n_rows(self.phase.over) // self.learning.batch_size)

    @property
    def sizes(self) -> list[int]:
        """Images of each step of an epoch."""
        n_rows, size = self.inputs.n_rows(self.phase.over), self.learning.batch_size
        return [min(size, n_rows - first) for first in range(0, n_rows, size)]

    @property
    def recorded_every(self) -> int:
        """Of how many steps the mean probabilities of one are recorded: an epoch has a few hundred records, however long."""
        return -(-self.n_steps // _RECORDS) if self.phases else 1

    def begin_epoch(self) -> None:
        """Draw which images the epoch shows, in what order and which of them flipped, and put that on the device."""
        self.started = time.perf_counter()
        if any(event["epoch"] == self.epoch for event in self.events):
            self._take([event for event in self.events if event["epoch"] <= self.epoch])
        if self.epoch == self.ends[self.number]:
            self._put(self.average)
            self._begin_phase(self.number + 1)
        phase, generator, shown = self.phase, self.generator, self.inputs.dataset.train.shown
        order = torch.stack([epoch_order(each, shown, generator, phase.per_class) for each in phase.samplers])
        flips = torch.stack([torch.randint(2, (len(of_draw),), generator=generator) for of_draw in order])
        if "pixels" in phase.needs:
            seeds = torch.randint(2**62, order.shape, generator=generator)
            drawn = torch.stack([order, flips, seeds])
            self.pixels = self.inputs.pixels(drawn, phase.augment, self.learning.batch_size)
        self._show(torch.stack([order, flips]).to(self.inputs.rows_on))
        self.lr = float(self.optimizer.param_groups[0]["lr"])
        self.recorder.begin_epoch(self.n_steps, order.shape[1])

    def _show(self, drawn: Tensor) -> None:
        """Put rows and flips (2, draws, N) of the epoch where its steps read them, from the first on."""
        if self.drawn.shape == drawn.shape and self.drawn.device == drawn.device:
            self.drawn.copy_(drawn)
            self.cursor.zero_()
        else:
            self.drawn, self.cursor = drawn, torch.zeros((), dtype=torch.long, device=drawn.device)
            self.changes += 1

    def batch(self, size: int) -> Batch:
        """What a step reads: the next `size` rows of the epoch's order; with several draws a first axis for them."""
        rows = self.cursor + torch.arange(size, device=self.cursor.device)
        index, flips = self.drawn.index_select(2, rows)
        self.cursor += size
        if len(self.phase.samplers) == 1:
            index, flips = index[0], flips[0]
        batch = self.inputs.batch(self.phase.needs, index, flips)
        if "pixels" in self.phase.needs:
            batch = replace(batch, pixels=next(self.pixels).unflatten(0, index.shape))
        return batch

    def diagnose(self, batch: Batch, text: Tensor | None, gradients: dict[str, Tensor | None]) -> None:
        """Norms of the terms' gradients on what moves first, and the method's own numbers; read after the epoch."""
        self.diagnosis: dict[str, Tensor] = {}
        for name, gradient in gradients.items():
            norm = torch.zeros((), device=self.inputs.device) if gradient is None else gradient.norm()
            self.diagnosis[name.replace("loss_", "grad_")] = norm
        self.diagnosis |= self.method.diagnostics(batch, text)

    def update(self) -> None:
        """Move what the phase moves, along the gradients that are there."""
        self.optimizer.step()
        if self.learning.ema:
            self._average()

    def _average(self) -> None:
        # AveragedModel of torch.optim.swa_utils asks the device at each step whether it has averaged yet
        torch._foreach_lerp_(self.average, [p.detach() for p in self.learned], 1 - self.learning.ema)

    def advance(self) -> None:
        """Set the learning rates of the next step."""
        self.steps += 1
        self._set_rates()

    def _set_rates(self) -> None:
        n_steps = max(self.phase.epochs * self.n_steps, 1)
        factor = learning_rate(self.steps, n_steps, self.learning.warmup)
        for group, highest in zip(self.optimizer.param_groups, self.rates):
            rate = highest * factor
            if self.inputs.device == "cpu":
                group["lr"] = rate
            elif isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:  # a tensor, which stays where it is: a CUDA graph of a step reads it there
                group["lr"] = torch.tensor(rate, device=self.inputs.device)

    def end_epoch(self, text: Tensor | None, company: int = 1) -> None:
        """Read what the epoch recorded, add its line to the history, and keep its weights if they are the best so far.

        text: features (P, D) of the method's prompts as they stand. company: how many runs share the seconds of the epoch.
        Raises NonFiniteLoss.
        """
        self.pixels = iter(())  # whoever read them ends
        if not self.learning.ema:
            self._average()
        if culprit := self.recorder.broke():
            raise NonFiniteLoss(self._explain(*culprit))
        self._record_epoch(text)
        settings = self.learning
        row: dict[str, Any] = {"epoch": self.epoch + 1, **self.recorder.read(), "lr": self.lr}
        if self.diagnosis:
            row |= zip(self.diagnosis, torch.stack([value.float() for value in self.diagnosis.values()]).tolist())
        chooses = settings.select != "last" and self.ends[self.number] == self.epochs
        if split := settings.select if chooses else self._watched:
            with self._averaged():
                row[f"{split}_map"] = self.mean_ap(split)
            if chooses and row[f"{split}_map"] > self.best:
                self.best, self.selected = row[f"{split}_map"], row["epoch"]
                self.best_weights = [average.clone() for average in self.average]
        row["seconds"] = (time.perf_counter() - self.started) / company
        self.history.append(row)

    @property
    def _watched(self) -> str | None:
        """The split whose images are scored after each epoch, whatever is selected: of a phase that tunes towers."""
        return ("val" if self.inputs.dataset.val else "train") if "pixels" in self.phase.needs else None

    def edit(self, setting: str, value: float | str) -> None:
        """Change the learning rate, `lam` or the loss from the next epoch on: an event of the run.

        The schedule goes on, at another height; the moments of the optimiser stay. Raises ValueError, one line, for another
        setting, one that the method does not have, a value that it cannot have, and after the last epoch.
        """
        if setting not in EDITABLE:
            raise ValueError(f"setting '{setting}' cannot change while a run trains: only {', '.join(EDITABLE)} can")
        if self.finished:
            raise ValueError(f"setting '{setting}' cannot change after the last epoch")
        event = Event(epoch=self.epoch, setting=setting, before=self.config.flat().get(setting, ""), after=value)
        self._take([*self.events, event])
        self.events.append(event)

    def _take(self, events: Sequence[Event]) -> None:
        """Put the settings after all events so far where training reads them. To take them again changes nothing."""
        self.config = edited(self._first_config, events)
        method = self.method
        method.settings = self.config.settings
        method.problem = with_loss(method.problem, self.learning, self.inputs.dataset.task.cutoffs)
        self.phases = method.phases()
        self.rates, self.changes = [group["lr"] for group in self.phase.parameters], self.changes + 1
        self._set_rates()

    def finish(self) -> None:
        """Put the weights in place that are kept: the averaged ones, or those of the best epoch."""
        self.recorder.read()  # what was recorded before training, where there was none
        if self.phases:
            self._put(self.average if self.best_weights is None else self.best_weights)
            if "pixels" in self.phase.needs:
                self._begin_phase(self.number + 1)  # which reads what was tuned
        if self.method.settles and self.inputs.dataset.val:
            self._settle()

    @torch.no_grad()
    def _settle(self) -> None:
        self.method.eval()
        self.method.settle(self.inputs.to_score("val"), self.encoded())
        self.method.train()

    @property
    def selected_epoch(self) -> int:
        """The epoch whose weights are kept."""
        return self.selected if self.phases and self.best_weights is not None else self.epoch

    # -------------------------------------------------------------------------------------------------- scores

    @torch.no_grad()
    def encoded(self) -> Tensor | None:
        """Features (P, D) of the method's prompts as they stand."""
        return self.inputs.clip.encode_prompts([self.method.prompts(None)])[0]

    @torch.no_grad()
    def directions(self) -> Tensor | None:
        """What image features are compared with, (C, D), as it stands."""
        return self._directions(self.encoded())

    def _directions(self, text: Tensor | None) -> Tensor | None:
        directions = self.method.directions(text)
        return None if directions is None else directions.detach().clone()

    @torch.no_grad()
    def evaluate(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Scores and logits (N, C) of the images of train, val or test, as the method ranks them.

        While towers are tuned, of whole images as they stand.
        """
        scores, logits = (torch.cat(each).cpu().numpy() for each in zip(*self._ranked(split)))
        return scores, logits

    @torch.no_grad()
    def write_scores(self, split: str, path: Path) -> np.ndarray:
        """The scores of `evaluate` as a memory-mapped file, a row a class: (C, N), float32. Raises DiskError."""
        shape = self.inputs.dataset.splits[split].shown.shape[::-1]
        check_room(path.parent, 4 * math.prod(shape))
        written, done = np.lib.format.open_memmap(path, "w+", np.float32, shape), 0
        take_room(path)
        for scores, _ in self._ranked(split):
            written[:, done : done + len(scores)] = scores.T.cpu().numpy()
            done += len(scores)
        return written

    def _ranked(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Scores and logits (B, C) of the images of a split, some at once."""
        self.method.eval()
        live = self.method.tuned() if self.phases and "pixels" in self.phase.needs else None
        text = self.encoded()
        for batch in [self.inputs.seen_live(live, split)] if live else self.inputs.scored(split):
            yield self.method.ranked(batch, text)
        self.method.train()

    def mean_ap(self, split: str, ranking: str = "softmax") -> float:
        """mAP (of single labels accuracy) in percent of the live weights on a split: val, train or, which is leakage where it
        chooses, test."""
        ranked = ranking_scores(self.evaluate(split)[0], ranking, self.method.logit_scale)
        measure = MEASURES[self.inputs.dataset.task.kind]
        labels = self.inputs.labels(split)
        if split == "train":
            # those that were fetched from a pool have no labels to be judged by
            listed = self.inputs.dataset.train.listed
            labels, ranked = labels[listed], ranked[listed]
        return float(100 * np.nanmean(measure.by_class(labels, ranked)))

    @torch.no_grad()
    def _record_epoch(self, text: Tensor | None) -> None:
        """Exact probabilities over the training set, of the method as it trains, or out of fold. Raises NonFiniteLoss."""
        if (logits := self.method.out_of_fold) is not None:
            judged = self.inputs.whole(("folds",)).judged()
            self.recorder.epoch([(logits, judged.targets, judged.known)])
        elif self.phases and "pixels" in self.phase.needs:
            self.recorder.epoch([])
        else:
            self.recorder.epoch(self._logits(text))

    def _logits(self, text: Tensor | None) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Logits of the training images with their targets and which of these are known, chunk by chunk. Raises NonFiniteLoss."""
        for batch in self.inputs.chunks():
            logits = self.method.logits(batch, text)
            if not logits.isfinite().all():
                if not hasattr(self, "before"):
                    raise NonFiniteLoss("logits are not finite before training: check the weights")
                rate = self.phase.rate
                lr = f"{rate} {getattr(self.learning, rate):g}"
                raise NonFiniteLoss(f"logits are not finite after epoch {self.epoch + 1} ({lr}): lower {rate}")
            yield logits, batch.targets, batch.known

    def _explain(self, logits: Tensor, targets: Tensor) -> str:
        settings, rate = self.learning, self.phase.rate
        broke, lr = f"the loss is not finite in epoch {self.epoch + 1}", f"{rate} {getattr(self.learning, rate):g}"
        if "pixels" in self.phase.needs:
            return f"{broke} ({lr}): lower {rate}"
        loss = cast(ClassificationLoss, self.method.problem.loss)
        bad = (~loss.elementwise(logits, targets).sum(0).isfinite()).nonzero().flatten().tolist()
        names = ", ".join(self.inputs.dataset.class_names[i] for i in bad[:3]) or "none of one class (another term)"
        return f"{broke} (class: {names}; loss {settings.loss}, {lr}): lower {rate}, or choose another loss"

    # ------------------------------------------------------------------------------------- what a checkpoint holds

    def state_dict(self) -> dict[str, Any]:
        """All that the next epochs depend on, copied."""
        names = ("average", "best_weights", "best", "selected", "history")
        state = {name: copy.deepcopy(getattr(self, name)) for name in names}
        moving = {name: copy.deepcopy(getattr(self, name).state_dict()) for name in ("method", "optimizer", "recorder")}
        for group in moving["optimizer"]["param_groups"]:
            group["lr"] = float(group["lr"])
        return state | moving | {"schedule": {"last_epoch": self.steps}, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a training where its checkpoint was made."""
        state = copy.deepcopy(state)
        self.history = state["history"]
        self.method.load_state_dict(state["method"])  # what it tuned decides what a later phase reads
        number = next(i for i, end in enumerate(self.ends) if self.epoch <= end)  # of the last epoch
        if number != self.number:
            self._begin_phase(number)
        if past := [event for event in self.events if event["epoch"] < self.epoch]:
            self._take(past)
        for name in ("best", "selected"):
            setattr(self, name, state[name])
        self.average, self.best_weights = (
            self._on_device(state["average"]),
            state["best_weights"] and self._on_device(state["best_weights"]),
        )
        for name in ("method", "optimizer", "recorder"):
            getattr(self, name).load_state_dict(state[name])
        self.steps, self.changes = state["schedule"]["last_epoch"], self.changes + 1
        self._set_rates()
        self.generator.set_state(state["generator"].cpu())

    def _on_device(self, values: list[Tensor]) -> list[Tensor]:
        return [value.to(parameter.device) for value, parameter in zip(values, self.learned)]

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
