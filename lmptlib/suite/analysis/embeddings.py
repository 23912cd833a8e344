"""Maps of image features and class prompts in two dimensions."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import label_ranking_average_precision_score

from lmptlib.data.dataset import Dataset
from lmptlib.errors import nearest

PROJECTIONS = ("t-SNE", "PCA")


def map_points(
    images: np.ndarray,
    labels: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    dataset: Dataset,
    n_images: int = 600,
    seed: int = 0,
    projection: str = "t-SNE",
    scores: np.ndarray | None = None,
) -> pd.DataFrame:
    """A map of image features (N, D) together with class prompts (C, D) before and after training.

    Images and texts occupy two cones of CLIP's space, and training moves all prompts together as well: each of the three
    is centred on its own mean first, or the map would show those gaps alone. `projection` is one of PROJECTIONS.

    Columns x, y, kind (image, before, after), class (an image's rarest), group (that class's), label (all of an image's),
    image (its place in labels; -1: a prompt) and, with scores (N, C), error as `ranking_errors` has it (NaN: a prompt).
    Images without a label are left out. Raises ValueError on an unknown projection.
    """
    if projection not in PROJECTIONS:
        raise ValueError(f"no projection '{projection}'.{nearest(projection, PROJECTIONS)}")
    labelled = np.flatnonzero(labels.any(1))
    chosen = np.random.default_rng(seed).permutation(labelled)[:n_images]
    sets = (images[chosen] - images[labelled].mean(0), before - before.mean(0), after - after.mean(0))
    vectors = np.concatenate(sets)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    if projection == "PCA":
        xy = PCA(2, random_state=seed).fit_transform(vectors)
    else:
        perplexity = min(30, (len(vectors) - 1) / 3)
        xy = TSNE(metric="cosine", init="pca", perplexity=perplexity, random_state=seed).fit_transform(vectors)
    names, n_classes = np.array(dataset.class_names), len(before)
    rarest = np.where(labels[chosen], dataset.class_counts, np.inf).argmin(1)
    index = np.concatenate([rarest, np.arange(n_classes), np.arange(n_classes)])
    points = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1]})
    points["kind"] = ["image"] * len(chosen) + ["before"] * n_classes + ["after"] * n_classes
    points["class"], points["group"] = names[index], dataset.groups[index]
    points["label"] = [", ".join(names[row]) for row in labels[chosen]] + 2 * list(names)
    points["image"] = np.concatenate([chosen, np.full(2 * n_classes, -1)])
    points.attrs |= dataset.task.attrs
    if scores is not None:
        errors = ranking_errors(labels[chosen], scores[chosen])
        points["error"] = np.concatenate([errors, np.full(2 * n_classes, np.nan)])
    return points


def ranking_errors(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How badly the classes of each image are ranked, (N,), from labels and scores (N, C).

    1 - label ranking average precision (the mean over the image's classes of the share of its classes among those that
    stand as high): 0 where all its classes stand on top. Softmax and cosine rank an image's classes alike.
    """
    return np.array([1 - label_ranking_average_precision_score(y[None], s[None]) for y, s in zip(labels, scores)])


def caption_distances(captions: np.ndarray, prompts: dict[str, np.ndarray], targets: np.ndarray) -> pd.DataFrame:
    """Quantiles of D = 1 - cos between captions (N, D) and prompts (C, D), unit features, a line a row and side.

    prompts: row -> features; targets (N, C) bool. Columns row, side (own, other), low (5%), q1, median, q3, high (95%).
    """
    rows = []
    for row, features in prompts.items():
        distance = 1 - captions @ features.T
        for side, mask in (("own", targets), ("other", ~targets)):
            quantiles = np.quantile(distance[mask], [0.05, 0.25, 0.5, 0.75, 0.95])
            rows.append({"row": row, "side": side, **dict(zip(("low", "q1", "median", "q3", "high"), quantiles))})
    return pd.DataFrame(rows)


def pair_cosines(images: np.ndarray, texts: np.ndarray, most: int = 500) -> dict[str, np.ndarray]:
    """Cosines of pairs of unit features, by kind: two images, two prompts, image and prompt. images (N, D), texts (C, D).

    Of more than `most` images, that many are taken, evenly spaced.
    """
    some = images[np.linspace(0, len(images) - 1, min(most, len(images))).astype(int)]
    of_images, of_texts = (part @ part.T for part in (some, texts))
    above = [np.triu_indices(len(part), 1) for part in (some, texts)]
    return {
        "two images": of_images[above[0]],
        "two prompts": of_texts[above[1]],
        "image and prompt": (some @ texts.T).ravel(),
    }
