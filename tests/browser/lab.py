"""A JupyterLab and a Chromium that drives it, for the browser tests and for `screens.py`.

JupyterLab has its default settings, its windowing mode among them: what is far from the screen may be no part of the
page. `Notebook` scrolls to a cell before it shows it, as a user does.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
NO_NEWS = {"@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}

# The notebook in front, and what its model holds, seen or not; `--LabApp.expose_app_in_browser` gives `jupyterapp`.
FRONT = "jupyterapp.shell.currentWidget"
CODE = f"[...{FRONT}.content.model.cells].filter(cell => cell.type === 'code' && cell.sharedModel.getSource().trim())"
READY = f"""() => window.jupyterapp && {FRONT}?.content?.model?.cells?.length
  && {FRONT}.sessionContext.session?.kernel?.status === 'idle'"""
RUN = f"""() => {FRONT}.sessionContext.session.kernel.status === 'idle' && (
  {CODE}.every(cell => cell.executionCount)
  || {CODE}.some(cell => cell.outputs.toJSON().some(output => output.output_type === 'error')))"""
WITH_OUTPUTS = f"[...{FRONT}.content.model.cells].flatMap((cell, i) => cell.outputs?.length ? [i] : [])"
# Figures stand as figures or, in a saved notebook, as the pictures that JupyterLab kept of them.
DRAWN = f"""i => {{
  const node = document.querySelector(`.jp-Cell[data-windowed-list-index="${{i}}"]`);
  const outputs = {FRONT}.content.model.cells.get(i).outputs?.toJSON() ?? [];
  const figures = outputs.filter(output => output.data?.['application/vnd.plotly.v1+json']);
  const drawn = [...node?.querySelectorAll('.jp-RenderedPlotly') ?? []].filter(
    plot => plot.querySelector('.main-svg') || plot.querySelector('img')?.naturalWidth > 100);
  return node && drawn.length >= figures.length
    && [...node.querySelectorAll('.js-plotly-plot')].every(plot => plot.querySelector('.main-svg'));
}}"""


@dataclass
class Lab:
    """A running JupyterLab, and where its notebooks and its settings lie."""

    address: str
    folder: Path
    settings: Path

    def set(self, name: str, values: dict[str, Any]) -> None:
        """A setting by its plugin's name, as `@jupyterlab/apputils-extension:themes`, for pages opened from now on."""
        file = self.settings / f"{name.replace(':', '/')}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))

    def shut_down_kernels(self) -> None:
        with urllib.request.urlopen(f"{self.address}/api/sessions?token=t") as answer:
            sessions = json.load(answer)
        for session in sessions:
            place = f"{self.address}/api/sessions/{session['id']}?token=t"
            urllib.request.urlopen(urllib.request.Request(place, method="DELETE")).close()

    def url(self, notebook: str) -> str:
        return f"{self.address}/lab/tree/{notebook}?token=t&reset"


@contextmanager
def start_lab(folder: Path) -> Iterator[Lab]:
    """A JupyterLab with settings of its own, as `make lab` starts it, on notebooks in `folder`/notebooks."""
    notebooks, settings = folder / "notebooks", folder / "settings"
    notebooks.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--ServerApp.root_dir={notebooks}", "--IdentityProvider.token=t"]
    command += [f"--LabApp.user_settings_dir={settings}", "--LabApp.expose_app_in_browser=True"]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(settings / "config")}
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    lab = Lab(f"http://127.0.0.1:{port}", notebooks, settings)
    for name, values in NO_NEWS.items():
        lab.set(name, values)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{lab.address}/api?token=t")
                break
            except OSError:
                time.sleep(0.5)
        else:
            raise RuntimeError("JupyterLab did not start")
        yield lab
    finally:
        server.terminate()
        server.wait()


@dataclass
class Notebook:
    """A notebook of the lab in a page of the browser; cells have the numbers of the file, from 0."""

    page: Any
    lab: Lab
    name: str

    def open(self) -> None:
        self.page.goto(self.lab.url(self.name))
        self.page.wait_for_function(READY, timeout=90_000)

    def run_all(self, minutes: float = 4) -> None:
        """Run all cells, until the kernel is idle and each has its number, or one has failed."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_text("Run All Cells", exact=True).click()
        self.page.wait_for_function(RUN, timeout=minutes * 60_000)

    def cell(self, i: int) -> Any:
        """A cell, scrolled to, with its figures drawn."""
        # void: the promise of the scroll may never be kept
        self.page.evaluate(f"void {FRONT}.content.scrollToItem({i})")
        self.page.wait_for_function(DRAWN, arg=i, timeout=60_000)
        return self.page.locator(f'.jp-Cell[data-windowed-list-index="{i}"]')

    def outputs(self) -> Iterator[Any]:
        """What each cell has put out, one after the other, scrolled to."""
        for i in self.page.evaluate(WITH_OUTPUTS):
            yield self.cell(i).locator(".jp-Cell-outputArea")

    def output_with(self, selector: str) -> Any:
        """The first output that has such an element, scrolled to; a widget may come a little later than its cell."""
        for _ in range(20):
            for output in self.outputs():
                if output.locator(selector).count():
                    return output
            self.page.wait_for_timeout(500)
        raise AssertionError(f"no output has {selector}")

    def save(self) -> None:
        self.page.keyboard.press("Control+s")
        self.page.get_by_text("Saving completed").first.wait_for(timeout=60_000)

    def open_again(self) -> None:
        """The saved notebook, without the kernel that ran it."""
        self.page.goto("about:blank")
        self.lab.shut_down_kernels()
        self.open()
