"""Finding and checking data sets: built-in ones by name, your own by a YAML card or a CSV file.

Every line is checked before anything else happens."""

from dataclasses import replace
from pathlib import Path

import yaml

from lmptlib.data import emoji
from lmptlib.data.checks import check_pictures, repeated_pictures
from lmptlib.data.dataset import CUTOFFS, Dataset, Split, Task
from lmptlib.data.formats.csv_file import read_csv
from lmptlib.data.formats.lists import read_classes, read_list, with_captions
from lmptlib.data.rows import SPLITS, Reading, assemble
from lmptlib.errors import DataError, first_line, nearest, shorten
from lmptlib.paths import home

_OFFICIAL = {"voc-lt": "voc", "coco-lt": "coco"}
BUILT_IN = {
    "emoji-lt": "20 VOC classes drawn from emoji, drawn at first use (the default)",
    "voc-lt": "VOC-LT, 1,142 + 4,952 images: official lists and VOCdevkit/ under data/ or data_root",
    "coco-lt": "COCO-LT, 1,909 + 5,000 images: official lists and train2017/, val2017/ under data/ or data_root",
}
_PATHS = ("root", "train", "test", "classes", "captions", "val")
_CARD_KEYS = {"name": str} | dict.fromkeys(_PATHS, str) | {"allow_empty": bool, "version": int, "cutoffs": list}
_REQUIRED = ("name", "root", "train", "test", "classes")


def read_card(path: Path) -> dict:
    """A data set's YAML card with its paths made absolute. Raises DataError."""
    try:
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError([f"{path}: no such card"]) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or first_line(error)
        raise DataError([f"{path}{line}: not a YAML card ({why})"]) from None
    if not isinstance(card, dict):
        raise DataError([f"{path}: a card is a list of 'key: value' lines; needed: {', '.join(_REQUIRED)}"])
    problems = [f"{path}: unknown key '{key}'.{nearest(str(key), _CARD_KEYS)}" for key in card if key not in _CARD_KEYS]
    problems += [f"{path}: '{key}' is missing" for key in _REQUIRED if key not in card]
    for key, kind in _CARD_KEYS.items():
        if key in card and not isinstance(card[key], kind):
            problems.append(f"{path}: '{key}' must be a {kind.__name__}, not {card[key]!r}")
    cutoffs = card.get("cutoffs", list(CUTOFFS))
    if isinstance(cutoffs, list) and not _are_cutoffs(cutoffs):
        problems.append(f"{path}: 'cutoffs' must be two falling whole numbers above 0, as [100, 20], not {cutoffs}")
    if problems:
        raise DataError(problems)
    for key in _PATHS:
        if key in card:
            card[key] = path.parent / Path(card[key]).expanduser()
    if not card["root"].is_dir():
        raise DataError([f"{path}: root {card['root']} is not a folder"])
    return card


def _are_cutoffs(values: list) -> bool:
    return [type(value) for value in values] == [int, int] and values[0] > values[1] > 0


def official_card(name: str, root: Path) -> dict:
    """The files of VOC-LT or COCO-LT below `root`: the lists lie in it, or in voc/ or coco/ or lists/ below it."""
    short = _OFFICIAL[name]
    folders = [root, root / short, root / "lists"]
    files = {key: f"{short}_lt_{key}.txt" for key in ("train", "test", "captions")}
    files["classes"] = f"{short}_labels.txt"
    card: dict = {"name": name, "root": root}
    problems = []
    for key, file in files.items():
        found = [folder / file for folder in folders if (folder / file).is_file()]
        if found:
            card[key] = found[0]
        else:
            looked = ", ".join(str(folder) for folder in folders)
            problems.append(f"{name}: {file} is missing; looked in {looked}. See data/README.md for where to get it")
    if problems:
        raise DataError(problems)
    return card


def _find_card(dataset: str, data_root: str | Path | None) -> dict:
    """The card of a built-in data set or of a YAML file; for other files and folders their place."""
    if dataset == "emoji-lt":
        return read_card(emoji.write_emoji_lt(Path(data_root or home() / "data") / "emoji-lt"))
    if dataset in _OFFICIAL:
        return official_card(dataset, Path(data_root or home() / "data"))
    path = Path(dataset).expanduser()
    if path.suffix in (".yaml", ".yml"):
        if data_root:
            raise DataError([f"data_root is for built-in data sets; the card {path} says its own root"])
        return read_card(path)
    if path.suffix.lower() in (".csv", ".tsv"):
        return {"name": path.stem, "csv": path, "root": Path(data_root or path.parent)}
    own = "Your own: the path of a .csv file or a .yaml card"
    raise DataError([f"unknown dataset '{shorten(dataset)}'.{nearest(dataset, BUILT_IN)} {own}"])


def _read_lists(card: dict) -> Reading:
    """What a card's lists say. Raises DataError where a file cannot be read."""
    class_names, notes = read_classes(card["classes"])
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


def load_dataset(dataset: str = "emoji-lt", data_root: str | Path | None = None, check_images: bool = True) -> Dataset:
    """Read and check a data set by its name, by the path of its YAML card or by that of a CSV file.

    `data_root` is where a built-in data set lies (default `data/`), or the folder of a CSV file's images (default: its own).
    Every problem is reported at once, one line each, in a DataError: bad lines, unknown ids, duplicate or missing images,
    captions that do not match, classes without a training image (unless the card says `allow_empty: true`). Classes
    without a test image are warnings.
    """
    card = _find_card(dataset, data_root)
    reading = read_csv(card["csv"], card["root"]) if "csv" in card else _read_lists(card)
    class_names, splits, warnings = assemble(reading, check_images)
    train, test = splits["train"], splits["test"]
    empty = _without_image(class_names, train)
    if empty and not card.get("allow_empty"):
        what = "add one" if "csv" in card else "add one, or 'allow_empty: true' to the card"
        raise DataError([f"{train.source}: class '{name}' has no training image; {what}" for name in empty])
    warnings += _warnings(class_names, train, test)
    task = Task(cutoffs=tuple(card.get("cutoffs", CUTOFFS)))
    named = tuple(f"{card['name']}: {warning}" for warning in warnings)
    return Dataset(card["name"], class_names, train, test, splits.get("val"), named, task)


def _without_image(class_names: tuple[str, ...], split: Split) -> list[str]:
    return [name for name, shown in zip(class_names, split.labels.sum(0)) if not shown]


def _warnings(class_names: tuple[str, ...], train: Split, test: Split) -> list[str]:
    """What is no mistake, and yet to be known before a run."""
    warnings = []
    if empty := _without_image(class_names, train):
        warnings.append(f"left out of the class weights, no training image: {', '.join(empty)}")
    unlabelled = [place or name for place, name, of in zip(train.places, train.names, train.labels) if not of.any()]
    if unlabelled:
        places = ", ".join(unlabelled[:5]) + (", ..." if len(unlabelled) > 5 else "")
        without = f"training images without a label ({len(unlabelled):,}, {train.source.name} {places})"
        warnings.append(f"{without} count as negatives of every class")
    if train.captions is None:
        warnings.append("no captions: zero_shot and coop can be run, lmpt cannot")
    if untested := _without_image(class_names, test):
        warnings.append(f"no AP, no test image: {', '.join(untested)}")
    if len(class_names) == 1:
        warnings.append("a single class: there is no other to compare it with, so every ranking is the logit ranking")
    return warnings


def check_dataset(dataset: str, data_root: str | Path | None = None, cache: Path | None = None) -> Dataset:
    """`load_dataset`, and every image decoded and compared as well; what is unusual is among the warnings.

    Raises DataError with all that was found.
    """
    loaded = load_dataset(dataset, data_root)
    notes = check_pictures(loaded) + repeated_pictures(loaded, cache)
    return replace(loaded, warnings=(*loaded.warnings, *(f"{loaded.name}: {note}" for note in notes)))
