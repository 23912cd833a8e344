"""`lmpt settings`: what can be set, what it means, and what it may be."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


@click.command()
@click.argument("name", required=False, metavar="[METHOD|LOSS]")
def settings(name: str | None) -> None:
    """List the settings of every run, the methods and the losses; or the settings that METHOD or LOSS has of its own.

    A line a setting: its name, its default, its type, what it means and what it may be.
    """
    from lmptlib.errors import nearest
    from lmptlib.losses import LOSSES
    from lmptlib.methods import METHODS

    if name is None:
        _show_all()
    elif name in METHODS:
        _show_method(name)
    elif name in LOSSES:
        _show_loss(name)
    else:
        raise ValueError(f"no method and no loss is called '{name}'.{nearest(name, [*METHODS, *LOSSES])}")


def _show_all() -> None:
    from lmptlib.config import COMMON
    from lmptlib.losses import LOSSES
    from lmptlib.methods import METHODS

    click.echo("settings of every run: -p NAME VALUE, or resolve(name=value)")
    _show(COMMON, {"default": {name: field.default for name, field in COMMON.items()}})
    click.echo("\nmethods: lmpt settings METHOD")
    _align([(name, _first_line(kind)) for name, kind in METHODS.items()])
    click.echo("\nlosses: lmpt settings LOSS")
    _align([(name, f"{_first_line(kind)}{_fixed(fixed)}") for name, (kind, fixed) in LOSSES.items()])


def _show_method(name: str) -> None:
    from lmptlib.config import COMMON, resolve
    from lmptlib.methods import METHODS

    click.echo(f"{name}: {_first_line(METHODS[name])}")
    click.echo(f"its settings, -p NAME VALUE; defaults as recipe {COMMON['recipe'].default} has them")
    _show(METHODS[name].Settings.model_fields, {"default": resolve(method=name, views=5).flat()})


def _show_loss(name: str) -> None:
    from lmptlib.losses import LOSSES, PRESETS, loss_settings, preset_settings, settings_model

    kind, fixed = LOSSES[name]
    fields = settings_model(name).model_fields
    click.echo(f"{name}: {_first_line(kind)}{_fixed(fixed)}")
    if not fields:
        click.echo("it has no settings")
        return
    click.echo(f"its settings, -p loss {name} -p loss_settings 'name: value, ...'; a preset goes over the defaults")
    _show(fields, {"default": loss_settings(name), **{preset: preset_settings(name, preset) for preset in PRESETS}})


def _show(fields: Mapping[str, "FieldInfo"], values: Mapping[str, Mapping[str, Any]]) -> None:
    """A line a field; `values` are its columns of values, by title."""
    from lmptlib.config import choices_of
    from lmptlib.errors import limits, type_words

    lines = [("setting", *values, "type", "meaning (what it may be)")]
    for name, field in fields.items():
        limit = ", ".join(choices_of(field)) or limits(field)
        meaning = f"{field.description}{f' ({limit})' if limit else ''}"
        shown = [_written(known[name]) if name in known else "" for known in values.values()]
        lines.append((name, *shown, type_words(field.annotation), meaning))
    _align(lines)


def _align(lines: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        click.echo("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths)).rstrip())


def _written(value: Any) -> str:
    """A value as it is given on the command line."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or "''"


def _fixed(settings: Mapping[str, Any]) -> str:
    """What a loss's name says of its settings."""
    listed = ", ".join(f"{name} {_written(value)}" for name, value in settings.items())
    return f" Here {listed}." if listed else ""


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]
