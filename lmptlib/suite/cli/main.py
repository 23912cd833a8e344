"""The command `lmpt`."""

from pathlib import Path

import click

from lmptlib import __version__
from lmptlib.paths import home, shipped


class _OneLineErrors(click.Group):
    """Shows what was wrong with the input as a message and not as a traceback."""

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except (ValueError, OSError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lmpt")
def main() -> None:
    """Prompt tuning of a frozen CLIP for long-tailed multi-label recognition.

    \b
    Start here:   lmpt demo
    Train:        lmpt run train -p method lmpt -p seed 1
    Your photos:  lmpt run own_data -p dataset photos.csv -p model ViT-B-16 -p weights openai
    Compare:      lmpt sweep losses, lmpt results
    Pass on:      lmpt report
    """


@main.command()
@click.argument("notebook")
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter. May be repeated.")
@click.option(
    "-f",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE.yaml",
    help="Parameters, a 'name: value' a line; -p goes over it.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where runs are written and read, in place of outputs/.",
)
@click.option("--timeout", default=7200, show_default=True, metavar="S", help="Seconds that one cell may take.")
@click.option("--force", is_flag=True, help="Repeat a training run that is finished already.")
@click.option("--list", "show", is_flag=True, help="List the notebook's parameters and stop.")
def run(notebook: str, pairs, file: Path | None, out: Path | None, timeout: int, force: bool, show: bool) -> None:
    """Run NOTEBOOK in batch: its name (03_train or train) or a path.

    Parameters are checked before anything starts; relative paths are taken from the current folder. A training run that
    is finished already (same settings, data, weights and version) is not repeated. Files that it leaves: the run's
    folder, with the executed notebook in it; the other notebooks go to outputs/notebooks/.
    """
    from lmptlib import config
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
    wanted = config.resolve(**given_settings(values))
    if notebooks.notebook_kind(path) == "train":
        from lmptlib.training.training import plan

        planned = plan(wanted, outputs)
        click.echo(f"{path.stem} on {planned.dataset.name} with {planned.config.model}, {planned.config.device}")
        target = target.with_stem(safe_name(f"{path.stem}-{planned.dataset.name}"))
        if path == notebooks.find_notebook("train"):
            target = planned.folder / "notebook.ipynb"
            if planned.finished and target.exists() and not values.get("force"):
                click.echo(f"finished already: {planned.folder} (--force repeats it)")
                return
    elif "dataset" in declared:
        target = target.with_stem(safe_name(f"{path.stem}-{Path(wanted.dataset).stem}"))
    outputs.mkdir(parents=True, exist_ok=True)
    notebooks.execute(path, values, target, outputs / "failed" / f"{path.stem}.ipynb", timeout)
    click.echo(f"notebook: {target}")


DEMO = (
    "00_start_here", "01_dataset_explorer", "02_zero_shot", "03_train", "04_probability_curves", "05_embeddings",
    "06_per_class_ap",
)  # fmt: skip


@main.command()
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="In place of outputs/.")
def demo(out: Path | None) -> None:
    """Run the notebooks on the embedded default: no network, no GPU, a few minutes.

    Leaves executed notebooks and pages with their figures in outputs/demo/.
    """
    import time

    from lmptlib.paths import outputs_folder
    from lmptlib.suite import notebooks
    from lmptlib.suite.report.site import check_place, write_site

    started = time.monotonic()
    folder = outputs_folder(out) / "demo"
    check_place(folder)
    made = []
    for i, name in enumerate(DEMO, 1):
        click.echo(f"\n[{i}/{len(DEMO)}] {name}")
        path = notebooks.find_notebook(name)
        given = {"interactive": "false"} | ({"out": str(out)} if out and "out" in notebooks.parameters(path) else {})
        values = notebooks.read_parameters(path, given)
        made.append(notebooks.execute(path, values, folder / f"{name}.ipynb", folder / f"{name}-failed.ipynb", 1800))
    page = write_site(made, [], folder, "lmptlib: what prompt tuning moves, on emoji-lt")
    click.echo(f"\nDone in {time.monotonic() - started:.0f} s. Open these:")
    click.echo(f"  {page}   (the figures, in any browser)")
    for path in made:
        click.echo(f"  {path}")
    click.echo(f"To explore them yourself: {_jupyter()} lab {shipped('notebooks') / DEMO[0]}.ipynb")


def _jupyter() -> str:
    import sys

    return str(Path(sys.executable).with_name("jupyter"))


@main.command()
@click.option("--csv", is_flag=True, help="Comma-separated, for a file or a spreadsheet.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the runs are, in place of outputs/.")
def results(csv: bool, out: Path | None) -> None:
    """Show all finished runs: mAP in percent, total and by group, under both rankings."""
    from lmptlib.paths import outputs_folder
    from lmptlib.runs.run import find_runs
    from lmptlib.runs.tables import results_table

    found = find_runs(out)
    if not found:
        raise click.ClickException(f"no finished runs in {outputs_folder(out)}: start with 'lmpt run train'")
    table = results_table(found)
    click.echo(table.to_csv(index=False), nl=False) if csv else click.echo(
        table.round(2).to_string(index=False, na_rep="-")
    )


@main.command()
@click.argument("notebooks", nargs=-1, metavar="[NOTEBOOK]...")
@click.option(
    "--runs",
    "names",
    default="all",
    show_default=True,
    metavar="NAMES",
    help="Runs by the names of their folders, comma-separated; all, or none.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where both are, in place of outputs/.")
@click.option("--to", type=click.Path(path_type=Path), metavar="FOLDER", help="The site, in place of outputs/report/.")
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
    click.echo(
        f"report: {index}   (notebooks: {len(found)}, runs: {len(chosen)}; pass on the whole folder, {size:.0f} MB)"
    )


@main.command()
def info() -> None:
    """Show versions, device, places, which data sets are there, and what is missing. Downloads and draws nothing."""
    from lmptlib.suite.info import describe

    for line in describe():
        click.echo(line)


@main.command()
@click.argument("grid")
@click.option(
    "-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="A setting of every run. May be repeated."
)
@click.option("--seeds", default=None, metavar="0,1,2", help="Seeds of each row, in place of the grid's.")
@click.option("--baseline", metavar="ROW", help="The row that the others are compared with, in place of the grid's.")
@click.option("--jobs", default=1, show_default=True, metavar="N", help="Runs side by side, each in a process.")
@click.option("--notebook", metavar="NAME", help="Make each run as this notebook, executed (03_train).")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="In place of outputs/.")
def sweep(
    grid: str, pairs, seeds: str | None, baseline: str | None, jobs: int, notebook: str | None, out: Path | None
) -> None:
    """Run GRID, a YAML file or a name, and print one table.

    Names: losses, ablation, rivals, probabilities, and the printed tables lmpt_table2, lmpt_table3, pg_table2 to
    pg_table5. A file has `settings` of every run, named `rows` of settings, a `grid` of lists to combine, `seeds`,
    `ensembles`, a `baseline`: the README has one.

    Finished runs are read and not repeated: a sweep that was stopped goes on when it is called again. The table is also
    left in outputs/sweeps/, as CSV: mean, deviation and t interval over seeds, and differences from the baseline, paired
    on seeds and test images, whose intervals hold both (one seed: test images alone).
    """
    from lmptlib import config
    from lmptlib.paths import outputs_folder, safe_name
    from lmptlib.suite import notebooks
    from lmptlib.sweeps.engine import run_sweep
    from lmptlib.sweeps.grid import read_sweep
    from lmptlib.sweeps.tables import sweep_summary, sweep_table

    given = config.read_settings(dict(pairs))
    if seeds is not None:
        if not all(seed.strip().isdigit() for seed in seeds.split(",")):
            raise click.ClickException(f"--seeds takes whole numbers with commas between them, not '{seeds}'")
        given["seeds"] = [int(seed) for seed in seeds.split(",")]
    if jobs < 1:
        raise click.ClickException(f"--jobs must be at least 1, not {jobs}")
    path = notebooks.find_notebook(notebook) if notebook else None
    asked = read_sweep(grid, given, baseline)
    click.echo(asked.about)
    try:
        made = run_sweep(asked, out, jobs, path, click.echo)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    table = sweep_table(asked, made)
    dataset = next(iter(made.values()))[0].config["dataset"]
    places = ("dataset", "data_root", "model", "weights", "device")
    others = [f"{name}={value}" for name, value in given.items() if name not in places]
    others += [f"from={baseline}"] if baseline else []
    target = outputs_folder(out) / "sweeps" / f"{safe_name('-'.join([asked.name, dataset, *others]))}.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    against = f"; differences from '{asked.baseline}', paired, with 95% intervals" if asked.baseline else ""
    click.echo(f"\nmAP on {dataset}, mean and deviation over seeds{against}")
    click.echo(sweep_summary(table).to_string(index=False, na_rep=""))
    if asked.published:
        click.echo("(printed: the papers' totals on other data with another backbone; orders compare, levels do not)")
    click.echo(f"table: {target}")


@main.command()
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List the recipes, or show all of NAME: settings, command, minutes, and the printed result that it goes for."""
    import yaml

    from lmptlib.published.tables import published
    from lmptlib.recipes.reading import load_recipe, read_recipe, recipe_names

    if name is None:
        for known in recipe_names():
            click.echo(f"{known:34} {read_recipe(known)['about']}")
        return
    recipe = read_recipe(name)
    click.echo(
        f"{name}: {recipe['about']}\ncommand: lmpt run train -p recipe {name}   (-p dataset, model, weights as you like)"
    )
    click.echo(f"minutes: {recipe['minutes']} (emoji-lt, 2 CPU cores, features cached)")
    if "expected" in recipe:
        click.echo(f"measured: {recipe['expected']}")
    if "published" in recipe:
        table = published()
        table = table[table["address"] == recipe["published"]]
        click.echo(f"printed at {recipe['published']} (source/table/row), mAP in percent:")
        click.echo(table[["dataset", "backbone", "total", "head", "medium", "tail"]].to_string(index=False))
    for dataset in ("voc-lt", "coco-lt"):
        click.echo(f"settings on {dataset} (and others)" if dataset == "voc-lt" else "on coco-lt, where they differ")
        settings = load_recipe(name, dataset)
        shown = (
            settings if dataset == "voc-lt" else {k: v for k, v in settings.items() if v != load_recipe(name, "")[k]}
        )
        click.echo("".join(f"  {line}\n" for line in yaml.safe_dump(shown, sort_keys=False).splitlines()), nl=False)


@main.group()
def data() -> None:
    """List the built-in data sets, or check one."""


@data.command("list")
def data_list() -> None:
    """List the built-in data sets. Your own is a CSV file or a YAML card: see the README."""
    from lmptlib.data.loading import BUILT_IN

    for name, about in BUILT_IN.items():
        click.echo(f"{name:10} {about}")
    click.echo(f"{'':10} (data/ is {home() / 'data'})")


@data.command("check")
@click.argument("name")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where a built-in data set lies, in place of data/, or the images of a CSV file.",
)
def data_check(name: str, root: Path | None) -> None:
    """Check NAME (emoji-lt, voc-lt, coco-lt, or the path of a CSV file or a card): every line, every image.

    Prints what is wrong and where, a line each, or the counts of what is there.
    """
    from lmptlib.data.dataset import GROUPS
    from lmptlib.data.loading import check_dataset

    dataset = check_dataset(name, root)
    for warning in dataset.warnings:
        click.echo(f"note: {warning}")
    counts = ", ".join(f"{len(split):,} {key}" for key, split in dataset.splits.items())
    groups = ":".join(str(int((dataset.groups == group).sum())) for group in GROUPS)
    low, high = dataset.class_counts.min(), dataset.class_counts.max()
    click.echo(
        f"{dataset.name}: in order. {counts} images, {len(dataset.class_names)} classes with {low} to {high} training "
        f"images, head:medium:tail {groups}"
    )
    click.echo(dataset.class_table().to_string(index=False))


if __name__ == "__main__":
    main()
