"""What was guessed, and, once it is shown, what is true: bars side by side, or the ends of curves."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from lmptlib.suite.figures.style import RUN_COLOURS, apply_layout

_KNOWN, _TRUE = "#999999", "#333333"
_GUESS = {"color": "#CC7A00", "width": 3}


def guess_bars(
    truth: Mapping[str, float] | None,
    guess: Mapping[str, float] | None,
    known: Mapping[str, float],
    known_name: str,
    unit: str,
    bounds: tuple[float, float],
) -> go.Figure:
    """A bar a name: what is known (grey), the guess (a bar of its outline) and the truth (full); what is None is left out."""
    figure = go.Figure()
    rows = (("truth", truth, {"color": _TRUE}), (known_name, known, {"color": _KNOWN}))
    for name, values, marker in reversed(rows):
        if values:
            bars = go.Bar(x=list(values), y=list(values.values()), name=name, marker=marker, offsetgroup=name)
            bars.update(texttemplate="%{y:.3g}", textposition="inside", insidetextanchor="start", textangle=0)
            figure.add_trace(bars)
    if guess:
        outline = go.Bar(x=list(guess), y=list(guess.values()), name="your guess", offsetgroup="truth")
        outline.update(marker={"color": "rgba(0,0,0,0)", "line": _GUESS}, hovertemplate="your guess: %{y:.3g}")
        figure.add_trace(outline)
    figure.update_yaxes(title=unit, range=list(bounds))
    return _guess_layout(figure)


def guess_curves(
    curves: Mapping[str, Sequence[float]],
    guess: Mapping[str, float] | None,
    shown: bool,
    unit: str,
    bounds: tuple[float, float],
    step: str,
) -> go.Figure:
    """A curve a name from its first value on: to the guessed end (dashed), and whole where it is `shown`."""
    figure = go.Figure()
    for i, (name, values) in enumerate(curves.items()):
        steps = list(range(len(values)))
        colour = RUN_COLOURS[(i + 1) % len(RUN_COLOURS)]
        if shown:
            figure.add_scatter(x=steps, y=list(values), name=name, mode="lines", line={"color": colour, "width": 3})
        start = {"x": [0], "y": [values[0]]}
        figure.add_scatter(**start, name=f"{name}, start", mode="markers", marker={"color": colour, "size": 10})
        if guess:
            ends = {"x": [0, steps[-1]], "y": [values[0], guess[name]]}
            dashed = {"color": colour, "width": 2, "dash": "dash"}
            figure.add_scatter(**ends, name=f"{name}, your guess", mode="lines+markers", line=dashed)
    most = max(map(len, curves.values())) - 1
    figure.update_xaxes(title=step, range=[-0.03 * most, 1.03 * most]).update_yaxes(title=unit, range=list(bounds))
    return _guess_layout(figure)


def _guess_layout(figure: go.Figure) -> go.Figure:
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    apply_layout(figure, "", height=320, legend=legend, barmode="group", showlegend=True)
    return figure.update_layout(margin={"l": 60, "r": 20, "t": 40, "b": 45})
