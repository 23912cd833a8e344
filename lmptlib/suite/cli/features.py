"""`lmpt features`: what CLIP says of a data set, computed before runs ask for it."""

from pathlib import Path

import click

from lmptlib.suite.cli.options import cluster_option, read_workers, scheduler_option


@click.command()
@click.argument("dataset")
@click.option(
    "-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="model, weights, device, ... as of a run."
)
@click.option("--captions", is_flag=True, help="Those of the training images' captions, too.")
@click.option("--workers", default=1, show_default=True, metavar="N", help="Parts side by side, each in a process.")
@scheduler_option
@cluster_option
def features(
    dataset: str,
    pairs: tuple[tuple[str, str], ...],
    captions: bool,
    workers: int,
    scheduler: str | None,
    cluster: Path | None,
) -> None:
    """Compute the features of DATASET, a name or a path, that runs would compute at their start, in parts of 8,192 images,
    or fewer where a split has fewer.

    Training images are seen plain and flipped, others plain. -p takes data_root, cache, model, weights, preprocess,
    decoding, feature_dtype, precision and device. Parts that are there are not computed again: what was stopped goes on
    when it is called again, and where a file has changed its part alone is new. A part that fails is named and stops no
    other.
    """
    from lmptlib.config import read_settings, resolve
    from lmptlib.errors import nearest
    from lmptlib.sweeps.features import SETTINGS, extract_features

    for name, _ in pairs:
        if name not in SETTINGS:
            raise click.ClickException(f"features do not depend on a setting '{name}'.{nearest(name, SETTINGS)}")
    config = resolve(**read_settings({"dataset": dataset, **dict(pairs)}))
    try:
        extract_features(config, read_workers(workers, scheduler, cluster), captions, click.echo)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
