"""The data set `emoji-single-lt`: one thing a scene, drawn from colour emoji, many scenes of a few classes and few of many.

Its classes are all that the vocabulary has more than one glyph of. Every fourth validation and test scene shows a glyph that
the training list does not have. `clip-emoji` has seen most of these glyphs, in scenes of its own: held out of the list is not
held out of CLIP.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from lmptlib.data.emoji import HEADER, Thing, caption_scene, draw_scene, vocabulary, write_drawn

NAME = "emoji-single-lt"
# Raise it whenever a scene, a label or a caption would come out differently.
VERSION = 1
SEED = 2027
# Training scenes of the most frequent class and of the rarest.
MOST, FEWEST = 200, 4
# Scenes of each class.
HELD_OUT = {"val": 10, "test": 20}


@cache
def things() -> tuple[Thing, ...]:
    """The classes, from frequent to rare: their glyphs in training, and those held out for validation and test."""
    classes, others = vocabulary()
    parted = [thing for thing in classes.values() if thing.held_out]
    parted += [
        Thing(thing.name, thing.words, thing.frequencies, thing.glyphs[:-1], thing.glyphs[-1])
        for thing in others.values()
        if len(thing.glyphs) > 1
    ]
    order = np.random.default_rng(SEED).permutation(len(parted))
    return tuple(parted[i] for i in order)


def class_counts() -> np.ndarray:
    """Training scenes (C,) of each class, falling evenly on a logarithmic scale."""
    return np.geomspace(MOST, FEWEST, len(things())).round().astype(int)


def write_emoji_single_lt(folder: Path, log: Callable[[str], None] = print) -> Path:
    """Draw `emoji-single-lt` into `folder` unless it is there already, as `write_drawn` does; return its card.

    Training scenes from 200 of a class to 4, 10 validation and 20 test scenes of each.
    """
    n_scenes = class_counts().sum() + len(things()) * sum(HELD_OUT.values())
    return write_drawn(NAME, VERSION, folder, n_scenes, _draw_into, log)


def _draw_into(folder: Path) -> None:
    """The scenes, lists, captions and the card, into an empty folder."""
    counts = {"train": class_counts()} | {split: np.full(len(things()), n) for split, n in HELD_OUT.items()}
    for number, (split, of_classes) in enumerate(counts.items()):
        (folder / split).mkdir()
        lines, captions = [], []
        for i, c in enumerate(np.repeat(np.arange(len(of_classes)), of_classes)):
            rng, thing = np.random.default_rng([SEED, number, i]), things()[c]
            glyphs = thing.held_out if split != "train" and i % 4 == 0 else thing.glyphs
            path = f"{split}/{i:06d}.jpg"
            draw_scene([glyphs[rng.integers(len(glyphs))]], rng).save(folder / path, quality=92)
            lines.append(f"{path} {c}\n")
            captions.append(f"{path} {caption_scene([thing], rng)}\n")
        (folder / f"{split}.txt").write_text("".join(lines))
        if split == "train":
            (folder / "captions.txt").write_text("".join(captions))
    (folder / "labels.txt").write_text("".join(f"{thing.name} {i}\n" for i, thing in enumerate(things())))
    fields = {"name": NAME, "version": VERSION, "task": "single-label", "root": ".", "train": "train.txt"}
    fields |= {"val": "val.txt", "test": "test.txt", "captions": "captions.txt", "classes": "labels.txt"}
    (folder / f"{NAME}.yaml").write_text(HEADER + yaml.safe_dump(fields, sort_keys=False))
