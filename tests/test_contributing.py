"""CONTRIBUTING.md is followed to the letter: what it adds to a copy of the library works, and passes the tests it shows."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# A block with the file that it makes or changes in the line above it.
BLOCKS = re.findall(r"^`([^`\n]+)`\n```(\w+)\n(.+?)^```", TEXT, re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"^```bash\n(.+?)\n```", TEXT, re.MULTILINE)


def changed(text: str, diff: str) -> str:
    """A text with the lines of a diff in it; hunks are told apart by @@ and say where they belong by their context."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] in kinds) for kinds in (" -", " +"))
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The library and its tests, with everything that the text adds."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("lmptlib", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "data").mkdir()
    (folder / "data" / "emoji").symlink_to(ROOT / "data" / "emoji")
    for name, kind, content in BLOCKS:
        path = folder / name
        assert path.exists() == (kind == "diff"), name
        path.parent.mkdir(exist_ok=True)
        path.write_text(changed(path.read_text(), content) if kind == "diff" else content)
    return folder


def run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": "-n 0"}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_text_has_a_loss_and_a_method():
    assert [Path(name).parts[:2] for name, *_ in BLOCKS] == [
        *[("lmptlib", "losses")] * 2,
        ("tests", "losses"),
        *[("lmptlib", "methods")] * 2,
        ("tests", "methods"),
    ]
    assert len(COMMANDS) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_text_adds_passes_the_tests_that_it_shows(copy, command):
    program, *arguments = shlex.split(command)
    assert program == "python" and " passed" in run(copy, *arguments)


def test_what_the_text_adds_is_as_the_rules_want_it(copy):
    files = [name for name, *_ in BLOCKS]
    run(copy, "-m", "ruff", "check", *files)
    run(copy, "-m", "ruff", "format", "--check", *files)
    run(copy, "-m", "doctest", "lmptlib/losses/poly.py")


def test_what_the_text_adds_is_in_the_command(copy):
    listed = run(copy, "-m", "lmptlib.suite.cli.main", "settings")
    assert re.search(r"^  poly1 +BCE with more", listed, re.MULTILINE)
    assert re.search(r"^  clip_adapter +Learned features", listed, re.MULTILINE)
