"""Which training images an epoch shows, and in what order."""

import numpy as np
import torch
from scipy.sparse import csc_array, csr_array
from torch import Tensor

SAMPLERS = ("shuffle", "class_aware", "square_root", "effective_number")


def epoch_order(kind: str, targets: Tensor | csr_array, generator: torch.Generator, per_class: int = 3) -> Tensor:
    """Indices (N,) of one epoch, as many as there are images, from targets (N, C), which may be sparse.

    shuffle: every image once. The others draw a class, then one of its images, with replacement: an image without labels
    is never drawn.
    class_aware: shuffled classes in turn, `per_class` images each (Shen et al., ECCV 2016; three: PG's setting).
    square_root: a class in proportion to sqrt(n_i) (Mahajan et al., ECCV 2018).
    effective_number: in proportion to (1 - b^n_i) / (1 - b), b = 0.999: the count of Cui et al., CVPR 2019, who weigh a
    loss by its inverse; to sample by it is ours.

    Nine images of one class and three of another; class-aware sampling draws both classes alike:

    >>> import torch
    >>> from lmptlib.data.samplers import epoch_order
    >>> targets = torch.tensor([[1, 0]] * 9 + [[0, 1]] * 3)
    >>> order = epoch_order("class_aware", targets, torch.Generator().manual_seed(0))
    >>> targets[order].sum(0)
    tensor([6, 6])
    """
    n_images = targets.shape[0]
    if kind == "shuffle":
        return torch.randperm(n_images, generator=generator)
    by_class = csc_array(targets.cpu().numpy() if isinstance(targets, Tensor) else targets)
    by_class.sort_indices()
    first, members = (torch.from_numpy(part.astype(np.int64)) for part in (by_class.indptr, by_class.indices))
    counts = first.diff().double()
    present = counts.nonzero().flatten()
    if kind == "class_aware":
        rounds = -(-n_images // (per_class * len(present)))
        turns = [present[torch.randperm(len(present), generator=generator)] for _ in range(rounds)]
        classes = torch.cat(turns).repeat_interleave(per_class)[:n_images]
    else:
        mass = counts.sqrt() if kind == "square_root" else 1 - 0.999**counts
        classes = torch.multinomial(mass, n_images, replacement=True, generator=generator)
    draws = torch.rand(n_images, generator=generator, dtype=torch.float64)
    return members[first[classes] + (draws * counts[classes]).long()]
