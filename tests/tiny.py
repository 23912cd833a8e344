"""A data set of emoji scenes, small for testing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from lmptlib.data import emoji


@dataclass
class TinyCard:
    """A card with 24 training and 12 test scenes of four classes, small for testing, and its files to spoil."""

    path: Path

    @property
    def folder(self) -> Path:
        return self.path.parent

    def edit(self, **fields) -> None:
        """Set card fields; None removes one."""
        card = {**yaml.safe_load(self.path.read_text()), **fields}
        self.path.write_text(yaml.safe_dump({key: value for key, value in card.items() if value is not None}))

    def single(self) -> None:
        """Leave each image its first label alone, and say so."""
        for split in ("train", "test"):
            lines = (self.folder / f"{split}.txt").read_text().splitlines()
            (self.folder / f"{split}.txt").write_text("".join(f"{' '.join(line.split()[:2])}\n" for line in lines))
        self.edit(task="single-label")

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the data set, once."""
        text = (self.folder / file).read_text()
        assert old in text
        (self.folder / file).write_text(text.replace(old, new, 1))


CLASSES = ("person", "dog", "potted_plant", "tvmonitor")


def make_tiny(folder: Path) -> TinyCard:
    names = ("person", "dog", "pottedplant", "tvmonitor")
    classes, _ = emoji.vocabulary()
    for split, count in (("train", 24), ("test", 12)):
        (folder / split).mkdir(parents=True)
        lines, captions = [], []
        for i in range(count):
            rng = np.random.default_rng([split == "test", i])
            ids = sorted({i % 4, (i // 4) % 4})
            glyphs = [classes[names[c]].glyphs[0] for c in ids]
            emoji.draw_scene(glyphs, rng, 64).save(folder / split / f"{i}.jpg")
            lines.append(f"{split}/{i}.jpg {' '.join(map(str, ids))}\n")
            captions.append(f"{split}/{i}.jpg a photo of a {' and a '.join(names[c] for c in ids)}.\n")
        (folder / f"{split}.txt").write_text("".join(lines))
        if split == "train":
            (folder / "captions.txt").write_text("".join(captions))
    (folder / "labels.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(CLASSES)))
    card = folder / "card.yaml"
    fields = {"name": "tiny", "pictures": "emoji", "root": ".", "train": "train.txt", "test": "test.txt"}
    card.write_text(yaml.safe_dump(fields | {"captions": "captions.txt", "classes": "labels.txt"}))
    return TinyCard(card)


def make_pool(folder: Path) -> Path:
    """Twelve scenes of one thing or two, four of them in a folder of their own."""
    (folder / "more").mkdir(parents=True)
    classes, others = emoji.vocabulary()
    things = [*(classes[name] for name in ("person", "dog", "pottedplant", "tvmonitor")), *others.values()]
    for i in range(12):
        rng = np.random.default_rng([7, i])
        glyphs = [things[i % 5].glyphs[0], things[(i * 5) % 9].glyphs[0]][: 1 + i % 2]
        emoji.draw_scene(glyphs, rng, 64).save(folder / ("more" if i >= 8 else "") / f"{i}.png")
    return folder
