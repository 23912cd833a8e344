"""Where the project's files lie, in a checkout or in an installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").exists() else None


def shipped(name: str) -> Path:
    """A file or folder that comes with the project: `notebooks`, `data/emoji`, ..."""
    return (_CHECKOUT or _PACKAGE / "shipped") / name


def home() -> Path:
    """The folder that holds `data/` and `outputs/`: the checkout, else the current folder."""
    return _CHECKOUT or Path.cwd()
