"""A lesson as a student has it, on the embedded data: wrong and right answers, a guess, a new kernel, a reloaded page."""

import json

import papermill
import pytest
from lab import READY, Notebook

from lmptlib.paths import home
from lmptlib.suite.notebooks import find_notebook, read_parameters

# one worker drives the browser, in `make test-browser`
pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.every_notebook]
BARS = """() => [...document.querySelectorAll('.lmpt-question .barlayer .trace')].length"""


def test_a_lesson_is_worked_through(lab, tab, tmp_path):
    page, path = tab.page, find_notebook("start_here")
    page.set_viewport_size({"width": 1280, "height": 720})
    given = {"dataset": "emoji-lt", "epochs": 3, "cache": str(home() / "data" / "cache"), "out": str(tmp_path)}
    values = read_parameters(path, given)
    papermill.execute_notebook(
        path, lab.folder / path.name, values, kernel_name="python3", progress_bar=False, prepare_only=True
    )
    notebook = Notebook(page, lab, path.name)
    notebook.open()
    notebook.run_all()

    field = notebook.output_with(".lmpt-question input[type=text]").locator("input[type=text]")
    question = page.locator(".lmpt-question:has(input[type=text])")
    field.fill("3")
    field.press("Enter")
    question.get_by_text("not yet").wait_for()
    field.press("Backspace")
    question.get_by_text("not yet").wait_for(state="detached")
    field.fill("775/4")
    field.press("Enter")
    question.get_by_text("✓").wait_for()

    guess = notebook.output_with("button:has-text('reveal')")
    handle = guess.locator(".noUi-handle").first
    handle.focus()
    handle.press("ArrowRight")
    hidden = page.evaluate(BARS)
    assert guess.get_by_text("off by").count() == 0
    guess.get_by_role("button", name="reveal").click()
    guess.get_by_text("off by").wait_for()
    page.wait_for_function(f"({BARS})() > {hidden}", timeout=30_000)
    shown = page.evaluate(BARS)
    tab.screenshot("lesson-revealed")
    kept = json.loads((tmp_path / "answers.json").read_text())["00_start_here"]
    assert kept["ratio"]["right"] and kept["ratio"]["tries"] == 2 and kept["groups"]["tries"] == 1

    # the page is reloaded, the kernel is the same
    notebook.save()
    page.goto(lab.url(path.name).removesuffix("&reset"))
    page.wait_for_function(READY, timeout=90_000)
    assert notebook.output_with(".lmpt-question input[type=text]").locator("input").input_value() == "775/4"
    notebook.output_with("button:has-text('reveal')").get_by_text("off by").wait_for()
    page.wait_for_function(f"({BARS})() === {shown}", timeout=30_000)
    # and with another kernel
    notebook.open_again()
    notebook.run_all()
    answered = notebook.output_with(".lmpt-question input[type=text]")
    assert answered.locator("input").input_value() == "775/4" and answered.get_by_text("✓").count()
    notebook.output_with("button:has-text('reveal')").get_by_text("off by").wait_for()
    missed = [error for error in tab.errors if "widget model not found" not in error]  # before the cells have run again
    assert not tab.outside and not missed
