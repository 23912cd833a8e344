"""Answers: a number as people write it, and the file that keeps what was answered."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, TypeAdapter

from lmptlib.errors import first_line
from lmptlib.paths import outputs_folder, write_atomically


def read_number(text: str, percent: bool = False) -> list[float]:
    """The numbers that a text like `0.81`, `0,81`, `29/36` or `81 %` may mean; none where it is no number.

    percent: the answer is asked for in percent, so that `81 %` is 81, and 0.81 may be so too. `1,142` may be a thousand or a
    one.

    >>> from lmptlib.suite.lessons.answers import read_number
    >>> read_number("0,81"), read_number("27/36"), read_number("81 %"), read_number("81 %", percent=True)
    ([0.81], [0.75], [0.81], [81.0])
    >>> read_number("0.81", percent=True)
    [0.81, 81.0]
    """
    plain = "".join(text.lower().replace("\N{MINUS SIGN}", "-").split())
    signed, plain = plain.endswith("%"), plain.removesuffix("%")
    scales = ([1.0] if percent else [0.01]) if signed else [1.0, 100.0] if percent else [1.0]
    if not re.fullmatch(r"[\d.,+e/-]+", plain):
        return []
    found = []
    # a comma is a decimal one, or stands between thousands
    for comma in (".", "") if re.search(r"\d,\d{3}(?!\d)", plain) else (".",):
        try:
            top, *bottom = (float(part.replace(",", comma)) for part in plain.split("/"))
            found += [math.prod([top, *(1 / part for part in bottom), scale]) for scale in scales]
        except (ValueError, ZeroDivisionError):
            continue
    return found


class Answer(BaseModel):
    """What was answered to a question. right: None for a guess, and for what was not answered. about: which data it asked of."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    asked: str
    about: str = ""
    given: Any = None
    right: bool | None = None
    tries: int = 0
    time: str = ""


_FILE = TypeAdapter(dict[str, dict[str, Answer]])


@dataclass(frozen=True)
class Answers:
    """The file `answers.json` of an outputs folder: notebook -> question -> Answer. It outlives kernel and page.

    Raises ValueError, one line, for a file that is none.
    """

    path: Path

    @classmethod
    def of(cls, out: str | Path | None = None) -> "Answers":
        return cls(outputs_folder(out) / "answers.json")

    def read(self) -> dict[str, dict[str, Answer]]:
        """All that was asked; nothing where there is no file yet."""
        if not self.path.exists():
            return {}
        try:
            return _FILE.validate_json(self.path.read_bytes())
        except (ValueError, OSError) as error:
            raise ValueError(
                f"{self.path}: not a file of answers ({first_line(error)}): move it away, or name another folder"
            ) from None

    def get(self, notebook: str, key: str) -> Answer | None:
        return self.read().get(notebook, {}).get(key)

    def put(self, notebook: str, key: str, answer: Answer) -> None:
        """Keep an answer in the place of an earlier one; others that are written meanwhile stay."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            kept = self.read()
            kept.setdefault(notebook, {})[key] = answer
            text = json.dumps(_FILE.dump_python(kept), indent=1, ensure_ascii=False)
            write_atomically(self.path, text.encode())


def given_now(before: Answer, given: Any, right: bool | None) -> Answer:
    """An answer after one more try."""
    new = {"given": given, "right": right, "tries": before.tries + 1, "time": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
    return before.model_copy(update=new)


def answer_table(files: Mapping[str, Answers]) -> pd.DataFrame:
    """A line for each file and question: what was asked, answered last, whether right, and after how many tries.

    files: name -> answers. A guess is neither right nor wrong. Raises ValueError for a file that is none.
    """
    rows = [
        {"file": name, "notebook": notebook, "question": key, **answer.model_dump()}
        for name, answers in files.items()
        for notebook, asked in answers.read().items()
        for key, answer in asked.items()
    ]
    return pd.DataFrame(rows, columns=["file", "notebook", "question", *Answer.model_fields])


def class_results(files: Mapping[str, Answers]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a class has answered: by file, right / asked for each notebook; and by question, hardest first. Guesses are left out."""
    table = answer_table(files).query("kind != 'guess'")
    table = table.assign(answered=table["tries"] > 0, right=table["right"].eq(True))
    counts = table.groupby(["file", "notebook"])["right"].agg(["sum", "size"]).astype(str).agg("/".join, axis=1)
    by_file = counts.unstack("notebook", fill_value="").reindex(list(files), fill_value="").rename_axis(columns=None)
    by_file.insert(0, "right", table.groupby("file")["right"].sum().reindex(by_file.index, fill_value=0).astype(int))
    by_question = table.groupby(["notebook", "question"], sort=False).agg(
        files=("file", "size"), answered=("answered", "sum"), right=("right", "sum"), tries=("tries", "sum")
    )
    return by_file, by_question.sort_values("right", kind="stable").reset_index()
