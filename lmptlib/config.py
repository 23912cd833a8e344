"""One configuration for a run: a frozen dataclass, completed from a recipe."""

import dataclasses
import os
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lmptlib.clip.loading import PREPROCESSINGS
from lmptlib.data.samplers import SAMPLERS
from lmptlib.errors import nearest
from lmptlib.losses import LOSSES, PRESETS, make_loss
from lmptlib.methods.prompts import HEADS, METHODS, POSITIONS
from lmptlib.recipes.reading import load_recipe


@dataclass(frozen=True)
class Config:
    """Every setting of a run. A field left at None takes the recipe's value; `resolve` fills them all in."""

    # what is learned, from what, on what
    recipe: str = "calibrated"  # a complete set of settings; `lmpt recipes` lists them
    dataset: str = "emoji-lt"  # emoji-lt, voc-lt, coco-lt, or the path of a .csv file or a .yaml card
    data_root: str | None = (
        None  # where a built-in data set lies (None: data/), or the images of a .csv file (None: beside it)
    )
    model: str = "clip-emoji"  # an open_clip model name, or the path of a config .json
    weights: str | None = None  # a pretrained tag of open_clip, or a weights file
    preprocess: str | None = None  # images as clip was trained on, or imagenet: squashed, ImageNet's mean and deviation
    method: str | None = None  # zero_shot, zero_shot_templates, coop, lmpt or linear_probe
    loss: str | None = None  # the classification loss, a name in lmptlib.losses.LOSSES
    preset: str | None = None  # the loss's published settings: voc-lt or coco-lt
    loss_settings: str | None = None  # settings of the loss over the preset's, as YAML: l1_neg: 5, l2_pos: [1, 1, 2]
    # the prompts
    n_ctx: int | None = None  # context tokens M; given without ctx_init, they start at random
    ctx_init: str | None = None  # words the contexts start from, or 'random'
    class_specific: bool | None = None  # one context per class, or one for all
    class_position: str | None = None  # where the class name stands: end, front or middle of the context
    hand_written: float | None = None  # share of the hand-written prompt in the final classifier, 0 to 1
    residual: float | None = None  # share in the logits of a linear head learned beside the prompts, 0 to 1
    centred: bool | None = None  # cosines with text features less their mean over classes, or with text features
    # the objective
    lam: float | None = None  # weight of the classification loss; 1 - lam weighs the CSE loss
    eta: float | None = None  # scale of the CSE margins
    gamma: float | None = None  # power of the CSE class weights
    soft_margin: bool | None = None  # CSE margins by class frequency, or one for all
    reweight: str | None = None  # CSE weights: frequency, uniform (1/C) or ones (1, the literal reading)
    level: str | None = None  # CSE operands: feature (text tower's outputs) or token (input embeddings)
    head: str | None = None  # logits: raw exp(logit_scale) * cos, or affine, affine_per_class: learned exp(a) * cos + b
    # the optimisation
    epochs: int | None = None  # passes over the training images
    batch_size: int | None = None  # images a step
    sampler: str | None = None  # shuffle, class_aware, square_root or effective_number
    optimizer: str | None = None  # sgd or adamw
    lr: float | None = None  # learning rate of the contexts (of the probe's weights), cosine to 0
    lr_head: float | None = None  # learning rate of a and b
    warmup: int | None = None  # iterations over which the learning rate rises from a third
    momentum: float | None = None  # of sgd; the first beta of adamw
    weight_decay: float | None = None  # of the contexts (of the probe's weights)
    ema: float | None = None  # decay of the average of the weights that is kept in their place; 0: none
    select: str | None = None  # which epoch is kept: last, val (best on the validation split) or test (leakage)
    # the machine and the draw
    seed: int = 0  # of contexts, batches and flips
    device: str = "auto"  # auto, cpu or cuda


FIELDS = {field.name: field for field in dataclasses.fields(Config)}
TYPES = typing.get_type_hints(Config)
WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}  # types, for messages
# Of the field reweight, as CSELoss takes them.
REWEIGHT = {"frequency": True, "uniform": False, "ones": "ones"}
_CHOICES = {
    "method": tuple(METHODS), "loss": tuple(LOSSES), "preset": tuple(PRESETS), "head": HEADS,
    "class_position": POSITIONS, "level": ("feature", "token"), "sampler": SAMPLERS, "preprocess": PREPROCESSINGS,
    "reweight": tuple(REWEIGHT), "optimizer": ("sgd", "adamw"), "select": ("last", "val", "test"), "device": ("auto", "cpu", "cuda"),
}  # fmt: skip
_BOUNDS = {
    "n_ctx": (1, 64), "lam": (0, 1), "hand_written": (0, 1), "residual": (0, 1), "eta": (0, None), "gamma": (0, None), "epochs": (1, None),
    "batch_size": (1, None), "lr": (0, None), "lr_head": (0, None), "warmup": (0, None), "momentum": (0, 0.999),
    "weight_decay": (0, None), "ema": (0, 0.99999), "seed": (0, 2**63 - 1),
}  # fmt: skip


_PATHS = ("dataset", "data_root", "model", "weights", "out")
_FILES = (".csv", ".yaml", ".yml", ".json", ".safetensors", ".pt", ".pth", ".bin")
_KINDS = {"int": int, "float": float, "bool": bool, "str": str}


def read_value(name: str, kind: str, optional: bool, value: Any) -> Any:
    """A value from a command line or a YAML file, as its kind (int, float, bool, str); a path is made absolute.

    Raises ValueError, one line.
    """
    text = str(value).strip()
    if optional and text.lower() in ("none", "null"):
        return None
    try:
        if value is None or isinstance(value, (list, dict)):
            raise ValueError
        value = {"true": True, "false": False}[text.lower()] if kind == "bool" else _KINDS[kind](text)
    except (KeyError, ValueError):
        raise ValueError(f"parameter '{name}' must be {WORDS[kind]}, not '{text}'") from None
    if name in _PATHS and kind == "str":
        path = Path(value).expanduser()  # a name or a tag stays as it is, whatever lies in the caller's folder
        is_path = name in ("data_root", "out") or path.suffix in _FILES or (os.sep in value and path.exists())
        return os.path.abspath(path) if is_path else value
    return value


def read_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Settings from a command line or a YAML file as the types of `Config`. Raises ValueError, one line."""
    settings = {}
    for name, value in given.items():
        if name not in FIELDS:
            raise ValueError(f"unknown setting '{name}'.{nearest(name, FIELDS)}")
        kinds = typing.get_args(TYPES[name]) or (TYPES[name],)
        settings[name] = read_value(name, kinds[0].__name__, len(kinds) > 1, value)
    return settings


def resolve(**settings) -> Config:
    """A complete configuration: the recipe's settings with `settings` over them.

    A value of None counts as not given. Raises ValueError, one line, on an unknown name, a wrong type or a value out of
    bounds.
    """
    for name in settings:
        if name not in FIELDS:
            raise ValueError(f"unknown setting '{name}'.{nearest(name, FIELDS)}")
    given = {name: value for name, value in settings.items() if value is not None}
    base = Config(**given)
    recipe = load_recipe(base.recipe, base.dataset, base.method)
    if "loss" in given and "loss_settings" not in given:
        recipe["loss_settings"] = ""  # the recipe's are those of its own loss
    if "n_ctx" in given and "ctx_init" not in given:
        given["ctx_init"] = "random"  # the recipe's words have a length of their own
    elif "ctx_init" in given and "n_ctx" not in given and given["ctx_init"] != "random":
        recipe["n_ctx"] = None  # as many as there are words
    config = dataclasses.replace(base, **{**recipe, **given})
    for name, value in vars(config).items():
        kinds = [kind for kind in (typing.get_args(TYPES[name]) or (TYPES[name],)) if kind is not type(None)]
        if value is None and name in ("data_root", "weights", "n_ctx"):
            continue
        if float in kinds and type(value) is int:
            value = float(value)
            config = dataclasses.replace(config, **{name: value})
        if type(value) not in kinds:
            raise ValueError(f"setting '{name}' must be {WORDS[kinds[0].__name__]}, not {value!r}")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ValueError(f"setting '{name}' is one of {', '.join(_CHOICES[name])}, not '{value}'")
        low, high = _BOUNDS.get(name, (None, None))
        if (low is not None and not value >= low) or (high is not None and not value <= high) or value == float("inf"):
            raise ValueError(
                f"setting '{name}' must be {f'from {low} to {high}' if high else f'at least {low}'}, not {value}"
            )
    method = METHODS[config.method]
    if not method.learns:  # of another method's recipe, and of no effect
        config = dataclasses.replace(config, hand_written=0.0, residual=0.0)
    if not method.prompts:
        for name, none in (("hand_written", 0.0), ("residual", 0.0), ("centred", False), ("head", "raw")):
            if getattr(config, name) != none:
                raise ValueError(f"{name} goes with prompts, and method '{config.method}' has none: set it to {none}")
    read_loss_settings(config.loss, config.loss_settings)
    return config


def read_loss_settings(loss: str, text: str) -> dict:
    """The settings in a text like `l1_neg: 5, l2_pos: [1, 1, 2]`. Raises ValueError, one line, where they are not the loss's."""
    try:
        settings = yaml.safe_load(f"{{{text}}}")
    except yaml.YAMLError:
        settings = None
    if not isinstance(settings, dict) or None in settings.values():
        raise ValueError(f"setting 'loss_settings' must be like 'gamma: 3, alpha: 0.25', not '{text}'")
    settings = {name: _number(value) for name, value in settings.items()}
    make_loss(loss, [1], 2, **settings)  # says what is wrong with them
    return settings


def _number(value: Any) -> Any:
    """YAML takes 5e-2 for text: a number that is written so is one."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def from_namespace(namespace: dict) -> Config:
    """The configuration of a notebook: every setting that its `globals()` hold. Raises ValueError as `resolve` does."""
    return resolve(**{name: namespace[name] for name in FIELDS if name in namespace})


def changed(namespace: dict) -> dict[str, Any]:
    """The settings of a notebook, but for the seed, that are not the defaults: they go over every run of a sweep."""
    found = {name: namespace[name] for name, f in FIELDS.items() if namespace.get(name, f.default) != f.default}
    return {name: value for name, value in found.items() if name != "seed"}
