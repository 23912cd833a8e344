"""Recipes: named, complete sets of settings, kept as YAML beside this file.

A recipe has `about` (one line), `settings` for every method and data set, and, where they differ, `datasets` and
`methods`: settings that go over them for one data set or one method.
"""

from functools import cache
from pathlib import Path

import yaml

from lmptlib.data import nearest

_FOLDER = Path(__file__).parent


def recipe_names() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


@cache
def read_recipe(name: str) -> dict:
    """The recipe as it is written. Raises ValueError on an unknown name."""
    if name not in recipe_names():
        raise ValueError(f"unknown recipe '{name}'.{nearest(name, recipe_names())}")
    return yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def load_recipe(name: str, dataset: str, method: str) -> dict:
    """The recipe's settings for a data set and a method."""
    recipe = read_recipe(name)
    return {
        **recipe["settings"],
        **recipe.get("datasets", {}).get(dataset, {}),
        **recipe.get("methods", {}).get(method, {}),
    }
