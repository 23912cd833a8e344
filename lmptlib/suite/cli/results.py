"""`lmpt results`: the table of all finished runs."""

from pathlib import Path

import click

from lmptlib.suite.cli.options import out_option


@click.command()
@click.option("--csv", is_flag=True, help="Comma-separated, for a file or a spreadsheet.")
@out_option
def results(csv: bool, out: Path | None) -> None:
    """Show all finished runs: mAP in percent, total and by group, under both rankings.

    Those that were begun and not finished are counted in a line on the error output, apart from the table.
    """
    from lmptlib.paths import outputs_folder
    from lmptlib.runs.run import count_unfinished, find_runs
    from lmptlib.runs.tables import results_table

    found = find_runs(out)
    if unfinished := count_unfinished(out):
        click.echo(f"{unfinished} begun and not finished: train them again to go on", err=True)
    if not found:
        raise click.ClickException(f"no finished runs in {outputs_folder(out)}: start with 'lmpt run train'")
    table = results_table(found)
    if csv:
        click.echo(table.to_csv(index=False), nl=False)
    else:
        shown = table.drop(columns="groups", errors="ignore")
        click.echo(shown.round(2).to_string(index=False, na_rep="-"))
        for line in dict.fromkeys(f"{run.dataset}: {run.grouping}" for run in found if run.grouping):
            click.echo(line)
