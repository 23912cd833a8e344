"""The frozen CLIP: cut against full prompts, tokens that were never learned, weights that do not fit."""

import hashlib
import json

import open_clip
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lmptlib.clip.loading import load_clip
from lmptlib.clip.text import TEMPLATES, template_features
from lmptlib.methods.logit_map import LogitMap
from lmptlib.methods.prompt_learner import PromptLearner
from lmptlib.paths import shipped

VOC_NAMES = ("aeroplane", "diningtable", "tvmonitor", "potted_plant")


@pytest.fixture(scope="module")
def clip():
    return load_clip(log=lambda line: None)


def encoded(clip, learner) -> torch.Tensor:
    """Unit features (C, D) of a learner's prompts."""
    return clip.encode_prompts([learner()])[0]


def photo_mini(shared):
    return load_clip(
        str(shared / "photos" / "photo-mini.json"),
        str(shared / "photos" / "photo-mini.safetensors"),
        log=lambda line: None,
    )


@pytest.mark.parametrize("which", ["clip-emoji", "photo-mini"])
def test_cut_prompts_equal_open_clips_full_ones(which, request):
    clip = load_clip(log=lambda line: None) if which == "clip-emoji" else photo_mini(request.getfixturevalue("shared"))
    texts = [f"a photo of a {name.replace('_', ' ')}." for name in VOC_NAMES]
    full = clip.model.encode_text(clip.tokenizer(texts), normalize=True)
    prompts = PromptLearner(clip, VOC_NAMES)
    assert len(prompts.fixed) < 9 * len(VOC_NAMES)
    torch.testing.assert_close(encoded(clip, prompts), full, atol=1e-5, rtol=0)
    torch.testing.assert_close(clip.encode_texts(texts), full, atol=1e-5, rtol=0)


@pytest.mark.parametrize("position", ["end", "front", "middle"])
def test_the_class_name_stands_where_it_should(clip, position):
    """The contexts start from words, so a prompt equals the text that says the same in that order."""
    prompts = PromptLearner(clip, VOC_NAMES, "a photo of a", class_position=position)
    template = {"end": "a photo of a {}.", "front": "{} a photo of a.", "middle": "a photo {} of a."}[position]
    texts = [template.format(name.replace("_", " ")) for name in VOC_NAMES]
    torch.testing.assert_close(encoded(clip, prompts), clip.encode_texts(texts).clone(), atol=1e-5, rtol=0)


def test_templates_are_averaged(clip):
    templates = ("a photo of a {}.", "art of the {}.")
    parts = [clip.encode_texts([t.format(name.replace("_", " ")) for name in VOC_NAMES]) for t in templates]
    mean = torch.nn.functional.normalize((parts[0] + parts[1]) / 2, dim=-1)
    torch.testing.assert_close(template_features(clip, VOC_NAMES, templates), mean)
    assert template_features(clip, VOC_NAMES, TEMPLATES).norm(dim=-1).allclose(torch.ones(len(VOC_NAMES)))


def test_words_are_embedded_without_what_stands_around_them(clip):
    words = clip.embed_words(clip.tokenize(["a dog", "a photo of a dog and a person"]), 4)
    tokens = clip.tokenize(["a dog", "a photo of a dog and a person"])
    torch.testing.assert_close(words[0, :2], clip.embed(tokens[0, 1:3]))
    assert not words[0, 2:].any(), "zero past the end"
    torch.testing.assert_close(words[1], clip.embed(tokens[1, 1:5]))


def test_imagenet_preprocessing_squashes_and_has_its_own_features():
    other = load_clip(log=lambda line: None, preprocess="imagenet")
    wide = Image.new("RGB", (128, 64), (124, 116, 104))  # ImageNet's mean
    wide.paste((255, 0, 0), (0, 0, 8, 64))  # a stripe that a centre crop would cut off
    pixels = other.preprocess(wide)
    assert pixels[:, :, -1].abs().max() < 0.02 and pixels[0, 0, 0] > 2
    assert other.fingerprint != load_clip(log=lambda line: None).fingerprint


def test_contexts(clip):
    shared = PromptLearner(clip, VOC_NAMES, class_specific=False)
    assert shared.context.shape == (1, 4, clip.width)
    torch.testing.assert_close(encoded(clip, shared), encoded(clip, PromptLearner(clip, VOC_NAMES)))
    generator = torch.Generator().manual_seed(0)
    random = PromptLearner(clip, VOC_NAMES, "random", 16, generator=generator)
    assert random.context.shape == (4, 16, clip.width)
    assert random.context.std().item() == pytest.approx(0.02, rel=0.1)
    with pytest.raises(ValueError, match="'a photo of a' is 4 tokens, n_ctx is 16"):
        PromptLearner(clip, VOC_NAMES, "a photo of a", 16)
    with pytest.raises(ValueError, match="does not fit 77 tokens"):
        PromptLearner(clip, VOC_NAMES, "random", 75)
    with pytest.raises(ValueError, match="ctx_init 'random' needs n_ctx"):
        PromptLearner(clip, VOC_NAMES, "random")


def test_only_contexts_learn(clip):
    prompts = PromptLearner(clip, VOC_NAMES)
    assert [name for name, p in prompts.named_parameters() if p.requires_grad] == ["context"]
    assert not any(p.requires_grad for p in clip.model.parameters())


def test_a_token_that_was_never_learned_is_refused_by_name(clip):
    with pytest.raises(
        ValueError, match="clip-emoji never learned the token 'quantum' of 'a photo of quantum physics'"
    ):
        clip.encode_texts(["a photo of a dog", "a photo of quantum physics"])
    with pytest.raises(ValueError, match="xylophone"):
        PromptLearner(clip, ("dog", "xylophone"))
    table = clip.text.token_embedding.weight
    assert not (table == 0).all(1).any()
    assert table.isfinite().all(1).sum() < 2000


def test_the_weights_belong_to_the_vocabulary():
    """They were trained with its `train` glyphs alone: a changed split needs new weights."""
    folder = shipped("data/emoji")
    with safe_open(folder / "clip-emoji.safetensors", "pt") as file:
        assert file.metadata()["vocabulary"] == hashlib.sha256((folder / "vocabulary.yaml").read_bytes()).hexdigest()


def test_every_caption_of_emoji_lt_can_be_read(clip):
    from lmptlib.data.loading import load_dataset

    assert clip.tokenize(list(load_dataset("emoji-lt").train.captions)).shape == (1142, 77)


def test_the_embedded_weights_are_small():
    path = shipped("data/emoji") / "clip-emoji.safetensors"
    assert path.stat().st_size < 10e6
    assert all(t.dtype in (torch.float16, torch.int32) or t.ndim == 0 for t in load_file(path).values())


def test_long_captions_keep_their_end_of_text(clip):
    tokens = clip.tokenize(["a dog and " * 60])
    assert tokens.argmax(-1).item() == 76 and clip.encode_texts(["a dog and " * 60]).isfinite().all()


@pytest.mark.parametrize(
    ("model", "weights", "message"),
    [
        ("ViT-B-61", "openai", "unknown model 'ViT-B-61'. Did you mean 'ViT-B-16'"),
        ("ViT-B-16", None, "needs weights: pass -p weights and one of its tags"),
        ("ViT-B-16", "openia", "openia: no such file and no tag of ViT-B-16. Did you mean 'openai'?"),
        ("ViT-B-16", "webli", "webli: no such file and no tag of ViT-B-16 (a tag of ViT-B-16-SigLIP, "),
        ("ViT-B-16", "folder/openai.pt", "folder/openai.pt: no such file"),
        ("{emoji}/clip-emoji.json", "openai", "openai: no such file (a tag of RN50, RN101, RN50x4 and "),
        ("nowhere.json", "x.safetensors", "model nowhere.json: no such file"),
        ("{folder}/bad.json", "{folder}/empty.safetensors", "not a JSON config"),
        ("{folder}/list.json", "{folder}/empty.safetensors", "not an open_clip config, it lacks embed_dim"),
        ("{emoji}/clip-emoji.json", None, "needs weights: pass -p weights and a file"),
        ("{emoji}/clip-emoji.json", "{folder}/empty.safetensors", "empty.safetensors: an empty file"),
        ("{emoji}/clip-emoji.json", "{folder}/junk.pt", "junk.pt: "),
        ("{emoji}/clip-emoji.json", "{folder}/other.safetensors", "do not fit model clip-emoji: "),
        ("{emoji}/clip-emoji.json", "{folder}/nan.safetensors", "visual.conv1.weight holds values that are not finite"),
        ("{emoji}/clip-emoji.json", "{folder}/script.pt", "a TorchScript archive"),
        ("{emoji}/clip-emoji.json", "{folder}/pickle.pt", "pickle.pt: a pickle that asks for "),
        ("{folder}/siglip.json", "{folder}/siglip.safetensors", "its text tower is not CLIP's causal one"),
    ],
)
def test_wrong_models_and_weights(tmp_path, model, weights, message):
    folder = shipped("data/emoji")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    state = load_file(folder / "clip-emoji.safetensors")
    state["visual.conv1.weight"][0] = float("nan")
    save_file(state, tmp_path / "nan.safetensors")
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / "script.pt")
    torch.save({"x": Harmless()}, tmp_path / "pickle.pt")
    tiny_text = {
        "context_length": 16,
        "vocab_size": 49408,
        "width": 16,
        "heads": 1,
        "layers": 1,
        "no_causal_mask": True,
        "pool_type": "last",
    }
    vision = {"image_size": 32, "layers": 1, "width": 16, "head_width": 16, "patch_size": 16}
    (tmp_path / "siglip.json").write_text(
        json.dumps({"embed_dim": 8, "custom_text": True, "vision_cfg": vision, "text_cfg": tiny_text})
    )
    open_clip.add_model_config(tmp_path / "siglip.json")
    save_file(open_clip.create_model("siglip").state_dict(), tmp_path / "siglip.safetensors")
    model, weights = (x and x.format(folder=tmp_path, emoji=folder) for x in (model, weights))
    with pytest.raises(ValueError) as error:
        load_clip(model, weights, log=lambda line: None)
    assert message in str(error.value) and "\n" not in str(error.value)


class Harmless:
    """Something a state dict never holds: reading it would run code."""


def test_openai_tags_take_quickgelu(monkeypatch):
    asked = {}

    def create(name, **settings):
        asked[name] = settings
        raise RuntimeError("no network")

    monkeypatch.setattr(open_clip, "create_model", create)
    for name in ("ViT-B-16", "RN50"):
        with pytest.raises(ValueError, match=f"model {name}: cannot be opened \\(no network\\); put a weights file"):
            load_clip(name, "openai")
        assert asked[name]["force_quick_gelu"] is True
    with pytest.raises(ValueError):
        load_clip("ViT-B-16", "laion2b_s34b_b88k")
    assert asked["ViT-B-16"]["force_quick_gelu"] is False


def test_affine_head_meets_the_label_density():
    cosine, targets = 0.2 + 0.05 * torch.randn(500, 20), (torch.rand(500, 20) < 0.1).float()
    head = LogitMap("affine", 17.8, 20)
    head.calibrate([(cosine, targets)])
    density = targets.mean()
    assert head(cosine).mean().item() == pytest.approx(torch.logit(density).item(), abs=1e-4)
    by_class = LogitMap("affine_per_class", 17.8, 20)
    by_class.calibrate(zip(cosine.split(150), targets.split(150)))
    torch.testing.assert_close(by_class(cosine).mean(0), torch.logit(targets.mean(0)), atol=1e-4, rtol=0)
    raw = LogitMap("raw", 17.8, 20)
    torch.testing.assert_close(raw(cosine), 17.8 * cosine)
    assert not any(p.requires_grad for p in raw.parameters())
