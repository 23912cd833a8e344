"""One training loop: a run is `train(config) -> folder`."""

import dataclasses
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmptlib import __version__, runs
from lmptlib.clip import Clip, load_clip, weights_fingerprint
from lmptlib.config import Config, resolve
from lmptlib.data import Dataset, load_dataset
from lmptlib.evaluate import average_precision, evaluate, softmax_scores
from lmptlib.features import Features, extract
from lmptlib.losses import CSELoss, make_loss
from lmptlib.methods import METHODS, Head, PromptLearner


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
        return runs.is_finished(self.folder, self.key)


def plan(config: Config, out: str | Path | None = None) -> Plan:
    """The plan of a run: completes the configuration, checks the lists, hashes images and weights.

    Raises DataError or ValueError for everything that is wrong with them.
    """
    config = resolve(**vars(config))
    config = dataclasses.replace(config, device=pick_device(config.device))
    weights = weights_fingerprint(config.model, config.weights)
    dataset = load_dataset(config.dataset, config.data_root)
    if METHODS[config.method].captions and dataset.train.captions is None:
        raise ValueError(
            f"{dataset.name}: method '{config.method}' learns from captions, and the card names none: add them, or use coop"
        )
    if config.select == "val" and dataset.val is None:
        raise ValueError(f"{dataset.name}: select 'val' needs a validation split, and there is none: use 'last'")
    fingerprints = {"dataset": dataset.fingerprint(), "clip": weights}
    key = runs.run_key(config, fingerprints)
    folder = runs.outputs_folder(out) / runs.run_name(config, dataset.name, key)
    return Plan(config, dataset, fingerprints, key, folder)


def train(
    config: Config, out: str | Path | None = None, force: bool = False, log: Callable[[str], None] = print
) -> Path:
    """Train, evaluate and write one run; return its folder.

    A finished run with the same key (configuration, data, weights, version) is returned as it is, unless `force`.
    Raises DataError or ValueError for wrong input before training starts, NonFiniteLoss if the loss stops being finite.
    """
    planned = plan(config, out)
    config, dataset, folder = planned.config, planned.dataset, planned.folder
    if planned.finished and not force:
        log(f"finished already: {folder}")
        return folder
    started = time.time()
    for warning in dataset.warnings:
        log(f"note: {warning}")
    clip = load_clip(config.model, config.weights, config.device, log)
    method = METHODS[config.method]
    generator = torch.Generator().manual_seed(config.seed)
    ctx_init = config.ctx_init if method.learns else "a photo of a"
    prompts = PromptLearner(
        clip,
        dataset.class_names,
        ctx_init,
        config.n_ctx if method.learns else None,
        config.class_specific,
        generator,
    )
    features = extract(clip, dataset, captions=method.captions, log=log)
    state = _Fit(config, dataset, clip, prompts, features, generator)
    before = state.text_features()
    if method.learns:
        state.fit(log)
    after = state.text_features()

    cosine = (features.test @ after.cpu().T).numpy()
    metrics = evaluate(dataset.test.labels, cosine, clip.logit_scale, dataset.class_names, dataset.groups)
    record = {
        "key": planned.key,
        "settings": dataclasses.asdict(config),
        "dataset": dataset.name,
        "classes": [
            {"class": name, "group": str(group), "train": int(count)}
            for name, group, count in zip(dataset.class_names, dataset.groups, dataset.class_counts)
        ],
        "n_train": len(dataset.train),
        "n_test": len(dataset.test),
        "logit_scale": clip.logit_scale,
        "warnings": dataset.warnings,
        "fingerprints": planned.fingerprints,
        "versions": {"lmptlib": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "device": torch.cuda.get_device_name()
        if config.device == "cuda"
        else platform.processor() or platform.machine(),
        "seconds": round(time.time() - started, 2),
        "selected_epoch": state.selected,
    }
    runs.write_run(
        folder,
        record,
        state.history,
        {
            name: np.array(rows, np.float32).reshape(-1, len(dataset.class_names))
            for name, rows in state.probabilities.items()
        },
        metrics,
        {"cosine": cosine, "labels": dataset.test.labels},
        {"context": prompts.context, "a": state.head.a, "b": state.head.b, "before": before, "after": after},
    )
    softmax, cos = (metrics["scores"][scoring]["total"] for scoring in ("softmax", "cosine"))
    log(f"mAP {_show(softmax)} softmax, {_show(cos)} cosine; written to {folder}")
    return folder


def _show(percent: float | None) -> str:
    return "none" if percent is None else f"{percent:.2f}"


class _Fit:
    """The state of one training: prompts, head, losses and what is recorded along the way."""

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        clip: Clip,
        prompts: PromptLearner,
        features: Features,
        generator: torch.Generator,
    ):
        self.config, self.dataset, self.prompts, self.generator = config, dataset, prompts, generator
        device = config.device
        counts = torch.from_numpy(dataset.class_counts)
        self.logit_scale = clip.logit_scale
        self.images = torch.stack([features.train, features.train_flipped]).to(device)  # (2, N, D)
        self.captions = features.captions.to(device) if features.captions is not None else None
        self.targets = torch.from_numpy(dataset.train.labels).float().to(device)
        self.val = features.val
        self.head = Head(config.head, clip.logit_scale).to(device)
        if config.head == "affine":
            self.head.calibrate(self.images[0] @ self.text_features().T, self.targets)
        self.criterion = make_loss(config.loss, counts, len(dataset.train), config.preset, allow_empty=True).to(device)
        self.cse = CSELoss(counts, config.eta, config.gamma, config.soft_margin, config.reweight).to(device)
        self.history: list[dict] = []
        self.selected = 0
        self.probabilities: dict[str, list[np.ndarray]] = {
            f"{every}_{side}": [] for every in ("iteration", "epoch") for side in ("positive", "negative")
        }
        self._record_epoch()

    @torch.no_grad()
    def text_features(self) -> Tensor:
        return self.prompts()

    def fit(self, log: Callable[[str], None]) -> None:
        config, n_images = self.config, len(self.targets)
        groups = [{"params": [self.prompts.context], "lr": config.lr, "weight_decay": config.weight_decay}]
        if config.head == "affine":
            groups.append({"params": list(self.head.parameters()), "lr": config.lr_head, "weight_decay": 0.0})
        if config.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, momentum=config.momentum)
        else:
            optimizer = torch.optim.AdamW(groups, betas=(config.momentum, 0.999))
        n_steps = config.epochs * -(-n_images // config.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        best, kept = -1.0, None
        for epoch in range(1, config.epochs + 1):
            started = time.perf_counter()
            lr = optimizer.param_groups[0]["lr"]
            sums = np.zeros(3)  # loss, loss_cls, loss_cse
            diagnostics: dict[str, float] = {}
            for index in torch.randperm(n_images, generator=self.generator).split(config.batch_size):
                flip = torch.randint(2, (len(index),), generator=self.generator)
                loss, parts, logits, prompts = self._forward(index, flip)
                if not torch.isfinite(loss):
                    raise NonFiniteLoss(self._explain(epoch, index, logits, parts))
                self._record("iteration", logits.detach(), self.targets[index])
                if not diagnostics:
                    diagnostics = self._diagnose(parts, prompts, index)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                sums += len(index) * np.array([loss.item(), parts[0].item(), parts[1].item()])
            self._record_epoch()
            means = dict(zip(("loss", "loss_cls", "loss_cse"), (sums / n_images).tolist()))
            row = {"epoch": epoch, **means, "lr": lr, **diagnostics}
            if config.select == "val":
                row["val_map"] = self._validate()
                if row["val_map"] > best:
                    best, self.selected = row["val_map"], epoch
                    kept = [p.detach().clone() for p in (self.prompts.context, self.head.a, self.head.b)]
            row["seconds"] = time.perf_counter() - started
            self.history.append(row)
            log(
                f"epoch {epoch:2d}/{config.epochs}  loss {row['loss']:.4f}  (classification {row['loss_cls']:.4f}, "
                f"CSE {row['loss_cse']:.4f})  lr {lr:.1e}  {row['seconds']:.2f} s"
            )
        if kept is None:
            self.selected = config.epochs
        else:
            with torch.no_grad():
                for parameter, value in zip((self.prompts.context, self.head.a, self.head.b), kept):
                    parameter.copy_(value)

    def _forward(self, index: Tensor, flip: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor, Tensor]:
        """Loss, its two terms, logits (B, C) and prompt features (C, D) of a batch: LMPT Eq. 11 without its bracket slip."""
        prompts = self.prompts()
        logits = self.head(self.images[flip, index] @ prompts.T)
        targets = self.targets[index]
        loss_cls = self.criterion(logits, targets)
        if self.captions is None:
            loss_cse = torch.zeros_like(loss_cls)
            return loss_cls, (loss_cls, loss_cse), logits, prompts
        loss_cse = self.cse(self.captions[index], prompts, targets)
        return self.config.lam * loss_cls + (1 - self.config.lam) * loss_cse, (loss_cls, loss_cse), logits, prompts

    def _diagnose(self, parts: tuple[Tensor, Tensor], prompts: Tensor, index: Tensor) -> dict[str, float]:
        """Gradient norms of both terms on the contexts, and the share of negatives inside the CSE margin."""
        (gradient,) = torch.autograd.grad(parts[0], self.prompts.context, retain_graph=True)
        found = {"grad_cls": gradient.norm().item()}
        if self.captions is not None:
            (gradient,) = torch.autograd.grad(parts[1], self.prompts.context, retain_graph=True)
            found["grad_cse"] = gradient.norm().item()
            found["inside_margin"] = self.cse.inside_margin(self.captions[index], prompts.detach(), self.targets[index])
        return found

    def _record_epoch(self) -> None:
        with torch.no_grad():
            logits = self.head(self.images[0] @ self.prompts().T)
        if not logits.isfinite().all():
            raise NonFiniteLoss(
                f"logits are not finite after epoch {len(self.history) + 1} (lr {self.config.lr:g}): lower lr"
            )
        self._record("epoch", logits, self.targets)

    def _record(self, every: str, logits: Tensor, targets: Tensor) -> None:
        positive, negative = mean_probabilities(logits, targets)
        self.probabilities[f"{every}_positive"].append(positive.cpu().numpy())
        self.probabilities[f"{every}_negative"].append(negative.cpu().numpy())

    def _validate(self) -> float:
        cosine = (self.val @ self.text_features().cpu().T).numpy()
        ap = average_precision(self.dataset.val.labels, softmax_scores(cosine, self.logit_scale))
        return float(100 * np.nanmean(ap))

    def _explain(self, epoch: int, index: Tensor, logits: Tensor, parts: tuple[Tensor, Tensor]) -> str:
        per_class = self.criterion.elementwise(logits, self.targets[index]).sum(0)
        bad = (~per_class.isfinite()).nonzero().flatten().tolist()
        names = ", ".join(self.dataset.class_names[i] for i in bad[:3]) or "none of one class (the CSE term)"
        return (
            f"the loss is not finite in epoch {epoch} (class: {names}; loss {self.config.loss}, lr {self.config.lr:g}, "
            f"head {self.config.head}): lower lr, or choose another loss"
        )


def mean_probabilities(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Per class, the mean of p over positives and of 1 - p over negatives, (C,) each (PG Eq. 6).

    logits and targets (B, C). NaN for a class without positives (or negatives): gaps stay gaps.
    """
    p = torch.sigmoid(logits)
    positive = (p * targets).sum(0) / targets.sum(0)
    negative = ((1 - p) * (1 - targets)).sum(0) / (1 - targets).sum(0)
    return positive, negative
