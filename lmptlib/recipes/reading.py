"""Recipes: named, complete sets of settings, kept as YAML beside this file.

A recipe has `about` (one line), `settings` for every method and data set and, where they differ, `tasks`, `datasets` and
`methods`: settings that go over them for one task, one data set or one method. `base` names a recipe that it goes over. A file with
`rows` is a published table, and each row a recipe of its own, `table/row`.
"""

from functools import cache
from pathlib import Path

import yaml

from lmptlib.data.loading import task_of
from lmptlib.errors import nearest

_FOLDER = Path(__file__).parent


@cache
def _files() -> dict[str, dict]:
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.yaml"))}


def recipe_names() -> list[str]:
    """All recipes: those by name first, then the rows of the published tables."""
    files = _files()
    alone = [name for name, file in files.items() if "rows" not in file]
    return alone + [f"{name}/{row}" for name, file in files.items() for row in file.get("rows", {})]


def read_recipe(name: str) -> dict:
    """What a recipe says by itself: about, settings, datasets, methods, base, minutes, published.

    `minutes` is the time of one run on emoji-lt with 2 CPU cores, features cached; `expected` what it gave there;
    `published` the address in `lmptlib.published` of the result that it goes for. Raises ValueError on an unknown name.
    """
    if name not in recipe_names():
        raise ValueError(f"unknown recipe '{name}'.{nearest(name, recipe_names())}")
    file, _, row = name.partition("/")
    recipe = _files()[file]
    if not row:
        return recipe
    own = recipe["rows"][row]
    shared = {key: value for key, value in recipe.items() if key != "rows"}
    return {**shared, **own, "settings": {**recipe.get("settings", {}), **own.get("settings", {})}}


def load_recipe(name: str, dataset: str, method: str | None = None) -> dict:
    """Every setting of a recipe, for a data set and a method (None: the recipe's own); a recipe goes over its base."""
    layers = [read_recipe(name)]
    while "base" in layers[0]:
        layers.insert(0, read_recipe(layers[0]["base"]))
    method = method or next(layer["settings"]["method"] for layer in reversed(layers) if "method" in layer["settings"])
    settings: dict = {}
    task = task_of(dataset)
    for layer in layers:
        settings |= layer.get("settings", {})
        settings |= layer.get("datasets", {}).get(dataset, {}) | layer.get("methods", {}).get(method, {})
        settings |= layer.get("tasks", {}).get(task, {})
    return settings | {"method": method}
