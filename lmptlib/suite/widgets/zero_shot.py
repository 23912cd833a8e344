"""Zero-shot CLIP: one class's scores under a template, a ranking and a temperature."""

import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lmptlib.evaluation.average_precision import average_precision
from lmptlib.evaluation.rankings import ZERO_SHOT_RANKINGS, ranking_scores, relative
from lmptlib.suite.figures.score_figures import score_histograms
from lmptlib.suite.widgets.figures import figure_widget


def zero_shot_explorer(
    images: np.ndarray, texts: dict[str, np.ndarray], labels: np.ndarray, class_names: tuple[str, ...], scale: float
) -> ipywidgets.VBox:
    """Scores of one class's positives and negatives; class, template, ranking and the softmax's scale are chosen.

    The axes hold whatever the slider can show of the chosen class, template and ranking.
    images (N, D), texts: template -> (C, D), unit features; labels (N, C); scale is CLIP's own, where the slider starts.
    """
    options = [(f"{name} ({n} images)", c) for c, (name, n) in enumerate(zip(class_names, labels.sum(0))) if n]
    chosen = ipywidgets.Dropdown(options=options, description="class")
    template = ipywidgets.Dropdown(options=list(texts), description="template")
    ranking = ipywidgets.Dropdown(options=ZERO_SHOT_RANKINGS, description="ranking")
    look = {"continuous_update": False, "style": {"description_width": "90px"}}
    slider = ipywidgets.FloatLogSlider(scale, min=-1, max=3, step=0.05, description="softmax scale", **look)

    def drawn(at_scale: float) -> go.Figure:
        cosines = images @ texts[template.value].T
        if ranking.value == "softmax":
            # The softmax itself would saturate at a large scale.
            scores, at = relative(cosines, at_scale), f", scale {at_scale:.3g}"
        else:
            scores, at = ranking_scores(cosines, ranking.value, 1), ""
        ap = 100 * average_precision(labels, scores)
        c = chosen.value
        points = pd.DataFrame({"ranking": ranking.value + at, "score": scores[:, c], "positive": labels[:, c]})
        return score_histograms(points, f"{class_names[c]}: AP {ap[c]:.1f}; mean over all classes {np.nanmean(ap):.1f}")

    def reach() -> dict:
        """The ends of the axes over the slider's whole length."""
        scales = slider.base ** np.linspace(slider.min, slider.max, 9) if ranking.value == "softmax" else [slider.value]
        bars = [bar for at_scale in scales for bar in drawn(at_scale).data]
        ends = [end for bar in bars for end in (bar.x[0] - bar.width[0], bar.x[-1] + bar.width[0])]
        return {"xaxis.range": [min(ends), max(ends)], "yaxis.range": [0, 1.15 * max(bar.y.max() for bar in bars)]}

    figure = figure_widget(drawn(slider.value), height=440)

    def choose(_: dict | None = None) -> None:
        slider.disabled = ranking.value != "softmax"
        figure.update_layout(reach())
        show()

    def show(_: dict | None = None) -> None:
        fresh = drawn(slider.value)
        with figure.batch_update():
            for trace, new in zip(figure.data, fresh.data):
                trace.x, trace.y, trace.width = new.x, new.y, new.width
            figure.layout.title.text = fresh.layout.title.text
            figure.layout.annotations[0].text = fresh.layout.annotations[0].text

    for control in (chosen, template, ranking):
        control.observe(choose, names="value")
    slider.observe(show, names="value")
    choose()
    return ipywidgets.VBox([ipywidgets.HBox([chosen, template]), ipywidgets.HBox([ranking, slider]), figure])
