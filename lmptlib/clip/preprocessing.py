"""How images are shown to a CLIP: as its weights were trained on them.

open_clip keeps mean, standard deviation, interpolation and resize mode with each pretrained tag. A weights file does not
say which tag it is: it takes what all tags of its model agree on, and is refused where they differ.

open_clip takes seconds to import: it is where a model is opened or a tag looked up, not where a run is planned alone."""

import difflib
from collections import defaultdict
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_WORDS = ("clip", "imagenet")
_KEYS = ("mean", "std", "interpolation", "resize_mode")
_Positive = Annotated[float, Field(gt=0)]


class PreprocessFields(BaseModel):
    """What `preprocess_cfg` of an `open_clip_config.json` may hold: open_clip passes over what it does not know."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    size: int | tuple[int, int] | None = None
    mode: Literal["RGB"] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[_Positive, _Positive, _Positive] | None = None
    interpolation: Literal["bicubic", "bilinear", "random"] | None = None
    resize_mode: Literal["shortest", "longest", "squash"] | None = None
    fill_color: int | None = None


def plain_tag(tag: str) -> str:
    """A pretrained tag as open_clip lists it: it takes capitals and dashes too."""
    return tag.lower().replace("-", "_")


def tags_of(model: str) -> list[str]:
    """The pretrained tags that open_clip has of a model's name: none of a config .json."""
    if model.endswith(".json"):
        return []
    import open_clip

    return open_clip.list_pretrained_tags_by_model(model)


def check_preprocess(value: str) -> str:
    """A value of the setting `preprocess`, as open_clip spells it. Raises ValueError, one line, with the nearest names."""
    name = plain_tag(value)
    if name in _WORDS:
        return name
    import open_clip

    known = [*_WORDS, *sorted({tag for _, tag in open_clip.list_pretrained()})]
    if name not in known:
        near = difflib.get_close_matches(name, known)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise ValueError(f"is clip, imagenet or a pretrained tag of open_clip, not '{value}'{hint}")
    return name


def preprocessing(model: str, weights: str, preprocess: str = "clip") -> tuple[dict[str, Any], str]:
    """What goes over the default preprocessing of a model, and in words where that is from.

    model: an open_clip name or a config .json. weights: a tag or a file. preprocess: `clip`, `imagenet` or a tag. Raises
    ValueError, one line, where the tags that may be meant differ.
    """
    import open_clip
    from open_clip.constants import IMAGENET_MEAN, IMAGENET_STD

    try:
        preprocess = check_preprocess(preprocess)
    except ValueError as error:
        raise ValueError(f"preprocess {error}") from None
    own = tags_of(model)
    tag = weights if preprocess in _WORDS else preprocess
    subject, origin = f"preprocess {tag}: its models", f"tag {tag}"
    if tag in own:
        tags = {tag: open_clip.get_pretrained_cfg(model, tag)}
    elif tag == preprocess:
        models = open_clip.list_pretrained_models_by_tag(tag)
        tags = {f"{tag} of {other}": open_clip.get_pretrained_cfg(other, tag) for other in models}
    else:
        tags = {each: open_clip.get_pretrained_cfg(model, each) for each in own}
        subject = f"model {model}: a file does not say which of its tags it is, and those"
        origin = f"all tags of {model} ({len(own)})" if own else "its config"
    imagenet = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, "resize_mode": "squash"}
    over = imagenet if preprocess == "imagenet" else {}
    ways = _ways(tags, over)
    if len(ways) > 1:
        listed = "; ".join(f"{in_words(dict(way))} ({first_few(labels)})" for way, labels in ways.items())
        raise ValueError(f"{subject} were shown images in {len(ways)} ways: {listed}: pass -p preprocess TAG")
    return dict(next(iter(ways), over.items())), "preprocess imagenet" if over else origin


def own_preprocessing(model: str) -> list[str]:
    """In words, what all tags of a model agree on where it is not open_clip's default: none where it is, or they differ."""
    if not (names := tags_of(model)):
        return []
    import open_clip

    ways = list(_ways({tag: open_clip.get_pretrained_cfg(model, tag) for tag in names}))
    return [in_words(dict(ways[0]))] if len(ways) == 1 and ways != list(_ways({"default": {}})) else []


def _ways(tags: dict[str, dict[str, Any]], over: dict[str, Any] | None = None) -> dict[tuple, list[str]]:
    """The different preprocessings of some tags, with `over` over each: their fields, and who has them."""
    from open_clip.transform import PreprocessCfg

    ways = defaultdict(list)
    for label, cfg in tags.items():
        filled = asdict(PreprocessCfg()) | cfg | (over or {})
        ways[tuple((key, filled[key]) for key in _KEYS)].append(label)
    return ways


def in_words(cfg: dict[str, Any]) -> str:
    """Statistics, interpolation and resize mode of a preprocessing."""
    from open_clip import constants

    known = {
        (constants.OPENAI_DATASET_MEAN, constants.OPENAI_DATASET_STD): "OpenAI's mean and std",
        (constants.IMAGENET_MEAN, constants.IMAGENET_STD): "ImageNet's mean and std",
        (constants.INCEPTION_MEAN, constants.INCEPTION_STD): "mean and std 0.5",
        ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)): "not normalised",
    }
    mean, std = tuple(cfg["mean"]), tuple(cfg["std"])
    statistics = known.get((mean, std), f"mean {mean} and std {std}")
    return f"{statistics}, {cfg['interpolation']}, resize {cfg['resize_mode']}"


def first_few(names: list[str]) -> str:
    """Three names at most, and how many more."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
