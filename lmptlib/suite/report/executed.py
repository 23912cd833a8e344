"""Executed notebooks: found by name, read and checked."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lmptlib.errors import first_line
from lmptlib.paths import from_home, outputs_folder


def find_executed(name: str, out: str | Path | None = None) -> list[Path]:
    """Executed notebooks by path, or by name in notebooks/, demo/ or a run's folder below the outputs folder.

    A name may leave out number and data set: `ablation` is `11_ablation-emoji-lt`, and that of any other data set. Raises
    ValueError, one line.
    """
    path, outputs = from_home(name), outputs_folder(out)
    if path.suffix == ".ipynb":
        if path.is_file():
            return [path]
        raise ValueError(f"no notebook {name}")
    for folder in ("notebooks", "demo"):
        executed = sorted((outputs / folder).glob("*.ipynb"))
        found = [path for path in executed if re.fullmatch(rf"(\d+_)?{re.escape(name)}(-.*)?", path.stem)]
        if found:
            return found
    if (outputs / name / "notebook.ipynb").is_file():
        return [outputs / name / "notebook.ipynb"]
    raise ValueError(f"no executed notebook '{name}' in {outputs}: run it first, 'lmpt run {name}', or name its path")


def read_executed(path: Path) -> NotebookNode:
    """A notebook with its outputs. Raises ValueError, one line, for what is no notebook or was never executed."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat raises what its JSON and schema readers raise
        raise ValueError(f"{path}: not a notebook ({first_line(error)})") from error
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if code and not any(cell.outputs or cell.execution_count for cell in code):
        raise ValueError(f"{path}: was never executed: 'lmpt run {path}' does it")
    return notebook
