"""What a training tells of itself. It stays on the device, and is read once an epoch."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from lmptlib.losses import class_logits, mean_probabilities, probability_sums

TRACKS = tuple(f"{every}_{side}" for every in ("iteration", "epoch") for side in ("positive", "negative"))


class Recorder:
    """Losses, mean probabilities by class (PG Eq. 6), and the first step whose loss is not finite.

    over_classes: whether probabilities are a softmax over the classes. every: of how many steps those of the first are taken.
    probabilities: track -> arrays (steps, C), those that were read.
    """

    def __init__(self, n_classes: int, batch_size: int, device: str, over_classes: bool = False, every: int = 1):
        self.n_classes, self.batch_size, self.device, self.over_classes = n_classes, batch_size, device, over_classes
        self.every = every
        self.probabilities: dict[str, list[np.ndarray]] = {track: [] for track in TRACKS}
        self._pending: dict[str, list[Tensor]] = {track: [] for track in TRACKS}
        self.begin_epoch()

    def begin_epoch(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._shown = self._step = 0
        self._broken = torch.zeros((), dtype=torch.bool, device=self.device)
        # Logits and targets of the first step that broke, with rows of a short batch left at zero.
        self._culprit = torch.zeros(2, self.batch_size, self.n_classes, device=self.device)

    def step(self, terms: dict[str, Tensor], targets: Tensor, known: Tensor | None = None) -> None:
        """Take the terms of a step's loss, as `Method.losses` gives them, with its targets and which of them are known."""
        n = targets.shape[-2]
        self._shown += n
        taken, self._step = self._step % self.every == 0, self._step + 1
        for name, term in terms.items():
            if name != "logits":
                so_far = self._sums.get(name)
                added = n * term.detach().double()
                self._sums[name] = added if so_far is None else so_far + added
        breaks = ~terms["loss"].detach().isfinite() & ~self._broken
        self._broken = self._broken | breaks
        if "logits" not in terms:
            if taken:
                self._add("iteration", self._nothing())
            return
        logits, targets = terms["logits"].detach().float(), targets.float()
        if logits.dim() == 2:
            self._culprit[:, :n] = torch.where(breaks, torch.stack([logits, targets]), self._culprit[:, :n])
        if taken:
            known = None if known is None else known.flatten(0, -2)
            logits = class_logits(logits) if self.over_classes else logits
            self._add("iteration", mean_probabilities(logits.flatten(0, -2), targets.flatten(0, -2), known))

    def epoch(self, chunks: Iterable[tuple[Tensor, Tensor, Tensor | None]]) -> None:
        """Take the logits of the whole training set at the end of an epoch, none where there are none.

        chunks: logits and targets (B, C) of some of its images, and which of the targets are known.
        """
        sums = torch.zeros(2, 2, self.n_classes, dtype=torch.float64, device=self.device)
        for logits, targets, known in chunks:
            sums += probability_sums(class_logits(logits) if self.over_classes else logits, targets, known)
        self._add("epoch", (sums[:, 0] / sums[:, 1]).float())

    def _nothing(self) -> Tensor:
        return torch.full((2, self.n_classes), torch.nan, device=self.device)

    def _add(self, every: str, means: tuple[Tensor, Tensor] | Tensor) -> None:
        for side, mean in zip(("positive", "negative"), means):
            self._pending[f"{every}_{side}"].append(mean)

    def read(self) -> dict[str, float]:
        """The mean of each term over the epoch's images; what was recorded since the last call goes into `probabilities`."""
        for track, pending in self._pending.items():
            if pending:
                self.probabilities[track] += list(torch.stack(pending).cpu().numpy())
                pending.clear()
        return {name: total.item() / self._shown for name, total in self._sums.items()}

    def broke(self) -> tuple[Tensor, Tensor] | None:
        """Logits and targets (B, C) of the first step of this epoch whose loss was not finite, if one was."""
        return tuple(self._culprit) if self._broken.item() else None

    def arrays(self) -> dict[str, np.ndarray]:
        """Every track as an array (steps, C)."""
        return {
            track: np.array(rows, np.float32).reshape(-1, self.n_classes) for track, rows in self.probabilities.items()
        }

    def state_dict(self) -> dict[str, Tensor]:
        return {track: torch.from_numpy(rows) for track, rows in self.arrays().items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.probabilities = {track: list(rows.cpu().numpy()) for track, rows in state.items()}
        for pending in self._pending.values():
            pending.clear()
