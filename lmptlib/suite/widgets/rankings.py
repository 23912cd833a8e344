"""The list of rankings that an explorer offers."""

import ipywidgets

from lmptlib.evaluation.measures import Measure


def offer_rankings(chooser: ipywidgets.Dropdown, measure: Measure, ranking: str = "logit") -> None:
    """Offer the rankings that tell runs apart, with `ranking` chosen if it is one of them; a single one is no choice."""
    chooser.options = measure.rankings
    chooser.value = ranking if ranking in measure.rankings else "logit"
    chooser.layout.display = "flex" if len(measure.rankings) > 1 else "none"
