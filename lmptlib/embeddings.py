"""Maps of image features and class prompts in two dimensions."""

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE

from lmptlib.data import GROUPS, Dataset


def tsne_points(
    images: np.ndarray,
    labels: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    dataset: Dataset,
    n_images: int = 600,
    seed: int = 0,
) -> pd.DataFrame:
    """t-SNE of image features (N, D) together with class prompts (C, D) before and after training.

    Images and texts occupy two cones of CLIP's space, and training moves all prompts together as well: each of the three
    is centred on its own mean first, or the map would show those gaps alone. An image takes the group of its rarest
    class. Columns x, y, kind (image, before, after), group, label.
    """
    rng = np.random.default_rng(seed)
    labelled = np.flatnonzero(labels.any(1))
    chosen = rng.permutation(labelled)[:n_images]
    sets = (images[chosen] - images[labelled].mean(0), before - before.mean(0), after - after.mean(0))
    vectors = np.concatenate(sets)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    perplexity = min(30, (len(vectors) - 1) / 3)
    xy = TSNE(metric="cosine", init="pca", perplexity=perplexity, random_state=seed).fit_transform(vectors)
    rank = np.array([GROUPS.index(group) for group in dataset.groups])
    names = np.array(dataset.class_names)
    group = [GROUPS[rank[row].max()] for row in labels[chosen]] + 2 * list(dataset.groups)
    label = [", ".join(names[row]) for row in labels[chosen]] + 2 * list(names)
    kind = ["image"] * len(chosen) + ["before"] * len(before) + ["after"] * len(after)
    return pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "kind": kind, "group": group, "label": label})
