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
import reprlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmptlib.config import Config, fitting, read_settings, resolve
from lmptlib.errors import first_line, nearest, read_yaml
from lmptlib.methods import learns
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

    def marked(self, row: str) -> str:
        """A row's name for reading: with a warning where its epoch was chosen on the test images."""
        learning = self.rows[row][0].learning if row in self.rows else None
        return f"{row} (TEST-SET LEAKAGE)" if learning and learning.select == "test" else row


def sweep_names() -> list[str]:
    """The grids that come with the library, and the published tables among the recipes."""
    tables = dict.fromkeys(name.partition("/")[0] for name in recipe_names() if "/" in name)
    return [*sorted(path.stem for path in _FOLDER.glob("*.yaml")), *tables]


def read_sweep(name: str, given: dict[str, Any] | None = None, baseline: str | None = None) -> Sweep:
    """A sweep by the path of its grid, by name, or a published table's; `given` settings go over every run's.

    `given` may hold `seeds`; `baseline` takes the place of the grid's. A setting of every run has its effect in the rows
    whose method has it. Raises ValueError, one line, for everything that is wrong with it, before anything runs.
    """
    try:
        grid, given = _find_grid(name), dict(given or {})
        seeds = _seeds(given.pop("seeds", grid.get("seeds", [0, 1, 2])))
        rows = _rows(grid, given, Path(name).stem)
        baseline = grid.get("baseline") if baseline is None else baseline
        sweep = Sweep(
            Path(name).stem,
            grid.get("about", name),
            {row: _with_seeds(settings, seeds) for row, settings in rows.items()},
            None if baseline is None else str(baseline),
            grid.get("ensembles", {}),
            grid.get("published", {}),
        )
        _check(sweep)
    except ValueError as error:
        raise ValueError(f"{Path(name).name}: {error}") from None
    return sweep


def _find_grid(name: str) -> dict[str, Any]:
    """What a grid's file says, or a published table's rows in the form of one."""
    is_path = Path(name).suffix in (".yaml", ".yml") or os.sep in name
    path = Path(name) if is_path else _FOLDER / f"{name}.yaml"
    if path.is_file():
        return _read_grid(path)
    if is_path:
        raise ValueError("no such file")
    if name not in sweep_names():
        raise ValueError(f"no sweep of this name.{nearest(name, sweep_names())}")
    rows = {recipe.partition("/")[2]: {"recipe": recipe} for recipe in recipe_names() if recipe.startswith(f"{name}/")}
    return {"rows": rows, "published": {row: f"{name.replace('_table', '/')}/{row}" for row in rows}}


def _read_grid(path: Path) -> dict:
    try:
        grid = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"not a YAML file ({first_line(error)})") from None
    if not isinstance(grid, dict):
        raise ValueError(f"a grid has the keys {', '.join(_KEYS)}")
    for key in grid:
        if key not in _KEYS:
            raise ValueError(f"unknown key '{key}'.{nearest(str(key), _KEYS)}")
    if not grid.keys() & {"settings", "rows", "grid"}:
        raise ValueError("a grid needs 'settings', 'rows' or 'grid'")
    for key in ("settings", "rows", "grid", "ensembles", "published"):
        if not isinstance(grid.get(key, {}), dict):
            raise ValueError(f"'{key}' is a mapping of 'name: value' lines")
    for key in ("about", "baseline"):
        if isinstance(grid.get(key), (list, dict)):
            raise ValueError(f"'{key}' is a text")
    for row, address in grid.get("published", {}).items():
        if not isinstance(address, str):
            raise ValueError(f"published '{row}' is the address of a printed row, as lmpt/3/margin")
    for row, weights in grid.get("ensembles", {}).items():
        if not isinstance(weights, dict) or not all(type(w) in (int, float) for w in weights.values()) or not weights:
            raise ValueError(f"ensemble '{row}' is a mapping of 'row: weight' lines")
    for row, settings in grid.get("rows", {}).items():
        if not isinstance(settings, dict):
            raise ValueError(f"row '{row}' is a mapping of 'name: value' lines")
    return grid


def _seeds(seeds: Any) -> list[int]:
    whole = isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds)
    if not whole or len(set(seeds)) < len(seeds):
        raise ValueError(f"'seeds' is a list of different whole numbers, at least one, not {reprlib.repr(seeds)}")
    return seeds


def _rows(grid: dict[str, Any], given: dict[str, Any], stem: str) -> dict[str, dict[str, Any]]:
    """The settings of each row by its name: every named row with every combination of what the grid varies."""
    varied = {key: values if isinstance(values, list) else [values] for key, values in grid.get("grid", {}).items()}
    named = {str(label): settings for label, settings in (grid.get("rows") or {"": {}}).items()}
    shared = read_settings({**grid.get("settings", {}), **given})
    for key in given:
        if key in varied or any(key in settings for settings in named.values()):
            raise ValueError(f"its rows vary '{key}', which cannot be given for all of them")
    for settings in (shared, varied, *named.values()):
        if "seed" in settings:
            raise ValueError("'seed' is given by 'seeds', a list")
    rows: dict[str, dict[str, Any]] = {}
    for label, settings in named.items():
        for values in itertools.product(*varied.values()):
            own = read_settings({**settings, **dict(zip(varied, values))})
            row = _row_name(label, dict(zip(varied, values)), varied) or stem
            if row in rows:
                raise ValueError(f"two rows are called '{row}'")
            rows[row] = fitting({**shared, **own}) | own  # what is its own is checked
    if not rows:
        raise ValueError("no rows, a list in 'grid' is empty")
    for key in shared:
        if not any(key in settings for settings in rows.values()):
            raise ValueError(f"no row has the setting '{key}'")
    return rows


def _row_name(label: str, values: dict[str, Any], varied: dict[str, list]) -> str:
    """A row's label and what the grid gives it, but for what does not vary: `plain, bce`, `lr 0.001`."""
    shown = [
        value if isinstance(value, str) else f"{key} {value}" for key, value in values.items() if len(varied[key]) > 1
    ]
    return ", ".join([*([label] if label else []), *shown])


def _with_seeds(settings: dict[str, Any], seeds: list[int]) -> list[Config]:
    """The configuration of each seed; a method that learns nothing has one."""
    config = resolve(**settings)
    return [resolve(**settings, seed=seed) for seed in seeds] if learns(config.method) else [config]


def _check(sweep: Sweep) -> None:
    """Whether rows compare, and whether what is said of rows names rows. Raises ValueError."""
    if len({(part[0].dataset, part[0].data_root) for part in sweep.rows.values()}) > 1:
        raise ValueError("rows on several data sets do not compare: a sweep for each (-p dataset)")
    names = [*sweep.rows, *sweep.ensembles]
    for row in itertools.chain.from_iterable(sweep.ensembles.values()):
        if row not in sweep.rows:
            raise ValueError(f"no row '{row}' to average.{nearest(str(row), sweep.rows)}")
    for row in sweep.ensembles:
        if row in sweep.rows:
            raise ValueError(f"'{row}' is a row and an ensemble: name one otherwise")
    addresses = published()["address"].to_list()
    for row, address in sweep.published.items():
        if row not in names:
            raise ValueError(f"no row '{row}' to have a printed counterpart.{nearest(str(row), names)}")
        if address not in addresses:
            raise ValueError(f"nothing printed at '{address}'.{nearest(str(address), addresses)[:200]}")
    if sweep.baseline is not None and sweep.baseline not in names:
        raise ValueError(f"no row '{sweep.baseline}' to compare with.{nearest(sweep.baseline, names)}")
