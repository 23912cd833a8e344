"""A JupyterLab and a Chromium that drives it. Screenshots are left in outputs/browser/."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from lab import CHROMIUM, FLAGS, Lab, start_lab

from lmptlib.paths import home


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
def lab(tmp_path_factory) -> Iterator[Lab]:
    with start_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab
