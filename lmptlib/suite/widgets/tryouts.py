"""Short trainings beside the controls of a loss: what its settings make of probabilities and mAP, within seconds."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import ipywidgets

from lmptlib.config import Config, read_loss_settings
from lmptlib.data.loading import task_of
from lmptlib.errors import first_line
from lmptlib.losses import loss_settings, preset_settings
from lmptlib.runs.tryouts import Tryout, Tryouts
from lmptlib.suite.figures.live_figures import put_live_into_words
from lmptlib.suite.figures.tryout_figures import draw_tryouts, empty_tryouts
from lmptlib.suite.widgets.figures import figure_widget

_EVERY = 0.1  # seconds between looks at what the training thread has told


class LossTryouts(ipywidgets.VBox):
    """Curves of a short training with the loss that was asked for last, before the faint ones of the loss before it.

    config: of everything but the loss. `update` shows what came since the last call; in a notebook its event loop calls it.
    """

    def __init__(self, config: Config, out: str | Path | None = None, epochs: int = 5, height: int = 250):
        self.tryouts, self.epochs = Tryouts(config, epochs, out), epochs
        self.before: Tryout | None = None  # the last that was trained to its end, with other settings
        self.drawn: object = None
        self.following: asyncio.Task | None = None
        self.status = ipywidgets.Label(layout={"height": "22px", "overflow": "hidden"})
        self.figure = figure_widget(empty_tryouts(height - 22))
        put_live_into_words(self.figure, task_of(config.dataset))
        super().__init__([self.status, self.figure])
        self.add_class("lmpt-tryouts")

    def ask(self, loss: str, settings: dict[str, Any]) -> None:
        """Train with a loss and settings of it; what the loss cannot have is said in the line."""
        last = self.tryouts.newest
        try:
            asked = self.tryouts.ask(loss, settings)
        except ValueError as error:
            self.status.value = first_line(error)
            return
        if last and last is not asked and last.done and not last.error:
            self.before = last
        self.update()
        if self.following is None or self.following.done():
            # outside a notebook, which has no loop, whoever wants to see calls `update`
            with suppress(RuntimeError):
                loop = asyncio.get_running_loop()
                self.following = loop.create_task(self._follow())

    async def _follow(self) -> None:
        while self.update():
            await asyncio.sleep(_EVERY)

    def update(self) -> bool:
        """Show what the newest training has told; whether there is more to come."""
        newest = self.tryouts.newest
        if newest is None:
            return False
        done, rows = newest.done, list(newest.rows)
        told = (newest, len(rows))
        if told != self.drawn:
            with self.figure.batch_update():
                draw_tryouts(self.figure, self.epochs, rows, self.before.rows if self.before else [])
            self.drawn = told
        self.status.value = self._told(newest, len(rows))
        return not done

    def _told(self, tryout: Tryout, epoch: int) -> str:
        if tryout.error:
            return tryout.error
        line = f"{_named(tryout)}: epoch {epoch} of {self.epochs}"
        if not epoch and self.before is None:
            line = "; ".join(["opening data and model, once", *self.tryouts.lines[-1:]])
        return line + (f"; faint: {_named(self.before)}" if self.before else "")


def _named(tryout: Tryout) -> str:
    """A loss with those of its settings that are not the usual ones."""
    settings = tryout.config.flat()
    loss, given = settings["loss"], read_loss_settings(settings["loss_settings"])
    usual = loss_settings(loss) | preset_settings(loss, settings["preset"])
    others = [f"{name} {_text(value)}" for name, value in given.items() if _text(value) != _text(usual[name])]
    return ", ".join([loss, *others])


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " / ".join(map(_text, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
