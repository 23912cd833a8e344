"""The map of images and prompts."""

import html

import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lmptlib.data.dataset import GROUPS, Dataset
from lmptlib.data.images import open_image
from lmptlib.suite.figures.map_figures import embedding_map, map_colours
from lmptlib.suite.figures.pictures import jpeg

_PROMPTS = {"before and after": (True, True), "before": (True, False), "after": (False, True), "none": (False, False)}


def embedding_explorer(maps: dict[str, pd.DataFrame], dataset: Dataset, scores: np.ndarray) -> ipywidgets.VBox:
    """Maps of test images and prompts; what lies under the mouse is shown beside them: photograph, labels, top scores.

    maps: name -> points of `lmptlib.embeddings.map_points` with errors, all of the same images. scores (N, C): of the
    test images. The colouring, a class whose images are drawn larger, and the prompts shown are chosen from lists.
    """
    first = next(iter(maps.values()))
    figure = go.FigureWidget(embedding_map(first)).update_layout(width=620, height=660, title="", autosize=False)
    places = [np.flatnonzero((first["kind"] == "image") & (first["group"] == group)) for group in GROUPS]
    before, after = (np.flatnonzero(first["kind"] == kind) for kind in ("before", "after"))
    *images, lines, prompts_before, prompts_after = figure.data
    drawn = [*zip(images, places), (prompts_before, before), (prompts_after, after)]

    projection = ipywidgets.Dropdown(options=list(maps), description="map")
    colour = ipywidgets.Dropdown(options=["group", "class", "error"], description="colour")
    chosen = ipywidgets.Dropdown(options=["all", *dataset.class_names], description="class")
    prompts = ipywidgets.Dropdown(options=list(_PROMPTS), description="prompts")
    joined = ipywidgets.Checkbox(True, description="lines from before to after", indent=False)
    follow = ipywidgets.Checkbox(True, description="the picture follows the mouse (else: click)", indent=False)
    picture = ipywidgets.Image(format="jpeg", layout={"width": "230px", "height": "auto", "display": "none"})
    words = ipywidgets.HTML("Point at an image or click on it.", layout={"width": "230px"})

    def move(_: dict) -> None:
        xy = maps[projection.value][["x", "y"]].to_numpy()
        ends = np.stack([xy[before], xy[after], np.full((len(after), 2), np.nan)], axis=1).reshape(-1, 2)
        with figure.batch_update():
            for trace, place in drawn:
                trace.x, trace.y = xy[place].T
            lines.x, lines.y = ends.T

    def paint(_: dict) -> None:
        colours = np.array(map_colours(first, colour.value), dtype=object)
        with figure.batch_update():
            for trace, place in drawn:
                trace.marker.color = colours[place].tolist()
            prompts_before.marker.line.color = colours[before].tolist()
            figure.layout.coloraxis.showscale = colour.value == "error"

    def enlarge(_: dict) -> None:
        with figure.batch_update():
            for trace, place in zip(images, places):
                if chosen.value == "all":
                    trace.marker.size = [6] * len(place)
                else:
                    shown = dataset.test.labels[first["image"].iloc[place], dataset.class_names.index(chosen.value)]
                    trace.marker.size = np.where(shown, 11, 3).tolist()

    def choose_prompts(_: dict) -> None:
        with figure.batch_update():
            prompts_before.visible, prompts_after.visible = _PROMPTS[prompts.value]
            lines.visible = joined.value and all(_PROMPTS[prompts.value])

    def show(place: np.ndarray, points: list[int]) -> None:
        if points:
            image = first["image"].iat[place[points[0]]]
            picture.layout.display = None
            picture.value = jpeg(open_image(dataset.test.paths[image]), 320)
            words.value = _words(dataset, image, scores[image], first["error"].iat[place[points[0]]])

    for trace, place in zip(images, places):
        trace.on_click(lambda _, points, __, place=place: show(place, points.point_inds))
        trace.on_hover(lambda _, points, __, place=place: show(place, points.point_inds if follow.value else []))
    for chooser, change in ((projection, move), (colour, paint), (chosen, enlarge), (prompts, choose_prompts)):
        chooser.observe(change, names="value")
    joined.observe(choose_prompts, names="value")
    controls = ipywidgets.HBox([projection, colour, chosen, prompts, joined, follow], layout={"flex_flow": "row wrap"})
    side = ipywidgets.VBox([picture, words])
    return ipywidgets.VBox([controls, ipywidgets.HBox([figure, side])])


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
