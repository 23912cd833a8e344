"""Figures that a widget keeps: a fresh FigureWidget costs megabytes, and JupyterLab may leave it blank."""

import plotly.graph_objects as go


def redraw(widget: go.FigureWidget, figure: go.Figure, **layout) -> None:
    """Another figure in a widget, whose traces and panels may be more or fewer; `layout` goes over its layout."""
    new = dict.fromkeys(name for name in widget.layout.to_plotly_json() if "axis" in name)  # None: an axis too many
    new |= figure.layout.to_plotly_json() | layout
    del new["template"]  # the widget's own, and slow to compare
    for axis in figure.select_yaxes():
        new[axis.plotly_name].pop("matches", None)  # matched axes keep the names that stood on them before
    widget.data = ()
    widget.add_traces(figure.data)
    widget.update_layout(new, overwrite=True)
