"""Explorers for JupyterLab: ipywidgets over the figures of `lmptlib.plots`, a file each."""

from lmptlib.suite.widgets.cases import case_explorer
from lmptlib.suite.widgets.classify import ClassifyExplorer
from lmptlib.suite.widgets.comparison import loss_comparison
from lmptlib.suite.widgets.curves import class_curves, probability_explorer
from lmptlib.suite.widgets.data import co_occurrence_explorer, data_explorer, long_tail_sampler
from lmptlib.suite.widgets.embeddings import embedding_explorer
from lmptlib.suite.widgets.exercise import exercise
from lmptlib.suite.widgets.landscape import loss_sliders
from lmptlib.suite.widgets.live import LiveTraining
from lmptlib.suite.widgets.published import published_table
from lmptlib.suite.widgets.runs import run_explorer
from lmptlib.suite.widgets.tables import paged_table
from lmptlib.suite.widgets.zero_shot import zero_shot_explorer

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
