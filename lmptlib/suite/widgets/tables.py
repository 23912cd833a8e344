"""Tables: long ones by pages, and files of them."""

import base64

import ipywidgets
import pandas as pd


def paged_table(table: pd.DataFrame, rows: int = 15, name: str = "table.csv") -> ipywidgets.VBox:
    """A long table by pages, sorted by a chosen column, with a link that saves it. The index is shown if it has a name."""
    if table.index.names != [None]:
        table = table.reset_index()
    by = ipywidgets.Dropdown(
        options=[("as given", ""), *((str(column), column) for column in table)], description="sort by"
    )
    falling = ipywidgets.Checkbox(False, description="largest first", indent=False, layout={"width": "130px"})
    previous, following = (
        ipywidgets.Button(description=text, layout={"width": "90px"}) for text in ("previous", "next")
    )
    place, view = ipywidgets.Label(), ipywidgets.HTML()
    start = 0

    def show(first: int) -> None:
        nonlocal start
        start = first
        ordered = table
        if by.value != "":
            ordered = table.sort_values(by.value, ascending=not falling.value, kind="stable", key=_sortable)
        last = min(start + rows, len(table))
        view.value = table_html(ordered.iloc[start:last])
        place.value = f"{start + 1}-{last} of {len(table)}" if len(table) else "no rows"
        previous.disabled, following.disabled = start == 0, last == len(table)

    previous.on_click(lambda _: show(start - rows))
    following.on_click(lambda _: show(start + rows))
    for chooser in (by, falling):
        chooser.observe(lambda _: show(0), names="value")
    show(0)
    link = ipywidgets.HTML(csv_link(table, name))
    return ipywidgets.VBox([ipywidgets.HBox([by, falling, previous, following, place, link]), view])


def _sortable(column: pd.Series) -> pd.Series:
    """A column of mixed kinds is sorted as text."""
    return column if pd.api.types.is_numeric_dtype(column) else column.astype(str)


def table_html(table: pd.DataFrame, index: bool = False) -> str:
    """A table as HTML that follows JupyterLab's light or dark theme."""
    text = table.to_html(index=index, border=0, na_rep="")
    return f"<div class='jp-RenderedHTMLCommon' style='overflow-x: auto'>{text}</div>"


def csv_link(table: pd.DataFrame, name: str) -> str:
    """A link that saves the table as the CSV file `name`."""
    text = base64.b64encode(table.to_csv(index=False).encode()).decode()
    return f"<a download='{name}' href='data:text/csv;base64,{text}' style='text-decoration: underline'>{name}</a>"
