"""Feature jobs: what runs read of a data set, computed before, part by part, by this process or by workers."""

import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path

import pandas as pd

from lmptlib.clip.extraction import Extraction
from lmptlib.clip.features import (
    Stretch,
    Towers,
    caption_stretches,
    image_stretches,
    make_part,
    part_path,
    write_index,
)
from lmptlib.clip.loading import load_clip
from lmptlib.clip.model import Clip
from lmptlib.clip.parts import load_part
from lmptlib.clip.progress import Progress, duration
from lmptlib.config import Config
from lmptlib.data.dataset import Dataset
from lmptlib.data.loading import load_dataset
from lmptlib.paths import cache_folder, write_atomically
from lmptlib.sweeps.cluster import Work, Workers
from lmptlib.sweeps.engine import attempts
from lmptlib.training.plan import check_model, pick_device

# What a feature depends on, and where things lie.
SETTINGS = ("data_root", "cache", "model", "weights", "preprocess", "decoding", "feature_dtype", "precision", "device")
_HERE = Workers()


@dataclass(frozen=True)
class PartTask:
    """The features of a stretch, by the CLIP of `config`, which `opened` gives in this process."""

    name: str
    stretch: Stretch
    path: Path
    config: Config
    opened: Callable[[], Clip]
    progress: Progress

    @property
    def key(self) -> str:
        return self.path.stem

    @property
    def home(self) -> Path:
        return self.path.parent

    @property
    def parts(self) -> list["PartTask"]:
        return [self]

    def make(self) -> list[Path]:
        make_part(self.opened(), self.stretch, self.path, self.progress.add, log=self.progress.log)
        return [self.path]

    def order(self) -> Work:
        return partial(_make_part, self.config, self.stretch, self.path.name)

    def unpack(self, content: bytes) -> None:
        write_atomically(self.path, content)


def extract_features(
    config: Config, workers: Workers = _HERE, captions: bool = False, log: Callable[[str], None] = print
) -> pd.DataFrame:
    """Compute all features of a data set that are not in the cache folder: of its images, and, where asked for, `captions`.

    Training images are seen plain and flipped, others plain. A table, which is logged, too: a row a split, its rows, its
    parts, and how many of these are done (those that were there, too), failed and missing. Raises RuntimeError, naming parts
    that are not done and why; ValueError or DataError where the data set or the model is not what it should be.
    """
    dataset = check_model(config, load_dataset(config.dataset, config.data_root))
    for warning in dataset.warnings:
        log(f"note: {warning}")
    if captions and dataset.train.captions is None:
        raise ValueError(f"{dataset.name}: its training images have no captions: leave out --captions")
    elsewhere = bool(workers.scheduler or workers.batch)
    device = "cuda" if elsewhere and config.device == "cuda" else pick_device(config.device)
    config = config.model_copy(update={"device": device})
    opened = cache(partial(load_clip, config.model, config.weights, device, log, config.preprocess, config.precision))
    # workers open their own, and may have another device
    clip = opened() if workers.here else load_clip(config.model, config.weights, "cpu", log, config.preprocess)
    towers = Towers(clip.fingerprint_on(device, config.precision), device)
    folder = cache_folder(config.cache).absolute()
    del clip
    splits = _stretches(dataset, captions, folder, config.extraction)
    paths = {split: [part_path(folder, towers, stretch) for stretch in found] for split, found in splits.items()}
    progress = Progress(f"features of {dataset.name}", 0, log, "images and captions" if captions else "images")
    tasks = {
        path: PartTask(f"{split} part {number}", stretch, path, config, opened, progress)
        for split, found in splits.items()
        for number, (path, stretch) in enumerate(zip(paths[split], found), 1)
        if load_part(path, stretch.names, len(stretch), log) is None
    }
    n_parts = len({path for found in paths.values() for path in found})
    log(f"{dataset.name}: {n_parts} parts, {n_parts - len(tasks)} finished, {len(tasks)} to make")
    states, failures = _make(list(tasks.values()), progress, workers, log)
    rows = []
    for split, found in splits.items():
        count = Counter(states.get(path.stem, "done") for path in paths[split])
        rows.append([split, sum(map(len, found)), len(found), count["done"], count["failed"], count["missing"]])
        if count["done"] == len(found) and (index := write_index(folder, towers, found)):
            log(f"{split}: its parts in order: {index}")
    table = pd.DataFrame(rows, columns=["split", "rows", "parts", "done", "failed", "missing"])
    log(table.to_string(index=False))
    if failures:
        raise RuntimeError(
            "\n".join([f"{len(failures)} of {len(tasks)} parts failed, the others are there:", *failures])
        )
    return table


def _stretches(dataset: Dataset, captions: bool, cache: Path, extraction: Extraction) -> dict[str, list[Stretch]]:
    """What runs read of a data set, by its splits."""
    found = {name: image_stretches(split, name == "train", cache, extraction) for name, split in dataset.splits.items()}
    return found | ({"captions": caption_stretches(dataset.train, extraction)} if captions else {})


def _make(
    tasks: Sequence[PartTask], progress: Progress, workers: Workers, log: Callable[[str], None]
) -> tuple[dict[str, str], list[str]]:
    """What became of each part, by its key, and a text for each that is not done."""
    sizes = {task.key: len(task.stretch) for task in tasks}
    progress.begin(sum(sizes.values()))
    states, failures, behind = {}, list[str](), 0
    for number, part in enumerate(attempts(lambda n: tasks, len(tasks), workers, log), 1):
        states[part.task.key] = part.state
        behind += sizes[part.task.key]
        progress.done = behind
        where = "" if workers.here else f" on {part.where}"
        told = part.error.partition("\n")[0] or f"done in {duration(part.seconds)}{where}"
        log(f"[{number}/{len(tasks)}] {part.task.name}  {told}  ({progress})")
        failures += [f"{part.task.name}: {part.error}"] if part.error else []
    return states, failures


def _make_part(config: Config, stretch: Stretch, file: str, folder: Path, job: str) -> list[Path]:
    """Make a part on a worker, under the name that whoever asks has for it."""
    clip = _opened(config.model, config.weights, config.device, config.preprocess, config.precision, job)
    path = part_path(folder, clip, stretch)
    if path.name != file:
        raise ValueError(f"weights or library on {socket.gethostname()} are not those of the machine that asks")
    make_part(clip, stretch, path, count=lambda n: None, log=lambda line: None)
    return [path]


@lru_cache(maxsize=1)
def _opened(model: str, weights: str | None, device: str, preprocess: str, precision: str, job: str) -> Clip:
    """A worker's CLIP, open for all its parts of a job."""
    return load_clip(model, weights, device, log=lambda line: None, preprocess=preprocess, precision=precision)
