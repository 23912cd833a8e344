"""Weights files: what a file is, by its content; its tensors, without unpickling code; and their names in open_clip."""

import re
from codecs import getincrementaldecoder
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

import torch
from safetensors.torch import load_file
from torch import Tensor

from lmptlib.errors import first_line

if TYPE_CHECKING:
    from open_clip import CLIP, CustomTextCLIP

State = dict[str, Tensor]

_FOLDER_NAMES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# What training puts before a name: DDP, torch.compile (before any part of it), a wrapper's attribute.
_PREFIX = re.compile(r"^((module|_orig_mod|model|clip)\.)+|(?<=\.)_orig_mod\.")
# In OpenAI's files.
_NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size")
_AGAIN = "fetch it again"
_UNPACK = "unpack it and pass the weights file in it"
_OTHER = "take the .safetensors of the same model"
_SIGNATURES = {
    b"\x89HDF\r\n": f"a Keras or TensorFlow file: {_OTHER}",
    b"\x93NUMPY": f"a NumPy array: {_OTHER}",
    b"GGUF": f"a GGUF file: {_OTHER}",
    b"\x1f\x8b": f"a gzip archive: {_UNPACK}",
    b"BZh": f"a bzip2 archive: {_UNPACK}",
    b"\xfd7zXZ": f"an xz archive: {_UNPACK}",
    b"7z\xbc\xaf": f"a 7z archive: {_UNPACK}",
    b"(\xb5/\xfd": f"a zstd archive: {_UNPACK}",
}
# Parts of Hugging Face's names, in this order, and open_clip's.
_HUGGING_FACE = {
    "text_model.embeddings.token_embedding.": "token_embedding.",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.encoder.layers.": "transformer.resblocks.",
    "text_model.final_layer_norm.": "ln_final.",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.": "visual.conv1.",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    # Spelled so.
    "vision_model.pre_layrnorm.": "visual.ln_pre.",
    "vision_model.encoder.layers.": "visual.transformer.resblocks.",
    "vision_model.post_layernorm.": "visual.ln_post.",
    "text_projection.weight": "text_projection",
    "visual_projection.weight": "visual.proj",
    ".self_attn.": ".attn.",
    ".layer_norm1.": ".ln_1.",
    ".layer_norm2.": ".ln_2.",
    ".mlp.fc1.": ".mlp.c_fc.",
    ".mlp.fc2.": ".mlp.c_proj.",
}


def file_in(folder: Path) -> Path:
    """The weights file in a folder as the Hugging Face hub has it, safetensors first. Raises ValueError, one line."""
    for name in _FOLDER_NAMES:
        if (folder / name).is_file():
            return folder / name
    found = sorted(path.name for path in folder.iterdir() if path.suffix in (".safetensors", ".bin", ".pt", ".pth"))
    names = f"name one of its files: {', '.join(found[:5])}" if found else "there is no weights file in it"
    raise ValueError(f"weights {folder}: a folder without {_FOLDER_NAMES[0]}; {names}")


def load_weights(network: "CLIP | CustomTextCLIP", path: Path, model: str, log: Callable = print) -> None:
    """Load a file into a network as open_clip would, then strictly.

    Raises ValueError, one line, when it holds no weights, those of another model or ones that are not finite.
    """
    from open_clip.model import resize_pos_embed

    own, state = network.state_dict(), read_state(path)
    try:
        state = open_clip_state(state, network)
        before = state.get("visual.positional_embedding")
        resize_pos_embed(state, network)
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"weights {path}: do not fit model {model} ({first_line(error)})") from None
    lacking, extra = own.keys() - state.keys(), state.keys() - own.keys()
    wrong = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    if lacking or extra or wrong:
        example = sorted(lacking or extra or wrong)[0]
        raise ValueError(
            f"weights {path}: do not fit model {model}: {len(lacking)} tensors missing, {len(extra)} unknown, "
            f"{len(wrong)} of another shape (for one, {example!r})"
        )
    for key in own:
        # What clip-emoji never learned is NaN there.
        if not key.endswith("token_embedding.weight") and not state[key].isfinite().all():
            raise ValueError(f"weights {path}: {key} holds values that are not finite")
    network.load_state_dict(state)
    if before is not None and len(before) != len(state["visual.positional_embedding"]):
        places = f"from {len(before)} to {len(state['visual.positional_embedding'])} places"
        log(f"weights {path}: of another image size, position embeddings resized {places}")


def read_state(path: Path) -> State:
    """The tensors of a safetensors file, or of a state dict that torch.save wrote, whatever the file is called.

    Raises ValueError, one line, that says what any other file is and what to do.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
        problem = _unreadable(head, path)
        content = None if problem else _content(head, path)
    except Exception as error:
        # A damaged byte may lead to any.
        problem = _damage(error)
    if problem:
        raise ValueError(f"weights {path}: {problem}")
    if not isinstance(content, dict):
        raise ValueError(f"weights {path}: holds a {type(content).__name__}, and no state dict")
    for _ in _WRAPPERS:
        content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)), content)
    state = {key: value for key, value in content.items() if isinstance(key, str) and _is_plain(value)}
    if not state:
        keys = ", ".join(map(repr, content))
        raise ValueError(
            f"weights {path}: holds no tensors by name, as a state dict does, but {keys[:100] or 'nothing'}"
        )
    return state


def open_clip_state(state: State, network: "CLIP | CustomTextCLIP") -> State:
    """The tensors of a state dict under the names that open_clip gives them in this network, as float32.

    Raises ValueError where two have the same name; other errors of shapes where the tensors are no such model's.
    """
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    names = {key: _PREFIX.sub("", key) for key in state}
    if len(set(names.values())) < len(names):
        raise ValueError("it holds tensors twice, under several prefixes")
    state = {names[key]: value.float() if value.is_floating_point() else value for key, value in state.items()}
    if any(key.startswith("text_model.") for key in state):
        state = _from_hugging_face(state)
    # Clip-emoji keeps only the tokens it learned: the others become NaN.
    if "token_embedding.rows" in state:
        rows, ids = state.pop("token_embedding.rows"), state.pop("token_embedding.ids")
        table = torch.full((network.vocab_size, rows.shape[1]), float("nan"))
        table[ids.long()] = rows
        state["token_embedding.weight"] = table
    if hasattr(network.visual, "trunk"):
        # Apple's MobileCLIP.
        state = convert_state_dict(network, state)
    if "positional_embedding" in state and not hasattr(network, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    for key, own in network.state_dict().items():
        if key in ("logit_scale", "logit_bias") and key in state and state[key].numel() == 1:
            state[key] = state[key].reshape(own.shape)
    return {key: value for key, value in state.items() if key not in _NO_WEIGHTS and not key.endswith("position_ids")}


def _from_hugging_face(state: State) -> State:
    """The names of a transformers.CLIPModel as open_clip's: query, key and value stacked, projections from the left."""
    renamed = {}
    for key, value in state.items():
        for theirs, ours in _HUGGING_FACE.items():
            key = key.replace(theirs, ours)
        renamed[key] = value.T if key in ("text_projection", "visual.proj") else value
    for key in [key for key in renamed if ".attn.q_proj." in key]:
        parts = [renamed.pop(key.replace(".q_proj.", f".{part}_proj.")) for part in "qkv"]
        renamed[key.replace(".q_proj.", ".in_proj_")] = torch.cat(parts)
    return renamed


def _content(head: bytes, path: Path) -> Any:
    if _is_safetensors(head):
        return load_file(path)
    # Given a path, torch.load goes by its suffix.
    with path.open("rb") as file:
        return torch.load(file, map_location="cpu", weights_only=True)


def _is_safetensors(head: bytes) -> bool:
    """It begins with the length of its header, eight bytes, and the header, JSON."""
    return head[6:9] == b"\0\0{"


def _is_plain(value: Any) -> bool:
    """Whether it is a tensor with a number at each place, in memory."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.is_complex())
    )


def _unreadable(head: bytes, path: Path) -> str:
    """What a file is that holds no weights which can be read here, and what to do; empty where it may hold some."""
    if not head:
        return f"an empty file: {_AGAIN}"
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        size = re.search(rb"size (\d+)", head)
        of = f" of a file of {int(size[1]) / 1e6:,.0f} MB" if size else ""
        return f"a Git LFS pointer{of}, not the weights: run git lfs pull where it was cloned"
    if _is_safetensors(head) or (head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5"):
        return ""
    if head.startswith(b"PK"):
        return _unreadable_zip(path)
    for signature, meaning in _SIGNATURES.items():
        if head.startswith(signature):
            return meaning
    if head[257:262] == b"ustar":
        return f"a tar archive: {_UNPACK}"
    # A MessagePack map with a text as its first key.
    if 0x80 < head[0] < 0x90 and 0xA0 <= head[1:2].ljust(1)[0] < 0xC0:
        return f"a Flax file: {_OTHER}"
    text = _text(head)
    if text:
        kind = "an HTML page" if text.startswith("<") else f"a text file that begins with '{text.splitlines()[0][:40]}'"
        return f"{kind}, not the weights: {_AGAIN}"
    return "neither a safetensors file nor a state dict that torch.save wrote, which are read here"


def _text(head: bytes) -> str:
    """A file's beginning as text; empty where it is none. Its last letter may be cut."""
    try:
        text = getincrementaldecoder("utf-8-sig")().decode(head).strip()
    except UnicodeDecodeError:
        return ""
    return text if all(letter.isprintable() or letter.isspace() for letter in text) else ""


def _unreadable_zip(path: Path) -> str:
    with ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("constants.pkl") for name in names):
        return (
            "a TorchScript archive, as OpenAI publishes its models; it holds code and is not read: "
            f"{_OTHER} (open_clip_model.safetensors on the Hugging Face hub), or -p weights openai where online"
        )
    if any(name.endswith("data.pkl") for name in names):
        return ""
    if names and all(name.endswith(".npy") for name in names):
        return f"an archive of NumPy arrays: {_OTHER}"
    return f"a zip archive and no checkpoint: {_UNPACK}"


def _damage(error: Exception) -> str:
    """What is wrong with a file, from what its reader raised, without torch's advice on how to run its code."""
    code = re.search(r"GLOBAL (\S+) was not an allowed", str(error)) if isinstance(error, UnpicklingError) else None
    if code:
        return (
            f"a pickle that asks for {code[1][:80]}, not a plain state dict; it may run code and is not read: {_OTHER}"
        )
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied"
    reason = (
        "" if isinstance(error, (UnpicklingError, BadZipFile)) else f" ({type(error).__name__}: {first_line(error)})"
    )
    return f"damaged or cut short{reason}: {_AGAIN}"
