"""`lmpt data`: the built-in data sets, and the check of any."""

from pathlib import Path

import click

from lmptlib.suite.cli.options import PATH


@click.group()
def data() -> None:
    """List the built-in data sets, or check one."""


@data.command("list")
def data_list() -> None:
    """List the built-in data sets. Your own is a CSV file or a YAML card: see the README."""
    from lmptlib.data.loading import BUILT_IN
    from lmptlib.paths import home

    for name, about in BUILT_IN.items():
        click.echo(f"{name:10} {about}")
    click.echo(f"{'':10} (data/ is {home() / 'data'})")


@data.command("check")
@click.argument("name")
@click.option("--root", type=PATH, metavar="DIR", help="Where a built-in data set, or the images of a CSV file, lie.")
@click.option("--verify", is_flag=True, help="Read all images anew and compare their bytes with the manifest.")
@click.option("--cache", type=PATH, metavar="DIR", help="Where the manifest lies, in place of data/cache/.")
@click.pass_context
def data_check(context: click.Context, name: str, root: Path | None, verify: bool, cache: Path | None) -> None:
    """Check NAME (emoji-lt, voc-lt, coco-lt, or the path of a CSV file or a card): every line, every image.

    Prints what is wrong and where, a line each, or the counts of what is there: of unusual pictures, too, and of those that
    two splits share. The manifest holds a digest of each image
    as a run read it; --verify names those that are no longer so, puts the manifest right, and exits with status 1.
    """
    from lmptlib.data.dataset import GROUPS
    from lmptlib.data.loading import check_dataset, load_dataset

    changed = load_dataset(name, root).verify(cache) if verify else []
    dataset = check_dataset(name, root, cache)
    for warning in dataset.warnings:
        click.echo(f"note: {warning}")
    counts = ", ".join(f"{len(split):,} {key}" for key, split in dataset.splits.items())
    groups = ":".join(str(int((dataset.groups == group).sum())) for group in GROUPS)
    low, high = dataset.class_counts.min(), dataset.class_counts.max()
    classes = f"{len(dataset.class_names)} classes with {low} to {high} training images, head:medium:tail {groups}"
    click.echo(f"{dataset.name}: in order. {counts} images, {classes}")
    click.echo(dataset.class_table().to_string(index=False))
    if verify:
        for line in changed or ["verified: no image differs from what the manifest says of it"]:
            click.echo(line)
        context.exit(1 if changed else 0)
