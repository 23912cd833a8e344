"""A weights file is shown images as it was trained; open_clip, given the same file as a tag, is the witness."""

import json
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch
from open_clip.constants import IMAGENET_MEAN, IMAGENET_STD, INCEPTION_MEAN, INCEPTION_STD
from PIL import Image
from safetensors.torch import save_file

from lmptlib.clip.loading import load_clip, weights_fingerprint
from lmptlib.clip.preprocessing import preprocessing
from lmptlib.config import resolve
from lmptlib.data.loading import load_dataset
from lmptlib.runs.classifier import Classifier

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
HALVES = {"mean": INCEPTION_MEAN, "std": INCEPTION_STD, "interpolation": "bilinear", "resize_mode": "squash"}
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A model that open_clip knows by name, a file of its weights, and `tags`, which sets its pretrained tags."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny-vit", TINY)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny-vit-quickgelu", TINY | {"quick_gelu": True})
    file = tmp_path / "tiny.safetensors"
    torch.manual_seed(0)
    save_file(open_clip.create_model("tiny-vit").state_dict(), file)

    def tags(model="tiny-vit", **cfgs):
        table = {tag: {"file": str(file), **cfg} for tag, cfg in cfgs.items()}
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, model, table)

    return SimpleNamespace(file=str(file), tags=tags, folder=tmp_path)


def shown(clip):
    return clip.encode_images(clip.preprocess(PICTURE)[None])


def by_open_clip(tag):
    network, _, preprocess = open_clip.create_model_and_transforms("tiny-vit", pretrained=tag)
    with torch.no_grad():
        return network.eval().encode_image(preprocess(PICTURE)[None], normalize=True)


def test_a_file_is_shown_images_as_its_tags_agree(named):
    named.tags(one=HALVES, two=HALVES)
    lines = []
    clip = load_clip("tiny-vit", named.file, log=lines.append)
    torch.testing.assert_close(shown(clip), by_open_clip("two"), atol=1e-5, rtol=0)
    assert lines == [
        f"model tiny-vit, weights {named.file}, activation GELU, images 32 x 32, mean and std 0.5, bilinear, resize squash, "
        "from all tags of tiny-vit (2)"
    ]
    named.tags(one={})
    other = load_clip("tiny-vit", named.file, log=lambda line: None)
    torch.testing.assert_close(shown(other), by_open_clip("one"), atol=1e-5, rtol=0)
    assert (shown(clip) - shown(other)).abs().max() > 1e-3 and clip.fingerprint != other.fingerprint


def test_a_file_is_refused_where_tags_differ_unless_one_is_named(named):
    named.tags(plain={}, same={}, third={}, fourth={}, half=HALVES)
    with pytest.raises(ValueError) as error:
        load_clip("tiny-vit", named.file)
    assert str(error.value) == (
        "model tiny-vit: a file does not say which of its tags it is, and those were shown images in 2 ways: OpenAI's mean "
        "and std, bicubic, resize shortest (plain, same, third and 1 more); mean and std 0.5, bilinear, resize squash "
        "(half): pass -p preprocess TAG"
    )
    for tag in ("plain", "half"):
        lines = []
        clip = load_clip("tiny-vit", named.file, log=lines.append, preprocess=tag)
        torch.testing.assert_close(shown(clip), by_open_clip(tag), atol=1e-5, rtol=0)
        assert lines[0].endswith(f", from tag {tag}")


def test_imagenet_does_not_need_what_it_replaces(named):
    named.tags(plain={}, half=HALVES | {"interpolation": "bicubic"})
    lines = []
    load_clip("tiny-vit", named.file, log=lines.append, preprocess="imagenet")
    assert lines[0].endswith("ImageNet's mean and std, bicubic, resize squash, from preprocess imagenet")


@pytest.mark.parametrize(
    "changed",
    [
        {"mean": IMAGENET_MEAN},
        {"std": IMAGENET_STD},
        {"interpolation": "bilinear"},
        {"resize_mode": "squash"},
        {"resize_mode": "longest"},
    ],
)
def test_features_of_another_preprocessing_are_not_served_from_the_cache(named, changed):
    named.tags(plain={}, other=changed)
    plain, other = (load_clip("tiny-vit", named.file, preprocess=tag, log=print) for tag in ("plain", "other"))
    assert plain.fingerprint != other.fingerprint
    again = load_clip("tiny-vit", named.file, preprocess="plain", log=print)
    assert plain.fingerprint == again.fingerprint


def test_a_run_of_wrongly_shown_images_is_not_reloaded(named):
    """Until version 0.2 a file was always shown images as OpenAI's models were: its runs then had another fingerprint."""
    named.tags(one={})
    before = weights_fingerprint("tiny-vit", named.file)
    named.tags(one=HALVES)
    assert weights_fingerprint("tiny-vit", named.file) != before


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("ViT-B-32", ("OpenAI", "bicubic", "shortest")),
        ("PE-Core-B-16", (INCEPTION_MEAN, "bilinear", "squash")),
        ("MobileCLIP2-S0", ((0.0, 0.0, 0.0), "bilinear", "shortest")),
        ("ViT-H-14-378-quickgelu", ("OpenAI", "bicubic", "squash")),
        ("ViT-B-16-plus", ()),
    ],
)
def test_published_models(model, kind):
    found, _ = preprocessing(model, "file.pt")
    openai = (0.48145466, 0.4578275, 0.40821073)
    wanted = tuple(openai if value == "OpenAI" else value for value in kind)
    assert tuple(found[key] for key in ("mean", "interpolation", "resize_mode") if found) == wanted


def test_published_models_whose_tags_differ():
    with pytest.raises(ValueError, match=r"2 ways: .*\(openai, .*mean and std 0.5, .*\(laion2b_s32b_b82k\)"):
        preprocessing("ViT-L-14", "file.pt")
    assert preprocessing("ViT-L-14", "file.pt", "laion2b_s32b_b82k")[0]["mean"] == INCEPTION_MEAN
    assert preprocessing("own.json", "file.pt", "meta")[0]["mean"] == INCEPTION_MEAN, "a tag of other models"
    with pytest.raises(ValueError, match=r"preprocess datacomp1b: its models .*datacomp1b of ViT-L-14-CLIPA"):
        preprocessing("own.json", "file.pt", "datacomp1b")


def test_a_file_of_gelu_says_which_weights_have_quickgelu(named):
    named.tags(openai={"quick_gelu": True}, laion={})
    named.tags("tiny-vit-quickgelu", openai={"quick_gelu": True})
    lines = []
    load_clip("tiny-vit", named.file, log=lines.append)
    load_clip("tiny-vit-quickgelu", named.file, log=lines.append)
    load_clip("tiny-vit", "laion", log=lines.append)
    said = [line.split("activation ")[1].split(", images")[0] for line in lines]
    assert said == ["GELU (if these are openai, the model is tiny-vit-quickgelu)", "QuickGELU", "GELU"]


def test_a_run_is_reloaded_with_its_preprocessing(named, make_run):
    named.tags(plain={}, half=HALVES)
    run = make_run(model="tiny-vit", weights=named.file, preprocess="half", method="linear_probe")
    again = Classifier(run)
    assert again.clip.fingerprint == load_clip("tiny-vit", named.file, preprocess="half").fingerprint
    split = load_dataset(run.settings["dataset"]).test
    np.testing.assert_allclose(again.scores(again.features(list(split.paths))), run.scores()["scores"], atol=1e-5)


def test_the_setting():
    assert resolve().preprocess == "clip"
    assert resolve(preprocess="LAION2B-s32b-b82k").preprocess == "laion2b_s32b_b82k"
    with pytest.raises(ValueError) as error:
        resolve(preprocess="laion2b_s32b_b28k")
    text = "is clip, imagenet or a pretrained tag of open_clip, not 'laion2b_s32b_b28k'; near it: laion2b_s32b_b82k"
    assert str(error.value).startswith(f"setting 'preprocess' {text}")
    with pytest.raises(ValueError, match=r"^preprocess is clip, imagenet or a pretrained tag of open_clip, not 'x!'$"):
        preprocessing("ViT-B-32", "openai", "x!")


def config(named, **fields):
    path = named.folder / "snapshot" / "open_clip_config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"model_cfg": TINY, **fields}))
    return str(path)


def test_a_config_of_the_hub_brings_its_preprocessing(named):
    path, lines = config(named, preprocess_cfg=HALVES), []
    save_file(
        open_clip.create_model("tiny-vit").state_dict(), named.folder / "snapshot" / "open_clip_model.safetensors"
    )
    clip = load_clip(path, str(named.folder / "snapshot"), log=lines.append)
    network, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{named.folder / 'snapshot'}")
    with torch.no_grad():
        theirs = network.eval().encode_image(preprocess(PICTURE)[None], normalize=True)
    torch.testing.assert_close(shown(clip), theirs, atol=1e-5, rtol=0)
    assert lines[0].startswith("model snapshot, ") and lines[0].endswith(
        "0.5, bilinear, resize squash, from its config"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"preprocess_cfg": {"means": [0, 0, 0]}}, "preprocess_cfg.means: "),
        ({"preprocess_cfg": {"mean": [0.5, 0.5]}}, "preprocess_cfg.mean.2: "),
        ({"preprocess_cfg": {"std": [0, 1, 1]}}, "preprocess_cfg.std.0: "),
        ({"preprocess_cfg": {"interpolation": "cubic"}}, "preprocess_cfg.interpolation: "),
        ({"preprocess_cfg": "clip"}, "preprocess_cfg: "),
        ({"model_cfg": []}, "not an open_clip config, it lacks embed_dim, vision_cfg, text_cfg"),
        (
            {"model_cfg": TINY | {"text_cfg": TINY["text_cfg"] | {"hf_tokenizer_name": "t5"}}},
            "its tokenizer is not CLIP's (",
        ),
    ],
)
def test_wrong_configs_of_the_hub(named, fields, said):
    path = config(named, **fields)
    with pytest.raises(ValueError) as error:
        load_clip(path, named.file)
    assert f": {said}" in str(error.value) and "\n" not in str(error.value)


def test_a_config_does_not_take_the_place_of_a_model(named):
    """open_clip keeps configs by their file's name for the rest of the process; a user's may be called as one of its."""
    path = named.folder / "ViT-B-32.json"
    path.write_text(json.dumps(TINY))
    lines = []
    load_clip(str(path), named.file, log=lines.append)
    assert open_clip.get_model_config("ViT-B-32")["embed_dim"] == 512
    assert lines[0].endswith(
        "activation GELU, images 32 x 32, OpenAI's mean and std, bicubic, resize shortest, from its config"
    )
