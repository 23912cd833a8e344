"""`lmpt run`: a notebook in batch."""

from pathlib import Path

import click

from lmptlib.suite.cli.options import PATH, out_option


@click.command()
@click.argument("notebook")
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter. May be repeated.")
@click.option("-f", "file", type=PATH, metavar="FILE.yaml", help="Lines of 'name: value'; -p goes over them.")
@out_option
@click.option("--timeout", default=7200, show_default=True, metavar="S", help="Seconds that one cell may take.")
@click.option("--force", is_flag=True, help="Repeat a training run that is finished already.")
@click.option("--list", "show", is_flag=True, help="List the notebook's parameters and stop.")
def run(
    notebook: str,
    pairs: tuple[tuple[str, str], ...],
    file: Path | None,
    out: Path | None,
    timeout: int,
    force: bool,
    show: bool,
) -> None:
    """Run NOTEBOOK in batch: its name (03_train or train) or a path.

    Parameters are checked before a cell runs; relative paths are taken from the current folder. A training run that
    is finished already (same settings, data and weights) is not repeated. Files that it leaves: the run's
    folder, with the executed notebook in it; the other notebooks go to outputs/notebooks/.
    """
    from lmptlib.suite.kernel import started_kernel

    # it makes its imports while the run is planned
    kernel = None if show else click.get_current_context().with_resource(started_kernel())
    from lmptlib.config import COMMON, resolve
    from lmptlib.paths import outputs_folder, safe_name
    from lmptlib.suite import notebooks
    from lmptlib.suite.parameters import given_settings

    path = notebooks.find_notebook(notebook)
    declared = notebooks.parameters(path)
    if show:
        width = max(map(len, declared), default=0)
        for parameter in declared.values():
            click.echo(f"{parameter.name:{width}}  {parameter.default:20} {parameter.help}")
        return
    given = notebooks.read_parameter_file(file) if file else {}
    given |= dict(pairs)
    given |= {"out": str(out)} if out and "out" in declared else {}
    given |= {"force": "true"} if force else {}
    values = notebooks.read_parameters(path, given)
    if "interactive" in declared:
        values.setdefault("interactive", False)

    outputs = outputs_folder(values.get("out", out))
    target = outputs / "notebooks" / f"{path.stem}.ipynb"
    settings = notebooks.own_defaults(declared) | given_settings(values)
    kind = notebooks.notebook_kind(path)
    if kind == "train":
        wanted = resolve(**settings)
        from lmptlib.training.plan import plan_run

        plan = plan_run(wanted, values.get("out", out))
        click.echo(f"{path.stem} on {plan.dataset.name} with {plan.config.model}, {plan.config.device}")
        target = target.with_stem(safe_name(f"{path.stem}-{plan.dataset.name}"))
        if path == notebooks.find_notebook("train"):
            target = plan.path / "notebook.ipynb"
            if plan.folder.finished and target.exists() and not values.get("force"):
                click.echo(f"finished already: {plan.path} (--force repeats it)")
                return
    elif "dataset" in declared:
        dataset = settings.get("dataset", COMMON["dataset"].default)
        target = target.with_stem(safe_name(f"{path.stem}-{Path(dataset).stem}"))
    outputs.mkdir(parents=True, exist_ok=True)
    notebooks.execute(path, values, target, outputs / "failed" / f"{path.stem}.ipynb", timeout, kernel=kernel)
    click.echo(f"notebook: {target}")
