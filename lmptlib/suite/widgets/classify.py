"""Classify: photographs are dropped on the page, and what the runs say of them stands side by side."""

import html
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anywidget
import ipywidgets
import pandas as pd
from PIL.Image import Image
from torch import Tensor

from lmptlib.clip.model import Clip
from lmptlib.data.images import open_image
from lmptlib.runs.classifier import Classifier
from lmptlib.runs.decisions import LabelRule, label_rule
from lmptlib.runs.run import Run
from lmptlib.runs.tables import run_names
from lmptlib.suite.figures.case_figures import top_probabilities
from lmptlib.suite.figures.pictures import jpeg, jpeg_uri
from lmptlib.suite.widgets.figures import figure_widget, redraw
from lmptlib.suite.widgets.tables import csv_link


class DropZone(anywidget.AnyWidget):
    """A field that takes files, dropped on it or chosen by a click.

    They come one by one, as a message {name, number, of} with the bytes, or {name, number, of, why} of one that cannot be
    sent. The next one follows when a message has come back, so that they do not pile up.
    """

    _esm = """
    const LIMIT = 8 * 2 ** 20;  // a message of Jupyter's holds 10 MiB
    const INVITATION = "Drop photographs here, or click to choose";
    function render({ model, el }) {
      const zone = document.createElement("label");
      const text = document.createElement("span");
      const input = Object.assign(document.createElement("input"), { type: "file", accept: "image/*", multiple: true });
      text.textContent = INVITATION;
      zone.className = "lmpt-drop-zone";
      zone.append(text, input);
      let taken = () => {}, queue = Promise.resolve();
      model.on("msg:custom", () => taken());
      const sendOne = async (file, about) => {
        if (file.size > LIMIT) return model.send({ ...about, why: "is over 8 MiB: make it smaller" });
        let bytes;
        try { bytes = await file.arrayBuffer(); }
        catch { return model.send({ ...about, why: "cannot be read; is it a folder?" }); }
        model.send(about, undefined, [bytes]);
      };
      const sendAll = async (files) => {
        for (const [i, file] of files.entries()) {
          text.textContent = `${i + 1} of ${files.length} ...`;
          const answer = new Promise((resolve) => { taken = resolve; });
          await sendOne(file, { name: file.name, number: i + 1, of: files.length });
          await answer;
        }
        text.textContent = INVITATION;
      };
      const send = (files) => { queue = queue.then(() => sendAll(files)); };
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
    """Photographs in, the labels that the chosen runs say of them out, as a grid and a CSV file. runs: any, of one data set
    or several.

    `add` takes a photograph as the drop zone does; the one chosen from the list is shown with its probabilities, side by
    side. A run's model is read when it is first chosen. Thumbnails and features are kept in memory, photographs in a folder
    that goes with the explorer.
    """

    def __init__(self, runs: list[Run], k: int = 6):
        self.k = k
        self.folder = TemporaryDirectory(prefix="lmpt-")
        self.files: dict[str, Path] = {}
        self.tiles: dict[str, ipywidgets.HTML] = {}
        self.thumbnails: dict[str, str] = {}
        self.bad: list[str] = []
        self.classifiers: dict[Run, Classifier] = {}
        self.rules: dict[Run, LabelRule] = {}
        self.clips: dict[tuple[str, str], Clip] = {}
        self.features: dict[tuple[str, int, str], Tensor] = {}
        self.opened = lru_cache(maxsize=1)(self._open)
        self.labels = dict(zip(runs, run_names(runs)))
        options = [(f"{label} ({run.folder.name})", run) for run, label in self.labels.items()]
        rows = min(8, max(2, len(runs)))
        wide = {"layout": {"width": "100%"}, "style": {"description_width": "90px"}}
        first = tuple(run for _, run in options[:2])
        self.chosen = ipywidgets.SelectMultiple(options=options, value=first, rows=rows, description="runs", **wide)
        self.photograph = ipywidgets.Dropdown(options=[], description="photograph", **wide)
        self.zone, self.status, self.table = DropZone(), ipywidgets.HTML(), ipywidgets.HTML()
        self.grid = ipywidgets.Box(layout={"flex_flow": "row wrap", "max_height": "420px", "overflow": "auto"})
        self.picture = ipywidgets.Image(
            format="jpeg", layout={"flex": "0 0 auto", "width": "280px", "height": "auto", "display": "none"}
        )
        figure = figure_widget()
        self.scores = ipywidgets.Box([figure], layout={"flex": "1 1 480px", "display": "none"})
        self.zone.on_msg(self._take)
        self.photograph.observe(self._show, names="value")
        self.chosen.observe(self._show_all, names="value")
        shown = ipywidgets.HBox(
            [self.picture, self.scores], layout={"flex_flow": "row wrap", "align_items": "flex-start"}
        )
        super().__init__([self.chosen, self.zone, self.status, self.grid, self.table, self.photograph, shown])

    def _take(self, zone: DropZone, content: dict[str, Any], buffers: list[memoryview]) -> None:
        """A message of the drop zone's, answered when its photograph is dealt with."""
        place = content.get("number", 1), content.get("of", 1)
        try:
            if "why" in content:
                self._refuse(f"{content['name']}: {content['why']}", *place)
            else:
                self.add(content["name"], bytes(buffers[0]), *place)
        finally:
            zone.send({"taken": content["name"]})

    def add(self, name: str, content: bytes, number: int = 1, of: int = 1) -> None:
        """Take a photograph, a file's bytes, the `number`-th of so many; the last of them is shown.

        What is no image is named in the status line. Another photograph of a name that is taken is called `name (2)`.
        """
        name = self._own_name(name, content)
        if name not in self.files:
            path = Path(self.folder.name) / str(len(self.files))
            path.write_bytes(content)
            self.files[name] = path
            try:
                self.thumbnails[name] = jpeg_uri(self.opened(name), 160)
            except ValueError as error:
                del self.files[name]
                path.unlink()
                self._refuse(str(error), number, of)
                return
            self.tiles[name] = ipywidgets.HTML()
        self._show_tile(name)
        self._progress(number, of)

    def decisions(self) -> pd.DataFrame:
        """What the chosen runs say: a row a photograph and run, columns image, run, labels (with ; between them)."""
        rows = [
            (name, self.labels[run], ";".join(self._said(run, name)))
            for name in self.files
            for run in self.chosen.value
        ]
        return pd.DataFrame(rows, columns=["image", "run", "labels"])

    def _own_name(self, name: str, content: bytes) -> str:
        """The name that a photograph has here: its own, or that with a number where another one has it."""
        own, number = name, 1
        while own in self.files and self.files[own].read_bytes() != content:
            number += 1
            own = f"{name} ({number})"
        return own

    def _open(self, name: str) -> Image:
        return open_image(self.files[name].read_bytes(), name)

    def _refuse(self, line: str, number: int, of: int) -> None:
        self.bad.append(line)
        self._progress(number, of)

    def _progress(self, number: int, of: int) -> None:
        """How far the photographs are; when the last has come, all that is told of them together."""
        self._say(f"photographs: {len(self.files)}" if number == of else f"{number} of {of}")
        if number < of or not self.files:
            return
        self.grid.children = list(self.tiles.values())
        last = list(self.files)[-1]
        self._show_table()
        self.photograph.options = list(self.files)
        if self.photograph.value == last:
            self._show()
        self.photograph.value = last

    def _show_all(self, _: dict) -> None:
        for name in self.files:
            self._show_tile(name)
        self._show_table()
        self._show()

    def _show_tile(self, name: str) -> None:
        """A thumbnail, and below it what each run says."""
        try:
            said = {self.labels[run]: ", ".join(self._said(run, name)) or "nothing" for run in self.chosen.value}
        except ValueError as error:
            self._say(str(error))
            return
        lines = "".join(f"<br>{html.escape(run)}: <b>{html.escape(labels)}</b>" for run, labels in said.items())
        picture = f"<img src='{self.thumbnails[name]}' style='max-width: 160px; max-height: 160px'>"
        look = "width: 170px; margin: 4px; line-height: 1.3; overflow-wrap: anywhere"
        self.tiles[name].value = f"<div style='{look}'>{picture}<br>{html.escape(name)}{lines}</div>"

    def _show_table(self) -> None:
        """The CSV file of decisions, and how the chosen runs come to say a label."""
        if not self.files:
            return
        try:
            link = csv_link(self.decisions(), "decisions.csv")
        except ValueError as error:
            self._say(str(error))
            return
        rules = [f"{self.labels[run]}: {self.rules[run].told}" for run in self.chosen.value]
        self.table.value = "<br>".join([link, *map(html.escape, rules)])

    def _show(self, _: dict | None = None) -> None:
        name = self.photograph.value
        if name is None:
            return
        self.picture.layout.display = None
        self.picture.value = jpeg(self.opened(name), 640)
        try:
            tables = [self._probabilities(run, name) for run in self.chosen.value]
        except ValueError as error:
            self._say(str(error))
            return
        self.scores.layout.display = "flex" if tables else "none"
        if tables:
            redraw(self.scores.children[0], top_probabilities(pd.concat(tables), self.k))

    def _read(self, run: Run, name: str) -> tuple[Classifier, Tensor]:
        """A run's model, and the features that it takes of a photograph."""
        if run not in self.classifiers:
            place = (run.config["fingerprints"]["clip"], run.settings["preprocess"])
            self.classifiers[run] = Classifier(run, clip=self.clips.get(place))
            self.clips[place], self.rules[run] = self.classifiers[run].clip, label_rule(run)
        classifier = self.classifiers[run]
        key = (classifier.clip.fingerprint, classifier.config.views, name)
        if key not in self.features:
            self.features[key] = classifier.features([self.opened(name)])
        return classifier, self.features[key]

    def _said(self, run: Run, name: str) -> list[str]:
        """The labels that a run says of a photograph."""
        classifier, features = self._read(run, name)
        said = self.rules[run].says(classifier.scores(features), classifier.logits(features))[0]
        return [label for label, is_said in zip(classifier.class_names, said) if is_said]

    def _probabilities(self, run: Run, name: str) -> pd.DataFrame:
        """A row a class: the probability that a run gives it in a photograph."""
        classifier, features = self._read(run, name)
        named = {"run": self.labels[run], "configuration": run.configuration}
        return run.class_rows.assign(**named, probability=classifier.probabilities(features)[0])

    def _say(self, text: str) -> None:
        """A line, and below it one for each file that was no photograph."""
        bad = "".join(f"<div>{html.escape(line)}</div>" for line in self.bad)
        self.status.value = html.escape(text) + (
            f"<div style='max-height: 8em; overflow: auto'>{bad}</div>" if bad else ""
        )
