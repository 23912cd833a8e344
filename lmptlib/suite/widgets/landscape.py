"""A loss over the logit, with a control for each of its settings, and what a short training makes of them."""

from typing import Any

import ipywidgets
import numpy as np
import pandas as pd

from lmptlib.config import choices_of
from lmptlib.data.dataset import GROUPS
from lmptlib.losses import LOSSES, loss_settings, preset_settings, settings_model
from lmptlib.losses.probability_guided import FACTORS
from lmptlib.suite.analysis.landscape import MEANS, landscape
from lmptlib.suite.figures.loss_curves import loss_landscape
from lmptlib.suite.widgets.figures import figure_widget
from lmptlib.suite.widgets.tryouts import LossTryouts

_MEANS = ("mean p+", "mean p-")


def _controls(name: str, value: Any, choices: tuple[str, ...], moving: bool) -> list[ipywidgets.Widget]:
    """The controls of one setting of a loss, at its value: three for a value by group, else one.

    moving: sliders tell each value on their way, not the last alone.
    """
    look = {"style": {"description_width": "105px"}, "layout": {"width": "260px"}}
    if isinstance(value, bool):
        return [ipywidgets.Checkbox(value, description=name, **look)]
    if choices and isinstance(value, tuple):
        return [ipywidgets.SelectMultiple(options=choices, value=value, rows=4, description=name, **look)]
    if choices:
        return [ipywidgets.Dropdown(options=choices, value=value, description=name, **look)]
    if value is None:
        shares = ["off", *np.linspace(0, 1, 21).round(2).tolist()]
        return [ipywidgets.SelectionSlider(options=shares, description=name, continuous_update=moving, **look)]
    by_group = isinstance(value, tuple)
    # factors divide, and a scale of 0 leaves no loss
    low = 0.1 if name in ("lam", "scale", *FACTORS) else 0.0
    sliders = []
    for one, group in zip(value if by_group else (value,), GROUPS if by_group else ("",)):
        high, step = (0.99, 0.01) if 0 < one < 1 else (2 * max(one, 5), 0.1)
        scale = {"min": low, "max": high, "step": step, "continuous_update": moving}
        sliders.append(ipywidgets.FloatSlider(one, description=f"{name} {group}".strip(), **scale, **look))
    return sliders


def loss_sliders(
    class_counts: np.ndarray, n_images: int, preset: str | None = None, tryouts: LossTryouts | None = None
) -> ipywidgets.VBox:
    """A loss over the logit with a control for each of its settings, and BCE in grey behind it.

    class_counts (C,): training images of each class, out of n_images. Controls start at the preset's settings. Adaptive
    losses get the batch's mean confidences too, and every loss a box that puts the rarest class into the image. The axes
    are chosen with the loss, twice as long as its settings need; a line says how far a curve goes on beyond them. With
    `tryouts` a short training follows each change, while a slider moves, too.
    """
    rarest = int(np.where(class_counts > 0, class_counts, np.inf).argmin())
    bce = landscape(["bce"], class_counts, n_images)
    height = 290 if tryouts else 470
    figure = figure_widget(loss_landscape(pd.concat([bce, bce.assign(loss="chosen")])), height=height)
    if tryouts:
        figure.update_layout(title_text="", margin={"t": 30, "b": 60})
    for trace in figure.data[: len(figure.data) // 2]:
        trace.line.color = trace.marker.color = "#999999"
    names = [name for name in LOSSES if name != "bce"]
    chooser = ipywidgets.Dropdown(options=names, value="db_focal", description="loss")
    beside = ipywidgets.Checkbox(False, description="the image shows the rarest class too", indent=False)
    panel = ipywidgets.VBox(layout={"flex": "0 0 270px", "height": f"{height}px", "overflow": "auto"})
    beyond = ipywidgets.Label()
    controls: dict[str, list[ipywidgets.Widget]] = {}
    # value and gradient -> the ends of their axes
    reach: dict[str, tuple[float, float]] = {}

    def read() -> tuple[dict[str, Any], tuple[float, float]]:
        """The settings of the loss, and the batch's means."""
        found = {key: tuple(map(_value, widgets)) for key, widgets in controls.items()}
        values: dict[str, Any] = {
            key: of_group if len(of_group) > 1 else of_group[0] for key, of_group in found.items()
        }
        positive, negative = (values.pop(key, default) for key, default in zip(_MEANS, MEANS))
        return values, (positive, negative)

    def drawn() -> pd.DataFrame:
        loss, company, (values, means) = chooser.value, rarest if beside.value else None, read()
        return landscape([loss], class_counts, n_images, preset, {loss: values}, means, company)

    def draw(_: dict | None = None) -> None:
        # first, so that it trains while the curves are drawn
        if tryouts:
            tryouts.ask(chooser.value, read()[0])
        table = drawn()
        outside = {name: _beyond(table[name], *ends) for name, ends in reach.items()}
        beyond.value = "; ".join(f"{name} {text}" for name, text in outside.items() if text)
        with figure.batch_update():
            for trace, fresh in zip(figure.data, loss_landscape(pd.concat([bce, table])).data):
                trace.y, trace.name, trace.hovertemplate = fresh.y, fresh.name, fresh.hovertemplate

    def choose(_: dict | None = None) -> None:
        fields = settings_model(chooser.value).model_fields
        choices = {key: choices_of(field) for key, field in fields.items()}
        values = loss_settings(chooser.value) | preset_settings(chooser.value, preset)
        if chooser.value in ("apr", "apaf", "pg"):
            values |= dict(zip(_MEANS, MEANS))
        controls.clear()
        moving = tryouts is not None
        controls.update({key: _controls(key, value, choices.get(key, ()), moving) for key, value in values.items()})
        panel.children = [widget for widgets in controls.values() for widget in widgets]
        for widget in panel.children:
            widget.observe(draw, names="value")
        both = pd.concat([bce, drawn()])
        with figure.batch_update():
            for row, name in enumerate(("value", "gradient"), 1):
                reach[name] = (2 * min(0, both[name].min()) - 0.1, 2 * max(0, both[name].max()) + 0.1)
                figure.update_yaxes(range=reach[name], row=row)
        draw()

    chooser.observe(choose, names="value")
    beside.observe(draw, names="value")
    choose()
    plot = ipywidgets.VBox([figure], layout={"flex": "1 1 0", "min_width": "0"})
    rows = [ipywidgets.HBox([chooser, beside, beyond]), ipywidgets.HBox([panel, plot])]
    return ipywidgets.VBox([*rows, *([tryouts] if tryouts else [])])


def _value(control: ipywidgets.Widget) -> Any:
    """What a control says; a page gives numbers back that it was given with an error in the last digit."""
    value = None if control.value == "off" else control.value
    return round(value, 6) if isinstance(value, float) else value


def _beyond(values: pd.Series, low: float, high: float) -> str:
    """How far values go beyond the ends of an axis; empty where they do not."""
    ends = [
        f"{end:.1f}"
        for end, outside in ((values.min(), values.min() < low), (values.max(), values.max() > high))
        if outside
    ]
    return f"goes on to {' and '.join(ends)}" if ends else ""
