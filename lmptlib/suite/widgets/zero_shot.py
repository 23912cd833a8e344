"""Zero-shot CLIP: one class's scores under a template, a ranking and a temperature."""

import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lmptlib.evaluation.average_precision import weighted_average_precision
from lmptlib.evaluation.rankings import ZERO_SHOT_RANKINGS, ranking_scores, relative
from lmptlib.suite.figures.score_figures import score_histograms


def zero_shot_explorer(
    images: np.ndarray, texts: dict[str, np.ndarray], labels: np.ndarray, class_names: tuple[str, ...], scale: float
) -> ipywidgets.VBox:
    """Scores of one class's positives and negatives; class, template, ranking and the softmax's scale are chosen.

    images (N, D), texts: template -> (C, D), unit features; labels (N, C); scale is CLIP's own, where the slider starts.
    """
    options = [(f"{name} ({n} images)", c) for c, (name, n) in enumerate(zip(class_names, labels.sum(0))) if n]
    chosen = ipywidgets.Dropdown(options=options, description="class")
    template = ipywidgets.Dropdown(options=list(texts), description="template")
    ranking = ipywidgets.Dropdown(options=ZERO_SHOT_RANKINGS, description="ranking")
    look = {"continuous_update": False, "style": {"description_width": "90px"}}
    slider = ipywidgets.FloatLogSlider(scale, min=-1, max=3, step=0.05, description="softmax scale", **look)
    weights = np.ones((1, len(labels)))

    def drawn() -> go.Figure:
        cosines = images @ texts[template.value].T
        if ranking.value == "softmax":
            # The softmax itself would saturate at a large scale.
            scores, at = relative(cosines, slider.value), f", scale {slider.value:.3g}"
        else:
            scores, at = ranking_scores(cosines, ranking.value, 1), ""
        ap = 100 * weighted_average_precision(labels, scores, weights)[0]
        c = chosen.value
        points = pd.DataFrame({"ranking": ranking.value + at, "score": scores[:, c], "positive": labels[:, c]})
        return score_histograms(points, f"{class_names[c]}: AP {ap[c]:.1f}; mean over all classes {np.nanmean(ap):.1f}")

    figure = go.FigureWidget(drawn())

    def show(_: dict | None = None) -> None:
        slider.disabled = ranking.value != "softmax"
        fresh = drawn()
        with figure.batch_update():
            for trace, new in zip(figure.data, fresh.data):
                trace.x, trace.y, trace.width = new.x, new.y, new.width
            figure.layout.title.text = fresh.layout.title.text
            figure.layout.annotations[0].text = fresh.layout.annotations[0].text

    for control in (chosen, template, ranking, slider):
        control.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox([chosen, template]), ipywidgets.HBox([ranking, slider]), figure])
