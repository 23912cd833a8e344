"""One configuration for a run: settings of every run, and those of its method. For a user all are flat, by name."""

import itertools
import os
import reprlib
import types
import typing
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from lmptlib.clip.extraction import Decoding, Extraction, Stored
from lmptlib.clip.features import VIEWS
from lmptlib.clip.model import precision_of
from lmptlib.clip.preprocessing import check_preprocess
from lmptlib.data.loading import BUILT_IN
from lmptlib.data.pool import DRAWN
from lmptlib.errors import WORDS, limits, literals, nearest, read_yaml
from lmptlib.losses import effective_settings
from lmptlib.methods import METHODS, Learning, learns
from lmptlib.methods.base import OneOf, Settings
from lmptlib.paths import from_home
from lmptlib.recipes.reading import load_recipe


class Config(BaseModel):
    """Every setting of a run. `resolve` makes one; `flat` gives all of it by name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    recipe: str = Field("calibrated", description="a complete set of settings; `lmpt recipes` lists them")
    dataset: str = Field(
        "emoji-lt",
        description=f"{', '.join(BUILT_IN)}, or the path of a folder, a .csv or .json file or a .yaml card",
    )
    data_root: str | None = Field(
        None,
        description="where a built-in data set lies (None: data/), or the images that a file names (None: by its format)",
    )
    cache: str | None = Field(None, description="folder of computed features (None: data/cache, or below --out)")
    model: str = Field("clip-emoji", description="an open_clip model name, or the path of a config .json")
    weights: str | None = Field(None, description="a pretrained tag of open_clip, or a weights file")
    preprocess: Annotated[str, AfterValidator(check_preprocess)] = Field(
        "clip",
        description="images as the model was trained on (clip), as a pretrained tag was, or imagenet: squashed, "
        "ImageNet's mean and deviation",
    )
    views: Annotated[int, OneOf(tuple(VIEWS))] = Field(
        1, description="what an image is scored by: itself (1), and four crops (5), and nine smaller ones (14)"
    )
    decoding: Decoding = Field(
        "full",
        description="whole images as they are (full), or JPEGs of many times the model's size at a part of it (reduced)",
    )
    feature_dtype: Stored = Field("float32", description="numbers of features on disk: float16 takes half the room")
    pool: Literal["max", "mean", "softmax"] = Field(
        "max",
        description="what crops add to a class's score: the best one's, their mean, or a mean that leans to the best",
    )
    tackle: str | None = Field(
        None,
        description="a folder of unlabelled images, or emoji (drawn): what CLIP finds there for rare classes is trained on, "
        "too",
    )
    tackle_to: int = Field(
        20, ge=0, description="training images that classes with fewer are filled up to from the pool; 0: none is"
    )
    tackle_tau: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="what cosines are divided by to rank the pool (None: as CLIP does)"
    )
    method: Annotated[str, OneOf(tuple(METHODS))] = Field("lmpt", description="what is learned, and how")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where it computes; auto: cuda where there is one"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="of the towers' matrices; auto: bf16 on cuda, fp32 on cpu, where bf16 may be quicker"
    )
    settings: Settings = Field(description="the method's own")

    @property
    def learning(self) -> Learning | None:
        """The settings of learning step by step, where the method does."""
        return self.settings if isinstance(self.settings, Learning) else None

    @property
    def all_epochs(self) -> int:
        """Epochs of all phases; 0 where nothing is learned step by step."""
        return self.learning.all_epochs if self.learning else 0

    @property
    def enriches(self) -> bool:
        """Whether classes are filled up from a pool, where they have few training images."""
        return self.tackle is not None and self.tackle_to > 0

    @property
    def extraction(self) -> Extraction:
        """How features are made and kept."""
        return Extraction(self.decoding, self.feature_dtype)

    def flat(self) -> dict[str, Any]:
        """All settings by name, those of every run first."""
        return {name: getattr(self, name) for name in COMMON} | dict(self.settings)

    def given(self) -> dict[str, Any]:
        """Settings by name that `resolve` makes it of again: without those of every run that stayed defaults."""
        return {name: value for name, value in self.flat().items() if name not in COMMON.keys() - self.model_fields_set}

    def with_settings(self, **given: Any) -> "Config":
        """This configuration with other settings. Raises ValueError, one line, as `resolve` does."""
        left_out = {name for name, others in _GO_WITH.items() if others & given.keys()}
        flat = {name: value for name, value in self.given().items() if name not in left_out}
        return resolve(**flat | given)

    def effective(self) -> dict[str, Any]:
        """The settings that a result depends on, by name: not where things lie, and nothing without effect."""
        settings = self.flat()
        for place in ("recipe", "dataset", "data_root", "cache", "model", "weights", "tackle"):
            del settings[place]
        if self.learning:
            settings["loss_settings"] = effective_settings(
                self.learning.loss, settings.pop("preset"), read_loss_settings(self.learning.loss_settings)
            )
        if not settings.get("trials"):
            settings.pop("trials", None)
        for name in ("decoding", "feature_dtype"):
            if settings[name] == COMMON[name].default:
                del settings[name]
        if self.views == 1:
            del settings["views"], settings["pool"]
        if not self.enriches:
            del settings["tackle_to"], settings["tackle_tau"]
        if settings.get("logit_map") == "raw":
            settings.pop("lr_logit_map", None)
        if precision_of(self.device, self.precision) == precision_of(self.device, "auto"):
            del settings["precision"]
        for name in self.settings.idle():
            settings.pop(name, None)
        return settings


COMMON = {name: field for name, field in Config.model_fields.items() if name != "settings"}
RENAMED = {"head": "logit_map", "lr_head": "lr_logit_map"}  # settings of version 0.1
_GO_WITH = {"ctx_init": {"n_ctx"}, "n_ctx": {"ctx_init"}, "loss_settings": {"loss"}}  # what a change of others resets
_KINDS = {"int": int, "float": float, "bool": bool, "str": str}
_NEVER_NONE = ("recipe", "dataset", "model", "device", "seed")
_PATHS = ("dataset", "data_root", "cache", "model", "weights", "tackle", "out")
_FILES = (".csv", ".tsv", ".yaml", ".yml", ".json", ".jsonl", ".safetensors", ".pt", ".pth", ".bin")


@cache
def known_settings() -> dict[str, FieldInfo]:
    """Every setting by name: those of every run, then those of the methods."""
    own = {name: field for method in METHODS.values() for name, field in method.Settings.model_fields.items()}
    return COMMON | own


def has_setting(method: str, name: str) -> bool:
    """Whether a setting has a meaning with a method."""
    return name in COMMON or name in METHODS[method].Settings.model_fields


def type_of(field: FieldInfo) -> tuple[str, bool]:
    """int, float, bool or str, and whether None is allowed."""
    kinds: tuple[Any, ...] = (field.annotation,)
    if isinstance(field.annotation, types.UnionType):
        kinds = typing.get_args(field.annotation)
    plain = next(kind for kind in kinds if kind is not type(None))
    return ("str" if typing.get_origin(plain) is Literal else plain.__name__), type(None) in kinds


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    """The texts that a setting may be, or its list may hold; none where it may be any."""
    named = next((check.names for check in field.metadata if isinstance(check, OneOf)), ())
    return tuple(map(str, named)) or literals(field.annotation)


def read_value(name: str, kind: str, optional: bool, value: Any) -> Any:
    """A value from a command line or a YAML file, as its kind (int, float, bool, str); a path is made absolute.

    Raises ValueError, one line.
    """
    # a list from a YAML file may hold itself many times over
    text = reprlib.repr(value) if isinstance(value, (list, dict)) else str(value).strip()
    if optional and text.lower() in ("none", "null"):
        return None
    try:
        if value is None or isinstance(value, (list, dict)):
            raise ValueError
        value = {"true": True, "false": False}[text.lower()] if kind == "bool" else _KINDS[kind](text)
    except (KeyError, ValueError):
        raise ValueError(f"parameter '{name}' must be {WORDS[kind]}, not '{text}'") from None
    if name in _PATHS and kind == "str":
        # A name or a tag stays as it is, whatever lies in the caller's folder.
        path = from_home(value)
        is_path = name in ("data_root", "cache", "out") or path.suffix in _FILES or (os.sep in value and path.exists())
        is_path |= name == "tackle" and value not in ("", DRAWN)
        is_path |= name == "dataset" and value not in ("", *BUILT_IN) and os.path.isdir(path)
        return os.path.abspath(path) if is_path else value
    return value


def read_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Settings from a command line or a YAML file in their types. Raises ValueError, one line.

    `none` leaves a setting to the recipe.
    """
    _check_names(given)
    kinds = {name: type_of(known_settings()[name])[0] for name in given}
    return {name: read_value(name, kinds[name], name not in _NEVER_NONE, value) for name, value in given.items()}


def _check_names(given: typing.Iterable[str]) -> None:
    for name in given:
        if name in RENAMED:
            raise ValueError(f"setting '{name}' is called '{RENAMED[name]}' now")
        if name not in known_settings():
            raise ValueError(f"unknown setting '{name}'.{nearest(str(name), known_settings())}")


def resolve(**settings: Any) -> Config:
    """A complete configuration: the recipe's settings with `settings` over them.

    A value of None counts as not given; what was given is in the configuration's `model_fields_set`. Raises
    ValueError, one line, on an unknown name, a setting that the method does not have, a wrong type or a value out of
    bounds.

    >>> from lmptlib import resolve
    >>> resolve(method="coop", lr=1e-3).settings.lr
    0.001
    """
    _check_names(settings)
    given = {name: value for name, value in settings.items() if value is not None}
    for name in given.keys() & {"recipe", "dataset", "method"}:
        _validated(Config, name, given[name])
    common = {name: field.default for name, field in COMMON.items()}
    recipe = load_recipe(
        given.get("recipe", common["recipe"]), given.get("dataset", common["dataset"]), given.get("method")
    )
    method = recipe["method"]
    _validated(Config, "method", method)
    _check_owned(method, given)
    if "loss" in given and "loss_settings" not in given:
        recipe["loss_settings"] = ""  # the recipe's are those of its own loss
    if "n_ctx" in given and "ctx_init" not in given:
        given["ctx_init"] = "random"  # the recipe's words have a length of their own
    elif "ctx_init" in given and "n_ctx" not in given and given["ctx_init"] != "random":
        recipe["n_ctx"] = None  # as many as there are words
    if not learns(method):
        recipe.pop("select", None)  # which epoch is kept: closed forms have none, and always choose by folds
    config = _complete({name: value for name, value in {**recipe, **given}.items() if has_setting(method, name)})
    trials_of(config)
    return config


def saved_config(settings: dict[str, Any]) -> Config:
    """The configuration that a run has saved, of all its settings: its recipe, which may be no more, is not read.

    Raises ValueError, one line, as `resolve` does.
    """
    _check_names(settings)
    _validated(Config, "method", settings["method"])
    _check_owned(settings["method"], settings)
    return _complete({name: value for name, value in settings.items() if name not in COMMON or value is not None})


def _check_owned(method: str, names: typing.Iterable[str]) -> None:
    for name in names:
        if not has_setting(method, name):
            owners = [owner for owner in METHODS if has_setting(owner, name)]
            raise ValueError(f"method '{method}' has no setting '{name}' (it goes with {', '.join(owners)})")


def _complete(settings: dict[str, Any]) -> Config:
    """A configuration of settings that its method has, checked together."""
    method = settings["method"]
    own = {name: value for name, value in settings.items() if name not in COMMON}
    common = {name: value for name, value in settings.items() if name in COMMON}
    config = _built(Config, common | {"settings": _built(METHODS[method].Settings, own)})
    if config.learning:
        effective_settings(
            config.learning.loss, config.learning.preset, read_loss_settings(config.learning.loss_settings)
        )
    if config.views == 1 and METHODS[method].needs_crops(config.settings):
        raise ValueError(f"method '{method}' needs crops: views 5 or 14")
    if config.views == 1 and config.pool != COMMON["pool"].default:
        raise ValueError("setting 'pool' goes with views 5 or 14")
    for name in ("tackle_to", "tackle_tau"):
        if config.tackle is None and getattr(config, name) != COMMON[name].default:
            raise ValueError(f"setting '{name}' goes with tackle, a pool of images")
    return config


MOST_TRIALS = 10


def trials_of(config: Config) -> list[dict[str, Any]]:
    """What `select: folds` tries: every combination of the values that the setting `trials` names.

    Raises ValueError, one line, where there are none, too many, or one that the method cannot have.
    """
    if not config.learning or (config.learning.select != "folds" and not config.learning.trials):
        return []
    if config.learning.select != "folds":
        raise ValueError("setting 'trials' goes with select 'folds'")
    named = read_loss_settings(config.learning.trials, "trials", "lr: [1e-3, 1e-2]")
    if not named:
        raise ValueError("select 'folds' needs trials: name them, as in trials 'lr: [1e-3, 1e-2]'")
    axes = {name: values if isinstance(values, list) else [values] for name, values in named.items()}
    for name, axis in axes.items():
        if not axis or None in axis or any(value in axis[:i] for i, value in enumerate(axis)):
            raise ValueError(f"trials of '{name}' are different values, at least one")
    trials = [read_settings(dict(zip(axes, values))) for values in itertools.product(*axes.values())]
    if len(trials) > MOST_TRIALS:
        raise ValueError(f"{len(trials)} trials; {MOST_TRIALS} at most: name fewer values")
    for fixed in {"select", "trials", "seed", *COMMON} & axes.keys():
        raise ValueError(f"trials cannot vary '{fixed}'")
    for values in trials:
        config.with_settings(select="last", trials="", **values)
    return trials


def _built(kind: type[BaseModel], values: dict[str, Any]) -> Any:
    try:
        return kind(**values)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        raise ValueError(f"setting '{name}' {_complaint(kind.model_fields[name], problem)}") from None


def _validated(kind: type[BaseModel], name: str, value: Any) -> None:
    """Check one field alone."""
    try:
        kind.__pydantic_validator__.validate_assignment(kind.model_construct(), name, value)
    except ValidationError as error:
        raise ValueError(f"setting '{name}' {_complaint(kind.model_fields[name], error.errors()[0])}") from None


def _complaint(field: FieldInfo, problem: Any) -> str:
    """What is wrong with the value of a setting, in our words."""
    value = problem["input"]
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "literal_error":
        return f"is one of {', '.join(literals(field.annotation))}, not '{value}'"
    if problem["type"] in ("greater_than", "less_than", "greater_than_equal", "less_than_equal", "finite_number"):
        return f"must be {limits(field)}, not {value}"
    return f"must be {WORDS[type_of(field)[0]]}, not {value!r}"


def read_loss_settings(
    text: str, name: str = "loss_settings", example: str = "gamma: 3, alpha: 0.25"
) -> dict[str, Any]:
    """The settings in a text like `l1_neg: 5, l2_pos: [1, 1, 2]`. Raises ValueError, one line, where it is none."""
    try:
        settings = read_yaml(f"{{{text}}}")
    except ValueError:
        settings = None
    if not isinstance(settings, dict) or None in settings.values() or not all(isinstance(key, str) for key in settings):
        raise ValueError(f"setting '{name}' must be like '{example}', not '{text}'")
    return {
        key: [_number(part) for part in value] if isinstance(value, list) else _number(value)
        for key, value in settings.items()
    }


def _number(value: Any) -> Any:
    """YAML takes 5e-2 for text: a number that is written so is one."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def fitting(settings: dict[str, Any]) -> dict[str, Any]:
    """Those of `settings` that their method has: for runs of several methods that are given settings together."""
    given = {name: value for name, value in settings.items() if value is not None}
    common = {name: given.get(name, COMMON[name].default) for name in ("recipe", "dataset")}
    method = load_recipe(common["recipe"], common["dataset"], given.get("method"))["method"]
    return {name: value for name, value in given.items() if method not in METHODS or has_setting(method, name)}


def changed(given: dict[str, Any]) -> dict[str, Any]:
    """What a notebook is given, but for the seed and what is the default anyway: it goes over every run of a sweep.

    A model stays, for the default one looks at photographs where it is asked to alone.
    """
    defaults = {name: field.default for name, field in COMMON.items() if name != "model"}
    return {name: value for name, value in given.items() if name != "seed" and value != defaults.get(name)}
