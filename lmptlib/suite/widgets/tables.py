"""Tables: long ones by pages, sorted by a click, and files of them."""

import base64
import json
import uuid
from pathlib import Path
from typing import NamedTuple

import itables.options
import pandas as pd
from IPython.display import HTML
from itables.widget import ITable

from lmptlib.data.words import shown

# The rows stand in the page as pandas writes them: where scripts do not run, in a notebook that is not trusted or on a page
# of the site, the whole table is read, unpaged. An output that is shown twice, in a view of its own, has its name twice.
_PAGED = """<style>{style}</style>
<div style="overflow-x: auto">{rows}</div>
<script type="module">
const {{ITable, set_or_remove_dark_class}} = await import("data:text/javascript;base64,{code}");
document.querySelectorAll("#{name}:not(.dataTable)").forEach(table => new ITable(table, {settings}));
set_or_remove_dark_class();
</script>"""


class Paged(NamedTuple):
    """A long table that a lesson shows by pages, saved as the CSV file `name`."""

    table: pd.DataFrame
    name: str = "table.csv"


def paged_table(table: pd.DataFrame, name: str = "table.csv", rows: int = 15) -> HTML:
    """A long table by pages, sorted by a click on a column's name, searched, and saved as the CSV file `name`.

    The index is shown if it has a name. It needs no network and, in a saved notebook, no kernel: the output holds the
    program that turns the pages, which makes it 1 MB, so a notebook shows one.
    """
    bundle = Path(itables.options.dt_bundle)
    code, place = base64.b64encode(bundle.read_bytes()).decode(), f"table-{uuid.uuid4().hex}"
    style, settings = bundle.with_suffix(".css").read_text(encoding="utf-8"), json.dumps(table_settings(name, rows))
    return HTML(_PAGED.format(style=style, rows=_rows(table, place), code=code, name=place, settings=settings))


def table_widget(name: str, rows: int = 15) -> ITable:
    """A paged table for an explorer, empty until its `update` is given a table; its button saves the CSV file `name`."""
    return ITable(pd.DataFrame(), **table_settings(name, rows))


def table_settings(name: str, rows: int) -> dict:
    """What DataTables is told: `rows` a page, in the table's order at first, with a button for the CSV file `name`."""
    file = {"extend": "csvHtml5", "text": name, "filename": Path(name).stem}
    look = {"classes": ["display", "compact", "nowrap"], "layout": {"topStart": "buttons", "topEnd": "search"}}
    look["style"] = {"width": "auto", "margin": "0"}
    return {"pageLength": rows, "order": [], "buttons": [file], **look}


def table_html(table: pd.DataFrame) -> str:
    """A table as HTML that follows JupyterLab's light or dark theme."""
    return f"<div class='jp-RenderedHTMLCommon' style='overflow-x: auto'>{_rows(table)}</div>"


def csv_link(table: pd.DataFrame, name: str) -> str:
    """A link that saves the table as the CSV file `name`."""
    text = base64.b64encode(table.to_csv(index=False).encode()).decode()
    return f"<a download='{name}' href='data:text/csv;base64,{text}' style='text-decoration: underline'>{name}</a>"


def _rows(table: pd.DataFrame, place: str | None = None) -> str:
    """A table as HTML in its task's words, whole, with its index if that has a name."""
    table = shown(table)
    if table.index.names != [None]:
        table = table.reset_index()
    with pd.option_context("display.max_colwidth", None):
        return table.to_html(index=False, border=0, na_rep="", table_id=place)
