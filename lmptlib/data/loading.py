"""Finding and checking data sets: built-in ones by name, your own by a file, a folder or a YAML card.

Every line is checked before anything else happens."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from lmptlib.data import emoji, emoji_single
from lmptlib.data.checks import check_pictures, repeated_pictures
from lmptlib.data.dataset import CUTOFFS, KINDS, PICTURES, Dataset, Split, Task, usual_task
from lmptlib.data.formats.files import read_yaml_file, shown
from lmptlib.data.formats.lists import read_classes, read_list, with_captions
from lmptlib.data.formats.recognition import FORMATS, format_of, not_known
from lmptlib.data.official import OFFICIAL, official_card
from lmptlib.data.rows import SPLITS, Reading, assemble
from lmptlib.errors import DataError, nearest, shorten
from lmptlib.paths import from_home, home

BUILT_IN = {
    "emoji-lt": "20 VOC classes drawn from emoji, drawn at first use (the default)",
    "emoji-single-lt": "55 classes drawn from emoji, one thing a scene: single labels, drawn at first use",
    "voc-lt": "VOC-LT, 1,142 + 4,952 images: official lists and VOCdevkit/ under data/ or data_root",
    "coco-lt": "COCO-LT, 1,909 + 5,000 images: official lists and train2017/, val2017/ under data/ or data_root",
    "imagenet-lt": "ImageNet-LT, 115,846 + 20,000 + 50,000 images, single labels: official lists and train/, val/",
    "places-lt": "Places-LT, 62,500 + 7,300 + 36,500 images, single labels: official lists and data_256/, val_256/",
    "inaturalist-2018": "iNaturalist 2018, 437,513 + 24,426 images, single labels: too many to be read whole as yet",
}
# Those that are drawn, and the version that is drawn now.
DRAWN = {"emoji-lt": emoji.VERSION, emoji_single.NAME: emoji_single.VERSION}
_LISTS = ("root", "train", "test", "classes", "captions", "val")
_PATHS = ("source", *_LISTS)
_OPTIONS = {"allow_empty": bool, "difficult": bool, "version": int, "cutoffs": list}
_TEXTS = ("name", "pictures", "task", "captions_by")
_CARD_KEYS: dict[str, type] = dict.fromkeys(_TEXTS, str) | dict.fromkeys(_PATHS, str) | _OPTIONS
_REQUIRED = ("name", "root", "train", "test", "classes")
_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml")
# File names that say nothing of what is in them.
_USUAL_NAMES = ("data", "dataset", "metadata", "annotations", "result", "_annotations.coco")


def read_card(path: Path) -> dict:
    """A data set's YAML card with its paths made absolute. Raises DataError."""
    card = read_yaml_file(path)
    if not isinstance(card, dict):
        raise DataError([f"{path}: a card is a list of 'key: value' lines; needed: {', '.join(_REQUIRED)}"])
    problems = [
        f"{path}: unknown key {shown(key)}.{nearest(str(key), _CARD_KEYS) if isinstance(key, str) else ''}"
        for key in card
        if key not in _CARD_KEYS
    ]
    required = ("name", "source") if "source" in card else _REQUIRED
    problems += [f"{path}: '{key}' is missing" for key in required if key not in card]
    of_lists = (*_LISTS, "captions_by")
    problems += [f"{path}: '{key}' does not go with 'source'" for key in of_lists if "source" in card and key in card]
    for key, kind in _CARD_KEYS.items():
        if key in card and not isinstance(card[key], kind):
            problems.append(f"{path}: '{key}' must be a {kind.__name__}, not {shown(card[key])}")
    cutoffs = card.get("cutoffs", list(CUTOFFS))
    if isinstance(cutoffs, list) and not _are_cutoffs(cutoffs):
        written = ", ".join(map(shown, cutoffs[:5]))
        problems.append(f"{path}: 'cutoffs' must be two falling whole numbers above 0, as [100, 20], not [{written}]")
    if card.get("pictures", PICTURES[0]) not in PICTURES:
        problems.append(f"{path}: 'pictures' are {' or '.join(PICTURES)}, not {shown(card['pictures'])}")
    if card.get("task", KINDS[0]) not in KINDS:
        problems.append(f"{path}: 'task' is {' or '.join(KINDS)}, not {shown(card['task'])}")
    if not problems and not card["name"].isprintable():
        problems.append(f"{path}: 'name' holds what cannot be printed: {card['name']}")
    if problems:
        raise DataError(problems)
    for key in _PATHS:
        if key in card:
            card[key] = path.parent / from_home(card[key])
    beside = os.path.abspath(path.parent)
    for key in _LISTS[1:]:
        if key in card and not Path(os.path.abspath(card[key])).is_relative_to(beside):
            problems.append(f"{path}: '{key}' must lie in the card's folder, not at {card[key]}")
    if problems:
        raise DataError(problems)
    if "root" in card and not card["root"].is_dir():
        raise DataError([f"{path}: root {card['root']} is not a folder"])
    return card


def _are_cutoffs(values: list) -> bool:
    return [type(value) for value in values] == [int, int] and values[0] > values[1] > 0


def task_of(dataset: str) -> str:
    """The task of a data set by name or path, as its card says; multi-label where that is not there or cannot be read."""
    if dataset == "emoji-single-lt":
        return KINDS[1]
    if dataset in OFFICIAL:
        return OFFICIAL[dataset].task
    return KINDS[1] if _card_says(dataset, "task") == KINDS[1] else KINDS[0]


def captions_by(dataset: str) -> str:
    """What made the captions of a data set by name or path, as its card says; empty where it does not."""
    return str(_card_says(dataset, "captions_by") or "")


def _card_says(dataset: str, key: str) -> object:
    """What a data set's card says under a key; None where it is no card, or cannot be read."""
    path = from_home(dataset)
    if path.suffix not in (".yaml", ".yml") or not _is_there(path):
        return None
    try:
        card = read_yaml_file(path)
    except DataError:
        return None
    return card.get(key) if isinstance(card, dict) else None


def _find_card(dataset: str, data_root: str | Path | None) -> dict:
    """The card of a built-in data set or of a YAML file; for other files and folders one with their `source`."""
    if dataset == "emoji-lt":
        return read_card(emoji.write_emoji_lt(Path(data_root or home() / "data") / "emoji-lt"))
    if dataset == "emoji-single-lt":
        return read_card(emoji_single.write_emoji_single_lt(Path(data_root or home() / "data") / dataset))
    if dataset in OFFICIAL:
        return official_card(dataset, Path(data_root or home() / "data"))
    path = from_home(dataset)
    if not dataset.strip() or not _is_there(path):
        if path.suffix in _SUFFIXES or len(path.parts) > 1:
            raise DataError([f"{shorten(str(path))}: no such file or folder"])
        own = "Your own: the path of a folder, a .csv or .json file, or a .yaml card"
        raise DataError([f"unknown dataset '{shorten(dataset)}'.{nearest(dataset, BUILT_IN)} {own}"])
    if path.suffix in (".yaml", ".yml") and not format_of(path):
        card = read_card(path)
        if data_root and "source" not in card:
            raise DataError([f"data_root is for built-in data sets; the card {path} says its own root"])
        return card
    return {"name": _name_of(path), "source": path}


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _name_of(path: Path) -> str:
    """`photos` for `photos/`, `photos.csv` and `photos/data.yaml`."""
    path = path.absolute()
    name = path.name if path.is_dir() else path.stem
    return path.parent.name if name in _USUAL_NAMES else name


def _read(card: dict, data_root: str | Path | None) -> Reading:
    """What the files of a card say. Raises DataError."""
    options = {key: card[key] for known in FORMATS for key in known.options if key in card}
    source = card.get("source")
    if source and not _is_there(source):
        raise DataError([f"{shorten(str(source))}: no such file or folder"])
    found = format_of(source) if source else None
    if source and not found:
        raise DataError([not_known(source)])
    if wrong := options.keys() - set(found.options if found else ()):
        raise DataError(
            [f"{source or card['name']}: '{key}' is for {_with_option(key)} alone" for key in sorted(wrong)]
        )
    return found.read(source, Path(data_root) if data_root else None, **options) if found else _read_lists(card)


def _with_option(key: str) -> str:
    return " and ".join(known.name for known in FORMATS if key in known.options)


def _read_lists(card: dict) -> Reading:
    """What a card's lists say. Raises DataError where a file cannot be read."""
    class_names, notes = card.get("names", read_classes)(card["classes"])
    reading = Reading(card["train"], card["root"], [], class_names, notes)
    for key in SPLITS:
        if key in card:
            try:
                rows, notes, problems = read_list(card[key], class_names, key)
                if rows and key == "train" and "captions" in card:
                    rows, more, wrong = with_captions(rows, card["captions"])
                    notes, problems = notes + more, problems + wrong
            except DataError as error:
                rows, notes, problems = [], [], error.problems
            reading.rows.extend(rows)
            reading.notes.extend(notes)
            reading.problems.extend(problems)
    return reading


def load_dataset(
    dataset: str = "emoji-lt",
    data_root: str | Path | None = None,
    check_images: bool = True,
    difficult: bool | None = None,
) -> Dataset:
    """Read and check a data set by its name, or by the path of a folder, a file or a YAML card.

    `data_root` is where a built-in data set lies (default `data/`), or the folder of the images that a file names (default:
    where its format has them). Every problem is reported at once, one line each, in a DataError: bad lines, unknown ids,
    duplicate or missing images, captions that do not match, classes without a training image (unless a card says
    `allow_empty: true`). Classes without a test image are warnings. difficult: whether VOC's objects that are marked so count
    as labels (None: as a card says, or they do).
    """
    card = _find_card(dataset, data_root)
    card |= {} if difficult is None else {"difficult": difficult}
    reading = _read(card, data_root)
    class_names, splits, warnings = assemble(reading, check_images)
    train, test = splits["train"], splits["test"]
    empty = _without_image(class_names, train)
    if empty and not card.get("allow_empty"):
        own = (
            "write a card with 'source: PATH' and 'allow_empty: true'"
            if "source" in card
            else "'allow_empty: true' to the card"
        )
        what = f"add one, or {own}"
        raise DataError([f"{train.source}: class '{name}' has no training image; {what}" for name in empty])
    kind = card.get("task", KINDS[0])
    if problems := [problem for split in splits.values() if kind == KINDS[1] for problem in _not_single(split)]:
        raise DataError(problems)
    warnings += _warnings(class_names, train, test, kind)
    warnings += [f"captions by {shorten(card['captions_by'], 300)}"] if card.get("captions_by") else []
    task = Task(kind, tuple(card["cutoffs"])) if "cutoffs" in card else usual_task(train.shown.sum(0), kind)
    if task.thirds:
        warnings.append(task.grouping)
    named = tuple(f"{card['name']}: {warning}" for warning in warnings)
    pictures = "emoji" if card["name"] in DRAWN else card.get("pictures", PICTURES[0])
    return Dataset(card["name"], class_names, train, test, splits.get("val"), named, task, pictures)


def _not_single(split: Split) -> list[str]:
    """A line for each image of a single-label data set that has not one label."""
    counts = split.shown.sum(1)
    return [
        f"{split.where(i)}: {split.names[i]} has {counts[i]} labels; with task single-label an image has one"
        for i in np.flatnonzero(counts != 1).tolist()
    ]


def _without_image(class_names: tuple[str, ...], split: Split) -> list[str]:
    return [name for name, shown in zip(class_names, split.shown.sum(0)) if not shown]


def _warnings(class_names: tuple[str, ...], train: Split, test: Split, kind: str) -> list[str]:
    """What is no mistake, and yet to be known before a run."""
    warnings = []
    if empty := _without_image(class_names, train):
        warnings.append(f"left out of the class weights, no training image: {', '.join(empty)}")
    # Where a place names no image but a split, the image's name does.
    places = [name if place in ("", *SPLITS) else place for place, name in zip(train.places, train.names)]
    unlabelled = [places[i] for i in np.flatnonzero(train.shown.sum(1) == 0)]
    if unlabelled:
        named = ", ".join(unlabelled[:5]) + (", ..." if len(unlabelled) > 5 else "")
        without = f"training images without a label ({len(unlabelled):,}, {train.source.name} {named})"
        warnings.append(f"{without} count as negatives of every class")
    if train.captions is None:
        what = "no captions: methods that learn from them, lmpt and prompts_and_probe, cannot be run"
        warnings.append(f"{what}; 'lmpt data caption' makes some")
    measure = "accuracy" if kind == KINDS[1] else "AP"
    if untested := _without_image(class_names, test):
        warnings.append(f"no {measure}, no test image: {', '.join(untested)}")
    everywhere = [name for name, shown in zip(class_names, test.shown.sum(0)) if shown == len(test)]
    if everywhere and kind == KINDS[0]:
        warnings.append(f"AP is 100 whatever is learned, for every test image shows it: {', '.join(everywhere)}")
    if len(class_names) == 1 and kind == KINDS[0]:
        warnings.append("a single class: there is no other to compare it with, so every ranking is the logit ranking")
    if len(class_names) == 1 and kind == KINDS[1]:
        warnings.append("a single class: accuracy is 100 whatever is learned")
    return warnings


def check_dataset(dataset: str, data_root: str | Path | None = None, cache: Path | None = None) -> Dataset:
    """`load_dataset`, and every image decoded and compared as well; what is unusual is among the warnings.

    Raises DataError with all that was found.
    """
    loaded = load_dataset(dataset, data_root)
    notes = check_pictures(loaded) + repeated_pictures(loaded, cache)
    return replace(loaded, warnings=(*loaded.warnings, *(f"{loaded.name}: {note}" for note in notes)))
