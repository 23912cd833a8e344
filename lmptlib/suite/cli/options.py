"""Options that several commands have."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lmptlib.sweeps.cluster import Workers

PATH = click.Path(path_type=Path)
out_option = click.option("--out", type=PATH, metavar="DIR", help="The folder of the runs, in place of outputs/.")
scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", help="The workers of a dask scheduler that runs, as tcp://host:8786."
)
cluster_option = click.option(
    "--cluster", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.yaml", help="Slurm or PBS jobs."
)


def read_workers(n: int, scheduler: str | None, cluster: Path | None) -> "Workers":
    """Who does the work, by --workers, --scheduler and --cluster. Raises ClickException."""
    from lmptlib.sweeps.cluster import Workers

    if n < 1:
        raise click.ClickException(f"--workers must be at least 1, not {n}")
    if (n > 1) + bool(scheduler) + bool(cluster) > 1:
        raise click.ClickException("--workers, --scheduler and --cluster say who does the work: give one of them")
    return Workers(n, scheduler, cluster)
