"""What `lmpt info` says."""

import tomllib
from pathlib import Path

from click.testing import CliRunner
from tiny import TinyCard

from lmptlib import paths
from lmptlib.data import emoji
from lmptlib.suite import info
from lmptlib.suite.cli.main import main


def lmpt(*args: str) -> str:
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    return result.output


def test_info_says_what_is_there_and_makes_nothing(tiny, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(paths, "_CHECKOUT", None)
    monkeypatch.chdir(home)
    text = lmpt("info")
    assert (
        "emoji-single-lt not drawn yet" in text and "imagenet-lt incomplete: ImageNet_LT_train.txt is missing" in text
    )
    assert "emoji-lt    not drawn yet" in text and "voc-lt      incomplete: voc_lt_train.txt is missing" in text
    assert "jupyterlab 4" in text and "plotly 7" in text and "device      " in text and "features " in text
    assert text.splitlines()[-1] == "everything that the notebooks need is there"
    assert not list(home.iterdir())

    (home / "data").mkdir()
    card = TinyCard(tiny.folder.rename(home / "data" / "emoji-lt") / "card.yaml")
    card.edit(version=emoji.VERSION)
    card.path.rename(card.folder / "emoji-lt.yaml")
    size = sum(path.stat().st_size for path in card.folder.rglob("*") if path.is_file())
    text = lmpt("info")
    assert "emoji-lt    complete: 24 train, 12 test images" in text and f"files, {size / 1e6:.0f} MB" in text
    (card.folder / "train" / "3.jpg").unlink()
    text = lmpt("info")
    assert "emoji-lt    incomplete: " in text and "3.jpg" in text and text.splitlines()[-1].startswith("to mend: ")


def test_info_names_what_to_install(monkeypatch):
    wanted = ["torch>=2.6", "anywidget>=99", "absent-package>=1", 'pytest>=999; extra == "test"']
    monkeypatch.setattr(info.metadata, "requires", lambda _: wanted)
    assert info.missing_packages() == ["anywidget>=99", "absent-package>=1"]
    assert lmpt("info") == "to install: python -m pip install 'anywidget>=99' 'absent-package>=1'\n"


def test_info_names_what_an_extra_lacks(monkeypatch):
    wanted = ["torch>=2.6", 'papermill>=99; extra == "notebooks"', 'click>=8; extra == "notebooks"']
    wanted += ['absent-package>=1; extra == "paper"', 'pytest>=999; extra == "test"']
    monkeypatch.setattr(info.metadata, "requires", lambda _: wanted)
    assert info.missing_packages() == [] and info.missing_packages("notebooks") == ["papermill>=99"]
    lines = lmpt("info").splitlines()
    assert "to install for the notebooks: python -m pip install 'papermill>=99'" in lines
    assert "to install for the notebooks' paper figures: python -m pip install 'absent-package>=1'" in lines
    assert "everything that the notebooks need is there" not in lines


def test_every_extra_of_the_project_is_known():
    """`lmpt info` looks into those that users need."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert {*info.EXTRAS, "test"} == set(project["optional-dependencies"])
