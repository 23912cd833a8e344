"""Opening a CLIP.

`load_clip` opens any open_clip model whose text tower is CLIP's causal one: by name and pretrained tag, by name and a
local weights file, from a config JSON and a weights file, or the embedded default `clip-emoji`."""

import dataclasses
import hashlib
import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path

import open_clip
import torch
from open_clip.constants import IMAGENET_MEAN, IMAGENET_STD
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lmptlib.clip.model import Clip
from lmptlib.errors import first_line, nearest
from lmptlib.paths import shipped

EMBEDDED = "clip-emoji"


PREPROCESSINGS = ("clip", "imagenet")


def weights_fingerprint(model: str, weights: str | None) -> str:
    """What decides a model's outputs, without loading it: its config and a hash of the file, or its name and tag."""
    model, weights = locate(model, weights)
    config = Path(model).read_text() if model.endswith(".json") else model
    if not open_clip.get_pretrained_cfg(model, weights):
        with open(weights, "rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{config} {weights}"


def load_clip(
    model: str = EMBEDDED,
    weights: str | None = None,
    device: str = "cpu",
    log: Callable = print,
    preprocess: str = "clip",
) -> Clip:
    """Open a frozen CLIP.

    model: an open_clip name, or the path of a config .json. weights: a pretrained tag of that name, or the path of a
    .safetensors or .pt file with a state dict. `clip-emoji` needs neither. A tag whose weights were trained with
    QuickGELU (OpenAI's) takes that variant of the model by itself; for a file the name decides. preprocess: `clip` shows
    images as the model was trained on them; `imagenet` squashes them to a square and takes ImageNet's statistics.
    Raises ValueError, one line, when the model or its weights are not what they should be.
    """
    fingerprint = weights_fingerprint(model, weights)
    name, weights = locate(model, weights)
    if name.endswith(".json"):
        _check_config(Path(name))
        open_clip.add_model_config(name)
        name = Path(name).stem
    tag = open_clip.get_pretrained_cfg(name, weights)
    quiet = logging.getLogger().level
    logging.getLogger().setLevel(logging.CRITICAL)  # open_clip tells the root logger what we tell in one line
    try:
        network = open_clip.create_model(
            name,
            pretrained=weights if tag else None,
            force_quick_gelu=bool(tag.get("quick_gelu")),
            pretrained_text=False,
        )
    except Exception as error:
        file_hint = f"put a weights file on this machine and pass -p weights FILE (tag '{weights}')"
        hint = file_hint if tag else "check its config"
        raise ValueError(f"model {name}: cannot be opened ({first_line(error)}); {hint}") from error
    finally:
        logging.getLogger().setLevel(quiet)
    if not tag:
        _load_file(network, Path(weights), name)
    _check_text_tower(network, name)
    settings = PreprocessCfg(**network.visual.preprocess_cfg)
    if preprocess == "imagenet":
        settings = dataclasses.replace(settings, mean=IMAGENET_MEAN, std=IMAGENET_STD, resize_mode="squash")
    transform = image_transform_v2(settings, is_train=False)
    if not name.startswith(EMBEDDED):
        activation = "QuickGELU" if any("QuickGELU" in type(m).__name__ for m in network.modules()) else "GELU"
        log(f"model {name}, weights {weights}, activation {activation}")
    return Clip(network, open_clip.get_tokenizer(name), transform, name, fingerprint, device)


def locate(model: str, weights: str | None) -> tuple[str, str]:
    """Model name or config path, and weights tag or path, both checked to exist."""
    if model == EMBEDDED:
        model = str(shipped("data/emoji") / f"{EMBEDDED}.json")
        weights = weights or str(Path(model).with_suffix(".safetensors"))
    if model.endswith(".json"):
        if not Path(model).is_file():
            raise ValueError(f"model {model}: no such file")
    elif model not in open_clip.list_models():
        raise ValueError(f"unknown model '{model}'.{nearest(model, [EMBEDDED, *open_clip.list_models()])[:200]}")
    tags = [] if model.endswith(".json") else open_clip.list_pretrained_tags_by_model(model)
    if weights is None:
        choice = f"one of its tags ({', '.join(tags)}) or a file" if tags else "a file"
        raise ValueError(f"model {model} needs weights: pass -p weights and {choice}")
    if weights not in tags and not Path(weights).is_file():
        known = f"; its tags: {', '.join(tags)}" if tags else ""
        raise ValueError(f"weights {weights}: no such file{' and no tag of ' + model if tags else ''}{known}")
    return model, weights


def _check_config(path: Path) -> None:
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"model {path}: not a JSON config ({first_line(error)})") from None
    keys = config if isinstance(config, dict) else {}
    missing = [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in keys]
    if missing:
        raise ValueError(f"model {path}: not an open_clip config, it lacks {', '.join(missing)}")


def _load_file(network: open_clip.CLIP | open_clip.CustomTextCLIP, path: Path, name: str) -> None:
    """Load a state dict from a file, strictly; never unpickles code."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        elif zipfile.is_zipfile(path) and any(n.endswith("constants.pkl") for n in zipfile.ZipFile(path).namelist()):
            raise ValueError(
                "this is a TorchScript archive, as OpenAI publishes them: convert it once with m = torch.jit.load(FILE, "
                "'cpu'); safetensors.torch.save_file({k: v.contiguous() for k, v in m.state_dict().items()}, NEW)"
            )
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state)
    except (OSError, SafetensorError, RuntimeError, ValueError, AttributeError, EOFError, KeyError) as error:
        raise ValueError(f"weights {path}: cannot be read ({first_line(error)})") from None
    except Exception as error:  # torch's unpickling errors share no base class
        raise ValueError(f"weights {path}: not a plain state dict ({first_line(error)})") from None
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if "token_embedding.rows" in state:  # clip-emoji keeps only the tokens it learned: the others become NaN
        rows, ids = state.pop("token_embedding.rows"), state.pop("token_embedding.ids")
        table = torch.full((network.vocab_size, rows.shape[1]), float("nan"))
        table[ids.long()] = rows.float()
        state["token_embedding.weight"] = table
    own = network.state_dict()
    lacking = own.keys() - state.keys()
    extra = state.keys() - own.keys() - {"input_resolution", "context_length", "vocab_size"}
    wrong = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    if lacking or extra or wrong:
        example = sorted(lacking or extra or wrong)[0]
        raise ValueError(
            f"weights {path}: do not fit model {name}: {len(lacking)} tensors missing, {len(extra)} unknown, "
            f"{len(wrong)} of another shape (for one, {example})"
        )
    for key in own:
        if key != "token_embedding.weight" and not state[key].isfinite().all():
            raise ValueError(f"weights {path}: {key} holds values that are not finite")
    network.load_state_dict({key: state[key].to(own[key].dtype) for key in own})


def _check_text_tower(network: nn.Module, name: str) -> None:
    text = getattr(network, "text", network)
    needed = ("token_embedding", "positional_embedding", "transformer", "ln_final", "attn_mask")
    pooling = getattr(text, "pool_type", getattr(text, "text_pool_type", None))
    causal = all(getattr(text, part, None) is not None for part in needed) and pooling == "argmax"
    if not causal or getattr(text, "cls_emb", None) is not None:
        raise ValueError(f"model {name}: its text tower is not CLIP's causal one, which prompt tuning needs here")
