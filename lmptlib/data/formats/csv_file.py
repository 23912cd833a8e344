"""A CSV file as a data set: columns `image`, `labels`, `caption` and `split`, and what spreadsheets and tools make of it."""

import ast
import csv
import difflib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from lmptlib.data.rows import Reading, Row
from lmptlib.data.text import made_of_others, plain_spaces, read_text
from lmptlib.errors import DataError, few, first_line, shorten

COLUMNS = ("image", "labels", "caption", "split")
_DELIMITERS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}
# What tools call the column of images; read as such where no other is called so.
_IMAGE_COLUMNS = ("filename", "file_name", "image_path", "path")
_FLAGS = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}

# A line's number and its fields by the names of their columns.
Record = tuple[int, dict[str, str]]


def read_csv(path: Path, root: Path, renamed: Mapping[str, str] = MappingProxyType({})) -> Reading:
    """What a CSV file with columns image and labels, and caption and split where wanted, says of its images.

    image: a path below `root`. labels: class names with `;` between them, or nothing. caption: text, of training images.
    split: train, val or test. Read as well, with a note: other delimiters and `sep=`, an index column, further columns,
    a column of 0 and 1 for each class in place of labels, labels as JSON. renamed: columns that are called otherwise, with
    our name of each. Raises DataError with every problem.
    """
    text, notes = read_text(path)
    delimiter, lines_above = _delimiter(text, {*COLUMNS, *_IMAGE_COLUMNS, *renamed})
    called = _column_of_images(text, delimiter, lines_above)
    if called and not renamed:
        notes.append(f"column '{called}' is read as image")
        renamed = {called: "image"}
    if delimiter != ",":
        notes.append(f"columns are separated by {_DELIMITERS[delimiter]}")
    columns, records, problems = _records(text, delimiter, lines_above, path, renamed)
    classes, wrong = _class_columns(columns, records, path)
    notes += _check_columns(columns, classes, path)
    if classes:
        notes.append(f"columns of 0 and 1 that are read as classes ({len(classes):,}): {few(classes, 8)}")
        labels = [tuple(name for name in classes if _FLAGS.get(fields[name].lower())) for _, fields in records]
    else:
        labels, more, wrong = _label_lists(records, delimiter, path)
        notes += more
    problems += wrong
    rows = [
        Row(path, f"line {line}", fields["image"], of_row, fields.get("caption", ""), fields.get("split"))
        for (line, fields), of_row in zip(records, labels)
    ]
    rows, merged = _merge_labels(rows)
    return Reading(path, root, rows, classes or None, notes + merged, problems)


def _merge_labels(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """One row an image, and a note, where the file has a row for each label: none says two, and rows of an image agree."""
    of_image: dict[str, list[Row]] = {}
    for row in rows:
        of_image.setdefault(os.path.normpath(row.image), []).append(row)
    groups = of_image.values()
    one_label = all(len(row.labels) < 2 for row in rows)
    agree = all(len({(row.caption, row.split) for row in same}) == 1 for same in groups)
    differ = all(len({row.labels for row in same if row.labels}) == len(same) for same in groups if len(same) > 1)
    if len(groups) == len(rows) or not (one_label and agree and differ):
        return rows, []
    merged = [same[0]._replace(labels=tuple(label for row in same for label in row.labels)) for same in groups]
    return merged, [f"a row for each label: {len(rows):,} rows are {len(merged):,} images"]


def _delimiter(text: str, known: set[str]) -> tuple[str, int]:
    """What separates columns, and how many lines stand above their names: Excel writes `sep=;` there."""
    first = text.partition("\n")[0]
    if first.lower().startswith("sep=") and first[4:] in _DELIMITERS:
        return first[4:], 1
    for delimiter in _DELIMITERS:
        if known & {name.strip(' "') for name in first.split(delimiter)}:
            return delimiter, 0
    return ",", 0


def _column_of_images(text: str, delimiter: str, lines_above: int) -> str | None:
    """The column that is read as that of images, where none is called image and one as some tools call it."""
    header = text.split("\n", lines_above + 1)[lines_above] if text.count("\n") >= lines_above else ""
    names = [name.strip(' "') for name in header.split(delimiter)]
    found = [name for name in names if name in _IMAGE_COLUMNS]
    return found[0] if len(found) == 1 and "image" not in names else None


def _records(
    text: str, delimiter: str, lines_above: int, path: Path, renamed: Mapping[str, str]
) -> tuple[tuple[str, ...], list[Record], list[str]]:
    """The names of the columns, the lines that are not empty, and problems. Raises DataError for what is no CSV."""
    problems, records = [], []
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for _ in range(lines_above):
            next(reader)
        columns = tuple(renamed.get(plain_spaces(name), plain_spaces(name)) for name in next(reader, []))
        line = reader.line_num + 1
        for fields in reader:
            fields = [plain_spaces(field) for field in fields]
            if any(fields) and len(fields) == len(columns):
                records.append((line, dict(zip(columns, fields))))
            elif any(fields):
                wanted = f"not {len(columns)} fields, as the line of column names has; quote commas"
                problems.append(f"{path} line {line}: {wanted}")
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            [f"{path} line {reader.line_num}: cannot be read as a CSV file ({first_line(error)})"]
        ) from None
    return columns, records, problems


def _class_columns(columns: Sequence[str], records: Sequence[Record], path: Path) -> tuple[tuple[str, ...], list[str]]:
    """The columns of 0 and 1, a class each, where no column `labels` says it otherwise, and problems: other cells in them."""
    others = [name for name in columns if name and name not in COLUMNS and not _misspelt(name, COLUMNS)]
    if "labels" in columns or not records:
        return (), []
    share = {name: sum(fields[name].lower() in _FLAGS for _, fields in records) / len(records) for name in others}
    classes = tuple(name for name in others if share[name] > 0.5)
    if len(classes) < 2 or not any(share[name] == 1 for name in classes):
        return (), []
    problems = [
        f"{path} line {line}: {shorten(name, 40)} is '{shorten(fields[name], 40)}', not 0 or 1"
        for line, fields in records
        for name in classes
        if fields[name].lower() not in _FLAGS
    ]
    return classes, problems


def _misspelt(name: str, known: Sequence[str]) -> str:
    """The column that a name is nearly spelt as."""
    return next(iter(difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.8)), "")


def _check_columns(columns: Sequence[str], classes: Sequence[str], path: Path) -> list[str]:
    """Notes on columns that are left out. Raises DataError for those that are missing, misspelt or twice there."""
    missing = [name for name in COLUMNS if name not in columns and not (name == "labels" and classes)]
    others = [name for name in columns if name not in COLUMNS and name not in classes]
    misspelt = {name: _misspelt(name, missing) for name in others}
    wrong = [
        f"{path}: unknown column '{shorten(name)}'. Did you mean '{right}'?"
        for name, right in misspelt.items()
        if right
    ]
    if len(missing) == len(COLUMNS):
        wrong = [f"{path}: its first line is to name the columns, as image,labels; it is {_quoted(columns) or 'empty'}"]
    elif not wrong:
        known = "its columns are " + _quoted(columns)
        wrong = [f"{path}: no column '{name}'; {known}" for name in COLUMNS[:2] if name in missing]
    named = [name for name in columns if name]
    wrong += [f"{path}: column '{name}' stands twice" for name in sorted(set(named)) if named.count(name) > 1]
    if wrong:
        raise DataError(wrong)
    left_out = [f"'{shorten(name, 30)}'" if name else "one without a name" for name in others]
    return [f"columns that are left out: {', '.join(left_out)}"] if left_out else []


def _quoted(columns: Sequence[str]) -> str:
    return few([f"'{shorten(name, 30)}'" for name in columns], 10)


def _label_lists(
    records: Sequence[Record], delimiter: str, path: Path
) -> tuple[list[tuple[str, ...]], list[str], list[str]]:
    """The labels of each line from what its field says, notes, and problems: where `,` or `|` stands for `;`."""
    texts = [fields["labels"] for _, fields in records]
    notes, separator = [], ";"
    choices = [_choices(text) for text in texts]
    if as_json := sum(found is not None for found in choices):
        notes.append(f"labels are read as JSON in {as_json:,} lines")
    if delimiter == ";" and not any(";" in text for text in texts) and _commas_separate(texts):
        separator = ","
        notes.append("labels are separated by ','")
    problems = [
        f"{path} line {line}: labels {shorten(text)}: names are texts, in a list of JSON too"
        for (line, _), text, found in zip(records, texts, choices)
        if found and None in found
    ]
    labels = [
        tuple(filter(None, found)) if found is not None else _split(text, separator)
        for text, found in zip(texts, choices)
    ]
    several = {
        name for name in made_of_others(label for of_line in labels for label in of_line) if set(",|") & set(name)
    }
    problems += [
        f"{path} line {line}: labels '{shorten(text)}': write names with ';' between them"
        for (line, _), text, of_line, found in zip(records, texts, labels, choices)
        # JSON says where a name ends.
        if found is None and several.intersection(of_line)
    ]
    return labels, notes, problems


def _split(text: str, separator: str) -> tuple[str, ...]:
    """Names between separators; one at the end separates nothing."""
    return tuple(plain_spaces(part) for part in text.removesuffix(separator).split(separator)) if text else ()


def _commas_separate(texts: Sequence[str]) -> bool:
    """Whether a part of some text with commas stands alone elsewhere: else the comma is one of a class name."""
    alone = {text for text in texts if "," not in text}
    return any(part.strip() in alone for text in texts if "," in text for part in text.split(","))


def _choices(text: str) -> tuple[str | None, ...] | None:
    """Labels from JSON as label tools write it, `{"choices": ["dog", "cat"]}`, or a list as pandas does, `['dog']`.

    None for a text that is neither, and in place of what a list holds besides texts.
    """
    if not text.startswith(("[", "{")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    if isinstance(found, dict) and found.keys() == {"choices"}:
        found = found["choices"]
    found = found if isinstance(found, list) else [found]
    return tuple(plain_spaces(label) if isinstance(label, str) else None for label in found)
