"""A data set of emoji scenes with head, medium and tail classes and a validation split, small for testing."""

from pathlib import Path

import numpy as np
import yaml

from lmptlib.data import emoji

CLASSES = ("person", "dog", "pottedplant", "tvmonitor")
# Which training images show a class: 110, 40, 8 and 5 of them, so that there is one head, one medium and two tail classes.
TRAIN = {0: range(110), 1: range(95, 135), 2: range(133, 141), 3: range(138, 143)}
N_TRAIN, N_VAL, N_TEST = 144, 40, 60  # the last training image shows none of the classes


def make_long_tail(folder: Path) -> Path:
    """Draw the data set into a folder; the path of its card."""
    classes, things = emoji.vocabulary()
    others = list(things.values())
    captions = []
    for number, (split, count) in enumerate((("train", N_TRAIN), ("val", N_VAL), ("test", N_TEST))):
        (folder / split).mkdir(parents=True)
        lines = []
        for i in range(count):
            shown = [c for c in TRAIN if i in TRAIN[c]] if split == "train" else sorted({i % 4, (i // 4) % 4})
            rng = np.random.default_rng([number, i])
            glyphs = [others[j].glyphs[0] for j in rng.integers(len(others), size=6)]  # beside the classes: hard to see
            for thing in [classes[CLASSES[c]] for c in shown]:
                glyphs.append((thing.glyphs if split == "train" else thing.held_out or thing.glyphs)[0])
            emoji.draw_scene(glyphs, rng, 64).save(folder / split / f"{i}.png")
            lines.append(f"{split}/{i}.png {' '.join(map(str, shown))}\n")
            if split == "train":
                captions.append(f"{split}/{i}.png a photo of a {' and a '.join(CLASSES[c] for c in shown) or 'car'}.\n")
        (folder / f"{split}.txt").write_text("".join(lines))
    (folder / "captions.txt").write_text("".join(captions))
    (folder / "labels.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(CLASSES)))
    fields = {
        "name": "long-tail",
        "pictures": "emoji",
        "root": ".",
        "captions": "captions.txt",
        "classes": "labels.txt",
    }
    card = folder / "card.yaml"
    card.write_text(yaml.safe_dump(fields | {split: f"{split}.txt" for split in ("train", "val", "test")}))
    return card
