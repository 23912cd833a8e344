"""Text as files and people write it: encodings, lines, names that differ in nothing but their spelling."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lmptlib.errors import DataError, first_line

# Invisible by category, and yet letters: the joiners of Persian, of Indic scripts and of emoji, and the tags of flags.
_JOINERS = {"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))}
# What people put between labels where `;` belongs.
SEPARATORS = (" ", ",", "|", "#", "/", "+", "&", ":", "，", "；", "：", "、", "／", "＋", "＆", "＃", "｜", "\u3000")


def read_text(path: Path) -> tuple[str, list[str]]:
    """A file's text with its lines ended by `\\n`, and a note where it is UTF-16. Raises DataError, one line.

    Files are in UTF-8, or in UTF-16 with its byte-order mark. Another encoding is refused with the likely one, for no
    one but the writer can tell: `é` in Western Europe is `щ` elsewhere, byte for byte.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError([f"{path}: no such file"]) from None
    except (OSError, ValueError) as error:
        raise DataError([f"{path}: cannot be read ({first_line(error)})"]) from None
    if content.startswith(b"PK\x03\x04"):
        raise DataError([f"{path}: a zip archive, as .xlsx files are, and no text: save it as CSV in UTF-8"])
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError([f"{path}: cannot be read as UTF-8 text ({_encoding_hint(content, error)})"]) from None
    if "\0" in text:
        raise DataError([f"{path}: cannot be read as UTF-8 text (it holds zeros, as UTF-16 without its mark does)"])
    return text.replace("\r\n", "\n").replace("\r", "\n"), [f"{path.name} is read as UTF-16"] if wide else []


def _encoding_hint(content: bytes, error: UnicodeDecodeError) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "it begins as UTF-16 does, and is damaged"
    if b"\0" in content:
        return "it holds zeros, as UTF-16 without its mark does: save it as UTF-8"
    line = content.count(b"\n", 0, error.start) + 1
    around = content[max(0, error.start - 20) : error.start + 20].split(b"\n")
    word = next((part for part in around if content[error.start : error.start + 1] in part), b"")
    shown = word.decode("cp1252", errors="replace").strip()
    return f"line {line}; as cp1252, the likely encoding, it says '{shown}': save it as UTF-8"


def spoken(name: str) -> str:
    """A class name without what spellings of it differ in: capitals, `_` for a blank, the coding of accents.

    >>> from lmptlib.data.text import spoken
    >>> spoken("Potted_plant") == spoken("potted  plant")
    True
    """
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split()).casefold()


def plain_spaces(text: str) -> str:
    """A text with plain blanks for no-break, ideographic and other spaces, and none around it."""
    if text.isascii():
        return text.strip()
    return "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in text).strip()


def invisible(text: str) -> str | None:
    """The first character of a text that nobody sees and that makes another name of it: `U+200E LEFT-TO-RIGHT MARK`."""
    if text.isascii() and text.isprintable():
        return None
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") and letter not in _JOINERS:
            return f"U+{ord(letter):04X} {unicodedata.name(letter, 'CONTROL CHARACTER')}"
    return None


def visible(text: str) -> str:
    """A text as it looks: without what is invisible in it."""
    return "".join(letter for letter in text if not invisible(letter))


def made_of_others(names: Iterable[str]) -> dict[str, list[str]]:
    """The names that are several of the others with a separator between them, and which: `dog#cat` is dog and cat.

    A part that never stands alone counts where another such name has it too, but between blanks: `polar bear`.
    """
    names = set(names)
    found: dict[str, list[str]] = {}
    for separator, parts in _parts(names).items():
        known = names if separator == " " else names | _shared(parts)
        found |= {name: of_name for name, of_name in parts.items() if known.issuperset(of_name)}
    return dict(sorted(found.items()))


def sharing_parts(names: Iterable[str]) -> dict[str, list[str]]:
    """By separator, names that have a part in common with another, or that is one: `cat, person` and `dog, person`."""
    names = set(names)
    found = {}
    for separator, parts in _parts(names).items():
        known = names | _shared(parts)
        sharing = sorted(name for name, of_name in parts.items() if known.intersection(of_name))
        if separator != " " and len(sharing) > 1:
            found[separator] = sharing
    return found


def _parts(names: set[str]) -> dict[str, dict[str, list[str]]]:
    """By separator, the parts of the names that it divides."""
    divided = {}
    for separator in SEPARATORS:
        parts = {name: [part.strip() for part in name.split(separator)] for name in names if separator in name}
        divided[separator] = {name: of_name for name, of_name in parts.items() if all(of_name)}
    return divided


def _shared(parts: Mapping[str, Sequence[str]]) -> set[str]:
    """The parts that two names have."""
    counts = Counter(part for of_name in parts.values() for part in set(of_name))
    return {part for part, count in counts.items() if count > 1}


def possible_slips(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Pairs of a name that one or two images have and a more frequent one, a letter apart: added, left out, changed, or
    exchanged with its neighbour. Names that differ in digits alone are no slips.

    Two such names have a text in common that one letter fewer leaves of them, so the time grows with the number of names.
    """
    frequent: dict[str, str] = {}
    for name in sorted(counts, key=lambda name: counts[name]):
        frequent |= dict.fromkeys(_letter_fewer(name), name)
    slips = []
    for rare in (name for name in counts if counts[name] <= 2):
        near = {frequent[key] for key in _letter_fewer(rare)}
        near = {name for name in near if counts[name] > counts[rare] and _without_digits(name) != _without_digits(rare)}
        if near:
            slips.append((rare, max(near, key=lambda name: (counts[name], name))))
    return slips


def _letter_fewer(name: str) -> set[str]:
    """A name, and what leaving out one letter makes of it. Names of fewer than four letters are near to too many."""
    return {name} | {name[:i] + name[i + 1 :] for i in range(len(name)) if len(name) > 3}


def _without_digits(name: str) -> str:
    return "".join(letter for letter in name if not letter.isdigit())


def with_article(words: str) -> str:
    """Words behind `a` or `an`, as their first letter asks for it.

    >>> from lmptlib.data.text import with_article
    >>> with_article("aeroplane")
    'an aeroplane'
    """
    article = "an" if words[0] in "aeiou" and not words.startswith(("uni", "ufo")) else "a"
    return f"{article} {words}"
