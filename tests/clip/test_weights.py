"""Weights files are read as open_clip reads them, and transformers' names too; every other file is told in one line."""

import io
import json
import tarfile
import zipfile

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file, save, save_file
from transformers import CLIPConfig, CLIPModel

from lmptlib.clip.loading import load_clip, locate
from lmptlib.clip.weights import load_weights, read_state
from lmptlib.paths import shipped

VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 16, "vocab_size": 80, "width": 32, "heads": 2, "layers": 2}


def network(custom=False, **vision):
    torch.manual_seed(0)
    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    return kind(embed_dim=16, vision_cfg=VISION | vision, text_cfg=dict(TEXT)).eval()


PIXELS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
TOKENS = torch.tensor([[78, 5, 6, 79] + 12 * [0], [78, 7, 79] + 13 * [0]])


@torch.no_grad()
def features(model):
    return torch.stack([model.encode_image(PIXELS), model.encode_text(TOKENS)])


@pytest.fixture(scope="module")
def state():
    """Weights that no network of this file begins with."""
    torch.manual_seed(7)
    generator = torch.Generator().manual_seed(7)
    return {
        key: value + 0.05 * torch.randn(value.shape, generator=generator)
        for key, value in network().state_dict().items()
    }


def loaded(content, folder, model=None, log=print):
    """A network with weights from a file that holds `content`, by safetensors where they are plain tensors."""
    path = folder / "weights.bin"
    if all(isinstance(value, torch.Tensor) for value in content.values()):
        save_file({key: value.contiguous() for key, value in content.items()}, path)
    else:
        torch.save(content, path)
    model = model or network()
    load_weights(model, path, "tiny", log)
    return model


def prefixed(prefix):
    return lambda state: {f"{prefix}{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state,
        prefixed("module."),
        prefixed("_orig_mod."),
        prefixed("model."),
        prefixed("clip."),
        prefixed("module._orig_mod.model.clip."),
        lambda state: {key.replace("visual.", "visual._orig_mod."): value for key, value in state.items()},
        lambda state: {"model": state},
        lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3}]}},
        lambda state: {"model_state_dict": state, "epoch": 3},
        lambda state: {"model": {"state_dict": prefixed("module.")(state)}},
        lambda state: state | {"logit_scale": state["logit_scale"][None]},
        lambda state: state | {"text.transformer.embeddings.position_ids": torch.arange(16)[None]},
        lambda state: state | {"input_resolution": torch.tensor(32), "vocab_size": torch.tensor(80)},
    ],
)
def test_it_is_loaded_as_open_clip_would(change, state, tmp_path):
    plain = network()
    plain.load_state_dict(state)
    torch.testing.assert_close(features(loaded(change(state), tmp_path)), features(plain), atol=1e-6, rtol=0)


def test_plain_names_fit_a_custom_text_model(state, tmp_path):
    save_file(state, tmp_path / "plain.safetensors")
    ours, theirs = loaded(state, tmp_path, network(custom=True)), network(custom=True)
    open_clip.load_checkpoint(theirs, str(tmp_path / "plain.safetensors"))
    torch.testing.assert_close(features(ours), features(theirs), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_positions_of_another_image_size_are_resized_and_said(state, tmp_path, dtype):
    smaller = {key: value.to(dtype) for key, value in state.items()}
    save_file({key: value.float() for key, value in smaller.items()}, tmp_path / "small.safetensors")
    lines, theirs = [], network(image_size=64)
    ours = loaded(smaller, tmp_path, network(image_size=64), lines.append)
    open_clip.load_checkpoint(theirs, str(tmp_path / "small.safetensors"))
    torch.testing.assert_close(ours.visual.positional_embedding, theirs.visual.positional_embedding)
    assert lines[0].endswith("of another image size, position embeddings resized from 17 to 65 places")


def test_another_text_length_is_another_model(state, tmp_path):
    with pytest.raises(ValueError, match="1 of another shape \\(for one, 'positional_embedding'\\)"):
        loaded(state | {"positional_embedding": torch.zeros(8, 32)}, tmp_path)


def test_tensors_that_are_there_twice_are_refused(state, tmp_path):
    twin = {key: value.clone() for key, value in state.items()}
    with pytest.raises(ValueError, match=r"do not fit model tiny \(it holds tensors twice"):
        loaded(prefixed("model.")(state) | prefixed("module.")(twin), tmp_path)


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
@pytest.mark.parametrize("custom", [False, True])
def test_a_clip_of_transformers_gives_its_own_features(activation, custom, tmp_path):
    torch.manual_seed(0)
    tower = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = tower | {"vocab_size": 49408, "max_position_embeddings": 16, "eos_token_id": 49407, "bos_token_id": 49406}
    theirs = CLIPModel(
        CLIPConfig(
            text_config=text | {"hidden_act": activation},
            vision_config=tower | {"image_size": 32, "patch_size": 8, "hidden_act": activation},
            projection_dim=16,
        )
    ).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    theirs.save_pretrained(tmp_path)
    config = tmp_path / "tiny.json"
    fields = {"embed_dim": 16, "quick_gelu": activation == "quick_gelu", "custom_text": custom}
    config.write_text(json.dumps(fields | {"vision_cfg": VISION, "text_cfg": TEXT | {"vocab_size": 49408}}))
    ours = load_clip(str(config), str(tmp_path), log=lambda line: None)
    texts = ["a dog", "a photo of two cats"]
    with torch.no_grad():
        wanted = theirs(input_ids=ours.tokenize(texts), pixel_values=PIXELS)
    torch.testing.assert_close(ours.encode_images(PIXELS).clone(), wanted.image_embeds, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.encode_texts(texts).clone(), wanted.text_embeds, atol=1e-5, rtol=0)
    assert ours.logit_scale == pytest.approx(theirs.logit_scale.exp().item())


@pytest.mark.parametrize("name", ["weights.pt", "weights.bin", "weights.safetensors", "weights"])
@pytest.mark.parametrize("write", [save_file, torch.save])
def test_the_content_decides_and_not_the_name(name, write, state, tmp_path):
    write(state, tmp_path / name)
    read = read_state(tmp_path / name)
    assert read.keys() == state.keys() and all(torch.equal(read[key], state[key]) for key in state)


def test_torchs_old_format_is_read(state, tmp_path):
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(read_state(tmp_path / "old.pt")["ln_final.weight"], state["ln_final.weight"])


class Code:
    """Something a state dict never holds: reading it would run code."""


def written(write):
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def zipped(**files):
    def write(file):
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)

    return written(write)


def tarred(file):
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.safetensors"))


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 605143284\n".format("0" * 64).encode()
SCRIPT = written(lambda file: torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), file))
SAFE = save({"a": torch.ones(100)})
WRONG = {
    "empty": (b"", "an empty file: fetch it again"),
    "lfs": (LFS, "a Git LFS pointer of a file of 605 MB, not the weights: run git lfs pull where it was cloned"),
    "script": (
        SCRIPT,
        "a TorchScript archive, as OpenAI publishes its models; it holds code and is not read: take the ",
    ),
    "page": (b"\n<!DOCTYPE html><html>\xc3", "an HTML page, not the weights: fetch it again"),
    "text": ("Entry not found: é".encode(), "a text file that begins with 'Entry not found: é', not the weights: "),
    "zip": (zipped(readme="x"), "a zip archive and no checkpoint: unpack it and pass the weights file in it"),
    "npz": (
        written(lambda file: np.savez(file, a=np.ones(3))),
        "an archive of NumPy arrays: take the .safetensors of ",
    ),
    "npy": (written(lambda file: np.save(file, np.ones(3))), "a NumPy array: take the .safetensors of the same model"),
    "tar": (written(tarred), "a tar archive: unpack it"),
    "gzip": (b"\x1f\x8b\x08\x00", "a gzip archive: unpack it"),
    "keras": (b"\x89HDF\r\n\x1a\n\x00", "a Keras or TensorFlow file: take the .safetensors of the same model"),
    "flax": (b"\x82\xaatext_model\x81", "a Flax file: take the .safetensors of the same model"),
    "junk": (b"\x00\xff\xfe\x01" * 9, "neither a safetensors file nor a state dict that torch.save wrote"),
    "short": (SAFE[:-8], "damaged or cut short ("),
    "header": (SAFE[:30], "damaged or cut short ("),
    "half": (
        written(lambda file: torch.save({"a": torch.ones(99)}, file))[:400],
        "damaged or cut short: fetch it again",
    ),
    "code": (written(lambda file: torch.save({"a": Code()}, file)), "a pickle that asks for "),
    "tensor": (
        written(lambda file: torch.save(torch.ones(3), file)),
        "holds a Tensor, and no state dict",
    ),
    "keys": (
        written(lambda file: torch.save({"epo\nch": 3}, file)),
        "holds no tensors by name, as a state dict does, but 'epo\\nch'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_told_in_one_line(name, tmp_path):
    content, said = WRONG[name]
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_state(path)
    line = str(error.value)
    assert line.startswith(f"weights {path}: {said}") and "\n" not in line
    assert "torch.load" not in line and "weights_only" not in line


def test_no_code_of_a_pickle_is_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    for old in (False, True):
        torch.save({"a": Trap()}, tmp_path / "trap.pt", _use_new_zipfile_serialization=not old)
        with pytest.raises(ValueError, match="a pickle that asks for exec, not a plain state dict"):
            read_state(tmp_path / "trap.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        (["open_clip_pytorch_model.bin", "open_clip_model.safetensors"], "open_clip_model.safetensors"),
        (["model.safetensors", "pytorch_model.bin", "flax_model.msgpack"], "model.safetensors"),
        (["open_clip_pytorch_model.bin"], "open_clip_pytorch_model.bin"),
        (["b.pt", "a.safetensors"], "name one of its files: a.safetensors, b.pt"),
        (["README.md"], "there is no weights file in it"),
    ],
)
def test_a_folder_of_the_hub(files, taken, tmp_path):
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    if taken in files:
        assert locate("ViT-B-32", str(tmp_path)) == ("ViT-B-32", str(tmp_path / taken))
    else:
        with pytest.raises(ValueError, match=taken):
            locate("ViT-B-32", str(tmp_path))


@pytest.mark.parametrize("write", ["safetensors", "zip", "old"])
def test_damaged_bytes_give_one_line_or_weights(write, state, tmp_path):
    """Cut or flipped anywhere, a file is read or refused, with nothing but a line."""
    path, rng = tmp_path / "weights", np.random.default_rng(0)
    small = {key: value for key, value in state.items() if value.numel() < 100} | {
        "token_embedding.rows": torch.ones(1)
    }
    if write == "safetensors":
        save_file(small, path)
    else:
        torch.save(small, path, _use_new_zipfile_serialization=write == "zip")
    whole, model, refused = path.read_bytes(), network(), 0
    for turn in range(200):
        content = bytearray(whole[: rng.integers(len(whole))] if turn % 4 == 0 else whole)
        for _ in range(rng.integers(1, 20) if content else 0):
            place = rng.integers(min(len(content), 2000) if turn % 2 else len(content))
            content[place] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        with pytest.raises(ValueError) as error:
            load_weights(model, path, "tiny")
        assert "\n" not in str(error.value) and str(error.value).startswith(f"weights {path}: ")
        refused += "do not fit" not in str(error.value)
    assert refused > 50


def test_clip_emojis_file_is_whole_again(tmp_path):
    """Its token table has the rows that were learned, the others NaN; that of a state dict of it is read the same."""
    clip = load_clip(log=lambda line: None)
    torch.save(clip.model.state_dict(), tmp_path / "whole.pt")
    again = load_clip(str(shipped("data/emoji") / "clip-emoji.json"), str(tmp_path / "whole.pt"), log=print)
    stored = load_file(shipped("data/emoji") / "clip-emoji.safetensors")
    table = again.text.token_embedding.weight
    assert torch.equal(table[stored["token_embedding.ids"].long()], stored["token_embedding.rows"].float())
    assert int(table.isfinite().all(1).sum()) == len(stored["token_embedding.ids"])
    torch.testing.assert_close(again.encode_texts(["a dog"]), clip.encode_texts(["a dog"]))
