"""`lmpt report`: a site of executed notebooks and runs."""

from pathlib import Path

import click

from lmptlib.suite.cli.options import PATH, out_option


@click.command()
@click.argument("notebooks", nargs=-1, metavar="[NOTEBOOK]...")
@click.option("--runs", "names", default="all", metavar="NAMES", help="Folders, comma-separated; or all, or none.")
@out_option
@click.option("--to", type=PATH, metavar="FOLDER", help="The site, in place of outputs/report/.")
@click.option("--title", default="Prompt tuning: notebooks and runs", show_default=True, metavar="TEXT")
def report(notebooks: tuple[str, ...], names: str, out: Path | None, to: Path | None, title: str) -> None:
    """Make a site of executed notebooks and runs, to read without a network or to pass on.

    NOTEBOOK is a path, or a name in outputs/notebooks/, outputs/demo/ or a run's folder; without one, all that are in
    outputs/notebooks/. The folder holds all that its pages need; an earlier report in it gives way, other files stay.
    """
    from lmptlib.paths import outputs_folder
    from lmptlib.runs.run import pick_runs
    from lmptlib.suite.report.executed import find_executed
    from lmptlib.suite.report.site import check_place, write_site

    outputs = outputs_folder(out)
    if notebooks:
        found = list(dict.fromkeys(path for name in notebooks for path in find_executed(name, out)))
    else:
        found = sorted((outputs / "notebooks").glob("*.ipynb"))
    chosen = [] if names == "none" else pick_runs(names, out)
    if not found and not chosen:
        raise click.ClickException(f"nothing to report in {outputs}: start with 'lmpt run train'")
    target = (to or outputs / "report").expanduser().resolve()
    check_place(target)
    index = write_site(found, chosen, target, title)
    size = sum(path.stat().st_size for path in target.iterdir()) / 1e6
    held = f"notebooks: {len(found)}, runs: {len(chosen)}; pass on the whole folder, {size:.0f} MB"
    click.echo(f"report: {index}   ({held})")
