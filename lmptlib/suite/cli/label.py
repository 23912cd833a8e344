"""`lmpt label`: what a run is called."""

from pathlib import Path

import click

from lmptlib.suite.cli.options import out_option


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("text")
@out_option
def label(name: str, text: str, out: Path | None) -> None:
    """Call RUN, and every seed of its configuration, TEXT in tables and figures; an empty TEXT takes it away.

    RUN is the name of a folder in outputs/, as 'lmpt results --runs' lists them. Two configurations of one label are told
    apart all the same.
    """
    from lmptlib.runs.run import find_runs, give_label, pick_runs

    for run in pick_runs(name, out):
        for seed in give_label(run, text, find_runs(out)):
            click.echo(f"{seed.folder.name}: {seed.label}")
