"""A notebook in JupyterLab, in a real browser: it shows what batch left, runs, and its explorer answers."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import papermill
import pytest

from lmptlib.notebooks import find_notebook, sign

sync_api = pytest.importorskip("playwright.sync_api", reason="the extra 'browser' is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture
def lab(tmp_path):
    """A JupyterLab that serves tmp_path; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--ServerApp.root_dir={tmp_path}", "--IdentityProvider.token=t", "--LabApp.news_url=None"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(60):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token=t")
                break
            except OSError:
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token=t&reset"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_an_executed_notebook_shows_and_runs(lab, tiny, tmp_path):
    values = {"dataset": str(tiny.path), "epochs": 2, "batch_size": 8, "out": str(tmp_path / "out")}
    notebook, executed, live = find_notebook("probability_curves"), tmp_path / "executed.ipynb", tmp_path / "live.ipynb"
    batch = {**values, "interactive": False}
    papermill.execute_notebook(notebook, executed, batch, kernel_name="python3", progress_bar=False)
    papermill.execute_notebook(notebook, live, values, kernel_name="python3", prepare_only=True)
    sign(executed)
    errors, outside = [], []
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1300, "height": 6000})
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: outside.append(request.url) if is_outside(request.url) else None)
        page.goto(lab.format("executed.ipynb"))
        page.wait_for_selector(".js-plotly-plot .main-svg", timeout=90_000)
        drawn = page.locator(".js-plotly-plot").count()
        page.goto(lab.format("live.ipynb"))
        page.get_by_text("| Idle").first.wait_for(timeout=90_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        chooser = page.locator(".widget-dropdown select")
        chooser.wait_for(timeout=120_000)
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length >= 2", timeout=60_000)
        path = "[...document.querySelectorAll('.js-plotly-plot')].at(-1).querySelector('.js-line').getAttribute('d')"
        before = page.evaluate(path)
        chooser.select_option(index=3)
        page.wait_for_function(f"{path} !== {before!r}", timeout=30_000)
        failed = page.locator('[data-mime-type="application/vnd.jupyter.error"]').count()
        page.screenshot(path=tmp_path / "jupyterlab.png")
        browser.close()
    assert drawn == 1 and failed == 0
    assert not outside
    assert not errors


def is_outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
