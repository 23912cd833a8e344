"""Explorers: a control is changed, and its effect read from the figure."""

import numpy as np
import plotly.graph_objects as go
import pytest

from lmptlib.config import fitting, resolve
from lmptlib.losses import LOSSES, PRESETS, loss_settings
from lmptlib.runs.run import Run
from lmptlib.suite.analysis.landscape import landscape
from lmptlib.suite.widgets.comparison import loss_comparison
from lmptlib.suite.widgets.curves import class_curves, probability_explorer
from lmptlib.suite.widgets.figures import SteadyFigure, redraw
from lmptlib.suite.widgets.landscape import loss_sliders
from lmptlib.training.training import train


def test_the_chosen_class_has_its_curves_drawn(tiny, tmp_path):
    config = resolve(dataset=str(tiny.path), epochs=2, batch_size=8)
    run = Run(train(config, tmp_path, log=lambda line: None))
    chooser, figure = class_curves([run]).children
    with np.load(run.folder / "probabilities.npz") as file:
        for index in (2, 0):
            chooser.value = index
            np.testing.assert_array_equal(figure.data[0].y, file["epoch_positive"][:, index])
            np.testing.assert_array_equal(figure.data[1].y, file["epoch_negative"][:, index])


def test_two_rows_and_a_ranking_are_compared(tiny, tmp_path):
    common = {"dataset": str(tiny.path), "epochs": 1, "batch_size": 8}
    asked = {"zero-shot": {"method": "zero_shot"}, "coop": {"method": "coop"}, "lmpt": {"method": "lmpt"}}
    made = {
        row: [Run(train(resolve(**fitting({**common, **settings})), tmp_path, log=lambda line: None))]
        for row, settings in asked.items()
    }
    choosers, figure = loss_comparison(made).children
    before, after, ranking = choosers.children
    before.value, after.value, ranking.value = "lmpt", "zero-shot", "softmax"
    drawn = {}
    for trace in figure.data:
        if trace.mode == "markers":
            ends = drawn.setdefault("open" if trace.marker.color == "white" else "filled", {})
            ends |= {label.rpartition(" ")[0]: x for label, x in zip(trace.y, trace.x)}
    for side, row in (("open", "lmpt"), ("filled", "zero-shot")):
        assert drawn[side] == made[row][0].classes.set_index("class")["softmax"].to_dict()
    assert "from lmpt" in figure.layout.title.text and "zero-shot" in figure.layout.title.text
    assert figure.layout.annotations[0].text == "softmax ranking"


LOSS_COUNTS, LOSS_IMAGES = np.array([400, 130, 60, 25, 12, 3]), 500


def drawn(figure) -> np.ndarray:
    """The lines of the chosen loss: value and gradient of each group and side."""
    return np.concatenate([trace.y for trace in figure.data[len(figure.data) // 2 :]])


def sliders() -> tuple:
    """What is chosen, the panel of settings, and the figure."""
    top, below = loss_sliders(LOSS_COUNTS, LOSS_IMAGES, "voc-lt").children
    panel, plot = below.children
    return top, panel, plot.children[0]


def expected(name: str, **rest) -> np.ndarray:
    table = landscape([name], LOSS_COUNTS, LOSS_IMAGES, "voc-lt", **rest)
    parts = [part for _, part in table.groupby(["group", "side"], sort=False)]
    return np.concatenate([part[column] for part in parts for column in ("value", "gradient")])


def test_a_slider_moves_the_curve_as_the_loss_says():
    top, panel, figure = sliders()
    chooser, beside, _ = top.children
    bce = np.concatenate([trace.y for trace in figure.data[: len(figure.data) // 2]])
    assert {trace.line.color for trace in figure.data[: len(figure.data) // 2]} == {"#999999"}
    chooser.value = "focal"
    gamma, alpha = panel.children
    assert gamma.value == 2 and alpha.value == "off"
    gamma.value = 3.5
    np.testing.assert_allclose(drawn(figure), expected("focal", settings={"focal": {"gamma": 3.5}}), atol=1e-5)
    gamma.value = 0
    np.testing.assert_allclose(drawn(figure), bce, atol=1e-5)
    alpha.value = 0.25
    settings = {"focal": {"gamma": 0.0, "alpha": 0.25}}
    np.testing.assert_allclose(drawn(figure), expected("focal", settings=settings), atol=1e-5)
    chooser.value = "db_focal"
    beside.value = True
    np.testing.assert_allclose(drawn(figure), expected("db_focal", beside=5), atol=1e-5)


def test_pg_has_sliders_by_group_and_the_means_of_the_batch():
    top, panel, figure = sliders()
    top.children[0].value = "pg"
    controls = {widget.description: widget for widget in panel.children}
    controls["l1_neg tail"].value = 7.5
    controls["adaptive"].value = ("l2_pos",)
    controls["focal"].value = "none"
    controls["mean p+"].value = 0.8
    settings = {"pg": {"l1_neg": (5.0, 5.0, 7.5), "adaptive": ("l2_pos",), "focal": "none"}}
    np.testing.assert_allclose(drawn(figure), expected("pg", settings=settings, means=(0.8, 0.95)), atol=1e-5)


@pytest.mark.parametrize("name", ["rw", "focal", "cb_focal", "db_focal", "asl", "ldam", "pg"])  # one a class
def test_every_setting_has_a_control_and_no_value_of_it_breaks_the_loss(name):
    top, panel, figure = sliders()
    top.children[0].value = name
    np.testing.assert_allclose(drawn(figure), expected(name), atol=1e-5)
    settings = loss_settings(name)
    found = [widget.description.split()[0] for widget in panel.children if "mean" not in widget.description]
    assert set(found) == set(settings)
    published = PRESETS["voc-lt"].get(LOSSES[name][0], {})
    assert all(found.count(key) == (3 if isinstance(published.get(key), tuple) else 1) for key in settings)
    for widget in panel.children:
        values = [widget.min, widget.max] if hasattr(widget, "min") else getattr(widget, "options", (True, False))
        for value in values[-4:]:
            widget.value = (value,) if widget.description == "adaptive" else value
            assert np.isfinite(drawn(figure)).all(), (widget.description, value)


def test_the_chosen_runs_are_shown_side_by_side(tiny, tmp_path):
    losses = ("bce", "pg")
    configs = [resolve(dataset=str(tiny.path), method="coop", loss=loss, epochs=2, batch_size=8) for loss in losses]
    trained = {c.settings.loss: Run(train(c, tmp_path, log=lambda line: None)) for c in configs}
    choosers, figure = probability_explorer(trained).children
    left, right = choosers.children
    assert (left.value, right.value) == losses
    left.value, right.value = "pg", "bce"
    for traces, loss in ((figure.data[:10], "pg"), (figure.data[10:], "bce")):
        table = trained[loss].probabilities("epoch").query("group == 'tail'")
        expected = [table["positive"], table["negative"], table["negative"] - table["positive"]]
        for trace, values in zip(traces[6:9], expected):
            np.testing.assert_array_equal(trace.y, values)
        assert traces[9].y[0] == trained[loss].metrics["scores"]["logit"]["total"]
    assert [title.text for title in figure.layout.annotations[:2]] == ["pg", "bce"]


def test_a_reloaded_page_gets_the_figure_as_it_is_now():
    figure = SteadyFigure(go.Figure(go.Bar(x=["a"], y=[1.0])))
    redraw(
        figure, go.Figure([go.Bar(x=["b"], y=[2.0]), go.Bar(x=["c"], y=[3.0])], {"title": "new", "template": "none"})
    )
    state = figure.get_state()
    assert [list(trace["x"]) for trace in state["_widget_data"]] == [["b"], ["c"]]
    assert state["_widget_layout"]["title"]["text"] == "new"
    assert "_widget_data" not in figure.get_state("_config")
