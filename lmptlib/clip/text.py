"""Class names in words: hand-written prompts and their features."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lmptlib.clip.model import Clip
from lmptlib.errors import shorten

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


def cut_texts(clip: Clip, class_names: Sequence[str], captions: Sequence[str] = ()) -> list[str]:
    """A note on class names whose prompt, and one on captions that, have more tokens than the text tower reads."""
    prompts = [HAND_WRITTEN[0].format(prompt_name(name)) for name in class_names]
    notes = []
    for texts, shown, what in ((prompts, class_names, "class names"), (captions, captions, "captions")):
        cut = [text for text, is_cut in zip(shown, clip.is_cut(texts)) if is_cut]
        if cut:
            of = f"{len(cut):,} of {len(texts):,} {what}"
            notes.append(f"{of} are cut at {clip.context_length} tokens, as '{shorten(cut[0], 60)}'")
    return notes


def template_features(clip: Clip, class_names: tuple[str, ...], templates: tuple[str, ...] = HAND_WRITTEN) -> Tensor:
    """Unit features (C, D) of the class names in hand-written templates, the mean of several."""
    features = [clip.encode_texts([t.format(prompt_name(name)) for name in class_names]) for t in templates]
    return F.normalize(torch.stack(features).mean(0), dim=-1)
