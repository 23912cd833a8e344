"""What runs are called: one short label a configuration, the same in every table and figure.

A label has the method and, of the other settings that have an effect, those that differ among the runs shown. The seed is
none of them: seeds of one configuration share a label, and two configurations never do. A user may give another label.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from lmptlib.config import COMMON, read_loss_settings
from lmptlib.losses import effective_settings, loss_title
from lmptlib.methods import METHODS, learns, method_title
from lmptlib.recipes.reading import load_recipe

_DEFAULT_RECIPE = COMMON["recipe"].default
# What a label calls a setting, where its name with spaces is no word of the field.
_WORDS = {
    "n_ctx": "context length",
    "ctx_init": "init",
    "class_specific": "class-specific",
    "tackle": "from",
    "tackle_to": "TACKLE to",
}
# Settings whose value tells what it is.
_PLAIN = ("loss", "sampler", "optimizer", "model", "weights")
_VALUES = {"sgd": "SGD", "adamw": "AdamW"}
_FIRST = ("method", "model", "weights", "loss", "sampler", "trials")
_MOST = 3  # where more settings differ, a label says those alone that are not as its recipe has them, and the loss
LONGEST = 80  # letters of a label that a user gives


def labels(runs: Sequence[Any]) -> list[str]:
    """The label of each run among the others: runs, or ensembles of runs."""
    first: dict[str, Any] = {}
    for run in sorted(runs, key=lambda run: run.folder.name):
        first.setdefault(run.configuration, run)
    made = dict(zip(first, _made(list(first.values()))))
    own = {run.configuration: run.own_label for run in reversed(runs) if run.own_label}
    called = {key: ", ".join([own[key], *first[key].marks]) if key in own else label for key, label in made.items()}
    called = _apart(called, lambda key: f"{called[key]} ({made[key]})" if key in own else called[key])
    called = _apart(called, lambda key: f"{called[key]} #{key.rpartition('-')[2][:6]}")
    return [called[run.configuration] for run in runs]


def check_same_data(runs: Iterable[Any]) -> list:
    """The runs as a list. Raises ValueError when they are not of one data set: their numbers do not compare."""
    runs = list(runs)
    for run in runs:
        if run.data_fingerprint != runs[0].data_fingerprint:
            names = f"{run.folder.name} and {runs[0].folder.name}"
            raise ValueError(f"{names} are of different data: compare runs on one data set")
    return runs


def _apart(called: dict[str, str], longer: Callable[[str], str]) -> dict[str, str]:
    """Labels by configuration, with a `longer` one where several have the same."""
    times = Counter(called.values())
    return {key: longer(key) if times[label] > 1 else label for key, label in called.items()}


def described(run: Any) -> str:
    """A run's configuration for hovering, `; ` between its parts: method, and what differs from the default recipe."""
    if not run.settings:
        return run.title
    told, usual = _told(run, True), _usual(run, _DEFAULT_RECIPE)
    others = [
        _text(name, value)
        for name, value in told.items()
        if (value != usual.get(name) and name != "device") or name == "loss"
    ]
    recipe = run.settings["recipe"]
    parts = [
        method_title(run.settings["method"]),
        *([f"recipe {recipe}"] if recipe != _DEFAULT_RECIPE else []),
        *others,
    ]
    chosen = [f"{_text(name, value)} (chosen by folds)" for name, value in run.config.get("chosen", {}).items()]
    return "; ".join([*parts, *(chosen if "trials" in told else []), *_marks(run, told)])


def differing(runs: Sequence[Any]) -> list[dict[str, Any]]:
    """For each run those of its settings that have an effect and differ among the runs, as they are set, by name."""
    several = _several_models(runs)
    told = [({"method": run.settings["method"]} if run.settings else {}) | _told(run, several) for run in runs]
    differ = [name for name in _names(told) if len(_values(told, name)) > 1]
    return [{_shown(name): one[name] for name in differ if name in one} for one in told]


def _made(runs: Sequence[Any]) -> list[str]:
    """The labels of configurations, one run of each, by what differs among them."""
    told = [_told(run, _several_models(runs)) for run in runs]
    usual = [_usual(run, run.settings["recipe"]) if run.settings else {} for run in runs]
    kinds = [(run.settings["method"], run.settings["recipe"]) if run.settings else run.folder for run in runs]
    said: set[Any] = set()
    by_recipe: set[Any] = set()
    for name in _names(told):
        having = [i for i, one in enumerate(told) if name in one]
        pairs = {(kinds[i], str(told[i][name])) for i in having}
        if len(_values(told, name)) > 1:
            as_usual = all(told[i][name] == usual[i].get(name) for i in having)
            # as usual, one value for each method and recipe: these tell it
            (by_recipe if as_usual and len(pairs) == len({kind for kind, _ in pairs}) else said).add(name)
    made = []
    for run, one, its_usual in zip(runs, told, usual):
        moved = [name for name in one if one[name] != its_usual.get(name) or name == "loss"]
        names = [name for name in _names([one]) if name in said and (len(said) <= _MOST or name in moved)]
        texts = [_text(name, one[name]) for name in names]
        made.append(", ".join([run.title, *_recipe(run, one, by_recipe), *texts, *_marks(run, names)]))
    return made


def _marks(run: Any, told: Collection) -> list[str]:
    """A run's marks, without `edited` where the setting of that name is told."""
    return [mark for mark in run.marks if mark not in told]


def _values(told: Sequence[dict], name: Any) -> set[str]:
    """The values that a setting has among runs, as text."""
    return {str(one[name]) for one in told if name in one}


def _recipe(run: Any, told: dict, names: Collection) -> list[str]:
    """The name of a run's recipe, where that is not the default and has an effect on one of the settings `names`."""
    if not run.settings or run.settings["recipe"] == _DEFAULT_RECIPE:
        return []
    usual = _usual(run, _DEFAULT_RECIPE)
    return [f"recipe {run.settings['recipe']}"] if any(told[n] != usual.get(n) for n in names if n in told) else []


def _told(run: Any, with_model: bool) -> dict[Any, Any]:
    """A run's settings that may be said of it: those with an effect, a loss's own as pairs of the loss and the name."""
    if not run.settings:
        return {}
    told: dict[Any, Any] = {"views": 1, "tackle_to": 0} | run.effective
    told.pop("method")
    loss = {(told["loss"], name): value for name, value in told.pop("loss_settings", {}).items()}
    tried = read_loss_settings(told["trials"]) if "trials" in told else {}
    if tried:
        # which the trials decide, or say
        told = {name: value for name, value in told.items() if name not in ("select", *tried)}
    if with_model:
        told |= {"model": Path(run.asked.model).stem, "weights": _weights(run.asked.weights)}
    if told["tackle_to"]:
        told["tackle"] = Path(run.asked.tackle).name
    return told | ({} if {"loss", "loss_settings"} & set(tried) else loss)


def _weights(given: str | None) -> str:
    """Weights by a tag or the name of a file; those that a run tuned by the last part of its name."""
    path = Path(given or "embedded")
    return f"tuned {path.parent.name[-6:]}" if path.name == "tuned.safetensors" else path.stem


def _usual(run: Any, recipe: str) -> dict[Any, Any]:
    """What a recipe says of the settings of a run's method, as `_told` has them."""
    method = run.asked.method
    fields = COMMON | METHODS[method].Settings.model_fields
    given = _of_recipe(recipe, run.asked.dataset, method)
    if not learns(method):
        # which epoch is kept: closed forms have none
        given = {name: value for name, value in given.items() if name != "select"}
    usual: dict[Any, Any] = {name: given.get(name, field.default) for name, field in fields.items()}
    usual |= {"tackle_to": 0, "weights": "embedded"}  # without a pool, or a file
    if "loss" in usual:
        loss = run.effective["loss"]
        own = read_loss_settings(usual["loss_settings"]) if loss == usual["loss"] else {}
        usual |= {(loss, name): value for name, value in effective_settings(loss, usual["preset"], own).items()}
    return usual


@cache
def _of_recipe(recipe: str, dataset: str, method: str) -> dict[str, Any]:
    """A recipe's settings; none where it is no more, as its file may have been the user's."""
    try:
        return load_recipe(recipe, dataset, method)
    except (ValueError, OSError):
        return {}


def _several_models(runs: Sequence[Any]) -> bool:
    return len({run.config["fingerprints"]["clip"] for run in runs if run.settings}) > 1


def _names(told: Sequence[dict]) -> list:
    """The names of settings, in the order of a label: what says most, then as they come."""
    found = dict.fromkeys(name for one in told for name in one)
    return [*(name for name in _FIRST if name in found), *(name for name in found if name not in _FIRST)]


def _shown(name: Any) -> str:
    """A setting as a table calls it: by its name, those of a loss behind `loss`."""
    return f"loss {name[1]}" if isinstance(name, tuple) else name


def _text(name: Any, value: Any) -> str:
    """A setting and its value as a label says them."""
    shown = _WORDS.get(name) or _shown(name).replace("_", " ")
    if name == "tackle_to" and not value:
        return "no TACKLE"
    if isinstance(value, bool):
        return shown if value else f"{'no' if name == 'soft_margin' else 'not'} {shown}"
    return _value(name, value) if name in _PLAIN else f"{shown} {_value(name, value)}"


def _value(name: Any, value: Any) -> str:
    """A value for reading: `1e-3`, `class-aware`, `DB-Focal`."""
    if isinstance(value, (list, tuple)):
        return "/".join(_value(name, part) for part in value) or "none"
    if isinstance(value, float) and 0 < abs(value) < 0.01:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    if not isinstance(value, str):
        return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    if name == "loss":
        return loss_title(value)
    if name == "members":
        return " + ".join(method_title(member.strip()) for member in value.split(","))
    if name == "trials":
        return " and ".join(read_loss_settings(value))
    return _VALUES.get(value, value.replace("_", "-")) if name != "ctx_init" else f"'{value}'"


def with_grouping(table: pd.DataFrame, runs: Iterable[Any]) -> pd.DataFrame:
    """A table whose `attrs` say what kind of task its runs have, and how their classes came into groups."""
    table.attrs |= next((run.attrs for run in runs), {"grouping": ""})
    return table
