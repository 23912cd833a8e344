"""From scores to logits."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The logarithm of the largest slope, in deviations: a probability is one to the last digit before.
_STEEPEST = 5.0


class LogitMap(nn.Module):
    """Logits from scores: `raw` gives scale * score, `affine` gives exp(a) * score + b with a, b learned.

    `affine_per_class` learns a and b of each class. a starts at log(scale), CLIP's logit scale for cosines; `calibrate`
    sets b so that the mean logit meets the label density.
    """

    def __init__(self, kind: str, scale: float, n_classes: int):
        super().__init__()
        self.learned = kind != "raw"
        shape = (n_classes,) if kind == "affine_per_class" else ()
        self.a = nn.Parameter(torch.full(shape, scale).log(), requires_grad=self.learned)
        self.b = nn.Parameter(torch.zeros(shape), requires_grad=self.learned)

    def forward(self, scores: Tensor) -> Tensor:
        return self.a.exp() * scores + self.b

    @torch.no_grad()
    def calibrate(self, chunks: Iterable[tuple[Tensor, Tensor]]) -> None:
        """b = logit(label density) - mean of exp(a) * score, over training images: scores and targets (B, C), chunk by chunk.

        Over all classes, or of each class by itself where b is per class. A raw map stays as it is.
        """
        if not self.learned:
            return
        over, n_images = 0 if self.b.dim() else (0, 1), 0
        sums = torch.zeros(2, *self.b.shape, dtype=torch.float64, device=self.b.device)
        for scores, targets in chunks:
            sums += torch.stack([(self.a.exp() * scores).sum(over), targets.float().sum(over)])
            n_images, n_classes = n_images + len(scores), scores.shape[1]
        mean, density = (sums / (n_images if self.b.dim() else n_images * n_classes)).to(self.b.dtype)
        self.b.copy_(torch.logit(density, eps=0.5 / (n_images * n_classes)) - mean)

    @torch.no_grad()
    def fit(self, scores: Tensor, targets: Tensor) -> None:
        """Platt's map of scores (N, C) that are new to what gave them: one slope for all classes, a bias for each.

        Scores are standardised by class first, so that the slope is in deviations of a class. Labels are smoothed as in
        Platt, "Probabilistic outputs for support vector machines" (1999), so that a class with few positives stays finite.
        Needs `affine_per_class`.
        """
        mean, deviation = scores.mean(0), scores.std(0).clamp(min=1e-12)
        standard, positives = ((scores - mean) / deviation).double(), targets.double().sum(0)
        smooth = torch.where(targets > 0, (positives + 1) / (positives + 2), 1 / (len(targets) - positives + 2))
        slope = torch.zeros((), dtype=torch.float64, device=scores.device)
        bias = torch.logit(smooth.mean(0))
        with torch.enable_grad():
            free = [slope.requires_grad_(), bias.requires_grad_()]
            optimizer = torch.optim.LBFGS(free, max_iter=200, line_search_fn="strong_wolfe")

            def loss() -> Tensor:
                optimizer.zero_grad()
                value = F.binary_cross_entropy_with_logits(slope.exp() * standard + bias, smooth)
                value.backward()
                return value

            optimizer.step(loss)
        a = slope.detach().exp() / deviation
        self.a.copy_(a.log())
        self.b.copy_(bias.detach() - a * mean)

    @torch.no_grad()
    def fit_over_classes(self, scores: Tensor, targets: Tensor) -> None:
        """One temperature for scores (N, C) that are new to what gave them and compare across classes: softmax over classes.

        It minimises the mean over classes of their images' mean cross-entropy, as if classes were equally frequent (ours).
        Needs `affine_per_class`.
        """
        weights = (targets / targets.sum(0).clamp(min=1)).double()
        # in deviations within an image, as `fit` in those of a class
        unit = (scores - scores.mean(1, keepdim=True)).std().clamp(min=1e-12)
        standard = (scores / unit).double()
        slope = torch.zeros((), dtype=torch.float64, device=scores.device)
        with torch.enable_grad():
            slope.requires_grad_()
            optimizer = torch.optim.LBFGS([slope], max_iter=200, line_search_fn="strong_wolfe")

            def loss() -> Tensor:
                optimizer.zero_grad()
                value = -(weights * (slope.exp() * standard).log_softmax(1)).sum() / weights.sum().clamp(min=1)
                value.backward()
                return value

            optimizer.step(loss)
        # scores without an error want no bound to their slope
        self.a.copy_(slope.detach().clamp(-_STEEPEST, _STEEPEST) - unit.log())
        self.b.zero_()

    def parameter_groups(self, lr: float) -> list[dict]:
        """What torch.optim moves, at its own rate and without decay; nothing of a raw map."""
        return [{"params": list(self.parameters()), "lr": lr, "weight_decay": 0.0}] if self.learned else []
