"""`lmpt info`: what is here and what is missing."""

import click


@click.command()
def info() -> None:
    """Show versions, device, places, which data sets are there, and what is missing. Downloads and draws nothing."""
    from lmptlib.suite.info import describe

    for line in describe():
        click.echo(line)
