"""The pool `emoji`: unlabelled scenes drawn from colour emoji, for rare classes to be enriched from.

A scene shows one to three things: classes of `emoji-lt` and `emoji-single-lt` and any other things alike, with the glyphs that
training lists have and those that they hold out; some scenes show no class. What each shows stands in `scenes.csv`, for whoever
wants to know how many were fetched rightly: nothing that trains reads it.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from lmptlib.data import emoji_single
from lmptlib.data.emoji import HEADER, Thing, draw_scene, vocabulary, write_drawn

NAME = "emoji-pool"
# Raise it whenever a scene would come out differently.
VERSION = 1
SEED = 2028
N_SCENES = 3000
# How often a thing is one of a data set's classes.
CLASS_SHARE = 0.6
SCENES = "scenes.csv"


@cache
def _things() -> tuple[tuple[Thing, ...], tuple[Thing, ...]]:
    """Things that are classes of a drawn data set, each once, and the others."""
    classes, others = vocabulary()
    known = {thing.name: thing for thing in (*emoji_single.things(), *classes.values())}
    return tuple(known.values()), tuple(thing for name, thing in others.items() if name not in known)


def write_emoji_pool(folder: Path, log: Callable[[str], None] = print) -> Path:
    """Draw the pool into `folder` unless it is there already, as `write_drawn` does; the folder of its pictures."""
    return write_drawn(NAME, VERSION, folder, N_SCENES, _draw_into, log).parent / "images"


def read_scenes(folder: Path) -> pd.Series:
    """The names of the things that each scene of a pool in `folder` shows, a set, by the name of its picture."""
    return pd.read_csv(folder / SCENES, index_col="image")["things"].str.split(";").map(set)


def _draw_into(folder: Path) -> None:
    """The scenes, what they show, and a card, into an empty folder."""
    (folder / "images").mkdir()
    rows = []
    for i in range(N_SCENES):
        rng = np.random.default_rng([SEED, i])
        shown = [_any_thing(rng) for _ in range(rng.integers(1, 4))]
        glyphs = [rng.choice(list(thing.glyphs + thing.held_out)) for thing in shown]
        draw_scene(glyphs, rng).save(folder / "images" / f"{i:06d}.jpg", quality=92)
        rows.append({"image": f"{i:06d}.jpg", "things": ";".join(sorted({thing.name for thing in shown}))})
    pd.DataFrame(rows).to_csv(folder / SCENES, index=False)
    (folder / f"{NAME}.yaml").write_text(HEADER + yaml.safe_dump({"name": NAME, "version": VERSION}, sort_keys=False))


def _any_thing(rng: np.random.Generator) -> Thing:
    things = _things()[0 if rng.random() < CLASS_SHARE else 1]
    return things[rng.integers(len(things))]
