"""An answer typed into a field, and its check."""

import ipywidgets

from lmptlib.suite.analysis.lessons import verdict


def exercise(name: str, expected: float, tolerance: float, hint: str) -> ipywidgets.VBox:
    """A field for the answer to an exercise and a button that checks it, as `lmptlib.lessons.check` does."""
    field = ipywidgets.FloatText(description=name, style={"description_width": "100px"})
    button = ipywidgets.Button(description="check")
    answer = ipywidgets.Label("not answered yet")

    def show(_: object) -> None:
        answer.value = verdict(field.value, expected, tolerance, hint)

    button.on_click(show)
    return ipywidgets.VBox([ipywidgets.HBox([field, button]), answer])
