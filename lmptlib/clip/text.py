"""Class names in words: hand-written prompts and their features."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lmptlib.clip.model import Clip

HAND_WRITTEN = ("a photo of a {}.",)
# Seven that do well together, by CLIP's authors (their notebook on prompts for ImageNet).
TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)


def prompt_name(class_name: str) -> str:
    """A class name as a prompt says it: `_` is a space."""
    return class_name.replace("_", " ")


def template_features(clip: Clip, class_names: tuple[str, ...], templates: tuple[str, ...] = HAND_WRITTEN) -> Tensor:
    """Unit features (C, D) of the class names in hand-written templates, the mean of several."""
    features = [clip.encode_texts([t.format(prompt_name(name)) for name in class_names]) for t in templates]
    return F.normalize(torch.stack(features).mean(0), dim=-1)
