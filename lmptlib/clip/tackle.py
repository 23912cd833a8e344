"""TACKLE: classes with few training images are filled up from a pool of unlabelled ones, by what CLIP says of them.

TrAnsfer Conceptual Knowledge from Language to imagE is told of on the poster of BALLAD (Ma et al., "Unleashing the Potential of
Vision-Language Models for Long-Tailed Visual Recognition"), in a formula and a figure; no code was found, and m, the
pool and all settings are ours.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from torch import Tensor

from lmptlib.clip.extraction import EXACT, Extraction
from lmptlib.clip.features import image_features
from lmptlib.clip.model import Clip
from lmptlib.clip.text import HAND_WRITTEN, prompt_name, template_features
from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.pool import usable
from lmptlib.errors import DataError


def enriched(
    dataset: Dataset,
    pool: Split,
    clip: Clip,
    to: int,
    tau: float | None = None,
    cache: Path | None = None,
    log: Callable[[str], None] = print,
    extraction: Extraction = EXACT,
) -> Dataset:
    """A data set whose classes k with n_k < `to` training images have the m_k = `to` - n_k best of a pool behind them.

    p_k = softmax_k(f T / tau), f (D,) an image's unit feature and T (C, D) those of "a photo of a {class}."; tau: None for
    CLIP's own. (The poster prints tau outside of exp, where it cancels.) An image joins one class: of all pairs of an image
    and a class the best p goes first, so that an image which two classes want goes where its p is higher, and the other
    takes its next (ours). Images of the data set, by what they show, files that cannot be read, and a picture's further
    copies are not fetched. A fetched image's caption is its class's prompt (ours). Where no class lacks any the data set is
    returned as it is.
    """
    wanted = np.clip(to - dataset.class_counts, 0, None)
    if not wanted.any():
        return dataset
    pool, notes = usable(pool, dataset, cache)
    for note in notes:
        log(f"note: {note}")
    if not len(pool):
        lacks = f"no image that can be read and is not one of {dataset.name}'s own"
        raise DataError([f"tackle: {pool.source} has {lacks}: name another pool"])
    images = image_features(clip, pool, False, cache, log, extraction)["plain"]
    text = template_features(clip, dataset.class_names).cpu()
    p = class_probabilities(images, text, clip.logit_scale if tau is None else 1 / tau)
    rows, classes = most_probable(p, wanted)
    log(f"tackle: {len(rows):,} of {len(pool):,} images of {pool.source} fetched for {(wanted > 0).sum()} classes")
    if len(rows) < wanted.sum():
        log(f"note: tackle: {wanted.sum():,} were wanted, so all that the pool has were taken")
    shown = csr_array((np.ones(len(rows), bool), (np.arange(len(rows)), classes)), shape=(len(rows), len(wanted)))
    captions = tuple(HAND_WRITTEN[0].format(prompt_name(dataset.class_names[c])) for c in classes)
    fetched = replace(pool.rows(rows), shown=shown, captions=captions, fetched=p[rows, classes])
    return dataset.enlarged(fetched)


def class_probabilities(images: Tensor, text: Tensor, scale: float) -> np.ndarray:
    """p (N, C) of unit features of images (N, D) and of classes (C, D), in float64."""
    return (scale * images.double() @ text.double().T).softmax(1).numpy()


def most_probable(p: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images and the classes that they join, (F,) each, class by class, the most probable first.

    p (N, C), wanted (C,): how many images a class takes. No image joins two classes; of images that are equal to a class the
    first is taken.
    """
    rare, most = np.flatnonzero(wanted), min(int(wanted.sum()), len(p))
    # No class looks further than so many images: others take no more of them away.
    best = np.argsort(-p[:, rare], axis=0, kind="stable")[:most]
    order = np.argsort(-np.take_along_axis(p[:, rare], best, axis=0), axis=None, kind="stable")
    left, taken = wanted.tolist(), dict[int, int]()
    for place in order.tolist():
        image, c = int(best.flat[place]), int(rare[place % len(rare)])
        if left[c] and image not in taken:
            taken[image] = c
            left[c] -= 1
    images, classes = np.array(list(taken.items()), int).reshape(-1, 2).T
    by_class = np.argsort(classes, kind="stable")
    return images[by_class], classes[by_class]


def fetched_table(dataset: Dataset) -> pd.DataFrame:
    """One row a fetched image, class by class: class, image (its path below the pool's folder), p, rank (1 is the best)."""
    train = dataset.train
    rows = np.flatnonzero(~train.listed)
    table = pd.DataFrame(
        {
            "class": [dataset.class_names[c] for c in train.labels[rows].argmax(1)],
            "image": [train.names[i] for i in rows],
            "p": np.full(len(train), np.nan)[rows] if train.fetched is None else train.fetched[rows],
        }
    )
    return table.assign(rank=table.groupby("class", sort=False).cumcount() + 1)
