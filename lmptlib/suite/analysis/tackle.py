"""What a run fetched from its pool of unlabelled images: which images for which classes, and how many of them rightly."""

from collections.abc import Sequence

import pandas as pd
from PIL import Image

from lmptlib.data.emoji_pool import read_scenes
from lmptlib.data.images import open_image
from lmptlib.data.pool import DRAWN, pool_folder
from lmptlib.errors import nearest
from lmptlib.runs.run import Run


def fetched_classes(run: Run) -> pd.DataFrame:
    """One row a class, the rarest first: class, group, train (images of the list), fetched, and of these mean p and `right`.

    right: how many really show the class; None where nobody knows, as of all pools but the drawn one.
    """
    table = fetched_images(run).groupby("class").agg(fetched=("p", "size"), p=("p", "mean"), right=("right", _total))
    classes = run.class_rows.merge(table.reset_index(), on="class", how="left").fillna({"fetched": 0})
    classes.attrs |= run.class_rows.attrs
    return classes.astype({"fetched": int}).sort_values("train", kind="stable", ignore_index=True)


def fetched_images(run: Run) -> pd.DataFrame:
    """`Run.fetched`, and whether an image is `right`: shows the class; None where nobody knows."""
    table = run.fetched
    if run.settings["tackle"] != DRAWN:
        return table.assign(right=None)
    shown = read_scenes(pool_folder(DRAWN, run.settings["data_root"]).parent)
    return table.assign(right=[c in shown[image] for c, image in zip(table["class"], table["image"])])


def fetched_pictures(run: Run, classes: Sequence[str], k: int = 6) -> tuple[list[Image.Image], pd.DataFrame]:
    """The k best images that were fetched for each of some classes, as pictures, and their rows of `fetched_images`.

    Raises ValueError for a class that the data do not have, and for a picture that is no more in the pool.
    """
    for name in classes:
        if name not in set(run.class_rows["class"]):
            raise ValueError(f"no class '{name}'.{nearest(name, run.class_rows['class'])}")
    table, folder = fetched_images(run), pool_folder(run.settings["tackle"], run.settings["data_root"])
    of_classes = [table[(table["class"] == name) & (table["rank"] <= k)] for name in classes]
    chosen = pd.concat(of_classes, ignore_index=True) if of_classes else table[:0]
    return [open_image(folder / name) for name in chosen["image"]], chosen


def _total(right: pd.Series) -> int | None:
    return None if right.isna().any() else int(right.sum())
