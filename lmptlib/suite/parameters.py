"""What a notebook is given: its first cells read, checked, and turned into the settings of its runs."""

import ast
import os
from collections.abc import Collection, Mapping, Sequence
from numbers import Number
from typing import Any

import plotly.io
import yaml
from IPython.display import display

import lmptlib
from lmptlib.config import RENAMED, known_settings, read_settings, read_value
from lmptlib.errors import WORDS, nearest, read_yaml
from lmptlib.suite.figures.page import FOLLOW
from lmptlib.suite.figures.style import CONFIG

# What a variable may hold that is still a parameter; anything else was put there by a later cell.
_PLAIN = (str, Number, os.PathLike, list, dict, type(None))


class ParameterError(ValueError):
    """A parameter or setting that cannot be taken, in one line; a notebook shows this line and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def begin(namespace: dict[str, Any], sets: Collection[str] = ()) -> dict[str, Any]:
    """Check what this notebook is given, print the versions, and return the settings of its runs.

    It is called in the first cell after the parameters, with the notebook's `globals()`. Declared parameters get the
    type of their annotation and are written back ("false" is False, "1e-3" a number). A setting that is injected, or
    stands in the text `settings`, is taken where the notebook declares `settings`, but for those that it `sets` itself.

    Returns settings by name as `resolve` takes them; what is None is left out. Raises ParameterError, one line, on a
    name that is no parameter and no setting, and on a value of a wrong type.
    """
    plotly.io.renderers.default = "plotly_mimetype"
    plotly.io.renderers["plotly_mimetype"].config = CONFIG
    declared, assigned = _first_cells(namespace.get("In", ())) or _called_as_settings(namespace)
    try:
        values = {name: _value(name, namespace) for name in (*declared, *assigned) if name in namespace}
        read = {name: read_value(name, *declared[name], value) for name, value in values.items() if name in declared}
        single = {name: value for name, value in values.items() if name not in declared}
        settings = other_settings(declared, single, read.get("settings"), sets)
    except ValueError as error:
        raise ParameterError(str(error)) from None
    namespace.update(read)
    print(lmptlib.versions())
    if "In" in namespace:  # a page that shows figures
        display({"text/html": FOLLOW, "text/plain": ""}, raw=True)
    fields = known_settings()
    # A default that the notebook has to declare, as seed 0, is nothing that was asked for, unless it was assigned as well.
    settings |= {
        name: value
        for name, value in read.items()
        if name in fields and (declared[name][1] or value != fields[name].default or name in assigned)
    }
    return {name: value for name, value in settings.items() if value is not None}


def other_settings(
    declared: Collection[str],
    given: Mapping[str, Any],
    text: str | None = None,
    sets: Collection[str] = (),
    notebook: str = "this notebook",
) -> dict[str, Any]:
    """Settings that a notebook does not declare: those `given` by name, over those in `text`, in their types.

    Raises ValueError, one line, on a name that is none, and on a wrong type.
    """
    written = read_text(text)
    allowed = known_settings() if "settings" in declared else ()
    for name in (*written, *given):
        if name in declared:
            raise ParameterError(f"'{name}' is a parameter of {notebook}: give it by itself, not in settings")
        if name in allowed and name in sets:
            raise ParameterError(f"{notebook} sets '{name}' itself")
        if name in RENAMED:
            raise ParameterError(f"setting '{name}' is called '{RENAMED[name]}' now")
        if name not in allowed:
            raise ParameterError(
                f"{notebook} has no parameter '{name}'.{nearest(name, dict.fromkeys([*declared, *allowed]))}"
            )
    return read_settings({**written, **given})


def given_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """All settings among a notebook's parameters, as `resolve` takes them: by name, or in the text `settings`."""
    named = {name: value for name, value in values.items() if name in known_settings()}
    return read_settings(read_text(values.get("settings"))) | named


def read_text(text: str | None) -> dict[str, Any]:
    """The settings in a text like `lr: 1e-3, n_ctx: 16`, as YAML has them. Raises ParameterError."""
    try:
        found = read_yaml(f"{{{text or ''}}}")
    except ValueError:
        found = None
    if not isinstance(found, dict) or None in found.values():
        raise ParameterError(f"settings must be like 'lr: 1e-3, n_ctx: 16', not '{text}'")
    return {str(name): value for name, value in found.items()}


def write_text(settings: Mapping[str, Any]) -> str | None:
    """Settings as a text that `read_text` reads; None where there are none."""
    given = {name: value for name, value in settings.items() if value is not None}
    line = yaml.safe_dump(given, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return line.strip().removeprefix("{").removesuffix("}") or None


def read_type(annotation: str) -> tuple[str, bool]:
    """An annotation like `Optional[float]` as the type's name (int, float, bool, str) and whether None is allowed."""
    plain = annotation.strip("\"' ")
    inner = plain.removeprefix("Optional[").removesuffix("]")
    return inner if inner in WORDS else "str", plain != inner


def _value(name: str, namespace: Mapping[str, Any]) -> Any:
    value = namespace[name]
    if not isinstance(value, _PLAIN):
        what = type(value).__name__
        raise ParameterError(f"parameter '{name}' holds a {what} now: run the cell with the parameters again")
    return value


def _called_as_settings(namespace: Mapping[str, Any]) -> tuple[dict[str, tuple[str, bool]], list[str]]:
    """As `_first_cells`, without IPython: nobody tells what was declared, so whatever is called as a setting is one."""
    return {"settings": ("str", True)}, [name for name in known_settings() if name in namespace]


def _first_cells(history: Sequence[str]) -> tuple[dict[str, tuple[str, bool]], list[str]] | None:
    """Of the cells run so far: the parameters that the last parameters cell declares, with their types, and the names
    that are assigned without a declaration, in that cell or in the one that papermill put behind it."""
    first = next((declared for cell in history if (declared := _declared(cell))), {})
    for place in reversed(range(len(history))):
        statements, declared = _statements(history[place]), _declared(history[place])
        if declared.keys() & first.keys():  # and not a later cell that annotates something of its own
            injected = [cell for cell in history[place + 1 :] if cell.startswith("# Parameters")][-1:]
            statements += [part for cell in injected for part in _statements(cell)]
            targets = [target for part in statements if isinstance(part, ast.Assign) for target in part.targets]
            return declared, [target.id for target in targets if isinstance(target, ast.Name)]
    return None


def _declared(cell: str) -> dict[str, tuple[str, bool]]:
    """What a cell declares with an annotation, and the types."""
    return {
        part.target.id: read_type(ast.unparse(part.annotation))
        for part in _statements(cell)
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    }


def _statements(cell: str) -> list[ast.stmt]:
    try:
        return ast.parse(cell).body
    except SyntaxError:  # a cell that failed
        return []
