"""What a run would be, before a model is loaded."""

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from lmptlib.clip.loading import EMBEDDED, weights_fingerprint
from lmptlib.clip.model import Clip
from lmptlib.clip.tackle import enriched
from lmptlib.config import COMMON, Config, resolve
from lmptlib.data.checks import repeated_pictures
from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.loading import load_dataset
from lmptlib.data.pool import COMPARING, DRAWN, read_pool
from lmptlib.losses import LOSSES
from lmptlib.methods import METHODS
from lmptlib.paths import cache_folder, outputs_folder
from lmptlib.training.folder import RunFolder, read_record, run_key, run_name


def pick_device(device: str) -> str:
    """`auto` is cuda where there is one. Raises ValueError when cuda is asked for and absent."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for and no CUDA device is there: pass -p device cpu, or leave it out")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def check_model(config: Config, dataset: Dataset) -> Dataset:
    """The data set, with a warning among its own where the toy model, which saw emoji alone, looks at its photographs.

    Raises ValueError where it would do that unasked, being the default.
    """
    if not _is_toy(config, dataset):
        return dataset
    if "model" not in config.model_fields_set:
        toy = f"the default model, {EMBEDDED}, is a toy that has seen drawings of emoji alone"
        real = "-p model ViT-B-16 -p weights openai, or another of open_clip's"
        raise ValueError(f"{dataset.name}: {toy}: name one that has seen photographs, as {real}")
    note = f"{EMBEDDED} is a toy that has seen no photograph: the numbers say nothing of what CLIP can do with these"
    return replace(dataset, warnings=(*dataset.warnings, f"{dataset.name}: {note}"))


def _is_toy(config: Config, dataset: Dataset) -> bool:
    """Whether a model that has seen emoji alone looks at photographs."""
    return config.model == EMBEDDED and dataset.pictures != "emoji"


_EDITED = "-edited-"


@dataclass(frozen=True)
class Plan:
    """A run's configuration with its device, its data, what identifies it, and where it goes."""

    config: Config
    dataset: Dataset
    fingerprints: dict[str, str]  # of data and weights, and of the pool where there is one
    key: str
    path: Path
    cache: Path  # of computed features
    marks: list[str]  # what whoever reads its numbers must know
    pool: Split | None = None  # where rare classes are filled up from

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.path, self.key)

    @property
    def reads(self) -> tuple:
        """What its inputs are made of: runs that have this alike can share a CLIP and inputs."""
        own = ("recipe", "method", "pool")
        common = {name: getattr(self.config, name) for name in COMMON if name not in own}
        return (*common.items(), self.cache, *self.fingerprints.items())

    def enriched(self, clip: Clip, log: Callable[[str], None] = print) -> Dataset:
        """Its data set as it is trained on: with what this CLIP finds in the pool, where there is one."""
        if self.pool is None:
            return self.dataset
        settings = self.config
        of_pool = settings.tackle_to, settings.tackle_tau, self.cache, log, settings.extraction
        return enriched(self.dataset, self.pool, clip, *of_pool)

    def edited(self) -> "Plan":
        """With a folder and a key of its own: a run that is changed by hand is none of its configuration any more."""
        mark = f"{_EDITED}{uuid4().hex[:6]}"
        return replace(self, key=self.key + mark, path=self.path.with_name(self.path.name + mark))


def plan_run(
    config: Config, out: str | Path | None = None, memory: dict | None = None, elsewhere: bool = False
) -> Plan:
    """The plan of a run: picks its device, checks the lists, hashes images and weights.

    elsewhere: another machine will make it, whose device 'cuda' need not be here ('auto' is what this one has). `memory`
    keeps data sets and weights' hashes from one call to the next, for the runs of one sweep. Raises DataError or ValueError
    for everything that is wrong with them.
    """
    if not (elsewhere and config.device == "cuda"):
        config = config.model_copy(update={"device": pick_device(config.device)})
    memory = {} if memory is None else memory
    cache = cache_folder(config.cache, out)
    weights = once(memory, weights_fingerprint, config.model, config.weights)
    dataset, fingerprint = once(memory, _read, config.dataset, config.data_root, cache)
    if METHODS[config.method].needs_captions(config.settings) and dataset.train.captions is None:
        to_do = "add them ('lmpt data caption'), or use method coop"
        raise ValueError(f"{dataset.name}: method '{config.method}' learns from captions, and there are none: {to_do}")
    if config.learning and config.learning.select == "val" and dataset.val is None:
        raise ValueError(f"{dataset.name}: select 'val' needs a validation split, and there is none: use 'last'")
    dataset = check_model(config, dataset)
    marks = ["TOY MODEL"] if _is_toy(config, dataset) else []
    fingerprints, pool = {"dataset": fingerprint, "clip": weights}, None
    if config.enriches:
        _check_enriched(config, dataset)
        pool, fingerprints["pool"] = once(memory, _read_pool, config.tackle, config.data_root, cache)
    key = run_key(config, fingerprints)
    path = outputs_folder(out) / run_name(config, dataset.name, key)
    return Plan(config, dataset, fingerprints, key, path, cache, marks, pool)


def _check_enriched(config: Config, dataset: Dataset) -> None:
    """Raises ValueError for a pool of drawings beside photographs, and where the labels that images from a pool do not have
    cannot be left out."""
    if config.tackle == DRAWN and dataset.pictures != "emoji":
        raise ValueError(
            f"{dataset.name}: tackle '{DRAWN}' are drawings, and these are photographs: give a folder of such"
        )
    if dataset.task.single:
        return
    why = "of an image from a pool one class is known, and the others are not"
    if not METHODS[config.method].masks_unknown(config.settings):
        masking = ", ".join(name for name, method in METHODS.items() if method.masks_unknown(method.Settings()))
        raise ValueError(
            f"method '{config.method}' needs all labels of an image, so no tackle: {why}; others can do without: {masking}"
        )
    if config.learning and LOSSES[config.learning.loss][0].over_classes:
        raise ValueError(
            f"loss '{config.learning.loss}' compares classes, so no tackle: {why}; take bce, db_focal, ..."
        )


def plan_again(folder: Path, out: str | Path | None = None, memory: dict | None = None) -> Plan:
    """The plan of a run that was begun, to go on with it; an edited run goes on in its own folder.

    Raises ValueError, one line, where its record is damaged, or its data or weights are not those of then.
    """
    record = read_record(folder)
    if not {"settings", "key"} <= record.keys():
        raise ValueError(f"{folder}: no run to go on with, its config.json is damaged")
    plan = plan_run(resolve(**record["settings"]), out, memory)
    if record["key"].partition(_EDITED)[0] != plan.key:
        raise ValueError(
            f"{folder}: its data, its weights or the library are not those of its first epochs: begin anew"
        )
    return replace(plan, key=record["key"], path=folder)


def _read(name: str, data_root: str | None, cache: Path) -> tuple[Dataset, str]:
    """A data set, with what the digests of its images tell among its warnings, and its fingerprint."""
    dataset = load_dataset(name, data_root)
    notes = tuple(f"{dataset.name}: {note}" for note in repeated_pictures(dataset, cache))
    return replace(dataset, warnings=dataset.warnings + notes), dataset.fingerprint(cache)


def _read_pool(name: str, data_root: str | None, cache: Path) -> tuple[Split, str]:
    """A pool, and a hash of its images and of how they are compared."""
    pool = read_pool(name, data_root)
    return pool, hashlib.sha256("".join([COMPARING, *pool.digests(cache)]).encode()).hexdigest()


def once(memory: dict, function: Callable, *arguments: Hashable) -> Any:
    """What a function gives of arguments, from a memory where that has it."""
    if (function, arguments) not in memory:
        memory[function, arguments] = function(*arguments)
    return memory[function, arguments]
