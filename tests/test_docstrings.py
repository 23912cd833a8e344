"""What README and the docstrings show, is so."""

import doctest
import importlib
import re
import shlex
from pathlib import Path

import click
import pandas as pd
import pytest
from tiny import CLASSES

import lmptlib
from lmptlib.config import resolve
from lmptlib.losses import LOSSES
from lmptlib.suite import notebooks
from lmptlib.suite.cli.main import main
from lmptlib.suite.parameters import given_settings

PACKAGE = Path(lmptlib.__file__).parent
WITH_EXAMPLES = sorted(path for path in PACKAGE.rglob("*.py") if "\n    >>> " in path.read_text(encoding="utf-8"))
README = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True) for line in re.findall(r"(?:^|`)(lmpt [a-z][^`>\n]*)", README, re.MULTILINE)
]


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
    exec(readme_block("photos.csv", **{', model="ViT-B-16", weights="openai"': ', model="clip-emoji"'}), {})
    scores = pd.read_csv("scores.csv", index_col=0)
    assert scores.index.tolist() == ["new/1.jpg", "new/2.jpg"] and set(scores.columns) == set(CLASSES)


def test_readme_shows_the_library(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(readme_block("CSELoss", **{'"emoji-lt"': repr(str(tiny.path)), "seed=0": "seed=0, epochs=1"}), names)
    assert set(names["run"].classes["class"]) == set(CLASSES)
    assert names["run"].folder.parent.resolve() == tmp_path / "outputs"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_readme_names_commands_that_there_are(command):
    called, words = main, command[1:]
    while isinstance(called, click.Group):
        called, words = called.commands[words[0]], words[1:]
    if not words:
        return
    given = called.make_context(called.name, words).params
    if called.name == "run":
        path = notebooks.find_notebook(given["notebook"])
        pairs = {key: value for key, value in given["pairs"] if key not in ("model", "weights", "dataset")}
        resolve(**given_settings(notebooks.read_parameters(path, pairs)))
    elif called.name in ("settings", "recipes") and given["name"] != "NAME":
        called.callback(given["name"])


def test_readme_names_what_there_is():
    for module in re.findall(r"`(lmptlib(?:\.[a-z_]+)+)`", README):
        importlib.import_module(module)
    for path in re.findall(r"`((?:lmptlib|notebooks|data)/[\w/]+\.\w+|[A-Z]+\.md)`", README):
        assert (PACKAGE.parent / path).exists(), path
    rooms = {path.stem for path in PACKAGE.iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"}
    assert set(re.findall(r"`lmptlib\.(\w+)`", README.partition("| room |")[2])) >= rooms - {"__init__"}
    assert re.findall(r"^\| `(\d\d_\w+)` \|", README, re.MULTILINE) == sorted(
        path.stem for path in (PACKAGE.parent / "notebooks").glob("[0-9]*.ipynb")
    )


def test_readme_has_every_loss():
    table = README.partition("| name | y = 1 |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(LOSSES)
