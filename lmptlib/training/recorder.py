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
        self.n_classes, self.device, self.over_classes, self.every = n_classes, device, over_classes, every
        self.probabilities: dict[str, list[np.ndarray]] = {track: [] for track in TRACKS}
        self._of_epochs: list[Tensor] = []
        self._sums: dict[str, Tensor] = {}
        self._n_rows = self._shown = 0
        self._rows = torch.zeros(0, 2, n_classes, device=device)
        # What a step writes stays where it is from one to the next: a CUDA graph of a step knows places, not names.
        self._row = torch.zeros(1, dtype=torch.long, device=device)
        self._broken = torch.zeros((), dtype=torch.bool, device=device)
        # Logits and targets of the first step that broke, with rows of a short batch left at zero.
        self._culprit = torch.zeros(2, batch_size, n_classes, device=device)

    def begin_epoch(self, n_steps: int, n_shown: int) -> None:
        """Begin an epoch of so many steps and images."""
        self._shown = n_shown
        self._n_rows = -(-n_steps // self.every)
        if len(self._rows) != self._n_rows:
            self._rows = torch.empty(self._n_rows, 2, self.n_classes, device=self.device)
        self._rows.fill_(torch.nan)
        for tensor in (self._row, self._broken, self._culprit, *self._sums.values()):
            tensor.zero_()

    def forget_terms(self) -> None:
        """A phase with other terms begins."""
        self._sums.clear()

    def step(
        self, terms: dict[str, Tensor], targets: Tensor, known: Tensor | None = None, recorded: bool = True
    ) -> None:
        """Take the terms of a step's loss, as `Method.losses` gives them, with its targets and which of them are known.

        recorded: whether mean probabilities are taken too.
        """
        n = targets.shape[-2]
        for name, term in terms.items():
            if name != "logits":
                if name not in self._sums:
                    self._sums[name] = torch.zeros((), dtype=torch.float64, device=self.device)
                self._sums[name] += n * term.detach().double()
        breaks = ~terms["loss"].detach().isfinite() & ~self._broken
        self._broken |= breaks
        if "logits" in terms:
            logits, targets = terms["logits"].detach().float(), targets.float()
            if logits.dim() == 2:
                self._culprit[:, :n] = torch.where(breaks, torch.stack([logits, targets]), self._culprit[:, :n])
            if recorded:
                logits = class_logits(logits) if self.over_classes else logits
                known = None if known is None else known.flatten(0, -2)
                means = mean_probabilities(logits.flatten(0, -2), targets.flatten(0, -2), known)
                self._rows.index_copy_(0, self._row, torch.stack(means)[None])
        if recorded:
            self._row += 1

    def epoch(self, chunks: Iterable[tuple[Tensor, Tensor, Tensor | None]]) -> None:
        """Take the logits of the whole training set at the end of an epoch, none where there are none.

        chunks: logits and targets (B, C) of some of its images, and which of the targets are known.
        """
        sums = torch.zeros(2, 2, self.n_classes, dtype=torch.float64, device=self.device)
        for logits, targets, known in chunks:
            sums += probability_sums(class_logits(logits) if self.over_classes else logits, targets, known)
        self._of_epochs.append((sums[:, 0] / sums[:, 1]).float())

    def read(self) -> dict[str, float]:
        """The mean of each term over the epoch's images; what was recorded since the last call goes into `probabilities`."""
        of_epochs = torch.stack(self._of_epochs) if self._of_epochs else self._rows[:0]
        for every, rows in (("iteration", self._rows[: self._n_rows]), ("epoch", of_epochs)):
            # copied: the next epoch is recorded at the same place
            for side, means in zip(("positive", "negative"), rows.to("cpu", copy=True).unbind(1)):
                self.probabilities[f"{every}_{side}"] += list(means.numpy())
        self._of_epochs.clear()
        self._n_rows = 0
        totals = torch.stack([*self._sums.values()]).tolist() if self._sums else []
        return {name: total / self._shown for name, total in zip(self._sums, totals)}

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
        self._of_epochs.clear()
        self._n_rows = 0
