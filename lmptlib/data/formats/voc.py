"""PASCAL VOC: a folder with `Annotations/`, `ImageSets/Main/` and `JPEGImages/`, several of them, or XML files beside images."""

import os
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from lmptlib.data.formats.files import is_picture, name_problems, shown, split_named, with_test
from lmptlib.data.rows import Reading, Row, is_file
from lmptlib.data.text import plain_spaces, read_text
from lmptlib.errors import few, first_line, printable, shorten


def is_voc(path: Path) -> bool:
    return path.is_dir() and bool(_years_in(path) or _flat_folders(path))


def read_voc(path: Path, root: Path | None = None, difficult: bool = True) -> Reading:
    """What the XML files of PASCAL VOC say: of `VOCdevkit/`, of one year in it, or of a folder of XML files beside images.

    Where a `test.txt` has annotations, its images are for testing and `trainval.txt` of all years for training; else `val.txt`
    is for testing. An image's labels are its objects, those marked difficult too, unless `difficult` is False. An annotation
    is of the image that is called as its own file is, where there is one, else of that in its <filename>. Raises DataError.
    """
    reading = Reading(path, root or path, [])
    listed = _listed(path, reading.notes, reading.problems) if _years_in(path) else None
    found = _beside_images(path, reading.notes) if listed is None else listed
    pictures = cache(_by_stem)
    left_out = misnamed = 0
    for xml, split in found:
        place = printable(os.path.relpath(xml, path))
        try:
            told, objects = _read(xml)
        except ValueError as error:
            reading.problems.append(f"{path} {place}: {error}")
            continue
        names = [name for name, is_difficult in objects if difficult or not is_difficult]
        left_out += len(objects) - len(names)
        labels = tuple(sorted(set(names)))
        if problems := name_problems(f"{path} {place}", labels):
            reading.problems.extend(problems)
        else:
            folder = _image_folder(xml.parent.relative_to(path))
            name = _image(reading.root / folder, pictures(reading.root / folder).get(xml.stem, []), xml.stem, told)
            misnamed += bool(told) and _stem(told) != xml.stem == _stem(name)
            reading.rows.append(Row(path, place, os.path.join(folder, name), labels, split=split))
    rows, notes = with_test(reading.rows)
    if misnamed:
        notes.append(f"images by the XML file's own name, for its <filename> is another: {misnamed:,}")
    objects_told = f", {left_out:,} difficult objects left out" if not difficult else ""
    reading.notes.insert(0, f"VOC: {len(found):,} XML files{objects_told}")
    return Reading(path, reading.root, rows, None, reading.notes + notes, reading.problems)


def _years_in(path: Path) -> list[Path]:
    """The folders with `Annotations/`: the path itself, or those in it."""
    folders = [path] if (path / "Annotations").is_dir() else sorted(path.iterdir())
    return [folder for folder in folders if (folder / "Annotations").is_dir()]


def _flat_folders(path: Path) -> list[tuple[Path, str | None]]:
    """The folders with XML files beside images, and their splits: the path itself, or `train/`, `valid/` and `test/` in it."""
    parts = [(folder, split_named(folder.name)) for folder in sorted(path.iterdir()) if folder.is_dir()]
    found = [(path, None), *((folder, split) for folder, split in parts if split)]
    return [(folder, split) for folder, split in found if any(folder.glob("*.xml")) and _pictures(folder)]


def _pictures(folder: Path) -> list[str]:
    return [name for name in sorted(os.listdir(folder)) if is_picture(name)] if folder.is_dir() else []


def _by_stem(folder: Path) -> dict[str, list[str]]:
    """The pictures in a folder by their names without suffixes."""
    found = defaultdict(list)
    for name in _pictures(folder):
        found[_stem(name)].append(name)
    return found


def _stem(name: str) -> str:
    name = os.path.basename(name.replace("\\", "/"))
    return Path(name).stem if is_picture(name) else name


def _beside_images(path: Path, notes: list[str]) -> list[tuple[Path, str | None]]:
    found = [(xml, split) for folder, split in _flat_folders(path) for xml in sorted(folder.glob("*.xml"))]
    annotated = {xml.with_suffix("") for xml, _ in found}
    folders = {xml.parent for xml, _ in found}
    bare = [name for folder in folders for name in _pictures(folder) if folder / _stem(name) not in annotated]
    if bare:
        notes.append(f"images without an XML file, left out ({len(bare):,}): {printable(few(sorted(bare)))}")
    return found


def _listed(path: Path, notes: list[str], problems: list[str]) -> list[tuple[Path, str | None]]:
    """The XML file of each image that `ImageSets/Main/` lists, and its split; all of `Annotations/` where it lists none."""
    found: list[tuple[Path, str | None]] = []
    tests = {}
    years = _years_in(path)
    for year in years:
        xmls = _xmls(year, "test", problems)
        tests[year] = xmls if any(is_file(xml) for xml in xmls) else []
        if xmls and not tests[year]:
            notes.append(f"{year.name}: no annotations of its test images, left out ({len(xmls):,})")
    tested = any(tests.values())
    for year in years:
        parts = {name: _xmls(year, name, problems) for name in ("train", "val", "trainval")}
        if tested:
            parts = {"train": parts["trainval"] or parts["train"] + parts["val"], "test": tests[year]}
        elif parts["train"] or parts["val"]:
            del parts["trainval"]
        for name, xmls in parts.items():
            found += [(xml, None if name == "trainval" else name) for xml in xmls]
        if not any(parts.values()):
            found += [(xml, None) for xml in sorted((year / "Annotations").glob("*.xml"))]
            notes.append(f"{year.name}: no lists in ImageSets/Main, so all of Annotations")
    twice = [os.path.relpath(xml, path) for xml, count in Counter(xml for xml, _ in found).items() if count > 1]
    problems += [f"{path} {printable(xml)}: ImageSets/Main lists it twice" for xml in twice]
    return list(dict(found).items())


def _xmls(year: Path, name: str, problems: list[str]) -> list[Path]:
    """The XML files of the images that a list names, an id a line; none where there is no such list."""
    path = year / "ImageSets" / "Main" / f"{name}.txt"
    if not is_file(path):
        return []
    xmls = []
    for number, line in enumerate(read_text(path)[0].split("\n"), 1):
        if os.path.isabs(line.strip()) or ".." in Path(line.strip()).parts:
            problems.append(f"{path} line {number}: {shown(line)} is not the id of an image")
        elif line.strip():
            xmls.append(year / "Annotations" / f"{line.strip()}.xml")
    return xmls


def _read(xml: Path) -> tuple[str, list[tuple[str, bool]]]:
    """The file name of an annotation, and of each object its name and whether it is difficult. Raises ValueError."""
    try:
        tree = ElementTree.parse(xml).getroot()
    except FileNotFoundError:
        raise ValueError("no such file, and ImageSets/Main names it") from None
    except DefusedXmlException:
        raise ValueError("it declares entities, which no annotation needs; not read") from None
    except (ParseError, OSError, ValueError, LookupError) as error:
        raise ValueError(f"cannot be read as XML ({first_line(error)})") from None
    if tree.tag != "annotation":
        raise ValueError(f"its root is <{shorten(tree.tag, 30)}>, not <annotation>")
    objects = [(_text(item, "name"), _text(item, "difficult") == "1") for item in tree.findall("object")]
    if unnamed := [i for i, (name, _) in enumerate(objects, 1) if not name]:
        raise ValueError(f"object {unnamed[0]} has no name")
    return _text(tree, "filename"), objects


def _text(item: Element, key: str) -> str:
    return plain_spaces(item.findtext(key) or "")


def _image_folder(annotations: Path) -> Path:
    """Where the images of a folder of XML files are: beside its Annotations, or in it."""
    return Path(*("JPEGImages" if part == "Annotations" else part for part in annotations.parts))


def _image(folder: Path, own: list[str], stem: str, told: str) -> str:
    """An annotation's image: of those called as it is the one that it tells or the first; where there is none, what it tells."""
    if own:
        return told if told in own else own[0]
    return told if is_picture(told) or is_file(folder / told) else f"{stem}.jpg"
