"""Run folders of version 0.1 in the names of today: they are read, and nothing goes on from one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lmptlib.config import COMMON, Config
from lmptlib.methods import METHODS
from lmptlib.paths import safe_name
from lmptlib.training.folder import read_record

_SETTINGS = {"head": "logit_map", "lr_head": "lr_logit_map"}
_BESIDE = ("residual", "hand_written", "centred")  # settings of every method then, now of the method prompts_and_probe
_TENSORS = {
    "context": "learner.context",
    "weight": "probe.weight",
    "bias": "probe.bias",
    "residual_weight": "probe.weight",
    "residual_bias": "probe.bias",
    "a": "logit_map.a",
    "b": "logit_map.b",
    "head_a": "logit_map.a",
    "head_b": "logit_map.b",
}


def is_old(config: dict[str, Any]) -> bool:
    """Whether what `config.json` says is of a run of version 0.1."""
    return str(config.get("versions", {}).get("lmptlib", "")).startswith("0.1.")


def config(config: dict[str, Any]) -> dict[str, Any]:
    """What `config.json` says: settings renamed, without those that the method of today does not have, with later ones."""
    if not is_old(config):
        return {**config, "settings": _with_later(config["settings"])}
    settings = {_SETTINGS.get(name, name): value for name, value in config["settings"].items()}
    if settings["method"] in ("coop", "lmpt") and any(settings[name] for name in _BESIDE):
        settings["method"] = "prompts_and_probe"
    has = {*COMMON, *METHODS[settings["method"]].Settings.model_fields}
    return {**config, "settings": _with_later({name: value for name, value in settings.items() if name in has})}


def _with_later(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with those that have come since, as every run was made before."""
    if settings["recipe"] == "best" and settings["method"] == "prompts_and_probe":
        settings = settings | {"recipe": "prompts_and_probe"}  # its name until there was a better one
    without_pool = {"tackle": None, "tackle_to": 20, "tackle_tau": None}
    exact = {"precision": "auto", "decoding": "full", "feature_dtype": "float32"}
    return (
        {"views": 1, "pool": "max"} | without_pool | exact | ({"trials": ""} if "epochs" in settings else {}) | settings
    )


def metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """The ranking `logit` was called `cosine`."""
    scores = {"logit" if name == "cosine" else name: entry for name, entry in metrics["scores"].items()}
    return {**metrics, "scores": scores}


def scores(arrays: dict[str, np.ndarray], tensors: Callable[[], dict[str, Tensor]]) -> dict[str, np.ndarray]:
    """Scores were called `cosine`, and the logits were not kept: `tensors` gives the file's, with their map."""
    if "cosine" not in arrays:
        return arrays
    found = {name.replace("cosine", "scores"): values for name, values in arrays.items()}
    a, b = (tensors()[name].numpy() for name in ("a", "b"))
    logits = {name.replace("scores", "logits"): np.exp(a) * found[name] + b for name in found if "scores" in name}
    return found | logits


def tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names that the methods of today give them."""
    if "a" not in tensors:
        return tensors
    # Sorted: of a run with a residual `a` and `b` are 0, because its scores are logits, and the map is `head_a`, `head_b`.
    return {_TENSORS.get(name, name): tensor for name, tensor in sorted(tensors.items())}


def stopped_twins(wanted: Config, dataset: str, outputs: Path) -> list[str]:
    """The names of folders in which version 0.1 has left a stopped run of these settings on a data set of this name."""
    if not wanted.learning:
        return []
    names = f"{safe_name(dataset)}-*-{safe_name(wanted.recipe)}-s{wanted.learning.seed}-*"
    found = {path.parent.name: read_record(path.parent) for path in sorted(outputs.glob(f"{names}/config.json"))}
    places = ("dataset", "data_root", "cache", "model", "weights", "device")
    settings = {name: value for name, value in wanted.flat().items() if name not in places}
    return [
        name
        for name, past in found.items()
        if is_old(past) and past.get("stopped_after") and settings.items() <= config(past)["settings"].items()
    ]
