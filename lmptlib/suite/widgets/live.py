"""Live training: a run is started, paused and stopped by buttons, and its curves move while it trains."""

import asyncio
import html
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lmptlib.config import fitting, has_setting, resolve
from lmptlib.data.dataset import GROUPS
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.losses import LOSSES
from lmptlib.methods import METHODS, learns
from lmptlib.runs.live import LiveRun
from lmptlib.suite.figures.style import COLOURS, RUN_COLOURS

_EVERY = 0.3  # seconds between looks at what the training thread has told
_LOSSES = {"loss": "objective", "loss_cls": "classification", "loss_cse": "CSE"}
_DASHES = ("solid", "dash", "dot")


class LiveTraining(ipywidgets.VBox):
    """Controls, buttons and curves of one run at a time. settings: those of `Config` that have no control here.

    What the sliders say counts when a run starts. A run that was stopped goes on when it is started with the same
    settings. `update` shows what came since the last call; after a start it is called from the notebook's event loop.
    """

    # The last that was started; there is none before.
    run: LiveRun

    def __init__(self, settings: dict[str, Any], out: str | Path | None = None):
        self.settings, self.out = settings, out
        base = resolve(**fitting(settings))
        every = resolve(**fitting({**settings, "method": "lmpt"})).flat() | base.flat()
        look = {"style": {"description_width": "110px"}, "layout": {"width": "340px"}}
        slide = {"continuous_update": False, **look}
        methods = [name for name in METHODS if learns(name)]
        method = base.method if learns(base.method) else "lmpt"
        self.controls: dict[str, ipywidgets.Widget] = {
            "method": ipywidgets.Dropdown(options=methods, value=method, description="method", **look),
            "loss": ipywidgets.Dropdown(options=list(LOSSES), value=every["loss"], description="loss", **look),
            "lam": ipywidgets.FloatSlider(every["lam"], min=0, max=1, step=0.05, description="lam", **slide),
            "lr": ipywidgets.FloatLogSlider(every["lr"], min=-7, max=2, step=0.1, description="learning rate", **slide),
            "eta": ipywidgets.FloatSlider(
                every["eta"], min=0, max=max(4, every["eta"]), step=0.1, description="margin (eta)", **slide
            ),
            "soft_margin": ipywidgets.Checkbox(every["soft_margin"], description="margins by class frequency", **look),
            "epochs": ipywidgets.BoundedIntText(every["epochs"], min=1, max=10**6, description="epochs", **look),
            "seed": ipywidgets.BoundedIntText(every["seed"], min=0, max=2**53, description="seed", **look),
        }
        # What is not moved stays as given.
        self.first = {name: control.value for name, control in self.controls.items()}
        self.controls["method"].observe(self._on_method, names="value")
        self._on_method()
        self.start = ipywidgets.Button(description="start", icon="play", button_style="success")
        self.pause = ipywidgets.Button(description="pause", icon="pause", disabled=True)
        self.stop = ipywidgets.Button(description="stop", icon="stop", disabled=True)
        self.status = ipywidgets.HTML("not started")
        self.figure = self._empty_figure()
        self.start.on_click(self._on_start)
        self.pause.on_click(self._on_pause)
        self.stop.on_click(self._on_stop)
        panel = ipywidgets.Box(list(self.controls.values()), layout={"flex_flow": "row wrap"})
        buttons = ipywidgets.HBox([self.start, self.pause, self.stop, self.status])
        super().__init__([panel, buttons, self.figure])
        self.add_class("lmpt-live")

    def _empty_figure(self) -> go.FigureWidget:
        titles = ["losses", "mean probability", "mAP (%)"]
        figure = go.FigureWidget(make_subplots(rows=1, cols=3, subplot_titles=titles, horizontal_spacing=0.06))
        for (name, label), dash in zip(_LOSSES.items(), _DASHES):
            figure.add_scatter(name=label, line={"color": "#0072B2", "dash": dash}, meta=name, row=1, col=1)
        for group in GROUPS:
            for side, sign, dash in (("positive", "+", "solid"), ("negative", "−", "dot")):
                line = {"color": COLOURS[group], "dash": dash, "width": 2.5}
                figure.add_scatter(name=f"{group} {sign}", line=line, meta=(side, group), row=1, col=2)
        for i, ranking in enumerate(RANKINGS):
            style = {"color": RUN_COLOURS[i + 2], "dash": _DASHES[i]}
            figure.add_scatter(name=f"{ranking} ranking", line=style, meta=ranking, row=1, col=3)
        figure.update_traces(mode="lines+markers")
        figure.update_xaxes(title="epoch").update_yaxes(range=[0, 1.02], col=2).update_yaxes(range=[0, 102], col=3)
        figure.update_layout(
            template="plotly_white", autosize=True, height=430, font_size=13, margin={"l": 50, "r": 20, "t": 50}
        )
        figure.update_layout(legend={"orientation": "h", "y": -0.2})
        return figure

    def _on_method(self, _: dict | None = None) -> None:
        """A control without effect on the chosen method cannot be moved."""
        for name, control in self.controls.items():
            control.disabled = not has_setting(self.controls["method"].value, name)

    def _on_start(self, _: ipywidgets.Button) -> None:
        moved = {name: c.value for name, c in self.controls.items() if c.value != self.first[name]}
        try:
            config = resolve(**fitting({**self.settings, **moved}))
        except ValueError as error:
            self._say(str(error))
            return
        self.run = LiveRun(config, self.out)
        with self.figure.batch_update():
            for trace in self.figure.data:
                trace.x = trace.y = np.array([])
        self._buttons(running=True)
        self._say("starting: reading the data and the model")
        loop = asyncio.get_running_loop()
        self.run.start()
        self.following = loop.create_task(self._follow())

    def _on_pause(self, _: ipywidgets.Button) -> None:
        if self.run.paused:
            self.run.go_on()
        else:
            self.run.pause()
        self._buttons(running=True)

    def _on_stop(self, _: ipywidgets.Button) -> None:
        self.run.stop()
        self.stop.disabled = self.pause.disabled = True
        self._say("stopping after this epoch")

    async def _follow(self) -> None:
        try:
            while self.run.running:
                self.update()
                await asyncio.sleep(_EVERY)
            self.update()
        except Exception as error:
            self._say(f"the curves are no longer followed ({error}); the run goes on")
            raise

    def update(self) -> None:
        """Show what the run has told since the last call."""
        running = self.run.running  # asked first: what comes before its end is then among the news
        rows, lines = self.run.news()
        if rows:
            with self.figure.batch_update():
                for trace in self.figure.data:
                    name = trace.meta
                    values = [row.get(name, np.nan) if isinstance(name, str) else row[name[0]][name[1]] for row in rows]
                    trace.x = np.append(trace.x, [row["epoch"] for row in rows])
                    trace.y = np.append(trace.y, values)
                images = {"val": "validation", "train": "training"}[rows[-1]["split"]]
                self.figure.layout.annotations[2].text = f"mAP (%), {images} images"
        if lines:
            self._say(lines[-1] + (" (stopping after this epoch)" if running and self.stop.disabled else ""))
        if not running:
            self._buttons(running=False)
            if self.run.error:
                self._say(f"failed: {self.run.error}")

    def _buttons(self, running: bool) -> None:
        self.start.disabled, self.pause.disabled, self.stop.disabled = running, not running, not running
        paused = running and self.run.paused
        self.pause.description, self.pause.icon = ("go on", "play") if paused else ("pause", "pause")

    def _say(self, text: str) -> None:
        self.status.value = f"<div style='line-height:1.4'>{html.escape(text)}</div>"
