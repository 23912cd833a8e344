"""Figures in JupyterLab as it comes: they follow the width of their cell and the theme, and send nothing anywhere."""

import io
import re

import nbformat
import numpy as np
import pytest
from PIL import Image

# one worker drives the browser, in `make test-browser`
pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.every_notebook]
CELLS = (
    "from lmptlib.suite.parameters import begin\ngiven = begin(globals())",
    "import numpy as np, pandas as pd\nfrom lmptlib.suite.figures.count_figures import class_counts\n"
    "table = pd.DataFrame({'class': list('abc'), 'group': ['head', 'medium', 'tail'], 'train': [200, 40, 5]})\n"
    "class_counts(table).show()",
    "from lmptlib.suite.widgets.data import long_tail_sampler\n"
    "long_tail_sampler(np.random.default_rng(0).random((200, 3)) < [0.5, 0.2, 0.1], list('abc'))",
)
DONE = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(prompt => /\\d/.test(prompt.textContent))"
DRAWN = "[...document.querySelectorAll('.js-plotly-plot')].filter(plot => plot.querySelector('.main-svg')).length === 2"
FULL = """plot => plot._fullLayout.width === plot.clientWidth &&
  plot.clientWidth > 0.85 * plot.closest('.jp-OutputArea-output').clientWidth"""
BUTTONS = "[...document.querySelectorAll('.modebar-btn')].map(button => button.dataset.title ?? '')"
BACKGROUND = "getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor"


def test_figures_follow_their_cell_and_the_theme(lab, tab):
    page = tab.page
    page.set_viewport_size({"width": 1280, "height": 720})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab.folder / "figures.ipynb")
    page.goto(lab.url("figures.ipynb"))
    page.get_by_text("| Idle").first.wait_for(timeout=90_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(DONE, timeout=90_000)
    page.wait_for_timeout(1000)
    page.wait_for_function(DRAWN, timeout=30_000)
    plots = page.locator(".js-plotly-plot")
    narrow = [filled(page, plots.nth(i)) for i in range(2)]
    page.keyboard.press("Control+b")
    wide = [filled(page, plots.nth(i), other_than=narrow[i]) for i in range(2)]
    assert all(new > old + 100 for new, old in zip(wide, narrow))
    buttons = page.evaluate(BUTTONS)
    assert buttons and not any(word in title for title in buttons for word in ("Chart Studio", "Share", "Plotly"))

    for theme, dark in (("light", False), ("dark", True)):
        if dark:
            page.get_by_role("menuitem", name="Settings", exact=True).click()
            page.get_by_text("Theme", exact=True).hover()
            page.get_by_text("JupyterLab Dark", exact=True).first.click()
            page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
            page.wait_for_timeout(500)
        background = [int(part) for part in re.findall(r"\d+", page.evaluate(BACKGROUND))[:3]]
        for i in range(2):
            plots.nth(i).scroll_into_view_if_needed()
            drawn = colours(plots.nth(i).screenshot())
            assert np.abs(drawn[0] - background).max() <= 4, (theme, drawn[0], background)
            assert max(contrast(colour, drawn[0]) for colour in drawn) > 7, theme
        tab.screenshot(f"figures-{theme}")

    page.keyboard.press("Control+s")
    page.get_by_text("Saving completed").first.wait_for(timeout=60_000)
    page.goto("about:blank")
    page.goto(lab.url("figures.ipynb"))
    # no picture of it, which would keep the colours and the width that it had
    page.wait_for_function("document.querySelector('.jp-RenderedPlotly .main-svg')", timeout=60_000)
    assert not tab.outside and not tab.errors


def filled(page, plot, other_than: int = 0) -> int:
    """The width of a plot in sight once it fills its cell, and is another than it was."""
    plot.scroll_into_view_if_needed()
    for _ in range(100):
        width = plot.evaluate("plot => plot.clientWidth")
        if plot.evaluate(FULL) and width != other_than:
            return width
        page.wait_for_timeout(100)
    raise AssertionError(
        f"a plot of {width} pixels does not fill its cell, {plot.evaluate('p => p._fullLayout.width')}"
    )


def colours(picture: bytes) -> np.ndarray:
    """The colours of a picture, the most frequent first."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).reshape(-1, 3)
    found, counts = np.unique(pixels, axis=0, return_counts=True)
    return found[counts.argsort()[::-1]].astype(int)


def contrast(colour: np.ndarray, other: np.ndarray) -> float:
    """The contrast of two colours as the WCAG defines it, 1 to 21."""
    parts = np.stack([colour, other]) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    low, high = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (high + 0.05) / (low + 0.05)
