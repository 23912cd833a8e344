"""Run folders of version 0.1 in the names of today: they are read, and nothing goes on from one."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from lmptlib.config import has_setting

_SETTINGS = {"head": "logit_map", "lr_head": "lr_logit_map"}
_BESIDE = ("residual", "hand_written", "centred")  # settings of every method then, now of the method prompts_and_probe
_TENSORS = {"context": "learner.context", "weight": "probe.weight", "bias": "probe.bias"}


def is_old(config: dict[str, Any]) -> bool:
    """Whether what `config.json` says is of a run of version 0.1."""
    return str(config.get("versions", {}).get("lmptlib", "")).startswith("0.1.")


def config(config: dict[str, Any]) -> dict[str, Any]:
    """What `config.json` says, its settings renamed and without those that the method of today does not have."""
    if not is_old(config):
        return config
    settings = {_SETTINGS.get(name, name): value for name, value in config["settings"].items()}
    if settings["method"] in ("coop", "lmpt") and any(settings[name] for name in _BESIDE):
        settings["method"] = "prompts_and_probe"
    settings = {name: value for name, value in settings.items() if has_setting(settings["method"], name)}
    return {**config, "settings": settings}


def metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """The ranking `logit` was called `cosine`."""
    scores = {"logit" if name == "cosine" else name: entry for name, entry in metrics["scores"].items()}
    return {**metrics, "scores": scores}


def scores(arrays: dict[str, np.ndarray], tensors: Callable[[], dict[str, Tensor]]) -> dict[str, np.ndarray]:
    """Scores were called `cosine`, and the logits were not kept."""
    if "cosine" not in arrays:
        return arrays
    found = {name.replace("cosine", "scores"): values for name, values in arrays.items()}
    kept = {name: tensors()[f"logit_map.{name}"].numpy() for name in ("a", "b")}
    for name in [name for name in found if name.endswith("scores")]:
        found[name.replace("scores", "logits")] = np.exp(kept["a"]) * found[name] + kept["b"]
    return found


def tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names that the methods of today give them."""
    if "a" not in tensors:
        return tensors
    old = _TENSORS | {"a": "logit_map.a", "b": "logit_map.b"}
    return {old.get(name, name.replace("residual_", "probe.")): tensor for name, tensor in tensors.items()}
