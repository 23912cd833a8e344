"""Events: settings that were changed by hand between the epochs of a run."""

from collections.abc import Iterable
from typing import TypedDict

from lmptlib.config import Config

EDITABLE = ("lr", "lam", "loss")


class Event(TypedDict):
    """A setting that had the value `before` until the end of an epoch, and `after` from then on."""

    epoch: int
    setting: str
    before: float | str
    after: float | str


def edited(config: Config, events: Iterable[Event]) -> Config:
    """The configuration that a run began with, after events of it.

    Another loss has none of the first one's `loss_settings`; where the first comes back, so do they.
    """
    edits = {event["setting"]: event["after"] for event in events}
    if config.learning and edits.get("loss") == config.learning.loss:
        del edits["loss"]
    return config.with_settings(**edits) if edits else config


def event_change(event: Event) -> str:
    """What changed, for reading.

    >>> from lmptlib.training.events import event_change
    >>> event_change({"epoch": 5, "setting": "lr", "before": 0.002, "after": 1e-4})
    'lr 0.002 → 0.0001'
    """
    values = (value if isinstance(value, str) else f"{value:g}" for value in (event["before"], event["after"]))
    return f"{event['setting']} {' → '.join(values)}"


def event_text(event: Event) -> str:
    """What changed, and when."""
    return f"{event_change(event)} after epoch {event['epoch']}"
