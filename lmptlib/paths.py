"""Where the project's files lie, in a checkout or in an installed package."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").exists() else None


def shipped(name: str) -> Path:
    """A file or folder that comes with the project: `notebooks`, `data/emoji`, ..."""
    return (_CHECKOUT or _PACKAGE / "shipped") / name


def home() -> Path:
    """The folder that holds `data/` and `outputs/`: the checkout, else the current folder."""
    return _CHECKOUT or Path.cwd()


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """A draft folder that takes the place of `folder` when the block ends well, and vanishes when it does not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".draft-") as space:
        draft, old = Path(space) / "draft", Path(space) / "old"
        draft.mkdir()
        yield draft
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)


def outputs_folder(out: str | Path | None = None) -> Path:
    """The folder that holds the runs: `out`, or `outputs/`."""
    return Path(out) if out else home() / "outputs"


def safe_name(text: str) -> str:
    """A text as a file name: everything but letters, digits, `.`, `-` and `_` becomes `_`."""
    return re.sub(r"[^\w.-]+", "_", text)
