"""Explorers for JupyterLab: ipywidgets over the figures of `lmptlib.plots`, a file each."""

from lmptlib.widgets.cases import case_explorer
from lmptlib.widgets.classify import ClassifyExplorer
from lmptlib.widgets.comparison import loss_comparison
from lmptlib.widgets.curves import class_curves, probability_explorer
from lmptlib.widgets.data import co_occurrence_explorer, data_explorer, long_tail_sampler
from lmptlib.widgets.embeddings import embedding_explorer
from lmptlib.widgets.exercise import exercise
from lmptlib.widgets.landscape import loss_sliders
from lmptlib.widgets.live import LiveTraining
from lmptlib.widgets.published import published_table
from lmptlib.widgets.runs import run_explorer
from lmptlib.widgets.tables import paged_table
from lmptlib.widgets.zero_shot import zero_shot_explorer

__all__ = [
    "ClassifyExplorer",
    "LiveTraining",
    "case_explorer",
    "class_curves",
    "co_occurrence_explorer",
    "data_explorer",
    "embedding_explorer",
    "exercise",
    "long_tail_sampler",
    "loss_comparison",
    "loss_sliders",
    "paged_table",
    "probability_explorer",
    "published_table",
    "run_explorer",
    "zero_shot_explorer",
]
