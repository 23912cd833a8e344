"""Pictures of notebooks in JupyterLab, as a user meets them: opened, all cells run, scrolled back to the top.

    python tests/browser/screens.py NOTEBOOK... [--out FOLDER] [--sizes 1280x720,1440x900] [--themes light,dark]
                                    [--whole] [-p NAME VALUE]...

NOTEBOOK is a path or a name (`03_train`, `train`). Each is run anew for each size of the window and each theme, with the
values that its parameters cell has, or with those of `-p`, which are written into that cell as a user would. FOLDER
(outputs/screens) gets `03_train-1280x720-light.png` of each first screen; with `--whole`, in the first size and theme,
`03_train-1280x720-light-01.png` and so on of the screens below it too: each begins with the first cell that the one
before did not show to its end. A line a notebook is printed and appended to FOLDER/first_screens.jsonl, with, for each
size in the first theme: the visible lines of code, whether at least half of a figure is seen, how far below the
notebook's upper edge the first figure begins, and how high the visible part of the notebook is, both in pixels; and the
cells that failed, if any did.

It needs Chromium and the extra `test`. Set PYTHONPATH to a checkout to see that checkout's notebooks.
"""

import json
import re
import tempfile
from itertools import product
from pathlib import Path

import click
import nbformat
from lab import CHROMIUM, FLAGS, FRONT, Notebook, start_lab
from playwright.sync_api import sync_playwright

from lmptlib.paths import home
from lmptlib.suite.notebooks import find_notebook, parameters

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
SCROLLER = "document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer')"
FAILED = f"""[...{FRONT}.content.model.cells].flatMap((cell, i) =>
  cell.outputs?.toJSON().some(output => output.output_type === 'error') ? [i] : [])"""
FIRST = f"""() => {{
  const screen = {SCROLLER}.getBoundingClientRect();
  const seen = box => Math.max(0, Math.min(box.bottom, screen.bottom) - Math.max(box.top, screen.top)) / box.height;
  const boxes = selector => [...{SCROLLER}.querySelectorAll(selector)].map(e => e.getBoundingClientRect());
  const figures = boxes('.js-plotly-plot, .jp-OutputArea-output img, .jp-OutputArea-output > svg').filter(
    box => box.height > 0);
  return {{
    code_lines: boxes('.jp-CodeCell .cm-line').filter(box => box.height && seen(box) >= 0.5).length,
    figure: figures.some(box => seen(box) >= 0.5),
    figure_top: figures.length ? Math.round(Math.min(...figures.map(box => box.top)) - screen.top) : null,
    height: Math.round(screen.height),
  }};
}}"""
# Upper and lower ends of the cells, from the notebook's first pixel.
ENDS = f"""() => [...{SCROLLER}.querySelectorAll('.jp-Notebook-cell')].map(e => e.getBoundingClientRect()).map(
  box => [box.top, box.bottom].map(y => y - {SCROLLER}.getBoundingClientRect().top + {SCROLLER}.scrollTop))"""


def write_copy(notebook: Path, target: Path, values: dict[str, str]) -> None:
    """A copy of a notebook whose parameters cell has these values."""
    declared = parameters(notebook)
    content = nbformat.read(notebook, as_version=4)
    cell = next(cell for cell in content.cells if "parameters" in cell.metadata.get("tags", ()))
    for name, value in values.items():
        if name not in declared:
            raise click.UsageError(f"{notebook.name} has no parameter '{name}'")
        written = repr(value) if declared[name].kind == "str" and value != "None" else value
        before, line, after = re.split(rf"^({name}: .*)$", cell.source, flags=re.MULTILINE)
        code, mark, comment = line.partition("  #")
        cell.source = f"{before}{code.partition(' = ')[0]} = {written}{mark}{comment}{after}"
    nbformat.write(content, target)


def scroll_to(page, y: float) -> None:
    page.evaluate(f"{SCROLLER}.scrollTop = {y}")
    page.wait_for_timeout(700)  # until what has come into view is drawn


def picture_below(page, stem: Path) -> None:
    """The screens below the first one."""
    height = seen = page.evaluate(f"{SCROLLER}.clientHeight")
    number = 0
    for i in range(len(page.evaluate(ENDS))):
        while True:
            top, bottom = page.evaluate(ENDS)[i]
            if bottom <= seen + 1:
                break
            start = top if bottom - top <= height else max(top, seen)
            scroll_to(page, start)
            number += 1
            page.screenshot(path=f"{stem}-{number:02}.png")
            seen = page.evaluate(f"{SCROLLER}.scrollTop") + height


@click.command(help=__doc__.splitlines()[0])
@click.argument("notebooks", nargs=-1, required=True)
@click.option("--out", type=Path, default=home() / "outputs" / "screens", help="Folder of the pictures.")
@click.option("--sizes", default="1280x720,1440x900", help="Sizes of the window.")
@click.option("--themes", default="light,dark", help="JupyterLab's themes: light, dark.")
@click.option("--whole", is_flag=True, help="All screens of a notebook, not the first alone.")
@click.option("-p", "values", nargs=2, multiple=True, help="A parameter's name and value.")
def main(notebooks, out, sizes, themes, whole, values) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, start_lab(Path(folder)) as lab, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for path in map(find_notebook, notebooks):
            line = {"notebook": path.stem}
            for theme, size in product(themes.split(","), sizes.split(",")):
                lab.set("@jupyterlab/apputils-extension:themes", {"theme": THEMES[theme]})
                write_copy(path, lab.folder / path.name, dict(values))
                width, height = map(int, size.split("x"))
                page = browser.new_page(viewport={"width": width, "height": height})
                notebook = Notebook(page, lab, path.name)
                notebook.open()
                notebook.run_all(minutes=30)
                for _ in notebook.outputs():
                    pass  # each has been seen, so that the heights above are those of what is drawn
                stem = out / f"{path.stem}-{size}-{theme}"
                scroll_to(page, 0)
                page.screenshot(path=f"{stem}.png")
                if whole and len(line) == 1:
                    picture_below(page, stem)
                    scroll_to(page, 0)
                line.setdefault(size, page.evaluate(FIRST))
                if failed := page.evaluate(FAILED):
                    line["failed_cells"] = failed
                page.close()
                lab.shut_down_kernels()
            click.echo(json.dumps(line))
            with (out / "first_screens.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
        browser.close()


if __name__ == "__main__":
    main()
