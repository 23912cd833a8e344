"""`lmpt results`: the tables of all finished runs."""

from pathlib import Path

import click

from lmptlib.suite.cli.options import out_option


@click.command()
@click.option("--csv", is_flag=True, help="Comma-separated numbers, for a file or a spreadsheet.")
@click.option("--runs", "by_run", is_flag=True, help="Each run by itself, in place of means over seeds.")
@out_option
def results(csv: bool, by_run: bool, out: Path | None) -> None:
    """Show all finished runs: mAP in percent, total and by group, under both rankings, and the settings that differ.

    Of single labels it is the accuracy, and one figure, with the shares of images whose label is the best (top-1) and among
    the five best (top-5).

    A line is a configuration: mean and deviation over its n seeds, and the 95% interval of the total, over seeds, or with
    one seed over test images. Runs that were begun and not finished are counted in a line on the error output.
    """
    import pandas as pd

    from lmptlib.data.words import shown
    from lmptlib.paths import outputs_folder
    from lmptlib.runs.run import count_unfinished, find_runs
    from lmptlib.runs.tables import by_dataset, result_rows, result_settings, results_table, results_text

    found = by_dataset(find_runs(out))
    if unfinished := count_unfinished(out):
        click.echo(f"{unfinished} begun and not finished: train them again to go on", err=True)
    if not found:
        raise click.ClickException(f"no finished runs in {outputs_folder(out)}: start with 'lmpt run train'")
    if csv:
        tables = [
            results_table(part, by_run, spread=True).assign(dataset=name, measure=part[0].measure.name)
            for name, part in found.items()
        ]
        click.echo(pd.concat(tables).to_csv(index=False), nl=False)
        return
    for name, part in found.items():
        rows = result_rows(part, by_run)
        click.echo(f"{name}: {part[0].measure.name} in percent; intervals over seeds, where n is 1 over test images\n")
        click.echo(shown(results_text(rows)).to_string(index=False))
        click.echo(f"\n{result_settings(rows, by_run).to_string(index=False)}\n")
        if part[0].grouping:
            click.echo(f"{part[0].grouping}\n")
