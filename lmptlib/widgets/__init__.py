"""Explorers for JupyterLab: ipywidgets over the figures of `lmptlib.plots`, a file each."""

from lmptlib.widgets.comparison import loss_comparison
from lmptlib.widgets.curves import class_curves, probability_explorer
from lmptlib.widgets.embeddings import class_on_map
from lmptlib.widgets.landscape import loss_sliders
from lmptlib.widgets.published import published_table

__all__ = [
    "class_curves",
    "class_on_map",
    "loss_comparison",
    "loss_sliders",
    "probability_explorer",
    "published_table",
]
