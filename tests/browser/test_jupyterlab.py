"""The notebooks in JupyterLab, in a real browser: run, drawn, explored, saved and opened again."""

import base64

import nbformat
import papermill
import pytest
from lab import Notebook
from tiny import make_pool

from lmptlib.paths import shipped
from lmptlib.runs.run import Run, find_runs
from lmptlib.suite.notebooks import find_notebook, parameters
from lmptlib.suite.parameters import known_settings

pytestmark = pytest.mark.xdist_group("browser")  # one worker drives it
PATHS = sorted(shipped("notebooks").glob("[0-9]*.ipynb"))
QUICK = ("05_embeddings",)
NOTEBOOKS = [pytest.param(p, id=p.stem, marks=[] if p.stem in QUICK else pytest.mark.every_notebook) for p in PATHS]
SMALL = {"epochs": 2, "batch_size": 8, "n_seeds": 1, "n_images": 10, "interactive": True}

# What an explorer shows, without what its controls say of themselves and what trains by itself.
SHOWN = """output => {
  const copy = output.cloneNode(true);
  copy.querySelectorAll('.noUi-target, .widget-readout, .modebar-container, .lmpt-tryouts, select, option, input').forEach(e => e.remove());
  const texts = [...output.querySelectorAll('.widget-text input, .widget-textarea textarea')].map(e => e.value);
  return copy.innerHTML + texts;
}"""
# What shows when the mouse moves, what a button reads later, and what four rare classes cannot show.
SILENT = ("follows the mouse", "baseline", "rarest class too")
SILENT += ("_pos head", "_neg head", "_pos medium", "_neg medium")
CONTROLS = "select, .noUi-handle, input[type=checkbox], .widget-toggle-buttons button, button.widget-button"
# The first screen has a figure: more than half of it, above the status bar.
SEEN = """() => {
  const box = document.querySelector('.jp-OutputArea .js-plotly-plot')?.getBoundingClientRect();
  return box && box.top > 0 && box.top + 0.6 * box.height < innerHeight - 25;
}"""
DROP = """content => {
  const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], 'dropped.jpg', { type: 'image/jpeg' }));
  document.querySelector('.lmpt-drop-zone').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));
}"""


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_notebook_runs_and_its_explorers_answer(path, lab, tab, tiny):
    declared = parameters(path)
    given = {**SMALL, "dataset": str(tiny.path), "out": str(tiny.folder / "out")}
    taken = {*declared, *(known_settings() if "settings" in declared else ())}
    if path.stem == "15_own_data":
        given["recipe"] = "calibrated"  # that of the notebook has no epochs
    if "tackle" in declared:
        given |= {"tackle": str(make_pool(tiny.folder / "pool")), "tune_epochs": 1}
    given = {name: value for name, value in given.items() if name in taken}
    page, notebook = tab.page, run_all(tab, lab, path, given)
    for width, height in ((1440, 900), (1280, 720)):
        page.set_viewport_size({"width": width, "height": height})
        notebook.cell(0)
        # without a run, 14 says first that it makes two
        if path.stem != "14_compare_runs":
            page.wait_for_function(SEEN, timeout=30_000)
        tab.screenshot(f"{path.stem}-{width}")
    page.set_viewport_size({"width": 1300, "height": 1000})
    figures = explorers = 0
    for output in notebook.outputs():
        assert output.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
        assert output.get_by_text("Error displaying widget").count() == 0
        figures += output.locator(".jp-RenderedPlotly").count()
        for explorer in output.locator(".jp-OutputArea-output:has(.jupyter-widgets)").all():
            explorers += 1
            # What watches a training has a test of its own.
            if explorer.locator(".lmpt-live").count() == 0:
                change_every_control(page, explorer)
                explorer.scroll_into_view_if_needed()
                tab.screenshot(f"{path.stem}-explorer-{explorers}")
    assert figures and explorers and not tab.outside and not tab.errors

    notebook.save()
    notebook.open_again()
    assert sum(output.locator(".jp-RenderedPlotly").count() for output in notebook.outputs()) == figures
    page.set_viewport_size({"width": 1300, "height": 6000})
    page.wait_for_timeout(1000)
    tab.screenshot(f"{path.stem}-saved")
    missed = [error for error in tab.errors if "widget model not found" not in error]  # an explorer without its kernel
    assert not tab.outside and not missed


def change_every_control(page, explorer) -> None:
    """Change each control of an explorer, and wait until what it shows is another."""
    controls = explorer.locator(CONTROLS)
    for i in range(controls.count()):
        control = controls.nth(i)
        if not control.is_enabled() or not control.is_visible():
            continue
        before = explorer.evaluate(SHOWN)
        name = control.evaluate(
            "e => e.closest('.jupyter-widgets')?.textContent.slice(0, 40) + ' ' + e.outerHTML.slice(0, 80)"
        )
        chosen = control.evaluate("e => [...(e.selectedOptions ?? [])].map(option => option.value)")
        if any(silent in name for silent in SILENT) or not change(control):
            continue
        for _ in range(100):
            if explorer.evaluate(SHOWN) != before:
                break
            page.wait_for_timeout(100)
        else:
            raise AssertionError(f"nothing changed with the control '{name}'")
        if chosen and control.is_visible() and "ranking" not in name:
            control.select_option(chosen)  # or the next control has no lines to hide, no case to show


def change(control) -> bool:
    """Choose another value of a control, as a person would; whether there was one."""
    kind = control.evaluate("e => e.tagName + (e.multiple ? ' multiple' : '')")
    if kind.startswith("SELECT"):
        values = control.locator("option").evaluate_all("options => options.map(option => option.value)")
        chosen = control.evaluate("e => [...e.selectedOptions].map(option => option.value)")
        others = [value for value in values if value not in chosen]
        if len(values) < 2:
            return False
        if "multiple" in kind:
            control.select_option([*chosen, others[-1]] if others else chosen[:1])
        else:
            control.select_option(others[-1])
    elif "noUi-handle" in (control.get_attribute("class") or ""):
        low, high, now = (float(control.get_attribute(f"aria-value{end}")) for end in ("min", "max", "now"))
        control.focus()
        for _ in range(3):
            control.press("ArrowLeft" if now - low > (high - low) / 2 else "ArrowRight")
    else:
        control.click()
    return True


def run_all(tab, lab, path, values: dict) -> Notebook:
    """Open a copy of a notebook with these parameters, and run all of it."""
    papermill.execute_notebook(
        path, lab.folder / path.name, values, kernel_name="python3", progress_bar=False, prepare_only=True
    )
    fold_given(lab.folder / path.name)
    notebook = Notebook(tab.page, lab, path.name)
    notebook.open()
    notebook.run_all()
    return notebook


def fold_given(path) -> None:
    """Fold the cell of given parameters, as those of the notebook are."""
    made = nbformat.read(path, as_version=4)
    for cell in made.cells:
        if "injected-parameters" in cell.metadata.get("tags", ()):
            cell.metadata["jupyter"] = {"source_hidden": True}
    nbformat.write(made, path)


@pytest.mark.every_notebook
def test_a_run_is_watched_paused_stopped_and_taken_up(lab, tab, tiny):
    out, page = tiny.folder / "out", tab.page
    values = {"dataset": str(tiny.path), "epochs": 40, "batch_size": 2, "method": "coop", "out": str(out)}
    live = run_all(tab, lab, find_notebook("train"), values | {"epochs": 2}).output_with(".lmpt-live")
    count = "document.querySelectorAll('.lmpt-live .scatterlayer .trace .points path').length"
    epochs = live.get_by_label("epochs")
    epochs.fill("40")
    epochs.press("Enter")
    start, pause, stop = (live.get_by_role("button", name=name) for name in ("start", "pause", "stop"))
    start.click()
    page.wait_for_function(f"{count} > 30", timeout=60_000)
    pause.click()
    live.get_by_role("button", name="go on").wait_for()
    page.wait_for_timeout(1500)
    held = page.evaluate(count)
    page.wait_for_timeout(1500)
    assert page.evaluate(count) == held and live.get_by_text("paused at").count() == 1
    lines = "document.querySelectorAll('.lmpt-live .shapelayer path').length"
    rate = live.locator(".noUi-handle").first
    rate.focus()
    rate.press("ArrowRight")
    live.get_by_text("from epoch").wait_for()
    assert page.evaluate(lines) == 0
    tab.screenshot("live-training")
    live.get_by_role("button", name="go on").click()
    page.wait_for_function(f"{count} > {held} && {lines} === 3", timeout=30_000)
    pause.click()
    live.get_by_text("paused at").wait_for()
    held = page.evaluate(count)
    # the cell is run again: what it shows then is the same training, from its first epoch
    live.click(position={"x": 2, "y": 2})
    page.keyboard.press("Control+Enter")
    page.wait_for_function(f"{count} === {held} && {lines} === 3", timeout=60_000)
    live.get_by_role("button", name="go on").click()
    page.wait_for_function(f"{count} > {held}", timeout=30_000)
    stop.click()
    live.get_by_text("written to").wait_for(timeout=60_000)
    (part,) = [run for run in find_runs(out) if run.stopped]
    assert 0 < part.stopped < 40 and len(part.events) == 1
    start.click()
    disabled = "document.querySelector('.lmpt-live .mod-success').disabled"
    page.wait_for_function(disabled, timeout=30_000)
    page.wait_for_function(f"!{disabled}", timeout=120_000)
    assert not Run(part.folder).stopped and len(Run(part.folder).history) == 40
    assert not tab.outside and not tab.errors


@pytest.mark.every_notebook
def test_a_slider_of_a_loss_trains_while_it_moves(lab, tab, tiny):
    page, values = tab.page, {"dataset": str(tiny.path), "out": str(tiny.folder / "out")}
    trained = run_all(tab, lab, find_notebook("loss_landscape"), values).output_with(".lmpt-tryouts")
    trained.get_by_text("epoch 5 of 5").wait_for(timeout=60_000)
    paths = """[...document.querySelectorAll('.lmpt-tryouts .scatterlayer .js-line')].map(e => e.getAttribute('d')).join()"""
    before = page.evaluate(paths)
    handle = trained.locator(".noUi-handle").first
    handle.focus()
    for _ in range(5):
        handle.press("ArrowRight")
    trained.get_by_text("epoch 5 of 5; faint: db_focal").wait_for(timeout=30_000)
    assert trained.get_by_text("db_focal, alpha").count() == 1 and page.evaluate(paths) != before
    # the curves of now, those of before, and no more
    assert page.evaluate("document.querySelectorAll('.lmpt-tryouts .cartesianlayer .subplot').length") == 3
    trained.locator(".lmpt-tryouts").scroll_into_view_if_needed()
    tab.screenshot("loss-tryouts")
    assert not tab.outside and not tab.errors and not find_runs(tiny.folder / "out")


@pytest.mark.every_notebook
def test_photographs_are_dropped_and_classified(lab, tab, tiny):
    page, values = tab.page, {"dataset": str(tiny.path), "out": str(tiny.folder / "out")}
    explorer = run_all(tab, lab, find_notebook("own_data"), values).output_with(".lmpt-drop-zone")
    zone = explorer.locator(".lmpt-drop-zone")
    zone.locator("input").set_input_files([tiny.folder / "test" / "3.jpg", tiny.folder / "test" / "4.jpg"])
    chooser = page.locator(".widget-dropdown select").last
    page.wait_for_function("[...document.querySelectorAll('.widget-dropdown select')].at(-1).options.length == 3")
    content = base64.b64encode((tiny.folder / "test" / "5.jpg").read_bytes()).decode()
    page.evaluate(DROP, content)
    page.wait_for_function("[...document.querySelectorAll('.widget-dropdown select')].at(-1).options.length == 4")
    chooser.locator("option:checked", has_text="dropped.jpg").wait_for(state="attached", timeout=30_000)
    zone.scroll_into_view_if_needed()
    tab.screenshot("classify")
    assert not tab.outside and not tab.errors


def test_a_table_is_sorted_saved_and_lives_in_a_saved_notebook(lab, tab, tmp_path):
    page = tab.page
    lines = ["import pandas as pd", "from lmptlib.suite.widgets.tables import paged_table"]
    lines.append(
        "paged_table(pd.DataFrame({'class': [f'<{i}>' for i in range(40)], 'ap': range(40, 0, -1)}), 'classes.csv')"
    )
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("\n".join(lines))], metadata=kernel)
    nbformat.write(notebook, tmp_path / "table.ipynb")
    notebook = run_all(tab, lab, tmp_path / "table.ipynb", {})
    top = "document.querySelector('table.dataTable tbody tr')?.innerText.split(/\\s+/).join(' ')"
    for running in (True, False):
        page.wait_for_function(f"{top} === '<0> 40'", timeout=30_000)
        assert page.locator("table.dataTable tbody tr").count() == 15
        page.locator("table.dataTable thead th").last.click()
        page.wait_for_function(f"{top} === '<39> 1'", timeout=10_000)
        with page.expect_download() as download:
            page.get_by_role("button", name="classes.csv").click()
        assert len(download.value.path().read_text().split()) == 41
        tab.screenshot(f"table-{running}")
        if running:
            notebook.save()
            notebook.open_again()
    assert not tab.outside and not tab.errors
