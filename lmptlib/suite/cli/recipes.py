"""`lmpt recipes`: the named sets of settings."""

import click


@click.command()
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List the recipes, or show all of NAME: settings, command, minutes, and the printed result that it goes for."""
    from lmptlib.recipes.reading import read_recipe, recipe_names

    if name is None:
        for each in recipe_names():
            click.echo(f"{each:34} {read_recipe(each)['about']}")
        return
    recipe = read_recipe(name)
    click.echo(f"{name}: {recipe['about']}")
    click.echo(f"command: lmpt run train -p recipe {name}   (-p dataset, model, weights as you like)")
    click.echo(f"minutes: {recipe['minutes']} (emoji-lt, 2 CPU cores, features cached)")
    if "expected" in recipe:
        click.echo(f"measured: {recipe['expected']}")
    if "published" in recipe:
        _show_printed(recipe["published"])
    _show_settings(name)


def _show_printed(address: str) -> None:
    from lmptlib.published.tables import published

    table = published()
    table = table[table["address"] == address]
    click.echo(f"printed at {address} (source/table/row), mAP in percent:")
    click.echo(table[["dataset", "backbone", "total", "head", "medium", "tail"]].to_string(index=False))


def _show_settings(name: str) -> None:
    import yaml

    from lmptlib.recipes.reading import load_recipe

    voc, coco, other = (load_recipe(name, dataset) for dataset in ("voc-lt", "coco-lt", ""))
    different = {key: value for key, value in coco.items() if value != other[key]}
    for title, settings in (("settings on voc-lt (and others)", voc), ("on coco-lt, where they differ", different)):
        click.echo(title)
        for line in yaml.safe_dump(settings, sort_keys=False).splitlines():
            click.echo(f"  {line}")
