"""How the cost of training grows."""

import pandas as pd
import plotly.graph_objects as go

from lmptlib.suite.figures.style import apply_layout, interval, panels, run_colour

# Where axes of seconds have their lines: plotly's own labels of a logarithmic axis are digits without their power of ten.
_SECONDS = [round(step * 10.0**power, 4) for power in range(-4, 4) for step in (1, 2, 5)]


def growth_figure(table: pd.DataFrame) -> go.Figure:
    """Seconds over what grows, a panel each, both axes logarithmic; dotted: what grew in proportion from the first point on.

    table: as `lmptlib.benchmark.growth.growth` gives it.
    """
    parts = list(table.groupby("grows", sort=False))
    titles = [f"{grows}: seconds per {part['per'].iloc[0]}" for grows, part in parts]
    figure, height = panels(titles, 200, most=2, horizontal_spacing=0.1)
    for place, (grows, part) in enumerate(parts):
        where = {"row": place // 2 + 1, "col": place % 2 + 1}
        x, y = part["value"], part["median"]
        measured = go.Scatter(x=x, y=y, error_y=interval(y, part["low"], part["high"], width=4), mode="lines+markers")
        measured.update(line={"color": run_colour(0), "width": 2.5}, marker_size=9, name="measured")
        measured.hovertemplate = f"%{{x:,}} {grows}: %{{y:.3g}} s<extra></extra>"
        straight = go.Scatter(x=x, y=y.iloc[0] * x / x.iloc[0], mode="lines", name="in proportion", hoverinfo="skip")
        straight.line.update(color="#6E6E6E", dash="dot")
        for trace in (straight, measured):
            figure.add_trace(trace.update(legendgroup=trace.name, showlegend=place == 0), **where)
        figure.update_xaxes(type="log", tickvals=x.tolist(), ticktext=[f"{value:,}" for value in x], **where)
    figure.update_yaxes(type="log", tickvals=_SECONDS, ticktext=[f"{value:g}" for value in _SECONDS])
    return apply_layout(figure, f"What training costs as it grows, {table.attrs['of']}", height)
