"""Classify: photographs are dropped on the page, and the runs' scores of them stand side by side."""

import html

import anywidget
import ipywidgets
import pandas as pd
import plotly.graph_objects as go
from PIL.Image import Image
from torch import Tensor

from lmptlib.clip.model import Clip
from lmptlib.data.images import open_image
from lmptlib.runs.classifier import Classifier
from lmptlib.runs.run import Run
from lmptlib.runs.tables import run_names
from lmptlib.suite.figures.case_figures import top_probabilities
from lmptlib.suite.figures.pictures import jpeg
from lmptlib.suite.widgets.figures import redraw


class DropZone(anywidget.AnyWidget):
    """A field that takes files, dropped on it or chosen by a click; each comes as a message {name} with its bytes."""

    _esm = """
    const LIMIT = 8 * 2 ** 20;  // a message of Jupyter's holds 10 MiB
    function render({ model, el }) {
      const zone = document.createElement("label");
      const text = document.createElement("span");
      const input = Object.assign(document.createElement("input"), { type: "file", accept: "image/*", multiple: true });
      text.textContent = "Drop photographs here, or click to choose";
      zone.className = "lmpt-drop-zone";
      zone.append(text, input);
      const send = async (files) => {
        for (const file of files) {
          if (file.size > LIMIT) text.textContent = `${file.name} is over 8 MiB: make it smaller`;
          else model.send({ name: file.name }, undefined, [await file.arrayBuffer()]);
        }
      };
      input.addEventListener("change", () => { send([...input.files]); input.value = ""; });
      for (const kind of ["dragenter", "dragover", "drop"]) {
        zone.addEventListener(kind, (event) => { event.preventDefault(); event.stopPropagation(); });
      }
      zone.addEventListener("drop", (event) => send([...event.dataTransfer.files]));
      el.append(zone);
    }
    export default { render };
    """
    _css = """
    .lmpt-drop-zone { display: block; padding: 1.5em; text-align: center; cursor: pointer; font-size: 14px;
      border: 2px dashed var(--jp-border-color1, #999); border-radius: 8px; color: var(--jp-ui-font-color1, #222); }
    .lmpt-drop-zone:hover, .lmpt-drop-zone:focus-within { border-color: var(--jp-brand-color1, #0072b2); }
    .lmpt-drop-zone input { width: 1px; height: 1px; opacity: 0; position: absolute; }
    """


class ClassifyExplorer(ipywidgets.VBox):
    """Photographs in, the probabilities of the chosen runs out, side by side. runs: any, of one data set or several.

    `add` takes a photograph as the drop zone does. A run's model is read when it is first chosen.
    """

    def __init__(self, runs: list[Run], k: int = 6):
        self.k = k
        self.images: dict[str, Image] = {}
        self.classifiers: dict[Run, Classifier] = {}
        self.clips: dict[tuple[str, str], Clip] = {}
        self.features: dict[tuple[str, int, str], Tensor] = {}
        self.labels = dict(zip(runs, run_names(runs)))
        options = [(f"{label} ({run.folder.name})", run) for run, label in self.labels.items()]
        rows = min(8, max(2, len(runs)))
        wide = {"layout": {"width": "100%"}, "style": {"description_width": "90px"}}
        first = tuple(run for _, run in options[:2])
        self.chosen = ipywidgets.SelectMultiple(options=options, value=first, rows=rows, description="runs", **wide)
        self.photograph = ipywidgets.Dropdown(options=[], description="photograph", **wide)
        self.zone, self.status = DropZone(), ipywidgets.HTML()
        self.picture = ipywidgets.Image(
            format="jpeg", layout={"flex": "0 0 auto", "width": "280px", "height": "auto", "display": "none"}
        )
        figure = go.FigureWidget(layout={"template": "plotly_white"})
        self.scores = ipywidgets.Box([figure], layout={"flex": "1 1 480px", "display": "none"})
        self.zone.on_msg(lambda _, content, buffers: self.add(content["name"], bytes(buffers[0])))
        self.photograph.observe(self._show, names="value")
        self.chosen.observe(self._show, names="value")
        shown = ipywidgets.HBox(
            [self.picture, self.scores], layout={"flex_flow": "row wrap", "align_items": "flex-start"}
        )
        super().__init__([self.chosen, self.zone, self.status, self.photograph, shown])

    def add(self, name: str, content: bytes) -> None:
        """Take a photograph, a file's bytes, and show it; what is no image is said in the status line."""
        try:
            self.images[name] = open_image(content, name)
        except ValueError as error:
            self._say(str(error))
            return
        self.features = {key: value for key, value in self.features.items() if key[-1] != name}
        self._say(f"photographs: {len(self.images)}")
        self.photograph.options = list(self.images)
        if self.photograph.value == name:
            self._show()
        self.photograph.value = name

    def _show(self, _: dict | None = None) -> None:
        name = self.photograph.value
        if name is None:
            return
        self.picture.layout.display = None
        self.picture.value = jpeg(self.images[name], 640)
        try:
            tables = [self._probabilities(run, name) for run in self.chosen.value]
        except ValueError as error:
            self._say(str(error))
            return
        self.scores.layout.display = "flex" if tables else "none"
        if tables:
            redraw(self.scores.children[0], top_probabilities(pd.concat(tables), self.k), width=580)

    def _probabilities(self, run: Run, name: str) -> pd.DataFrame:
        """A row a class: the probability that a run gives it in a photograph."""
        if run not in self.classifiers:
            place = (run.config["fingerprints"]["clip"], run.settings["preprocess"])
            self.classifiers[run] = Classifier(run, clip=self.clips.get(place))
            self.clips[place] = self.classifiers[run].clip
        classifier = self.classifiers[run]
        key = (classifier.clip.fingerprint, classifier.config.views, name)
        if key not in self.features:
            self.features[key] = classifier.features([self.images[name]])
        table = run.class_rows
        return table.assign(
            run=self.labels[run],
            configuration=run.configuration,
            probability=classifier.probabilities(self.features[key])[0],
        )

    def _say(self, text: str) -> None:
        self.status.value = html.escape(text)
