"""`lmpt sweep`: the runs of a grid, and one table of them."""

from pathlib import Path
from typing import Any

import click

from lmptlib.suite.cli.options import cluster_option, out_option, read_workers, scheduler_option


@click.command()
@click.argument("grid")
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="Set it in every run. May be repeated.")
@click.option("--seeds", metavar="0,1,2", help="Seeds of each row, in place of the grid's.")
@click.option("--baseline", metavar="ROW", help="The row that the others are compared with, in place of the grid's.")
@click.option("--workers", default=1, show_default=True, metavar="N", help="Runs side by side, each in a process.")
@click.option("--stack", type=int, metavar="N", help="Runs that train at once; 1: one by one.  [default: automatic]")
@scheduler_option
@cluster_option
@click.option("--notebook", metavar="NAME", help="Make each run as this notebook, executed (03_train).")
@out_option
def sweep(
    grid: str,
    pairs: tuple[tuple[str, str], ...],
    seeds: str | None,
    baseline: str | None,
    workers: int,
    stack: int | None,
    scheduler: str | None,
    cluster: Path | None,
    notebook: str | None,
    out: Path | None,
) -> None:
    """Run GRID, a YAML file or a name, and print one table.

    Names: losses, ablation, rivals, gains, probabilities, and the printed tables lmpt_table2, lmpt_table3, pg_table2 to
    pg_table5. A file has `settings` of every run, named `rows` of settings, a `grid` of lists to combine, `seeds`,
    `ensembles`, a `baseline`: the README has one.

    Finished runs are read and not repeated: a sweep that was stopped goes on when it is called again. The table is also
    left in outputs/sweeps/, as CSV: mean, deviation and t interval over seeds, and differences from the baseline, paired
    on seeds and test images, whose intervals hold both (one seed: test images alone).
    """
    from lmptlib.config import read_settings
    from lmptlib.data.words import shown
    from lmptlib.paths import outputs_folder, safe_name, write_atomically
    from lmptlib.sweeps.engine import run_sweep
    from lmptlib.sweeps.grid import read_sweep
    from lmptlib.sweeps.tables import sweep_summary, sweep_table

    given = read_settings(dict(pairs))
    if seeds is not None:
        if not all(seed.strip().isdigit() for seed in seeds.split(",")):
            raise click.ClickException(f"--seeds takes whole numbers with commas between them, not '{seeds}'")
        given["seeds"] = [int(seed) for seed in seeds.split(",")]
    if stack is not None and stack < 1:
        raise click.ClickException(f"--stack must be at least 1, not {stack}")
    makers = read_workers(workers, scheduler, cluster)
    runner = _as_notebook(notebook) if notebook else {}
    chosen = read_sweep(grid, given, baseline)
    click.echo(chosen.about)
    try:
        runs = run_sweep(chosen, out, makers, click.echo, stack=stack, **runner)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    table = sweep_table(chosen, runs)
    dataset = next(iter(runs.values()))[0].dataset
    places = ("dataset", "data_root", "cache", "model", "weights", "device")
    others = [f"{name}={value}" for name, value in given.items() if name not in places]
    others += [f"from={baseline}"] if baseline else []
    target = outputs_folder(out) / "sweeps" / f"{safe_name('-'.join([chosen.name, dataset, *others]))}.csv"
    against = f"; differences from '{chosen.baseline}', paired, with 95% intervals" if chosen.baseline else ""
    click.echo(f"\n{next(iter(runs.values()))[0].measure.name} on {dataset}, mean and deviation over seeds{against}")
    click.echo(shown(sweep_summary(table)).to_string(index=False, na_rep=""))
    if grouping := table.attrs["grouping"]:
        click.echo(grouping)
    if chosen.published:
        click.echo("(printed: the papers' totals on other data with another backbone; orders compare, levels do not)")
    write_atomically(target, table.to_csv(index=False).encode())
    click.echo(f"table: {target}")


def _as_notebook(name: str) -> dict[str, Any]:
    """How `run_sweep` makes each run as a notebook, and what that leaves."""
    from functools import partial

    from lmptlib.suite.notebooks import find_notebook, run_training

    return {"runner": partial(run_training, find_notebook(name)), "leaves": "notebook.ipynb"}
