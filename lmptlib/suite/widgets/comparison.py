"""Two rows of a sweep, class by class."""

import ipywidgets
import pandas as pd
import plotly.graph_objects as go

from lmptlib.data.words import said
from lmptlib.runs.run import Run
from lmptlib.runs.tables import class_table
from lmptlib.suite.figures.class_ap import ap_dumbbells
from lmptlib.suite.figures.style import titled
from lmptlib.suite.widgets.figures import figure_widget
from lmptlib.suite.widgets.rankings import offer_rankings


def loss_comparison(runs: dict[str, list[Run]]) -> ipywidgets.VBox:
    """AP of each class in one row of a sweep (open) and another (filled); rows and ranking are chosen from lists."""
    first = next(iter(runs.values()))[0]
    tables = {
        ranking: pd.concat([class_table(part, ranking).assign(row=row) for row, part in runs.items()])
        for ranking in first.measure.rankings
    }
    names = list(runs)
    before = ipywidgets.Dropdown(options=names, value=names[0], description="from")
    after = ipywidgets.Dropdown(options=names, value=names[-1], description="to")
    ranking = ipywidgets.Dropdown(description="ranking")
    offer_rankings(ranking, first.measure)

    def drawn() -> go.Figure:
        table, pair = tables[ranking.value], (before.value, after.value)
        first, second = (table[table["row"] == name].assign(row=place) for name, place in zip(pair, ("from", "to")))
        return ap_dumbbells(pd.concat([first, second]), "from")

    # room for a title of two lines
    figure = figure_widget(drawn(), margin_t=105)

    def show(_: dict | None = None) -> None:
        with figure.batch_update():
            for trace, new in zip(figure.data, drawn().data):
                trace.x, trace.error_x, trace.customdata = new.x, new.error_x, new.customdata
            title = f"AP of each class: from {before.value} (open) to {after.value} (filled)"
            figure.layout.title = titled(said(title, first.task))
            figure.layout.annotations[0].text = f"{ranking.value} ranking" if len(tables) > 1 else ""

    for chooser in (before, after, ranking):
        chooser.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox([before, after, ranking]), figure])
