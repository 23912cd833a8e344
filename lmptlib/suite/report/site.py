"""A site of executed notebooks and finished runs: HTML pages that anyone reads in a browser, without a network."""

import json
import shutil
from dataclasses import replace
from datetime import datetime
from importlib import resources
from pathlib import Path

from plotly.offline import get_plotlyjs
from pydantic import TypeAdapter

from lmptlib import __version__
from lmptlib.paths import replace_folder
from lmptlib.runs.run import Run
from lmptlib.runs.tables import by_dataset, run_names
from lmptlib.suite.report.html import follow_notebooks
from lmptlib.suite.report.notebook_page import glossary_page, notebook_page
from lmptlib.suite.report.page import Page, render
from lmptlib.suite.report.run_page import GROUP_COLUMNS, result_tables, run_page

_MANIFEST = "site.json"  # names the files that are the site's own


def write_site(notebooks: list[Path], runs: list[Run], target: Path, title: str) -> Path:
    """Write index.html, a page for each executed notebook and run, and what they need, as the folder `target`.

    It appears whole, in place of an earlier one, or not at all; the notebooks lie beside the pages, and other files of the
    folder stay. Raises ValueError for what is no notebook or was not executed, and for a folder that cannot be taken.
    """
    check_place(target)
    runs = sorted(runs, key=lambda run: run.folder.name)
    names = {run: name for part in by_dataset(runs).values() for run, name in zip(part, run_names(part))}
    words = [glossary_page()] if notebooks else []
    of_runs = [run_page(run, names[run]) for run in runs]
    pages = _named([notebook_page(path) for path in notebooks] + of_runs + words)
    with replace_folder(target) as draft:
        for file in resources.files("lmptlib.suite.report").joinpath("static").iterdir():
            (draft / file.name).write_bytes(file.read_bytes())
        (draft / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
        (draft / "index.html").write_text(_index(title, pages, runs), encoding="utf-8")
        for previous, page, following in zip([None, *pages], pages, [*pages[1:], None]):
            links = {"previous": previous, "next": following}
            text = render(page.template, title=title, page=page, **links, **page.content)
            (draft / f"{page.name}.html").write_text(
                follow_notebooks(text, [page.name for page in pages]), encoding="utf-8"
            )
            if page.source:
                shutil.copyfile(page.source, draft / f"{page.name}.ipynb")
        _keep(target, draft, {path.resolve() for path in notebooks})
    return target / "index.html"


def check_place(target: Path) -> None:
    """Raises ValueError where a site would sit among folders that are none of its own, or in the place of a file."""
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target}: is a file: name a folder")
    folders = [path.name for path in target.glob("*/") if path.name != ".ipynb_checkpoints"]
    if folders:
        raise ValueError(
            f"{target}: holds other folders ({folders[0]}): name one that is new, empty or an earlier report"
        )


def _index(title: str, pages: list[Page], runs: list[Run]) -> str:
    return render(
        "index.html",
        title=title,
        version=__version__,
        made=datetime.now(),
        notebooks=[page for page in pages if page.source],
        tables=result_tables(runs),
        n_runs=len(runs),
        groups=GROUP_COLUMNS,
    )


def _named(pages: list[Page]) -> list[Page]:
    """Pages with file names that differ from each other and from the index; those of runs stay as they are."""
    taken, named = {"index", *(page.name.lower() for page in pages if not page.source)}, []
    for page in pages:
        name, number = page.name, 2
        while page.source and name.lower() in taken:
            name, number = f"{page.name}-{number}", number + 1
        taken.add(name.lower())
        named.append(replace(page, name=name))
    return named


def _keep(target: Path, draft: Path, sources: set[Path]) -> None:
    """Note which files are the site's own, and bring over the others that lie in its place. Raises ValueError on a clash."""
    manifest, there = target / _MANIFEST, list(target.iterdir()) if target.exists() else []
    guests = {path.name for path in there if path.resolve() in sources}
    own = _own(manifest) if manifest.is_file() else []
    new = [path.name for path in draft.iterdir()]
    (draft / _MANIFEST).write_text(json.dumps(sorted({*new} - guests)), encoding="utf-8")
    for path in there:
        if path.name in (*own, *guests, _MANIFEST):
            continue
        if path.name in new:
            raise ValueError(f"{path}: is of no earlier report, and would be lost: name another folder")
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        copy(path, draft / path.name)


def _own(manifest: Path) -> list[str]:
    """The files that an earlier report has noted as its own. Raises ValueError."""
    try:
        return TypeAdapter(list[str]).validate_json(manifest.read_bytes())
    except ValueError:
        raise ValueError(f"{manifest}: damaged, so that an earlier report is not known: name another folder") from None
