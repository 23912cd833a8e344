"""A run, reloaded and applied: scores of photographs that it has never seen, and the words nearest to its prompts."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.special import expit
from torch import Tensor

from lmptlib.clip.features import pictures_of
from lmptlib.clip.loading import load_clip, weights_fingerprint
from lmptlib.clip.model import Clip
from lmptlib.data.dataset import Task
from lmptlib.data.images import Picture, open_image
from lmptlib.methods.base import Batch
from lmptlib.runs.run import Run
from lmptlib.training.plan import pick_device
from lmptlib.training.state import build_method
from lmptlib.training.version_0_1 import is_old

_BATCH = 32


class Classifier:
    """The model of a run, read from its folder. Calling it gives probabilities of images.

    clip: the run's, where it is loaded already. Raises ValueError, one line, when the folder holds no run, one of version
    0.1, or the weights it was made with have changed.
    """

    def __init__(self, run: Run | str | Path, device: str = "auto", clip: Clip | None = None):
        self.run = run if isinstance(run, Run) else Run(Path(run))
        name, settings = self.run.folder.name, self.run.settings
        if is_old(self.run.config):
            raise ValueError(
                f"{name}: made by version 0.1, whose tables are read here and not its models: train it again"
            )
        if weights_fingerprint(settings["model"], settings["weights"]) != self.run.config["fingerprints"]["clip"]:
            raise ValueError(f"{name}: its model or weights have changed since ({settings['weights']})")
        self.config = self.run.trained_config
        opened = settings["model"], settings["weights"], pick_device(device), lambda line: None
        self.clip = clip or load_clip(*opened, self.config.preprocess, self.config.precision)
        classes, device = self.run.class_rows, self.clip.device
        self.class_names = tuple(classes["class"])
        tensors = {name: tensor.to(device) for name, tensor in self.run.prompts().items()}
        width = tensors.pop("after").shape[1]
        del tensors["before"]
        counts = torch.tensor(classes["train"].to_list())
        # as many as the training set had: what a method sizes by them fits what was saved
        n_images = self.run.config["n_train"] + self.run.config.get("n_fetched", 0)
        self.method = build_method(
            self.config, self.class_names, counts, n_images, width, self.clip, Task(self.run.task)
        )
        towers = {f"towers.{name}": tensor.to(device) for name, tensor in self.run.towers().items()}
        self.method.load_state_dict(tensors | towers)
        self.method.eval()
        self.clip = self.method.tuned() or self.clip
        with torch.no_grad():
            (self.text,) = self.clip.encode_prompts([self.method.prompts(None)])

    def __call__(self, images: Iterable[Picture]) -> pd.DataFrame:
        """Probabilities, a row an image, a column a class.

        images: paths, bytes of files, open images or arrays (H, W, 3), as `open_image` takes them. The index has the paths, or
        `picture 0`, `picture 1`, ... by their places. Raises ValueError naming an image that cannot be read; a single one in
        place of several is refused.
        """
        if isinstance(images, (str, Path, bytes, Image.Image)) or (isinstance(images, np.ndarray) and images.ndim < 4):
            raise ValueError("a Classifier takes a list of pictures: put the one into [ ]")
        images = list(images)
        index = [str(image) if isinstance(image, (str, Path)) else f"picture {i}" for i, image in enumerate(images)]
        parts = [self.features(images[i : i + _BATCH], index[i : i + _BATCH]) for i in range(0, len(images), _BATCH)]
        probabilities = self.probabilities(torch.cat(parts)) if parts else np.empty((0, len(self.class_names)))
        return pd.DataFrame(probabilities, index=pd.Index(index, name="image"), columns=self.class_names)

    def features(self, images: Sequence[Picture], names: Sequence[str] | None = None) -> Tensor:
        """Unit features of images, (N, views, D), the whole image first; (N, D) are one view each.

        names: what errors call them (default: picture 0, picture 1, ...).
        """
        names = names or [f"picture {i}" for i in range(len(images))]
        least, preprocess = self.config.extraction.least(self.clip), self.clip.preprocess
        views = [
            pictures_of(open_image(image, name), self.config.views, preprocess) for image, name in zip(images, names)
        ]
        if least:
            # crops are cut from the picture as it is
            for view, image, name in zip(views, images, names):
                view[0] = preprocess(open_image(image, name, least))
        return torch.stack([self.clip.encode_images(view) for view in torch.stack(views, dim=1)], dim=1)

    @torch.no_grad()
    def scores(self, features: Tensor) -> np.ndarray:
        """What the run ranks by, (N, C), of `features`: its `Run.scores()["scores"]` for its test images'."""
        return self.method.ranked(self._batch(features), self.text)[0].cpu().numpy()

    @torch.no_grad()
    def logits(self, features: Tensor) -> np.ndarray:
        """The logits (N, C) of `features`: its `Run.scores()["logits"]` for those of its test images."""
        return self.method.ranked(self._batch(features), self.text)[1].cpu().numpy()

    def probabilities(self, features: Tensor) -> np.ndarray:
        """Probabilities (N, C) of `features`: the sigmoid of the logits."""
        return expit(self.logits(features).astype(np.float64))

    def words(self, k: int = 3) -> pd.DataFrame:
        """The words of CLIP's vocabulary nearest to each learned context token: columns class, token, rank, word, distance.

        Distances are Euclidean, between token embeddings, as CoOp shows them (Zhou et al., IJCV 2022, Table 4). A shared
        context has the class `all`. Raises ValueError for a run that learned no context.
        """
        learner = getattr(self.method, "learner", None)
        if learner is None:
            raise ValueError(f"{self.run.folder.name}: method '{self.run.settings['method']}' learned no context")
        context = learner.context.detach()  # (C or 1, M, W)
        names = self.class_names if len(context) == len(self.class_names) else ("all",)
        rows = [
            {"class": name, "token": token, "rank": rank, "word": word, "distance": distance}
            for name, tokens in zip(names, self.clip.nearest_words(context, k))
            for token, near in enumerate(tokens, 1)
            for rank, (word, distance) in enumerate(near, 1)
        ]
        return pd.DataFrame(rows)

    def _batch(self, features: Tensor) -> Batch:
        features = features.to(self.clip.device)
        features = features[:, None] if features.dim() == 2 else features
        if features.shape[1] != self.config.views:
            raise ValueError(
                f"{self.run.folder.name} scores images by {self.config.views} views, not {features.shape[1]}"
            )
        crops = features[:, 1:] if self.config.views > 1 else None
        return Batch(features.new_zeros(len(features), len(self.class_names)), images=features[:, 0], crops=crops)  # type: ignore[arg-type]
