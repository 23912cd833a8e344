"""A JupyterLab and a Chromium that drives it. Screenshots are left in outputs/browser/."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lmptlib.paths import home

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SETTINGS = {
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # every cell is in the page, seen or not
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


@dataclass
class Lab:
    """A running JupyterLab, and where its notebooks lie."""

    address: str
    folder: Path

    def shut_down_kernels(self) -> None:
        with urllib.request.urlopen(f"{self.address}/api/sessions?token=t") as answer:
            sessions = json.load(answer)
        for session in sessions:
            place = f"{self.address}/api/sessions/{session['id']}?token=t"
            urllib.request.urlopen(urllib.request.Request(place, method="DELETE")).close()

    def url(self, notebook: str) -> str:
        return f"{self.address}/lab/tree/{notebook}?token=t&reset"


@dataclass
class Tab:
    """A page of the browser, with what went wrong in it."""

    page: object
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def screenshot(self, name: str) -> None:
        folder = home() / "outputs" / "browser"
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png")


@pytest.fixture(scope="module")  # Playwright keeps an event loop running, which other tests must not meet
def browser() -> Iterator[object]:
    """Headless Chromium. With CI=true it must be there, elsewhere its tests are skipped without it."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if CHROMIUM is None or sync_playwright is None:
        lacking = (
            "Chromium (Debian: apt-get install chromium)"
            if CHROMIUM is None
            else "Playwright (pip install -e '.[test]')"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(f"the browser tests need {lacking}")
        pytest.skip(f"no browser tests: {lacking} is not here")
    with sync_playwright() as play:
        launched = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def tab(browser, request) -> Iterator[Tab]:
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    tab = Tab(page)
    page.on("console", lambda message: tab.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: tab.errors.append(str(error)))
    page.on("request", lambda request: tab.outside.append(request.url) if is_outside(request.url) else None)
    yield tab
    tab.screenshot(f"{request.node.name}-last")
    page.close()


def is_outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory, request) -> Iterator[Lab]:
    """A JupyterLab with settings of its own, those of the module if it has some, as `make lab` starts it."""
    folder, settings = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("settings")
    for name, values in getattr(request.module, "SETTINGS", SETTINGS).items():
        file = settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [
        f"--ServerApp.root_dir={folder}",
        "--IdentityProvider.token=t",
        f"--LabApp.user_settings_dir={settings}",
    ]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(settings / "config")}
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token=t")
                break
            except OSError:
                time.sleep(0.5)
        else:
            raise RuntimeError("JupyterLab did not start")
        yield Lab(f"http://127.0.0.1:{port}", folder)
    finally:
        server.terminate()
        server.wait()
