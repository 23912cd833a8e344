"""What README and the docstrings show, is so."""

import doctest
import importlib
import re
from pathlib import Path

import pandas as pd
import pytest
from tiny import CLASSES

import lmptlib

PACKAGE = Path(lmptlib.__file__).parent
WITH_EXAMPLES = sorted(path for path in PACKAGE.rglob("*.py") if "\n    >>> " in path.read_text(encoding="utf-8"))
BLOCKS = re.findall(r"```python\n(.+?)```", (PACKAGE.parent / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_examples(path):
    """Each runs by itself, so that a reader can copy it."""
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    result = doctest.testmod(importlib.import_module(name), globs={})
    assert result.attempted and not result.failed


def readme_block(word: str, **small: str) -> str:
    """The only block of README with a word in it, with what is too large for a test replaced."""
    (block,) = (block for block in BLOCKS if word in block)
    for large, replacement in small.items():
        assert large in block
        block = block.replace(large, replacement)
    return block


def test_every_block_of_readme_is_run():
    assert len(BLOCKS) == 2


def test_readme_trains_on_own_photographs(tiny, tmp_path, monkeypatch):
    rows = [line.split() for line in (tiny.folder / "train.txt").read_text().splitlines()]
    labels = [";".join(CLASSES[int(number)] for number in numbers) for _, *numbers in rows]
    table = pd.DataFrame({"image": [name for name, *_ in rows], "labels": labels, "caption": "a photo of a dog."})
    table.to_csv(tiny.folder / "photos.csv", index=False)
    (tiny.folder / "test").rename(tiny.folder / "new")
    monkeypatch.chdir(tiny.folder)
    monkeypatch.setattr("lmptlib.paths.home", lambda: tmp_path)
    exec(readme_block("photos.csv", **{'model="ViT-B-16", weights="openai"': "epochs=1, batch_size=8"}), {})
    scores = pd.read_csv("scores.csv", index_col=0)
    assert scores.index.tolist() == ["new/1.jpg", "new/2.jpg"] and set(scores.columns) == set(CLASSES)


def test_readme_shows_the_library(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(readme_block("CSELoss", **{'"emoji-lt"': repr(str(tiny.path)), "seed=0": "seed=0, epochs=1"}), names)
    assert set(names["run"].classes["class"]) == set(CLASSES)
    assert names["run"].folder.parent.resolve() == tmp_path / "outputs"
