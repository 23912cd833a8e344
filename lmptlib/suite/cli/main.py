"""The command `lmpt`: the group of its commands, and how what goes wrong is shown."""

import os
import sys
from typing import Any

import click

from lmptlib import __version__
from lmptlib.suite.cli.answers import answers
from lmptlib.suite.cli.bench import bench
from lmptlib.suite.cli.data import data
from lmptlib.suite.cli.demo import demo
from lmptlib.suite.cli.features import features
from lmptlib.suite.cli.info import info
from lmptlib.suite.cli.label import label
from lmptlib.suite.cli.recipes import recipes
from lmptlib.suite.cli.report import report
from lmptlib.suite.cli.results import results
from lmptlib.suite.cli.run import run
from lmptlib.suite.cli.settings import settings
from lmptlib.suite.cli.sweep import sweep


class _OneLineErrors(click.Group):
    """Shows what was wrong with the input as a message and not as a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except click.UsageError as error:
            raise click.UsageError(_shown(error.format_message()), error.ctx) from error
        except click.ClickException as error:
            raise click.ClickException(_shown(error.message)) from error
        except (ValueError, OSError) as error:
            raise click.ClickException(_shown(str(error))) from error
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("lmptlib"):
                raise
            raise click.ClickException(f"{error.name} is not installed: 'lmpt info' says what to install") from error
        except KeyboardInterrupt as error:
            click.echo(str(error) or "stopped", err=True)
            context.exit(130)


def _shown(text: str) -> str:
    """A message as a terminal takes it, whatever the input holds: no endless line, and nothing that moves the cursor."""
    from lmptlib.errors import printable

    lines = map(printable, text.splitlines())
    # what is wrong stands in front, what to do at the end
    return "\n".join(f"{line[:330]} ... {line[-165:]}" if len(line) > 500 else line for line in lines)


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lmpt")
def main() -> None:
    """Prompt tuning of a frozen CLIP for long-tailed multi-label recognition.

    \b
    Start here:   lmpt demo
    Train:        lmpt run train -p method lmpt -p seed 1
    Settings:     lmpt settings, lmpt settings lmpt
    Your data:    lmpt data check photos.csv, lmpt data make, lmpt features
    Your photos:  lmpt run own_data -p dataset photos.csv -p model ViT-B-16 -p weights openai
    Compare:      lmpt sweep losses, lmpt results
    Name a run:   lmpt label RUN "my baseline"
    Pass on:      lmpt report
    How fast:     lmpt bench --quick
    """
    # OpenMP's threads spin while they wait, each on a core that another training may want. It reads this when torch is
    # imported, which no command has done yet; worker processes and kernels inherit it.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # With this, jsonschema, which nbformat and plotly import, would read a grammar of web addresses for a second or two.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


for command in (run, demo, results, label, report, answers, info, sweep, bench, recipes, settings, data, features):
    main.add_command(command)

if __name__ == "__main__":
    main()
