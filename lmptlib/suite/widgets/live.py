"""Live training: a run is started, edited, paused and stopped by hand, and its curves move while it trains."""

import asyncio
import html
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import ipywidgets

from lmptlib.config import Config, fitting, has_setting, resolve
from lmptlib.data.images import open_image
from lmptlib.data.loading import task_of
from lmptlib.errors import first_line
from lmptlib.losses import LOSSES
from lmptlib.methods import METHODS, learns
from lmptlib.runs.live import LiveRun, find_begun, live_runs, read_rows
from lmptlib.runs.run import Run, find_runs
from lmptlib.suite.figures import live_figures
from lmptlib.suite.figures.pictures import jpeg_uri
from lmptlib.suite.widgets.figures import figure_widget
from lmptlib.training.events import EDITABLE, edited
from lmptlib.training.plan import Plan, plan_again, plan_run

_EVERY = 0.3  # seconds between looks at what the training thread has told
_RATES = [digit * 10.0**power for power in range(-7, 2) for digit in (1, 2, 5)]


class LiveTraining(ipywidgets.VBox):
    """Controls, buttons and curves of one run at a time. settings: those of `Config` that have no control here.

    What the controls say counts when a run starts; what that will be, a new run or one that goes on, is told before. The
    learning rate, `lam` and the loss can change while a run trains: an event of it. Earlier runs stay behind the curves.
    A run that trains already in this kernel is taken up, and so is the last one, if it did not fail, where the settings are
    those that it was started among. `update` shows what came since the last call; in a notebook its
    event loop calls it.
    """

    def __init__(self, settings: dict[str, Any], out: str | Path | None = None):
        self.given, self.out = dict(settings), out
        self.run: LiveRun | None = None  # the last that was started
        self.chosen: dict[Path, Run] = {}  # to be seen behind the current one
        self.ghosts: dict[str, int] = {}  # those that are drawn, and how many epochs of each
        self.memory: dict = {}  # of data read to tell what a start will do
        self.drawn: Any = None
        self.map_range: tuple[float, float] | None = None
        self.refusal = ""  # of the last edit
        self._quiet = False
        self._make_controls()
        self.curves = figure_widget(live_figures.empty_curves())
        self.classes = figure_widget(live_figures.empty_classes())
        dataset = resolve(**fitting(settings)).dataset
        self.task = task_of(dataset)
        for figure in (self.curves, self.classes):
            live_figures.put_live_into_words(figure, self.task)
        self.worst = ipywidgets.HTML(layout={"width": "330px", "height": "200px", "overflow": "hidden"})
        bars = ipywidgets.VBox([self.classes], layout={"flex": "1 1 0", "min_width": "0", "overflow": "hidden"})
        super().__init__([self._panel(), self.curves, ipywidgets.HBox([bars, self.worst])])
        self.add_class("lmpt-live")
        self._use(settings)
        started = live_runs(dataset, out)
        if started and (started[-1].running or (started[-1].asked == self.given and not started[-1].error)):
            self._take_up(started[-1])
        else:
            self._list_runs()
            self._foresee()

    # ----------------------------------------------------------------------------------------------- what there is

    def _make_controls(self) -> None:
        methods = [name for name in METHODS if learns(name)]
        margins = {"description": "class margins", "tooltip": "CSE margins by class frequency, or one for all"}
        self.controls: dict[str, ipywidgets.Widget] = {
            "method": ipywidgets.Dropdown(options=methods, description="method"),
            "loss": ipywidgets.Dropdown(options=list(LOSSES), description="loss"),
            "lr": _slider("learning rate", _RATES),
            "lam": _slider("lam", [i / 20 for i in range(21)]),
            "epochs": ipywidgets.BoundedIntText(min=1, max=10**6, description="epochs"),
            "seed": ipywidgets.BoundedIntText(min=0, max=2**53, description="seed"),
            "eta": _slider("margin (eta)", [i / 10 for i in range(41)]),
            "soft_margin": ipywidgets.Checkbox(indent=False, **margins),
        }
        self.going_on = ipywidgets.Dropdown(description="go on with")
        self.behind = ipywidgets.Dropdown(description="show behind")
        self.start = ipywidgets.Button(description="start", icon="play", button_style="success")
        self.pause = ipywidgets.Button(description="pause", icon="pause", disabled=True)
        self.stop = ipywidgets.Button(description="stop", icon="stop", disabled=True)
        self.outlook, self.status = ipywidgets.HTML(), ipywidgets.HTML()
        for name, control in self.controls.items():
            control.observe(lambda change, name=name: self._on_control(name, change["new"]), names="value")
        self.going_on.observe(lambda change: self._on_going_on(change["new"]), names="value")
        self.behind.observe(lambda change: self._on_behind(change["new"]), names="value")
        self.start.on_click(self._on_start)
        self.pause.on_click(self._on_pause)
        self.stop.on_click(self._on_stop)

    def _panel(self) -> ipywidgets.Widget:
        """Controls and buttons in one block, of one height whatever they say."""
        narrow = [self.controls[name] for name in ("method", "loss", "epochs", "seed")]
        for control in (*self.controls.values(), self.going_on, self.behind):
            control.style.description_width = "52px" if control in narrow else "84px"
            control.layout = {"width": "auto", "margin": "0 4px"}
        for chooser in (self.going_on, self.behind):
            chooser.layout.flex, chooser.layout.min_width = "1 1 0", "0"
        for button in (self.start, self.pause, self.stop):
            button.layout = {"width": "86px", "flex": "0 0 auto"}
        self.outlook.layout = {"flex": "0 0 190px", "height": "34px", "overflow": "hidden"}
        self.status.layout = {"flex": "1 1 0", "min_width": "0", "height": "34px", "overflow": "hidden"}
        grid = {"grid_template_columns": "190px 170px minmax(0, 1fr) minmax(0, 1fr)", "grid_gap": "2px 0"}
        controls = ipywidgets.GridBox(list(self.controls.values()), layout=grid)
        runs = ipywidgets.HBox([self.going_on, self.behind])
        buttons = ipywidgets.HBox([self.start, self.pause, self.stop, self.outlook, self.status])
        # a slider's number is short: what ipywidgets keeps free for it is the slider's
        slim = ipywidgets.HTML("<style>.lmpt-live .widget-readout { min-width: 44px; }</style>", layout={"height": "0"})
        return ipywidgets.VBox([controls, runs, buttons, slim])

    # ------------------------------------------------------------------------------------- settings and controls

    def _use(self, settings: dict[str, Any], begun: Path | None = None) -> None:
        """Let the controls show settings; `begun` is the folder of the run that has them, and goes on."""
        base = resolve(**fitting(settings))
        method = base.method if learns(base.method) else "lmpt"
        self.settings, self.begun = settings | ({} if learns(base.method) else {"method": method}), begun
        self.first = self._values(method)
        self._put(self.first)

    def _values(self, method: str) -> dict[str, Any]:
        """What each control shows with a method, before it is moved: the setting that the run gets."""
        base = resolve(**fitting(self.settings))
        given = self.settings | ({} if method == base.method else {"method": method})
        every = resolve(**fitting(self.settings | {"method": "lmpt"})).flat() | resolve(**fitting(given)).flat()
        return {name: every[name] for name in self.controls} | {"method": base.method}

    def _put(self, values: dict[str, Any]) -> None:
        with self._quietly():
            for name, value in values.items():
                control = self.controls[name]
                if isinstance(control, ipywidgets.SelectionSlider) and value not in dict(control.options).values():
                    control.options = _steps([*dict(control.options).values(), value])
                control.value = value

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Controls are set and no user has moved them."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    @property
    def moved(self) -> dict[str, Any]:
        """The settings whose control was moved."""
        return {name: control.value for name, control in self.controls.items() if control.value != self.first[name]}

    def _config(self) -> Config:
        """What the controls say; what was not moved stays as given."""
        # another loss has none of the settings of the first
        given = {
            name: value
            for name, value in self.settings.items()
            if (name, "loss" in self.moved) != ("loss_settings", True)
        }
        return resolve(**fitting({**given, **self.moved}))

    def _plan(self) -> Plan:
        """The run that a start would train."""
        if self.begun and not self.moved:
            return plan_again(self.begun, self.out, self.memory)
        return plan_run(self._config(), self.out, self.memory)

    def _on_control(self, name: str, value: Any) -> None:
        if self._quiet:
            return
        run = self.run
        if run and run.running:
            self._edit(run, name, value)
            return
        if name == "method":
            stays = self.moved
            self.first = self._values(value)
            self._put({other: new for other, new in self.first.items() if other not in (*stays, "method")})
        self._foresee()

    def _edit(self, run: LiveRun, name: str, value: Any) -> None:
        """Edit a run that trains; what it cannot have is refused in words, and the control goes back."""
        self.refusal = ""
        try:
            run.edit(name, value)
        except ValueError as error:
            self.refusal = first_line(error)
            self._put({name: (run.settings | run.pending)[name]})
        self.update()

    def _on_going_on(self, folder: Path | None) -> None:
        if not self._quiet:
            self._attempt(lambda: self._choose(folder))
            self._foresee()

    def _choose(self, folder: Path | None) -> None:
        """Take the settings of a run that was begun; of None, those that were given."""
        if folder is None:
            self._use(self.given)
            return
        plan = plan_again(folder, self.out, self.memory)
        self._use(edited(plan.config, plan.folder.events).given(), folder)

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except ValueError as error:
            self._say(first_line(error))

    def _foresee(self) -> None:
        """Say what a start will do, and which controls there are for it."""
        self._enable(None)
        try:
            plan = self._plan()
        except (ValueError, OSError) as error:
            self._tell("", first_line(error))
            return
        done = plan.folder.epochs_done
        going_on = f"goes on from epoch {done} of {plan.config.flat()['epochs']}" if done else "new run"
        self._tell("finished already" if plan.folder.finished else going_on)

    def _list_runs(self) -> None:
        """The runs of this data set that can be gone on with, and those that can be seen behind."""
        try:
            data = plan_run(self._config(), self.out, self.memory).fingerprints["dataset"]
        except (ValueError, OSError):
            data = ""
        begun = find_begun(data, self.out)
        written = [run for run in reversed(find_runs(self.out)) if run.data_fingerprint == data]
        with self._quietly():
            self.going_on.options = [("", None)] + [
                (_entry(folder, record), folder) for folder, record in begun.items()
            ]
            self.going_on.value = self.begun if self.begun in begun else None
            entries = [
                (_entry(run.folder, run.config), run.folder) for run in written if learns(run.settings["method"])
            ]
            self.behind.options = [("the last runs", None), *entries]

    # ------------------------------------------------------------------------------------------------- the run

    def _on_start(self, _: ipywidgets.Button) -> None:
        begun = None if self.moved else self.begun
        try:
            config = plan_again(begun, self.out, self.memory).config if begun else self._config()
        except ValueError as error:
            self._say(first_line(error))
            return
        run = LiveRun(config, self.out, begun)
        run.asked = self.given
        run.start()
        self._follow_run(run)

    def _take_up(self, run: LiveRun) -> None:
        """Show a run that was started before, from its first epoch, and what it has told since."""
        self._use(run.given, run.folder if run.events else None)
        self._put(run.pending)
        self._list_runs()
        self._follow_run(run)

    def _follow_run(self, run: LiveRun) -> None:
        self.run, self.drawn, self.map_range, self.refusal = run, None, None, ""
        # one that was made before may be in no page any more: its cell was run again
        run.watcher = self
        self._enable(run)
        self.update()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # outside a notebook whoever wants to see calls `update`
        self.following = loop.create_task(self._follow(run))

    async def _follow(self, run: LiveRun) -> None:
        try:
            while run.watcher is self and self.run is run and run.running:
                self.update()
                await asyncio.sleep(_EVERY)
            if run.watcher is self:
                self.update()
        except Exception as error:
            self._say(f"the curves are no longer followed ({error}); the run goes on")
            raise

    def _on_pause(self, _: ipywidgets.Button) -> None:
        if run := self.run:
            run.go_on() if run.paused else run.pause()
            self.update()

    def _on_stop(self, _: ipywidgets.Button) -> None:
        if run := self.run:
            run.stop()
            self.update()

    def _on_behind(self, folder: Path | None) -> None:
        if not self._quiet:
            self.chosen = {} if folder is None else {folder: Run(folder)} | self.chosen
            self._draw()

    def update(self) -> None:
        """Show what the run has told since the last call."""
        run = self.run
        if run is None:
            return
        running = run.running  # asked first: what comes before its end is then among what is shown
        told = (len(run.rows), len(run.events))
        if told != self.drawn:
            self._draw()
            self.drawn = told
        if running:
            self._enable(run)
            pending = run.pending.items()
            edits = "".join(f"; {name} {_text(value)} from epoch {run.edits_from}" for name, value in pending)
            line = run.lines[-1] if run.lines else "reading the data and the model"
            self._tell(self._progress(run) + edits, self.refusal or line)
        elif not self.start.disabled:
            return
        else:
            self._end(run)

    def _progress(self, run: LiveRun) -> str:
        if run.stopping:
            return "stopping after this epoch"
        if run.paused:
            return f"paused at {run.epoch}" if run.waiting else "pausing after this epoch"
        return f"epoch {run.epoch} of {run.settings['epochs']}" if run.rows else "starting"

    def _end(self, run: LiveRun) -> None:
        """The run has ended, well or not: the controls show what it had at the end, and it can be gone on with."""
        if run.folder and run.events:
            self._use(run.given, run.folder)
        elif run.folder:
            self._put({name: run.settings[name] for name in EDITABLE if name in run.settings})
        self.memory.clear()
        self._list_runs()
        self._foresee()
        self._say(f"failed: {run.error}" if run.error else run.lines[-1])

    # ---------------------------------------------------------------------------------------------- what is seen

    def _draw(self) -> None:
        run, ghosts = self.run, self._ghosts()
        rows = list(run.rows) if run else []
        shown = [row for of_run in (rows, *ghosts.values()) for row in of_run]
        self.map_range = live_figures.map_range(shown, self.map_range)
        with self.curves.batch_update():
            if self.ghosts != (drawn := {name: len(of_run) for name, of_run in ghosts.items()}):
                live_figures.draw_ghosts(self.curves, ghosts)
                self.ghosts = drawn
            if run:
                live_figures.draw_rows(self.curves, rows, run.config.all_epochs)
            if self.map_range:
                self.curves.update_yaxes(range=self.map_range, col=3)
        if run:
            # by itself: plotly takes no part of a list together with the list
            live_figures.draw_events(self.curves, run.events)
        if run and rows and run.classes is not None:
            names = set(run.classes["class"])
            with self.classes.batch_update():
                live_figures.draw_classes(self.classes, run.classes, rows[-1], "logit")
                live_figures.put_live_into_words(self.classes, self.task, names)
            with self.curves.batch_update():
                live_figures.put_live_into_words(self.curves, self.task, names)
            self.worst.value = _worst_html(rows[-1]["worst"])

    def _ghosts(self) -> dict[str, list[dict[str, Any]]]:
        """The epochs of at most three runs by what they had otherwise than the current one: those chosen, then the last."""
        now = self.run.config.flat() if self.run else self._config().flat()
        past = [(run.config["settings"], bool(run.events), read_rows(run), False) for run in self.chosen.values()]
        for run in reversed(live_runs(now["dataset"], self.out)):
            if run is not self.run and run.rows:
                past.append((run.config.flat(), bool(run.events), list(run.rows), True))
        ghosts: dict[str, list[dict[str, Any]]] = {}
        for settings, was_edited, rows, started_here in past:
            differ = [f"{name} {_text(settings[name])}" for name in self.controls if _differ(settings, now, name)]
            name = ", ".join(differ + (["edited"] if was_edited else []))
            # one that was stopped, and is gone on with, is the current one
            if name or not started_here:
                ghosts.setdefault(f"before: {name or 'the same settings'}", rows)
        return dict(list(ghosts.items())[: live_figures.GHOSTS])

    def _enable(self, run: LiveRun | None) -> None:
        """What can be used: while a run trains, the settings that can change between epochs."""
        method = self.controls["method"].value
        self.start.disabled = self.going_on.disabled = bool(run)
        self.pause.disabled = self.stop.disabled = not run or run.stopping
        paused = bool(run and run.paused)
        self.pause.description, self.pause.icon = ("go on", "play") if paused else ("pause", "pause")
        for name, control in self.controls.items():
            control.disabled = not has_setting(method, name) or (bool(run) and name not in EDITABLE)

    def _tell(self, outlook: str, status: str = "") -> None:
        self.outlook.value = f"<div style='line-height:1.3'><b>{html.escape(outlook)}</b></div>"
        self._say(status)

    def _say(self, text: str) -> None:
        text = html.escape(text)
        self.status.value = f"<div style='line-height:1.3; overflow-wrap:anywhere' title='{text}'>{text}</div>"


def _slider(description: str, values: list[float]) -> ipywidgets.SelectionSlider:
    """A slider over readable numbers: what it shows is what it gives."""
    return ipywidgets.SelectionSlider(options=_steps(values), description=description, continuous_update=False)


def _steps(values: Iterable[float]) -> list[tuple[str, float]]:
    return [(f"{value:g}", value) for value in sorted({float(f"{value:.12g}") for value in values})]


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _differ(settings: dict[str, Any], others: dict[str, Any], name: str) -> bool:
    return name in settings and settings[name] != others.get(name)


def _entry(folder: Path, record: dict[str, Any]) -> str:
    """A run in a list: how far it came, and what it is."""
    settings, done = record["settings"], len((folder / "history.jsonl").read_bytes().splitlines())
    named = [settings["method"], settings["loss"], f"lr {settings['lr']:g}"]
    named += [f"lam {settings['lam']:g}"] if "lam" in settings else []
    marks = ["edited"] if record.get("events") else []
    return ", ".join(
        [f"{done} of {settings['epochs']} epochs: {named[0]}", *named[1:], f"seed {settings['seed']}", *marks]
    )


def _worst_html(worst: list[dict[str, Any]]) -> str:
    """The images with the highest error, each with its labels and what is believed most."""
    cells = []
    for image in worst:
        lines = [f"{'✓' if right else '✗'} {name} {p:.2f}" for name, p, right in image["top"]]
        missed = [f"… {name} {p:.2f}" for name, p, right in image["labels"] if (name, p, right) not in image["top"]]
        texts = "".join(f"<div style='{_LINE}'>{html.escape(line)}</div>" for line in [*lines, *missed[:2]])
        title = html.escape(
            f"{image['name']}: error {image['error']:.2f}; labels " + ", ".join(of[0] for of in image["labels"])
        )
        cells.append(
            f"<div style='width:104px' title='{title}'><img src='{_thumbnail(image['path'])}' style='{_PICTURE}'>{texts}</div>"
        )
    head = "<div style='font-size:12px; line-height:1.3'>The three worst images (✓ label, ✗ none, … missed)</div>"
    return f"{head}<div style='display:flex; gap:6px'>{''.join(cells)}</div>" if worst else ""


_LINE = "font-size:11px; line-height:1.25; white-space:nowrap; overflow:hidden; text-overflow:ellipsis"
_PICTURE = "width:96px; height:96px; object-fit:contain"


@lru_cache(maxsize=256)
def _thumbnail(path: Path) -> str:
    return jpeg_uri(open_image(path), 96)
