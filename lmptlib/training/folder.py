"""The run folder, written."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from lmptlib import __version__
from lmptlib.config import Config
from lmptlib.methods.prompts import METHODS
from lmptlib.paths import replace_folder, safe_name
from lmptlib.runs.run import Run

WITHOUT_LEARNING = ("head", "centred", "preprocess", "device")  # settings that matter to methods that learn nothing


def run_key(config: Config, fingerprints: dict[str, str]) -> str:
    """What a run's result depends on, as a hash: configuration, data, weights and version."""
    settings = dataclasses.asdict(config)
    for place in ("dataset", "data_root", "model", "weights"):
        settings.pop(place)  # their content counts, by its fingerprint, and not where it lies
    if not METHODS[config.method].learns:
        settings = {name: settings[name] for name in ("method", *WITHOUT_LEARNING)}
    return hashlib.sha256(json.dumps([settings, fingerprints, __version__], sort_keys=True).encode()).hexdigest()


def run_name(config: Config, dataset_name: str, key: str) -> str:
    """A folder's name: what the run is, for the eye, and the beginning of its key."""
    learned = [config.loss, config.recipe, f"s{config.seed}"] if METHODS[config.method].learns else []
    return safe_name("-".join([dataset_name, config.method, *learned, key[:12]]))


def write_run(
    folder: Path,
    config: dict,
    history: list[dict],
    probabilities: dict[str, np.ndarray],
    metrics: dict,
    scores: dict[str, np.ndarray],
    prompts: dict[str, Tensor],
    checkpoint: dict | None = None,
) -> Path:
    """Write a run folder in one step: it appears whole or not at all, in place of an earlier one of its name."""
    with replace_folder(folder) as draft:
        (draft / "config.json").write_text(json.dumps(config, indent=2))
        (draft / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
        (draft / "metrics.json").write_text(json.dumps(metrics, indent=2))
        np.savez_compressed(draft / "probabilities.npz", **probabilities)
        np.savez_compressed(draft / "scores.npz", **scores)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in prompts.items()}
        (draft / "prompts.safetensors").write_bytes(save(tensors))
        if checkpoint:
            torch.save(checkpoint, draft / "checkpoint.pt")
    return folder


def is_finished(folder: Path, key: str) -> bool:
    """Whether the folder holds the finished run of this key."""
    return _holds(folder, key) and not Run(folder).stopped


def checkpoint(folder: Path, key: str) -> Path | None:
    """Where the run of this key goes on from, if the folder holds it and it was stopped."""
    return folder / "checkpoint.pt" if _holds(folder, key) and Run(folder).stopped else None


def _holds(folder: Path, key: str) -> bool:
    return (folder / "metrics.json").is_file() and Run(folder).config["key"] == key
