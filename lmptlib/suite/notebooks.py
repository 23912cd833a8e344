"""Run a notebook in batch: check its parameters, execute it through papermill, sign and file what it made."""

import ast
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.sign import NotebookNotary
from papermill.exceptions import PapermillExecutionError

from lmptlib.config import known_settings, read_value
from lmptlib.errors import first_line, nearest, read_yaml
from lmptlib.paths import from_home, shipped, write_atomically
from lmptlib.suite.interrupt import Interrupt
from lmptlib.suite.kernel import class_of, started_kernel
from lmptlib.suite.parameters import other_settings, read_type, write_text
from lmptlib.training.plan import Plan

# The exception of a lesson by which a notebook ends before its end.
NOT_FOR_IT = "NotForSingleLabels"
KINDS = {
    "train": "makes one run of its configuration",
    "sweep": "makes several runs, that differ in what it is about",
    "view": "shows data, losses or runs that are there",
}


class NotebookError(ValueError):
    """A notebook that could not be run, in one line."""


@dataclass(frozen=True)
class Parameter:
    """A parameter that a notebook declares in its parameters cell."""

    name: str
    kind: str  # int, float, bool or str
    optional: bool  # None is allowed
    default: str  # as it is written
    help: str


def find_notebook(name: str) -> Path:
    """A notebook by path or by name, with or without its number (`03_train`, `train`). Raises NotebookError."""
    path = from_home(name)
    if path.suffix == ".ipynb":
        if path.is_file():
            return path
        raise NotebookError(f"no notebook {name}")
    paths = sorted(shipped("notebooks").glob("[0-9]*.ipynb"))
    by_name = {p.stem.partition("_")[2]: p for p in paths}
    plain = re.sub(r"^\d+_", "", name)
    if plain not in by_name:
        raise NotebookError(f"no notebook '{name}'.{nearest(plain, by_name)}")
    return by_name[plain]


def parameters(notebook: Path) -> dict[str, Parameter]:
    """The parameters that a notebook declares, by name. Raises NotebookError when it is not a notebook."""
    try:
        nbformat.read(notebook, as_version=4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            declared = papermill.inspect_notebook(str(notebook))
    except Exception as error:  # nbformat and papermill raise what their JSON and schema readers raise
        raise NotebookError(f"{notebook}: not a notebook ({first_line(error)})") from error
    found = {}
    for name, entry in declared.items():
        kind, optional = read_type(entry["inferred_type_name"])
        found[name] = Parameter(name, kind, optional, entry["default"], entry["help"])
    return found


def own_defaults(declared: Mapping[str, Parameter]) -> dict[str, Any]:
    """Settings that a notebook has another default of than the library."""
    fields = known_settings()
    values = {name: ast.literal_eval(declared[name].default) for name in declared if name in fields}
    return {name: value for name, value in values.items() if value not in (None, fields[name].default)}


def notebook_kind(notebook: Path) -> str:
    """One of KINDS, from the notebook's metadata; `view` where they say nothing."""
    return _metadata(notebook).get("kind", "view")


def _metadata(notebook: Path) -> dict[str, Any]:
    return nbformat.read(notebook, as_version=4).metadata.get("lmptlib", {})


def read_parameters(notebook: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Given values checked against what the notebook declares, in its types and with paths made absolute.

    Settings of a run that it does not declare go into its parameter `settings`, over what is given in that text. Raises
    ValueError, one line.
    """
    declared = parameters(notebook)
    own = {name: value for name, value in given.items() if name in declared}
    values = {
        name: read_value(name, declared[name].kind, declared[name].optional, value) for name, value in own.items()
    }
    single = {name: value for name, value in given.items() if name not in declared}
    settings = other_settings(
        declared, single, values.pop("settings", None), _metadata(notebook).get("sets", ()), notebook.stem
    )
    text = write_text(settings)
    return values | ({"settings": text} if text else {})


def read_parameter_file(path: Path) -> dict[str, Any]:
    """Parameters from a YAML file of `name: value` lines. Raises NotebookError."""
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotebookError(f"no parameter file {path}") from None
    except (OSError, ValueError) as error:
        raise NotebookError(f"{path}: not a YAML file ({first_line(error)})") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise NotebookError(f"{path}: a parameter file is a list of 'name: value' lines")
    return {str(name): value for name, value in values.items()}


def run_training(notebook: Path, plan: Plan, force: bool, timeout: int = 7200) -> Path:
    """Make one training run as an executed notebook in the run's folder; return the folder. Raises NotebookError."""
    given = {name: value for name, value in plan.config.flat().items() if value not in (None, "")}
    values = read_parameters(notebook, given | {"interactive": False, "out": plan.path.parent, "force": force})
    failed = plan.path.parent / "failed" / f"{plan.path.name}.ipynb"
    execute(notebook, values, plan.path / "notebook.ipynb", failed, timeout, echo=False)
    return plan.path


def execute(
    notebook: Path,
    values: dict[str, Any],
    target: Path,
    failed: Path,
    timeout: int,
    echo: bool = True,
    kernel: AsyncKernelManager | None = None,
) -> Path:
    """Run a notebook with checked parameters, in a started kernel or one of its own, and leave it, signed, at `target`.

    What its cells print is passed on where `echo` is set. On failure the half-run notebook goes to `failed` instead, and
    NotebookError gives the cell and the reason in one line. Ctrl-C and SIGTERM interrupt the cell, as Interrupt has it;
    then KeyboardInterrupt says where the half-run notebook is.
    """
    if kernel is None:
        with started_kernel() as kernel:
            return execute(notebook, values, target, failed, timeout, echo, kernel)
    # papermill logs what it raises, and one line is enough.
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="lmpt-") as folder, Interrupt(kernel) as interrupt:
        draft, reason = Path(folder) / target.name, ""
        try:
            papermill.execute_notebook(
                str(notebook),
                str(draft),
                values,
                kernel_name="python3",
                kernel_manager_class=class_of(kernel),
                on_cell_start=interrupt.on_cell_start,
                progress_bar=False,
                execution_timeout=timeout,
                stdout_file=sys.stdout if echo else None,
                cwd=os.getcwd(),
            )
        except PapermillExecutionError as error:
            if error.ename == NOT_FOR_IT:
                _end_here(draft, error.evalue)
            else:
                reason = f"cell {error.exec_count} failed: {error.ename}: {(str(error.evalue).splitlines() or [''])[0]}"
        except CellTimeoutError:
            reason = f"a cell took longer than {timeout} s (--timeout gives it more)"
        except DeadKernelError:
            reason = "its kernel died (out of memory?)"
        except KeyboardInterrupt:
            interrupt.came = True
        if not reason and not interrupt.came:
            sign(draft)
            return _move(draft, target)
        see = f"; see {_move(draft, failed)}" if draft.exists() else ""
        if interrupt.came:
            raise KeyboardInterrupt(f"{notebook.stem}: stopped{see}")
        raise NotebookError(f"{notebook.stem}: {reason}{see}")


def _end_here(notebook: Path, line: str) -> None:
    """Leave a notebook that has ended by NotForSingleLabels as one that has: with its line, and without a failure's marks."""
    print(line)
    made = nbformat.read(notebook, as_version=4)
    made.cells = [cell for cell in made.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])]
    for cell in made.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.clear()
                output.update(nbformat.v4.new_output("display_data", {"text/markdown": line, "text/plain": line}))
    nbformat.write(made, notebook)


def sign(notebook: Path) -> None:
    """Mark a notebook as trusted, so that JupyterLab shows the outputs that were just made here."""
    NotebookNotary().sign(nbformat.read(notebook, as_version=4))


def _move(file: Path, target: Path) -> Path:
    """Into the place of another, which is never seen half-written: the draft may lie on another disk."""
    write_atomically(target, file.read_bytes())
    file.unlink()
    return target
