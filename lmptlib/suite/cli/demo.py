"""`lmpt demo`: the first notebooks on the embedded data set, and a page of each."""

from pathlib import Path

import click

from lmptlib.suite.cli.options import out_option

DEMO = (
    "00_start_here",
    "01_dataset_explorer",
    "02_zero_shot",
    "03_train",
    "04_probability_curves",
    "05_embeddings",
    "06_per_class_ap",
)


@click.command()
@out_option
def demo(out: Path | None) -> None:
    """Run the notebooks on the embedded default: no network, no GPU, a few minutes.

    Leaves executed notebooks and pages with their figures in outputs/demo/.
    """
    import sys
    import time

    from lmptlib.paths import outputs_folder, shipped
    from lmptlib.suite import notebooks
    from lmptlib.suite.report.site import check_place, write_site

    started = time.monotonic()
    folder = outputs_folder(out) / "demo"
    check_place(folder)
    executed = []
    for i, name in enumerate(DEMO, 1):
        click.echo(f"\n[{i}/{len(DEMO)}] {name}")
        path = notebooks.find_notebook(name)
        given = {"interactive": "false"} | ({"out": str(out)} if out and "out" in notebooks.parameters(path) else {})
        values = notebooks.read_parameters(path, given)
        executed.append(
            notebooks.execute(path, values, folder / f"{name}.ipynb", folder / f"{name}-failed.ipynb", 1800)
        )
    page = write_site(executed, [], folder, "lmptlib: what prompt tuning moves, on emoji-lt")
    click.echo(f"\nDone in {time.monotonic() - started:.0f} s. Open these:")
    click.echo(f"  {page}   (the figures, in any browser)")
    for path in executed:
        click.echo(f"  {path}")
    jupyter = Path(sys.executable).with_name("jupyter")
    click.echo(f"To explore them yourself: {jupyter} lab {shipped('notebooks') / DEMO[0]}.ipynb")
