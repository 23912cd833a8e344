"""Sweeps: a grid of configurations as data, run one after the other or side by side, and one table at the end.

A grid is a YAML file (those beside this module have names):

    about: one line
    settings: {method: lmpt}          # of every run
    rows:                             # named sets of settings, a row of the table each (optional)
      margin: {soft_margin: true}
    grid: {loss: [bce, db_focal]}     # every combination, with every row (optional)
    ensembles:                        # rows made of others: the weighted average of their logits, seed by seed (optional)
      both: {bce: 0.5, db_focal: 0.5}
    seeds: [0, 1, 2]                  # the default
    baseline: margin, bce             # the row that the others are compared with (optional)
    published: {margin: lmpt/3/margin}  # a row's printed counterpart in `lmptlib.published` (optional)
"""

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lmptlib.config import Config, read_settings, resolve
from lmptlib.errors import first_line, nearest
from lmptlib.methods.prompts import METHODS
from lmptlib.published.tables import published
from lmptlib.recipes.reading import recipe_names

_FOLDER = Path(__file__).parent


_KEYS = ("about", "settings", "rows", "grid", "ensembles", "seeds", "baseline", "published")


@dataclass(frozen=True)
class Sweep:
    """Rows of a table, each with the configurations of its seeds."""

    name: str
    about: str
    rows: dict[str, list[Config]]
    baseline: str | None = None
    ensembles: dict[str, dict[str, float]] = field(default_factory=dict)  # row -> weights of other rows
    published: dict[str, str] = field(default_factory=dict)  # row -> address in lmptlib.published

    @property
    def configs(self) -> list[Config]:
        return [config for part in self.rows.values() for config in part]


def sweep_names() -> list[str]:
    """The grids that come with the library, and the published tables among the recipes."""
    tables = dict.fromkeys(name.partition("/")[0] for name in recipe_names() if "/" in name)
    return [*sorted(path.stem for path in _FOLDER.glob("*.yaml")), *tables]


def read_sweep(name: str, given: dict | None = None, baseline: str | None = None) -> Sweep:
    """A sweep by the path of its grid, by name, or a published table's; `given` settings go over every run's.

    `given` may hold `seeds`; `baseline` takes the place of the grid's. Raises ValueError, one line, for everything that
    is wrong with it, before anything runs.
    """
    given_path = Path(name).suffix in (".yaml", ".yml") or os.sep in name
    path = Path(name) if given_path else _FOLDER / f"{name}.yaml"
    if given_path and not path.is_file():
        raise ValueError(f"{name}: no such file")
    if path.is_file():
        grid = _read_grid(path)
    elif name in sweep_names():
        rows = {
            recipe.partition("/")[2]: {"recipe": recipe} for recipe in recipe_names() if recipe.startswith(f"{name}/")
        }
        grid = {"rows": rows, "published": {row: f"{name.replace('_table', '/')}/{row}" for row in rows}}
    else:
        raise ValueError(f"no sweep '{name}'.{nearest(name, sweep_names())}")
    given, shared = dict(given or {}), grid.get("settings", {})
    varied = {key: values if isinstance(values, list) else [values] for key, values in grid.get("grid", {}).items()}
    named = {str(label): settings for label, settings in (grid.get("rows") or {"": {}}).items()}
    seeds = _seeds(path.name, given.pop("seeds", grid.get("seeds", [0, 1, 2])))
    for key in given:
        if key in varied or any(key in settings for settings in named.values()):
            raise ValueError(f"{path.name}: its rows vary '{key}', which cannot be given for all of them")
    for settings in (shared, varied, given, *named.values()):
        if "seed" in settings:
            raise ValueError(f"{path.name}: 'seed' is given by 'seeds', a list")
    rows: dict[str, list[Config]] = {}
    for label, settings in named.items():
        for values in itertools.product(*varied.values()):
            shown = [
                value if isinstance(value, str) else f"{key} {value}"
                for (key, choices), value in zip(varied.items(), values) if len(choices) > 1
            ]  # fmt: skip
            row = ", ".join([*([label] if label else []), *shown]) or path.stem
            if row in rows:
                raise ValueError(f"{path.name}: two rows are called '{row}'")
            rows[row] = _with_seeds({**shared, **settings, **dict(zip(varied, values)), **given}, seeds, path)
    if not rows:
        raise ValueError(f"{path.name}: no rows, a list in 'grid' is empty")
    if len({(part[0].dataset, part[0].data_root) for part in rows.values()}) > 1:
        raise ValueError(f"{path.name}: rows on several data sets do not compare: a sweep for each (-p dataset)")
    baseline, ensembles = baseline or grid.get("baseline"), grid.get("ensembles", {})
    baseline = None if baseline is None else str(baseline)
    published_rows, known = grid.get("published", {}), {*rows, *ensembles}
    for row in itertools.chain.from_iterable(ensembles.values()):
        if row not in rows:
            raise ValueError(f"{path.name}: no row '{row}' to average.{nearest(str(row), rows)}")
    for row in ensembles:
        if row in rows:
            raise ValueError(f"{path.name}: '{row}' is a row and an ensemble: name one otherwise")
    for row, address in published_rows.items():
        if row not in known:
            raise ValueError(f"{path.name}: no row '{row}' to have a printed counterpart.{nearest(str(row), known)}")
        if address not in (addresses := published()["address"].to_list()):
            raise ValueError(f"{path.name}: nothing printed at '{address}'.{nearest(str(address), addresses)[:200]}")
    if baseline is not None and baseline not in known:
        raise ValueError(f"{path.name}: no row '{baseline}' to compare with.{nearest(str(baseline), known)}")
    leaking = [row for row, part in rows.items() if part[0].select == "test" and METHODS[part[0].method].learns]
    mark = {row: f"{row} (TEST-SET LEAKAGE)" if row in leaking else row for row in known} | {None: None}
    return Sweep(
        path.stem,
        grid.get("about", name),
        {mark[row]: part for row, part in rows.items()},
        mark[baseline],
        {row: {mark[part]: weight for part, weight in weights.items()} for row, weights in ensembles.items()},
        {mark[row]: address for row, address in published_rows.items()},
    )


def _seeds(name: str, seeds: list[int]) -> list[int]:
    whole = isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds)
    if not whole or len(set(seeds)) < len(seeds):
        raise ValueError(f"{name}: 'seeds' is a list of different whole numbers, at least one, not {seeds!r}")
    return seeds


def _read_grid(path: Path) -> dict:
    try:
        grid = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: not a YAML file ({first_line(error)})") from None
    if not isinstance(grid, dict):
        raise ValueError(f"{path}: a grid has the keys {', '.join(_KEYS)}")
    for key in grid:
        if key not in _KEYS:
            raise ValueError(f"{path}: unknown key '{key}'.{nearest(str(key), _KEYS)}")
    if not grid.keys() & {"settings", "rows", "grid"}:
        raise ValueError(f"{path}: a grid needs 'settings', 'rows' or 'grid'")
    for key in ("settings", "rows", "grid", "ensembles", "published"):
        if not isinstance(grid.get(key, {}), dict):
            raise ValueError(f"{path}: '{key}' is a mapping of 'name: value' lines")
    for row, weights in grid.get("ensembles", {}).items():
        if not isinstance(weights, dict) or not all(type(w) in (int, float) for w in weights.values()) or not weights:
            raise ValueError(f"{path}: ensemble '{row}' is a mapping of 'row: weight' lines")
    for row, settings in grid.get("rows", {}).items():
        if not isinstance(settings, dict):
            raise ValueError(f"{path}: row '{row}' is a mapping of 'name: value' lines")
    return grid


def _with_seeds(settings: dict, seeds: list[int], path: Path) -> list[Config]:
    """The configuration of each seed; a method that learns nothing has one."""
    try:
        typed = read_settings(settings)
        configs = [resolve(**typed, seed=seed) for seed in seeds]
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    return configs if METHODS[configs[0].method].learns else configs[:1]
