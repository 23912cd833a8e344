"""The map of images and prompts."""

import html

import ipywidgets
import numpy as np
import pandas as pd

from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.data.images import open_image
from lmptlib.suite.figures.map_figures import embedding_map, map_colours
from lmptlib.suite.figures.pictures import jpeg
from lmptlib.suite.widgets.figures import figure_widget

_PROMPTS = {"before and after": (True, True), "before": (True, False), "after": (False, True), "none": (False, False)}


class EmbeddingExplorer(ipywidgets.VBox):
    """Maps of test images and prompts; what lies under the mouse is shown beside them: photograph, labels, top scores.

    maps: name -> points of `lmptlib.suite.analysis.embeddings.map_points` with errors, all of the same images. scores
    (N, C): of the test images. The colouring, a class whose images are drawn larger, and the prompts shown are chosen
    from lists.
    """

    def __init__(self, maps: dict[str, pd.DataFrame], dataset: Dataset, scores: np.ndarray):
        self.maps, self.dataset, self.scores = maps, dataset, scores
        self.points = next(iter(maps.values()))
        self.figure = figure_widget(embedding_map(self.points), title_text="", height=470, margin={"l": 10, "t": 35})
        self._find_traces()
        self.projection = ipywidgets.Dropdown(options=list(maps), description="map")
        self.colour = ipywidgets.Dropdown(options=["group", "class", "error"], description="colour")
        self.chosen = ipywidgets.Dropdown(options=["all", *dataset.class_names], description="class")
        self.prompts = ipywidgets.Dropdown(options=list(_PROMPTS), description="prompts")
        self.joined = ipywidgets.Checkbox(True, description="lines from before to after", indent=False)
        follow = "the picture follows the mouse (else: click)"
        self.follow = ipywidgets.Checkbox(True, description=follow, indent=False)
        look = {"width": "230px", "height": "auto", "display": "none"}
        self.picture = ipywidgets.Image(format="jpeg", layout=look)
        self.words = ipywidgets.HTML("Point at an image or click on it.", layout={"width": "230px"})
        self._observe()
        controls = [self.projection, self.colour, self.chosen, self.prompts, self.joined, self.follow]
        beside = {"flex": "0 0 250px", "height": "470px", "overflow": "auto"}
        told = ipywidgets.VBox([self.picture, self.words], layout=beside)
        map_ = ipywidgets.VBox([self.figure], layout={"flex": "1 1 0", "min_width": "0"})
        shown = ipywidgets.HBox([map_, told])
        super().__init__([ipywidgets.HBox(controls, layout={"flex_flow": "row wrap"}), shown])

    def _find_traces(self) -> None:
        """Which rows of the points each trace of the figure draws."""
        kind, group = self.points["kind"], self.points["group"]
        *images, self.lines, before, after = self.figure.data
        self.images = list(zip(images, (np.flatnonzero((kind == "image") & (group == name)) for name in GROUPS)))
        self.before = (before, np.flatnonzero(kind == "before"))
        self.after = (after, np.flatnonzero(kind == "after"))

    def _observe(self) -> None:
        for trace, rows in self.images:
            trace.on_click(lambda _, points, __, rows=rows: self._show(rows, points.point_inds))
            trace.on_hover(lambda _, points, __, rows=rows: self._hover(rows, points.point_inds))
        self.projection.observe(self._move, names="value")
        self.colour.observe(self._paint, names="value")
        self.chosen.observe(self._enlarge, names="value")
        for control in (self.prompts, self.joined):
            control.observe(self._choose_prompts, names="value")

    def _move(self, _: dict) -> None:
        xy = self.maps[self.projection.value][["x", "y"]].to_numpy()
        starts, ends = xy[self.before[1]], xy[self.after[1]]
        joints = np.stack([starts, ends, np.full_like(ends, np.nan)], axis=1).reshape(-1, 2)
        with self.figure.batch_update():
            for trace, rows in (*self.images, self.before, self.after):
                trace.x, trace.y = xy[rows].T
            self.lines.x, self.lines.y = joints.T

    def _paint(self, _: dict) -> None:
        colours = np.array(map_colours(self.points, self.colour.value), dtype=object)
        with self.figure.batch_update():
            for trace, rows in (*self.images, self.before, self.after):
                trace.marker.color = colours[rows].tolist()
            trace, rows = self.before
            trace.marker.line.color = colours[rows].tolist()
            self.figure.layout.coloraxis.showscale = self.colour.value == "error"

    def _enlarge(self, _: dict) -> None:
        with self.figure.batch_update():
            for trace, rows in self.images:
                if self.chosen.value == "all":
                    trace.marker.size = [6] * len(rows)
                else:
                    column = self.dataset.class_names.index(self.chosen.value)
                    shown = self.dataset.test.labels[self.points["image"].iloc[rows], column]
                    trace.marker.size = np.where(shown, 11, 3).tolist()

    def _choose_prompts(self, _: dict) -> None:
        visible = _PROMPTS[self.prompts.value]
        with self.figure.batch_update():
            self.before[0].visible, self.after[0].visible = visible
            self.lines.visible = self.joined.value and all(visible)

    def _hover(self, rows: np.ndarray, places: list[int]) -> None:
        if self.follow.value:
            self._show(rows, places)

    def _show(self, rows: np.ndarray, places: list[int]) -> None:
        """Show the image of one group that is at the first of `places` in its trace, if there is one."""
        if not places:
            return
        point = self.points.iloc[rows[places[0]]]
        image = int(point["image"])
        self.picture.layout.display = None
        self.picture.value = jpeg(open_image(self.dataset.test.paths[image]), 320)
        self.words.value = _words(self.dataset, image, self.scores[image], point["error"])


def _words(dataset: Dataset, image: int, scores: np.ndarray, error: float, n_scores: int = 8) -> str:
    """File, labels, error and the classes with the highest scores of a test image, its own in bold with a tick."""
    names, labels = dataset.class_names, dataset.test.labels[image]
    lines = [
        f"<tr><td>{i}</td><td>{'<b>✓ ' if labels[c] else ''}{html.escape(names[c])}</td><td>{scores[c]:.3f}</td></tr>"
        for i, c in enumerate(scores.argsort()[::-1][:n_scores], 1)
    ]
    own = ", ".join(html.escape(names[c]) for c in np.flatnonzero(labels))
    head = "<tr><th></th><th>class</th><th>score</th></tr>"
    file = html.escape(dataset.test.names[image])
    table = f"<table>{head}{''.join(lines)}</table>"
    return f"<div class='jp-RenderedHTMLCommon'><p>{file}<br><b>{own}</b><br>error {error:.2f}</p>{table}</div>"
