"""`lmpt bench`: what training costs on this machine."""

from pathlib import Path

import click

from lmptlib.suite.cli.options import out_option


@click.command()
@click.option("--quick", is_flag=True, help="A minute on two cores: few steps, the embedded default and ViT-B-16.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="dataset, model, weights: rows of your own."
)
@out_option
def bench(quick: bool, device: str, pairs: tuple[tuple[str, str], ...], out: Path | None) -> None:
    """Measure training here, against a loop that computes nothing once and against the bare text tower.

    Ratios are the claim; seconds are this machine's. With -p dataset, model and weights rows are added for data and a CLIP
    of your own. The table is left in outputs/bench/.
    """
    from lmptlib.benchmark.bars import judged
    from lmptlib.benchmark.bench import bench as measure
    from lmptlib.benchmark.clock import machine
    from lmptlib.config import read_settings, resolve
    from lmptlib.paths import outputs_folder, write_atomically
    from lmptlib.training.plan import pick_device

    device = pick_device(device)
    own = resolve(**{**read_settings(dict(pairs)), "device": device}) if pairs else None
    about = machine(device)
    click.echo(", ".join(f"{name} {value}" for name, value in about.items()))
    table = judged(measure(device, own, quick, click.echo), device)
    click.echo(table.to_string(index=False, na_rep="", float_format="{:.4g}".format))
    target = outputs_folder(out) / "bench" / f"{device}.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, table.to_csv(index=False).encode())
    click.echo(f"table: {target}")
