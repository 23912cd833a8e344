"""The files of a run folder, read and checked: one that is damaged is named, in a line that says what to do."""

import json
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import AliasChoices, BaseModel, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lmptlib.errors import first_line


class _Settings(BaseModel):
    method: str
    model: str
    recipe: str


class _ClassRow(BaseModel):
    name: str = Field(alias="class")
    group: str
    train: int


class _Fingerprints(BaseModel):
    dataset: str
    clip: str


class Record(BaseModel):
    """What `config.json` holds at least, of a run of any version."""

    settings: _Settings
    dataset: str
    classes: list[_ClassRow]
    n_train: int
    n_val: int
    n_test: int
    logit_scale: float
    warnings: list[str]
    fingerprints: _Fingerprints
    versions: dict[str, str]


class _Scores(BaseModel):
    total: float | None
    head: float | None
    medium: float | None
    tail: float | None
    ci95: dict[str, tuple[float, float] | None]
    per_class: dict[str, float | None]
    # None in a run whose intervals are percentiles of resampled images: `Run.metrics` has others.
    per_class_ci95: dict[str, tuple[float, float] | None] | None = None


class _Rankings(BaseModel):
    softmax: _Scores
    # Its name in version 0.1.
    logit: _Scores = Field(validation_alias=AliasChoices("logit", "cosine"))


class Metrics(BaseModel):
    """What `metrics.json` holds at least, of a run of any version."""

    scores: _Rankings
    n_pos: dict[str, int]


def read_json(path: Path, kind: type[BaseModel]) -> dict[str, Any]:
    """A JSON file that holds a `kind` at least. Raises ValueError, one line, where it does not."""
    try:
        content = json.loads(path.read_bytes())
        kind.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "all of it"
        raise _damaged(path, f"{where}: {problem['msg']}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    return content


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line. Raises ValueError, one line."""
    try:
        return [dict(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from None


def read_arrays(path: Path, needed: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, by name. Raises ValueError, one line, where one that is needed is not there, too."""
    try:
        with np.load(path) as file:
            arrays = dict(file)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from None
    for name in needed:
        if name not in arrays:
            raise _damaged(path, f"no array {name}")
    return arrays


def read_table(path: Path, needed: Collection[str]) -> pd.DataFrame:
    """A .csv file. Raises ValueError, one line, where a column that is needed is not there, too."""
    try:
        table = pd.read_csv(path, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    for name in needed:
        if name not in table:
            raise _damaged(path, f"no column {name}")
    return table


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, by name. Raises ValueError, one line."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, why: Exception | str) -> ValueError:
    reason = why if isinstance(why, str) else getattr(why, "strerror", None) or first_line(why)
    return ValueError(f"{path}: damaged ({reason}): train the run again with --force, or take its folder away")
