"""Pictures from files through the image tower: the next are decoded while it has the last ones."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from PIL import Image
from torch import Tensor

from lmptlib.clip.model import Clip
from lmptlib.data.checks import decode_all
from lmptlib.data.dataset import Split
from lmptlib.data.digests import digest_of
from lmptlib.data.images import open_image
from lmptlib.errors import DataError

# Told of images, or captions, as they are done: how many.
Count = Callable[[int], object]


def encode_images(
    clip: Clip,
    split: Split,
    pictures: Callable[[Image.Image], Tensor],
    count: Count,
    digests: Sequence[str] | None = None,
    whole: Split | None = None,
    least: int | None = None,
) -> Tensor:
    """Features (V, N, D) of the V pictures (V, 3, H, W) that are made of each image.

    The next images are decoded, and pictures made of them, while the tower has the last ones. least: as of `open_image`.
    Raises DataError naming every image, of the split `whole` where it is given, that cannot be decoded, or one whose bytes
    are not those of its digest.
    """

    def load(image: int) -> Tensor:
        path = split.paths[image]
        content = path.read_bytes()
        if digests and digest_of(content) != digests[image]:
            raise ValueError(
                f"{path}: its bytes are not those that were read before (changed since, or another file here)"
            )
        return pictures(open_image(content, str(path), least))

    found, done = torch.empty(0), 0
    # On a CPU small batches stay in its caches: twice as fast.
    size = 64 if clip.device == "cuda" else 8
    try:
        for batch in _read_ahead(load, len(split), size):
            views = torch.stack([clip.encode_images(view).cpu() for view in torch.stack(batch, dim=1)])
            if not done:
                # Kept batch by batch, they would lie between the pictures' places in memory, which then could not be used again.
                found = torch.empty(len(views), len(split), views.shape[2])
            found[:, done : done + len(batch)] = views
            done += len(batch)
            count(len(batch))
    except (ValueError, OSError) as error:
        # Every undecodable image at once, with its line.
        raise DataError(decode_all(whole or split)[0] or [f"{split.source}: {error}"]) from error
    return found


def _read_ahead(load: Callable[[int], Tensor], n: int, size: int) -> Iterator[list[Tensor]]:
    """What `load` makes of 0, ..., n - 1, in batches, by threads that are some batches ahead and no more."""
    n_threads = min(32, (os.cpu_count() or 1) + 4)
    waiting: deque[list[Future[Tensor]]] = deque()
    with ThreadPoolExecutor(n_threads) as threads:
        for start in range(0, n, size):
            waiting.append([threads.submit(load, i) for i in range(start, min(start + size, n))])
            # so many that no thread is idle while the tower has a batch
            if len(waiting) > 1 + 2 * n_threads // size:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
