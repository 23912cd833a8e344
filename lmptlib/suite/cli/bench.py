"""`lmpt bench`: what training costs on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmptlib.suite.cli.options import out_option

if TYPE_CHECKING:
    import pandas as pd

_OF_DATA = ("dataset", "data_root", "cache", "model", "weights", "preprocess")


@click.command()
@click.option(
    "--quick", is_flag=True, help="A minute or two on two cores: few steps, the embedded default and ViT-B-16."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="dataset, model, weights, ...: rows of your own."
)
@click.option("--profile", is_flag=True, help="The operations that take most of an epoch, too.")
@out_option
def bench(quick: bool, device: str, pairs: tuple[tuple[str, str], ...], profile: bool, out: Path | None) -> None:
    """Measure training here, against a loop that computes nothing once and against the bare text tower.

    Ratios are the claim; seconds are this machine's. Medians and quartiles, after a warm-up. With -p dataset, model and
    weights rows are added for data and a CLIP of your own. It takes half an hour on two cores, minutes on a GPU. Tables are
    left in outputs/bench/.
    """
    from lmptlib.benchmark.bars import judged
    from lmptlib.benchmark.bench import bench as measure
    from lmptlib.benchmark.clock import machine
    from lmptlib.config import read_settings, resolve
    from lmptlib.paths import outputs_folder
    from lmptlib.training.plan import pick_device

    device = pick_device(device)
    given = read_settings(dict(pairs))
    if others := given.keys() - set(_OF_DATA):
        raise click.ClickException(f"-p takes {', '.join(_OF_DATA)} here, not {', '.join(sorted(others))}")
    own = resolve(**{**given, "device": device}) if pairs else None
    about = machine(device)
    click.echo(_told(about))
    folder, n_told = outputs_folder(out) / "bench", 0
    # told and written as it comes: what is stopped has what it measured
    for found in measure(device, own, quick, profile, click.echo):
        table = judged(found.rows, device)
        for problem, part in table[n_told : len(found.rows)].groupby("problem", sort=False):
            click.echo(f"\n{problem}\n{_text(part.drop(columns='problem'))}\n")
        n_told = len(found.rows)
        _write(folder, device, {"machine": about, "quick": quick}, {"": table, "-growth": found.growth})
    if len(left := table[n_told:]):
        click.echo(f"not measured\n{_text(left[['problem', 'what', 'bar']])}")
    click.echo(f"\nhow cost grows, {found.growth.attrs['of']}\n{_text(found.growth)}\n\n{_told(about)}")
    if profile:
        (folder / f"{device}-profile.txt").write_text("\n\n".join(found.profiles))
    _draw(found.growth, folder / f"{device}-growth.html")
    click.echo(f"tables: {folder}")


def _told(about: dict[str, str | int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items())


def _text(table: "pd.DataFrame") -> str:
    return table.to_string(index=False, na_rep="", float_format="{:.4g}".format)


def _write(folder: Path, device: str, about: dict[str, Any], tables: dict[str, "pd.DataFrame"]) -> None:
    """All tables as CSV, and together as JSON with the machine that they are of."""
    import json

    from lmptlib.paths import write_atomically

    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_atomically(folder / f"{device}{name}.csv", table.to_csv(index=False).encode())
    content = about | {
        name.strip("-") or "rows": json.loads(table.to_json(orient="records")) for name, table in tables.items()
    }
    write_atomically(folder / f"{device}.json", json.dumps(content, indent=1).encode())


def _draw(growth: "pd.DataFrame", path: Path) -> None:
    """The figure of growth, where plotly is installed."""
    try:
        from lmptlib.suite.figures.growth_figures import growth_figure
    except ModuleNotFoundError as error:
        click.echo(f"no figure of growth: {error.name} is not installed")
        return
    growth_figure(growth).write_html(path, include_plotlyjs="directory")
