"""A run, reloaded and applied: scores of photographs that it has never seen, and the words nearest to its prompts."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from lmptlib.clip.loading import load_clip, weights_fingerprint
from lmptlib.clip.model import Clip
from lmptlib.data.images import open_image
from lmptlib.methods.prompts import METHODS, LinearProbe, class_scores, template_features, with_hand_written
from lmptlib.runs.run import Run
from lmptlib.training.training import pick_device

_BATCH = 32


class Classifier:
    """The model of a run, read from its folder. Calling it gives probabilities of images.

    clip: the run's, where it is loaded already. Raises ValueError, one line, when the folder holds no run or the weights it
    was made with have changed.
    """

    def __init__(self, run: Run | str | Path, device: str = "auto", clip: Clip | None = None):
        self.run = run if isinstance(run, Run) else Run(Path(run))
        self.class_names = tuple(row["class"] for row in self.run.config["classes"])
        self.settings = settings = self.run.config["settings"]
        if weights_fingerprint(settings["model"], settings["weights"]) != self.run.config["fingerprints"]["clip"]:
            raise ValueError(f"{self.run.folder.name}: its model or weights have changed since ({settings['weights']})")
        self.clip = clip or load_clip(
            settings["model"], settings["weights"], pick_device(device), lambda line: None, settings["preprocess"]
        )
        self.tensors = {name: tensor.to(self.clip.device) for name, tensor in self.run.prompts().items()}
        self.text = self.tensors["after"]
        if settings["hand_written"]:
            hand_written = template_features(self.clip, self.class_names)
            self.text = with_hand_written(self.text, hand_written, settings["hand_written"])

    def __call__(self, images: Iterable[str | Path | Image.Image]) -> pd.DataFrame:
        """Probabilities, a row an image (paths or open images; the index has the paths or their numbers), a column a class.

        Raises ValueError naming an image that cannot be read.
        """
        images = list(images)
        index = [str(i) if isinstance(image, Image.Image) else str(image) for i, image in enumerate(images)]
        parts = [self.features(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)]
        probabilities = self.probabilities(torch.cat(parts)) if parts else np.empty((0, len(self.class_names)))
        return pd.DataFrame(probabilities, index=pd.Index(index, name="image"), columns=self.class_names)

    def features(self, images: list[str | Path | Image.Image]) -> Tensor:
        """Unit features (N, D) of images."""
        opened = [
            image.convert("RGB") if isinstance(image, Image.Image) else open_image(Path(image)) for image in images
        ]
        return self.clip.encode_images(torch.stack([self.clip.preprocess(image) for image in opened]))

    def scores(self, features: Tensor) -> np.ndarray:
        """What the run ranks by, (N, C), of unit features (N, D): its `Run.scores()["scores"]` for those of its test images."""
        features, kept = features.to(self.clip.device), self.tensors
        if not METHODS[self.settings["method"]].prompts:
            return self._probe("weight", "bias").scores(features).cpu().numpy()
        scores = class_scores(features, self.text, self.settings["centred"])
        if share := self.settings["residual"]:
            logits = kept["head_a"].exp() * scores + kept["head_b"]
            beside = self._probe("residual_weight", "residual_bias").scores(features)
            scores = (1 - share) * logits + share * beside
        return scores.cpu().numpy()

    def probabilities(self, features: Tensor) -> np.ndarray:
        """Probabilities (N, C) of unit features (N, D): the sigmoid of the logits that the run was trained with."""
        head = {name: self.tensors[name].cpu().numpy() for name in ("a", "b")}
        logits = np.exp(head["a"]) * self.scores(features) + head["b"]
        return 1 / (1 + np.exp(-logits.astype(np.float64)))

    def words(self, k: int = 3) -> pd.DataFrame:
        """The words of CLIP's vocabulary nearest to each learned context token: columns class, token, rank, word, distance.

        Distances are Euclidean, between token embeddings, as CoOp shows them (Zhou et al., IJCV 2022, Table 4). A shared
        context has the class `all`. Raises ValueError for a run that learned no context.
        """
        if "context" not in self.tensors:
            raise ValueError(f"{self.run.folder.name}: method '{self.settings['method']}' learned no context")
        context = self.tensors["context"]  # (C or 1, M, W)
        names = self.class_names if len(context) == len(self.class_names) else ("all",)
        rows = [
            {"class": name, "token": token, "rank": rank, "word": word, "distance": distance}
            for name, tokens in zip(names, self.clip.nearest_words(context, k))
            for token, found in enumerate(tokens, 1)
            for rank, (word, distance) in enumerate(found, 1)
        ]
        return pd.DataFrame(rows)

    def _probe(self, weight: str, bias: str) -> LinearProbe:
        probe = LinearProbe(*self.tensors[weight].shape).requires_grad_(False).to(self.clip.device)
        probe.load_state_dict({"weight": self.tensors[weight], "bias": self.tensors[bias]})
        return probe
