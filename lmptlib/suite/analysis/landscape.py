"""The value and the gradient of each loss over the logit of one element, for a head, a medium and a tail class."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lmptlib.data.dataset import GROUPS, class_groups, usual_task
from lmptlib.losses import ProbabilityGuidedLoss, make_loss

SIDES = ("positive", "negative")
MEANS = (0.5, 0.95)  # about where the tail of emoji-lt stands after an epoch of the default run


def representatives(class_counts: ArrayLike) -> dict[str, int]:
    """A class index for each group: the most frequent of head, the middle one of medium, the rarest of tail.

    class_counts (C,), in groups by `usual_task`. Of two in the middle it is the more frequent. A class without
    training images represents nothing, and a group without classes is left out.
    """
    counts = np.asarray(class_counts)
    order = [index for index in np.argsort(counts, kind="stable")[::-1] if counts[index] > 0]
    groups = class_groups(counts, usual_task(counts).cutoffs)
    members = {group: [int(i) for i in order if groups[i] == group] for group in GROUPS}
    place = {"head": 0, "medium": (len(members["medium"]) - 1) // 2, "tail": -1}
    return {group: classes[place[group]] for group, classes in members.items() if classes}


def labels_around(index: int, side: str, class_counts: ArrayLike, beside: int | None = None) -> Tensor:
    """The labels (C,) of the image that an element of class `index` belongs to, for losses that weigh by image.

    A positive is the only positive of its image. The image of a negative has one positive too, the most frequent other
    class. With the class `beside`, that class is positive in the image of a positive as well, and the only positive in
    the image of a negative; for `index` equal to `beside` nothing changes.
    """
    order = np.argsort(-np.asarray(class_counts), kind="stable")
    others = [int(other) for other in order if other != index]
    company = others[:1] if side == "negative" else []
    labels = torch.zeros(len(order), dtype=torch.float64)
    labels[company if beside in (None, index) else [beside]] = 1
    labels[index] = side == "positive"
    return labels


def landscape(
    names: Sequence[str],
    class_counts: ArrayLike,
    n_images: int,
    preset: str | None = None,
    settings: dict[str, dict] | None = None,
    means: tuple[float, float] = MEANS,
    beside: int | None = None,
    z: Sequence[float] = tuple(np.linspace(-6, 6, 241)),
) -> pd.DataFrame:
    """Each loss on one element as its logit z moves. Columns loss, group, side, z, value, gradient.

    class_counts (C,): training images of each class, out of n_images; `representatives` says which class stands for a
    group. `settings` maps a loss to settings that go over its preset's. An element does not always decide alone:
    `labels_around` gives the other labels of its image, and `means` the mean confidences pbar+ and pbar- that adaptive
    losses take from the batch, here one pair for all classes. The gradient is the one that training sees: parts that a
    loss detaches are held. A loss over the classes has the value of the whole image, whose other logits are 0. Raises
    ValueError as `make_loss` does.
    """
    elements = [(group, index, side) for group, index in representatives(class_counts).items() for side in SIDES]
    labels = [labels_around(index, side, class_counts, beside) for _, index, side in elements]
    targets = torch.stack(labels).repeat_interleave(len(z), 0)
    columns = torch.tensor([index for _, index, _ in elements]).repeat_interleave(len(z))[:, None]
    grid = torch.as_tensor(z, dtype=torch.float64).repeat(len(elements))
    frame = pd.DataFrame([(group, side) for group, _, side in elements], columns=["group", "side"])
    frame = frame.loc[frame.index.repeat(len(z))].assign(z=grid.numpy())
    tables, task = [], usual_task(np.asarray(class_counts))
    for name in names:
        own = (settings or {}).get(name, {})
        loss = make_loss(name, class_counts, n_images, preset, allow_empty=True, cutoffs=task.cutoffs, **own)
        logits = torch.zeros_like(targets).scatter(1, columns, grid[:, None]).requires_grad_()
        context = (tuple(torch.full_like(targets[0], mean) for mean in means),)
        values = loss.elementwise(logits, targets, *(context if isinstance(loss, ProbabilityGuidedLoss) else ()))
        value = values.sum(1) if loss.over_classes else values.gather(1, columns)[:, 0]
        gradient = torch.autograd.grad(value.sum(), logits)[0].gather(1, columns)[:, 0]
        tables.append(frame.assign(loss=name, value=value.detach().numpy(), gradient=gradient.numpy()))
    table = pd.concat(tables, ignore_index=True)[["loss", "group", "side", "z", "value", "gradient"]]
    table.attrs |= task.attrs
    return table
