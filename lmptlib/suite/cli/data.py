"""`lmpt data`: the built-in data sets, their download, the check of any, its conversion to CSV, a long tail of it, captions."""

import shlex
from pathlib import Path

import click

from lmptlib.suite.cli.options import PATH


@click.group()
def data() -> None:
    """List, download, check, convert data sets, cut a long tail out of one, or caption its images."""


@data.command("list")
def data_list() -> None:
    """List the built-in data sets, and what your own may be: see the README."""
    from lmptlib.data.formats.recognition import FORMATS
    from lmptlib.data.loading import BUILT_IN
    from lmptlib.paths import home

    for name, about in BUILT_IN.items():
        click.echo(f"{name:16} {about}")
    click.echo(f"{'':16} (data/ is {home() / 'data'})")
    click.echo("Your own, by the path of a file or a folder, or of a YAML card:")
    for known in FORMATS:
        parts = (f"a {known.files} file" * bool(known.files), f"a folder with {known.folder}" * bool(known.folder))
        click.echo(f"  {known.name:14} {'; '.join(filter(None, parts))}")


@data.command("download")
@click.argument("name")
@click.option("--root", type=PATH, metavar="DIR", help="Where to, in place of data/.")
@click.option(
    "--mirror", "mirrors", multiple=True, metavar="URL", help="A folder with the same files, tried first; also twice."
)
@click.option("--rebuild", is_flag=True, help="Make VOC-LT's lists of VOC's annotations; ask for none.")
def data_download(name: str, root: Path | None, mirrors: tuple[str, ...], rebuild: bool) -> None:
    """Download what is missing of NAME, voc-lt or coco-lt: lists, captions, and the photographs that the lists name.

    Files that are there are not fetched again, and a download that was stopped goes on where it was. Every archive is
    compared with its published checksum, every single image is decoded; what is not right is not kept. Where the lists of
    voc-lt cannot be had, they are made of VOC's own annotations: the same images and labels, and no captions.
    """
    if wrong := [mirror for mirror in mirrors if not mirror.startswith(("http://", "https://"))]:
        raise click.UsageError(f"--mirror is an address, http://... or https://..., and not {wrong[0]}")
    from lmptlib.data.download import download
    from lmptlib.paths import home

    download(name, root or home() / "data", mirrors, click.echo, rebuild=rebuild)


@data.command("check")
@click.argument("name")
@click.option("--root", type=PATH, metavar="DIR", help="Where a built-in data set, or the images of your own, lie.")
@click.option("--verify", is_flag=True, help="Read all images anew and compare their bytes with the manifest.")
@click.option("--cache", type=PATH, metavar="DIR", help="Where the manifest lies, in place of data/cache/.")
@click.pass_context
def data_check(context: click.Context, name: str, root: Path | None, verify: bool, cache: Path | None) -> None:
    """Check NAME (a built-in name, or the path of a file, a folder or a card): every line, every image.

    Prints what is wrong and where, a line each, or the counts of what is there: of unusual pictures, too, and of those that
    two splits share. The manifest holds a digest of each image
    as a run read it; --verify names those that are no longer so, puts the manifest right, and exits with status 1.
    """
    from lmptlib.data.dataset import GROUPS
    from lmptlib.data.loading import check_dataset, load_dataset
    from lmptlib.data.words import group_said, shown

    changed = load_dataset(name, root).verify(cache) if verify else []
    for line in changed:
        click.echo(line)
    dataset = check_dataset(name, root, cache)
    for warning in dataset.warnings:
        click.echo(f"note: {warning}")
    counts = ", ".join(f"{len(split):,} {key}" for key, split in dataset.splits.items())
    groups = ":".join(str(int((dataset.groups == group).sum())) for group in GROUPS)
    low, high = dataset.class_counts.min(), dataset.class_counts.max()
    names = ":".join(group_said(group, dataset.task.kind) for group in GROUPS)
    classes = f"{len(dataset.class_names)} classes with {low} to {high} training images, {names} {groups}"
    click.echo(f"{dataset.name}: in order. {counts} images, {classes}")
    click.echo(shown(dataset.class_table()).to_string(index=False))
    if verify:
        if not changed:
            click.echo("verified: no image differs from what the manifest says of it")
        context.exit(1 if changed else 0)


@data.command("convert")
@click.argument("source")
@click.argument("target", type=PATH)
@click.option("--root", type=PATH, metavar="DIR", help="Where the images lie, if not where the format has them.")
@click.option("--difficult", type=click.Choice(["yes", "no"]), help="Whether VOC's difficult objects count (yes).")
@click.option("--force", is_flag=True, help="Overwrite TARGET.")
def data_convert(source: str, target: Path, root: Path | None, difficult: str | None, force: bool) -> None:
    """Write the data set SOURCE, of any format, as the CSV file TARGET: images, labels, captions of training images, splits.

    Everything but the pictures themselves is checked as for a run. Images are named relative to TARGET's folder, where they
    are below it.
    """
    if target.suffix.lower() != ".csv":
        raise click.UsageError(f"TARGET is to end in .csv, and {target} does not")
    if target.exists() and not force:
        raise click.ClickException(f"{target} is there already; --force overwrites it")
    if target.exists() and Path(source).exists() and target.samefile(source):
        raise click.ClickException(f"{target} is SOURCE itself: name another file")
    from lmptlib.data.conversion import write_csv
    from lmptlib.data.dataset import USUAL_CUTOFFS
    from lmptlib.data.loading import load_dataset

    dataset = load_dataset(source, root, difficult=None if difficult is None else difficult == "yes")
    for warning in dataset.warnings:
        click.echo(f"note: {warning}")
    below = write_csv(dataset, target)
    counts = ", ".join(f"{len(split):,} {key}" for key, split in dataset.splits.items())
    captions = ", captions of the training images" if dataset.train.captions else ""
    click.echo(f"wrote {target}: {counts} images, {len(dataset.class_names)} classes{captions}")
    if below != target.parent:
        places = f"-p dataset {shlex.quote(str(target))} -p data_root {shlex.quote(str(below))}"
        click.echo(f"its images are below {below}: read it with {places}")
    own_cutoffs = dataset.task.cutoffs != USUAL_CUTOFFS[dataset.task.kind] and not dataset.task.thirds
    if own_cutoffs or dataset.task.single or not dataset.class_counts.all():
        click.echo("a CSV file does not hold 'task', 'cutoffs' and 'allow_empty': a card with 'source: ...' does")


@data.command("make")
@click.argument("name")
@click.option(
    "--from", "source", required=True, metavar="DATASET", help="A built-in name, or a path: what to draw from."
)
@click.option("--max", "largest", type=click.IntRange(1), required=True, help="Images wanted of the first class.")
@click.option(
    "--min", "smallest", type=click.IntRange(1), default=1, show_default=True, help="What counts fall towards."
)
@click.option("--b", type=float, default=6.0, show_default=True, help="How steeply: as the Pareto density x^-(b + 1).")
@click.option(
    "--val", type=float, default=0.2, show_default=True, metavar="SHARE|N", help="Validation images; 0: DATASET's."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which draw.")
@click.option("--root", type=PATH, metavar="DIR", help="Where DATASET, or its images, lie.")
@click.option("--force", is_flag=True, help="Overwrite the card and its lists.")
def data_make(
    name: str,
    source: str,
    largest: int,
    smallest: int,
    b: float,
    val: float,
    seed: int,
    root: Path | None,
    force: bool,
) -> None:
    """Cut a long tail out of the training images of DATASET, by the rule that made VOC-LT and COCO-LT.

    Writes the card data/NAME/NAME.yaml, or one into the folder that NAME is the path of, with its lists and captions. Images
    stay where they are, and the test split is that of DATASET. Validation images are drawn from the training images that are
    left: a share of them, or about N, of each class its share. With --val 0 they are those of DATASET.
    An image brings all its labels along, so a class may have more images than wanted.
    """
    if largest < smallest:
        raise click.UsageError(f"--max {largest} is less than --min {smallest}")
    if not 0 < b < float("inf"):
        raise click.UsageError(f"--b is to be above 0, not {b:g}")
    if not 0 <= val < float("inf") or (val > 1 and val % 1):
        raise click.UsageError(f"--val is to be a share below 1, or a whole number of images, not {val:g}")
    from lmptlib.data.loading import captions_by, load_dataset
    from lmptlib.data.longtail import pareto_counts
    from lmptlib.data.longtail_card import card_folder, cut_long_tail, cut_notes, cut_table, write_card
    from lmptlib.data.words import shown

    folder = card_folder(name)
    _keep_source(source, folder)
    dataset = load_dataset(source, root)
    wanted = pareto_counts(len(dataset.class_names), b, largest, smallest)
    made = cut_long_tail(dataset, folder.name, wanted, val, seed)
    about = f"a long tail cut out of {source}: b {b:g}, max {largest}, min {smallest}, seed {seed}, val {val:g}"
    card = write_card(made, folder, about, force, captions_by(source))
    table = cut_table(dataset, made, wanted)
    click.echo(shown(table).to_string(index=False))
    for note in [*cut_notes(dataset, made, table), *load_dataset(str(card)).warnings]:
        click.echo(f"note: {note}")
    counts = ", ".join(f"{len(split):,} {key}" for key, split in made.splits.items())
    click.echo(f"wrote {card}: {counts} images; read it with -p dataset {shlex.quote(str(card))}")


@data.command("caption")
@click.argument("dataset")
@click.option("--name", metavar="NAME", help="What it is then called, or a path (DATASET-captioned).")
@click.option(
    "--model", metavar="NAME|DIR", help="A transformers model that describes pictures (Salesforce's BLIP, 1 GB)."
)
@click.option("--prompt", default="", metavar="TEXT", help="How captions by a model begin.")
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True, help="Images at a time.")
@click.option("--templates", is_flag=True, help="Sentences made of the labels, in place of a model.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which sentences of --templates.")
@click.option("--root", type=PATH, metavar="DIR", help="Where DATASET, or its images, lie.")
@click.option("--force", is_flag=True, help="Overwrite the card, and captions that are by another model.")
def data_caption(
    dataset: str,
    name: str | None,
    model: str | None,
    prompt: str,
    batch: int,
    templates: bool,
    seed: int,
    root: Path | None,
    force: bool,
) -> None:
    """Make captions of the training images of DATASET, which has none: by a model, or by --templates of its labels.

    Writes the card data/NAME/NAME.yaml, or one into the folder that NAME is the path of, with captions and lists; DATASET and
    its images stay as they are. Captions by a model are kept as they come, in captions.jsonl beside the card: the same command
    goes on where it was stopped. The model comes from Hugging Face, or from the folder DIR. The card says what made the
    captions, and so do the notes of what reads it. Those of --templates tell nothing that the labels do not.
    """
    if templates and (model or prompt):
        raise click.UsageError("--templates are made of the labels: --model and --prompt do not go with them")
    from dataclasses import replace

    from lmptlib.data.captioning import MODEL, NOTHING, Captioner, model_captions, template_captions
    from lmptlib.data.loading import load_dataset
    from lmptlib.data.longtail_card import card_folder, write_card
    from lmptlib.paths import safe_name

    loaded = load_dataset(dataset, root)
    folder = card_folder(name or f"{safe_name(loaded.name)}-captioned")
    _keep_source(dataset, folder)
    if (folder / f"{folder.name}.yaml").exists() and not force:
        raise click.ClickException(f"{folder / folder.name}.yaml is there already; --force overwrites it")
    if loaded.train.captions:
        click.echo(
            f"note: {loaded.name} has captions, which stay where they are; the card has those that are made here"
        )
    if templates:
        captions = template_captions(loaded, seed)
        by = f"templates of the labels, seed {seed}: they tell nothing that the labels do not"
    else:
        captioner = Captioner(model or MODEL, prompt)
        captions = model_captions(loaded.train, captioner, folder / "captions.jsonl", batch, click.echo, force)
        by = captioner.name
    if empty := captions.count(""):
        click.echo(f"note: {empty:,} captions are empty; '{NOTHING}' stands for them")
    train = replace(loaded.train, captions=tuple(caption or NOTHING for caption in captions))
    about = f"{dataset}, with captions by {by}"
    card = write_card(replace(loaded, name=folder.name, train=train), folder, about, force, by)
    for note in load_dataset(str(card)).warnings:
        click.echo(f"note: {note}")
    for image, caption in list(zip(train.names, train.captions or ()))[:3]:
        click.echo(f"  {image}: {caption}")
    click.echo(f"wrote {card}: {len(train):,} captions; read it with -p dataset {shlex.quote(str(card))}")


def _keep_source(source: str, folder: Path) -> None:
    """Raises ClickException where a card would be written where its source lies."""
    from lmptlib.paths import from_home

    there = from_home(source)
    if there.exists() and folder.exists() and any(path.samefile(folder) for path in (there, there.parent)):
        raise click.ClickException(f"{folder} is where DATASET itself lies: take another NAME")
