"""Options that several commands have."""

from pathlib import Path

import click

PATH = click.Path(path_type=Path)
out_option = click.option("--out", type=PATH, metavar="DIR", help="The folder of the runs, in place of outputs/.")
