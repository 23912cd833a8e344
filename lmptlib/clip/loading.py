"""Opening a CLIP.

`load_clip` opens any open_clip model whose text tower is CLIP's causal one: by name and pretrained tag, by name and a
local weights file, from a config JSON and a weights file, or the embedded default `clip-emoji`."""

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from torch import nn

from lmptlib.clip.model import Clip
from lmptlib.clip.preprocessing import (
    PreprocessFields,
    first_few,
    in_words,
    own_preprocessing,
    plain_tag,
    preprocessing,
    tags_of,
)
from lmptlib.clip.weights import file_in, load_weights
from lmptlib.errors import first_line, nearest
from lmptlib.paths import shipped

if TYPE_CHECKING:
    from open_clip import CLIP, CustomTextCLIP

EMBEDDED = "clip-emoji"


def weights_fingerprint(model: str, weights: str | None) -> str:
    """What decides a model's outputs, without loading it: its config and a hash of the file, or its name and tag.

    Raises ValueError, one line, when there are no such model and weights.
    """
    model, weights = locate(model, weights)
    config = Path(model).read_text() if model.endswith(".json") else model
    if weights in tags_of(model):
        return f"{config} {weights}"
    try:
        with open(weights, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"weights {weights}: cannot be read ({error.strerror})") from None
    return " ".join([config, digest, *own_preprocessing(model)])


def load_clip(
    model: str = EMBEDDED,
    weights: str | None = None,
    device: str = "cpu",
    log: Callable = print,
    preprocess: str = "clip",
    precision: str = "auto",
) -> Clip:
    """Open a frozen CLIP.

    model: an open_clip name, or the path of a config .json, open_clip's own or an `open_clip_config.json` of the hub.
    weights: a pretrained tag of that name, or the path of a safetensors file, a state dict that torch.save wrote, or a
    folder as the hub has it. `clip-emoji` needs neither. A tag whose weights were trained with QuickGELU (OpenAI's) takes
    that variant of the model by itself; for a file the name decides. preprocess: `clip` shows images as the model was
    trained on them, a tag as that tag's weights were; `imagenet` squashes them to a square and takes ImageNet's
    statistics. precision: of its matrices, fp32, bf16 or auto. Raises ValueError, one line, when the model or its weights
    are not what they should be.
    """
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    fingerprint = weights_fingerprint(model, weights)
    model, weights = locate(model, weights)
    over, origin = preprocessing(model, weights, preprocess)
    name, tag = model, open_clip.get_pretrained_cfg(model, weights)
    if model.endswith(".json"):
        name = Path(model).parent.name if Path(model).name == "open_clip_config.json" else Path(model).stem
    with tempfile.TemporaryDirectory() as folder:
        source = _write_config(Path(model), Path(folder)) if model.endswith(".json") else model
        network = _create(source, weights, tag, name)
        _check_text_tower(network, name)
        try:
            tokenizer = open_clip.get_tokenizer(source)
        except Exception as error:
            # Transformers', of whatever kind.
            raise ValueError(f"model {name}: its tokenizer is not CLIP's ({first_line(error)})") from error
    if not tag:
        load_weights(network, Path(weights), name, log)
    images = PreprocessCfg(**(network.visual.preprocess_cfg | over))
    if not name.startswith(EMBEDDED):
        log(
            f"model {name}, weights {weights}, activation {_activation(network, model, tag)}, "
            f"images {images.input_size[1]} x {images.input_size[2]}, {in_words(asdict(images))}, from {origin}"
        )
    return Clip(network, tokenizer, image_transform_v2(images, is_train=False), name, fingerprint, device, precision)


def locate(model: str, weights: str | None) -> tuple[str, str]:
    """Model name or config path, and weights tag or path, both checked to exist."""
    if model == EMBEDDED:
        model = str(shipped("data/emoji") / f"{EMBEDDED}.json")
        weights = weights or str(Path(model).with_suffix(".safetensors"))
    if model.endswith(".json"):
        if not Path(model).is_file():
            raise ValueError(f"model {model}: no such file")
    else:
        _check_name(model)
    tags = tags_of(model)
    if weights is None:
        choice = f"one of its tags ({', '.join(tags)}) or a file" if tags else "a file"
        raise ValueError(f"model {model} needs weights: pass -p weights and {choice}")
    if plain_tag(weights) in tags:
        return model, plain_tag(weights)
    path = Path(weights)
    if path.is_dir():
        return model, str(file_in(path))
    if not path.is_file():
        import open_clip

        others = open_clip.list_pretrained_models_by_tag(weights)
        hint = f" (a tag of {first_few(others)})" if others else ""
        known = f" and no tag of {model}{hint}.{nearest(weights, tags)}" if tags and path.name == weights else hint
        raise ValueError(f"weights {weights}: no such file{known}")
    return model, weights


def _check_name(model: str) -> None:
    import open_clip

    if model not in open_clip.list_models():
        raise ValueError(f"unknown model '{model}'.{nearest(model, [EMBEDDED, *open_clip.list_models()])[:200]}")


def _write_config(path: Path, folder: Path) -> str:
    """A config, checked, where open_clip takes it from without keeping it under a name; what open_clip calls that place.

    It is open_clip's own, or one of the hub with `model_cfg` and `preprocess_cfg`. Raises ValueError, one line.
    """
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"model {path}: not a JSON config ({first_line(error)})") from None
    if not isinstance(config, dict) or "model_cfg" not in config:
        config = {"model_cfg": config}
    keys = config["model_cfg"] if isinstance(config["model_cfg"], dict) else {}
    missing = [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in keys]
    if missing:
        raise ValueError(f"model {path}: not an open_clip config, it lacks {', '.join(missing)}")
    try:
        PreprocessFields.model_validate(config.get("preprocess_cfg") or {})
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, ("preprocess_cfg", *problem["loc"])))
        raise ValueError(f"model {path}: {place}: {problem['msg']}") from None
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def _create(source: str, weights: str, tag: dict[str, Any], name: str) -> "CLIP | CustomTextCLIP":
    """open_clip's network, with the weights of its tag where it is given one."""
    import open_clip

    quiet = logging.getLogger().level
    # Open_clip tells the root logger what we tell in one line.
    logging.getLogger().setLevel(logging.CRITICAL)
    try:
        return open_clip.create_model(
            source,
            pretrained=weights if tag else None,
            load_weights=bool(tag),
            force_quick_gelu=bool(tag.get("quick_gelu")),
            pretrained_text=False,
        )
    except Exception as error:
        file_hint = f"put a weights file on this machine and pass -p weights FILE (tag '{weights}')"
        hint = file_hint if tag else "check its config"
        raise ValueError(f"model {name}: cannot be opened ({first_line(error)}); {hint}") from error
    finally:
        logging.getLogger().setLevel(quiet)


def _activation(network: nn.Module, model: str, tag: dict[str, Any]) -> str:
    """In words; for a file that is opened with GELU, the tags of this model that have QuickGELU instead."""
    if any("QuickGELU" in type(module).__name__ for module in network.modules()):
        return "QuickGELU"
    quick = [] if tag else tags_of(f"{model}-quickgelu")
    return f"GELU (if these are {first_few(quick)}, the model is {model}-quickgelu)" if quick else "GELU"


def _check_text_tower(network: nn.Module, name: str) -> None:
    text = getattr(network, "text", network)
    needed = ("token_embedding", "positional_embedding", "transformer", "ln_final", "attn_mask")
    pooling = getattr(text, "pool_type", getattr(text, "text_pool_type", None))
    causal = all(getattr(text, part, None) is not None for part in needed) and pooling == "argmax"
    if not causal or getattr(text, "cls_emb", None) is not None:
        raise ValueError(f"model {name}: its text tower is not CLIP's causal one, which prompt tuning needs here")
