"""Figures that a widget keeps: a fresh FigureWidget costs megabytes, and JupyterLab may leave it blank."""

from copy import deepcopy
from typing import Any

import plotly.graph_objects as go

from lmptlib.suite.figures.style import CONFIG


class SteadyFigure(go.FigureWidget):
    """A figure that a page which is slow, or opened again, shows as it stands.

    plotly's own opens before there is anything in it, tells the page of each change, and leaves what it tells a new page as
    it was when it was made.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.open()

    def open(self) -> None:
        if "_layout_obj" in vars(self):
            super().open()

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        if key is None:
            # silently: the pages that are open have it already
            now = {"_widget_data": self._data, "_widget_layout": self._layout_obj._props}
            self._trait_values |= deepcopy(now)
        return super().get_state(key, drop_defaults)


def figure_widget(figure: go.Figure | None = None, **layout: Any) -> SteadyFigure:
    """A figure as a widget that fills its box; `layout` goes over its layout, an empty one may be given later."""
    widget = SteadyFigure(figure, {"template": "plotly_white", "autosize": True} if figure is None else None)
    widget._config = widget._config | CONFIG
    return widget.update_layout(layout)


def redraw(widget: go.FigureWidget, figure: go.Figure, **layout: Any) -> None:
    """Another figure in a widget, whose traces and panels may be more or fewer; `layout` goes over its layout."""
    # None takes away the axes that are too many
    new: dict[str, Any] = dict.fromkeys(name for name in widget.layout.to_plotly_json() if "axis" in name)
    new |= figure.layout.to_plotly_json() | layout
    # the widget has its own, and comparing it is slow
    del new["template"]
    for axis in figure.select_yaxes():
        # matched axes keep the names that stood on them before
        new.get(axis.plotly_name, {}).pop("matches", None)
    widget.data = ()
    widget.add_traces(figure.data)
    widget.update_layout(new, overwrite=True)
