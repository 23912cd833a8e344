"""The printed tables."""

import ipywidgets
import pandas as pd

from lmptlib.data.dataset import MANY_TO_FEW
from lmptlib.suite.figures.style import RUN_COLOURS, apply_layout
from lmptlib.suite.widgets.figures import figure_widget


def published_table(table: pd.DataFrame) -> ipywidgets.VBox:
    """Published rows of one data set, sorted by one column; both are chosen from lists. table: `published()`.

    Of accuracies, head and tail are many and few.
    """
    figure = figure_widget()
    figure.add_scatter(mode="markers", marker={"size": 9, "color": RUN_COLOURS[1]})
    apply_layout(figure, "").update_xaxes(range=[0, 100]).update_yaxes(dtick=1, tickfont_size=12)
    dataset = ipywidgets.Dropdown(options=table["dataset"].unique().tolist(), description="data set")
    column = ipywidgets.Dropdown(options=["total", "head", "medium", "tail"], description="column")

    def show(_: dict | None = None) -> None:
        part = table[table["dataset"] == dataset.value].dropna(subset=column.value).sort_values(column.value)
        with figure.batch_update():
            figure.data[0].x = part[column.value].to_numpy()
            figure.data[0].y = (part["source"] + " " + part["table"] + " " + part["row"]).to_numpy()
            figure.data[0].text = (part["method"] + ", " + part["backbone"]).to_numpy()
            figure.layout.height = 140 + 18 * len(part)
            single = (part["metric"] == "accuracy").all()
            named = MANY_TO_FEW.get(column.value, column.value) if single else column.value
            figure.layout.xaxis.title = f"{named} (%)"

    dataset.observe(show, names="value")
    column.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox([dataset, column]), figure])
