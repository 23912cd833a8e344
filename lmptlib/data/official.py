"""The long tails that papers measure on, by name: how their official lists are called, and what names their classes.

Lists of multi-label data come with a file of class names (LMPT's repository). Those of single-label data have ids alone:
names are open_clip's for ImageNet-LT, are made of the folders for Places-LT (both Liu et al., CVPR 2019), and stand in the
competition's `categories.json` for iNaturalist 2018.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import StrictInt, StrictStr, TypeAdapter

from lmptlib.data.dataset import KINDS
from lmptlib.data.formats.files import checked, name_problems, read_json
from lmptlib.data.formats.lists import in_order, read_classes, read_folders
from lmptlib.data.text import plain_spaces
from lmptlib.errors import DataError

# open_clip has one name for two classes, twice. These are WordNet's own of n04008634 and n04355933 [GK].
_TOLD_APART = {744: "projectile", 836: "sunglass"}


@dataclass(slots=True)
class _Category:
    id: StrictInt
    name: StrictStr


_CATEGORIES = TypeAdapter(list[_Category])


def imagenet_names(train: Path) -> tuple[tuple[str, ...], list[str]]:
    """open_clip's names of ImageNet's 1,000 classes, and no notes, for a list whose ids are in the order of WordNet's.

    Images lie in folders that are called as WordNet does, `train/n01440764/`. Raises DataError where the training list's
    folders are others, or in another order: then the names would be wrong.
    """
    # open_clip takes seconds to import, and nothing else of the data needs it
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    wordnet = [Path(folder).name for folder in read_folders(train)]
    if len(wordnet) != len(IMAGENET_CLASSNAMES) or wordnet != sorted(wordnet):
        told = f"it has {len(wordnet):,} classes, {'' if wordnet == sorted(wordnet) else 'not '}in the order of their folders"
        needed = "class names are known of ImageNet's 1,000 in the order of their folders (n01440764, ...)"
        raise DataError([f"{train}: {told}; {needed}. For others write a card with your own 'classes'"])
    return tuple(_TOLD_APART.get(i, name) for i, name in enumerate(IMAGENET_CLASSNAMES)), []


def places_names(train: Path) -> tuple[tuple[str, ...], list[str]]:
    """Names of Places' classes made of the training list's folders, and no notes. Raises DataError.

    `data_256/a/apartment_building/outdoor` gives `apartment building outdoor`, as `train/apartment_building-outdoor`, of
    the smaller release, does.
    """
    names = tuple(_place(folder) for folder in read_folders(train))
    if problems := name_problems(train, names):
        raise DataError(problems)
    return names, []


def _place(folder: str) -> str:
    parts = Path(folder).parts[1:]
    # the letter that the larger release sorts places by
    parts = parts[1:] if len(parts) > 1 and len(parts[0]) == 1 else parts
    return " ".join(parts).replace("_", " ").replace("-", " ")


def species_names(path: Path) -> tuple[tuple[str, ...], list[str]]:
    """Names of iNaturalist's species by `categories.json`, a list of {id, name, ...}, and no notes. Raises DataError.

    Those in the annotation files of the competition are numbers; the true ones were released after it.
    """
    categories = checked(_CATEGORIES, read_json(path), path)
    names = {category.id: plain_spaces(category.name) for category in categories}
    if not names or min(names) < 0 or len(names) < len(categories):
        raise DataError([f"{path}: a list of categories is needed, each with an id of its own from 0 on"])
    if problems := name_problems(path, names.values()):
        raise DataError(problems)
    return in_order(names, path), []


class Official(NamedTuple):
    """folder: below the data root, where the lists may lie too. files: their names, by a card's keys.

    names: reads the class names, and notes, of the file `classes`, which is the training list where none is named.
    """

    folder: str
    files: dict[str, str]
    names: Callable[[Path], tuple[tuple[str, ...], list[str]]] = read_classes
    task: str = KINDS[1]


def _lists(pattern: str, *keys: str) -> dict[str, str]:
    return {key: pattern.format(key) for key in keys}


OFFICIAL = {
    "voc-lt": Official(
        "voc", _lists("voc_lt_{}.txt", "train", "test", "captions") | {"classes": "voc_labels.txt"}, task=KINDS[0]
    ),
    "coco-lt": Official(
        "coco", _lists("coco_lt_{}.txt", "train", "test", "captions") | {"classes": "coco_labels.txt"}, task=KINDS[0]
    ),
    "imagenet-lt": Official("ImageNet_LT", _lists("ImageNet_LT_{}.txt", "train", "val", "test"), imagenet_names),
    "places-lt": Official("Places_LT", _lists("Places_LT_{}.txt", "train", "val", "test"), places_names),
    # the competition's test labels are not public: papers test on its validation images
    "inaturalist-2018": Official(
        "iNaturalist18",
        {"train": "iNaturalist18_train.txt", "test": "iNaturalist18_val.txt", "classes": "categories.json"},
        species_names,
    ),
}


def list_folders(name: str, root: Path) -> list[Path]:
    """Where the lists of a data set of OFFICIAL may lie: in the data root, in its own folder or in lists/ below it."""
    return [root, root / OFFICIAL[name].folder, root / "lists"]


def official_card(name: str, root: Path) -> dict:
    """The files of a data set of OFFICIAL below `root`, with its task; its captions where they are there.

    Raises DataError, a line for each list that is missing, where another one is.
    """
    official = OFFICIAL[name]
    folders = list_folders(name, root)
    card: dict = {"name": name, "root": root, "task": official.task, "names": official.names}
    problems = []
    for key, file in official.files.items():
        found = [folder / file for folder in folders if (folder / file).is_file()]
        if found:
            card[key] = found[0]
        else:
            looked = ", ".join(str(folder) for folder in folders)
            what = " (class names)" if key == "classes" else ""
            problems.append(
                f"{name}: {file}{what} is missing; looked in {looked}. See data/README.md for where to get it"
            )
    if official.files.keys() - card.keys() - {"captions"}:
        raise DataError(problems)
    return {"classes": card["train"]} | card
