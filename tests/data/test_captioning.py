"""`lmpt data caption`: sentences of labels, captions by a tiny BLIP of random weights, stopped, gone on with, damaged."""

import json
import re
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image
from test_longtail_card import photos  # noqa: F401
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

from lmptlib.data import captioning
from lmptlib.data.captioning import NOTHING, TEMPLATES, Captioner, model_captions, template_caption
from lmptlib.data.loading import captions_by, check_dataset, load_dataset
from lmptlib.errors import DataError
from lmptlib.paths import DiskError
from lmptlib.suite.cli.main import main

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "photo", "of", "red", "green", "blue", "dog", "cat"]
WORDS += ["person", "two", "the", "on", "grass"]


def caption(*args, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["data", "caption", *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="session")
def blip(tmp_path_factory) -> Path:
    """A BLIP of two small layers and eighteen words in a folder, as transformers saves it."""
    folder = tmp_path_factory.mktemp("blip")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokens = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
    text = {**sizes, **tokens, "vocab_size": len(WORDS), "encoder_hidden_size": 16, "max_position_embeddings": 64}
    vision = {**sizes, "image_size": 16, "patch_size": 8}
    torch.manual_seed(1)
    network = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision, projection_dim=16))
    with torch.no_grad():
        # with weights of the usual size it would say the same of every picture
        for weights in network.parameters():
            if weights.dim() > 1:
                weights.normal_(std=2)
    network.save_pretrained(folder)
    images = BlipImageProcessor(size={"height": 16, "width": 16})
    BlipProcessor(images, BertTokenizer(str(folder / "vocab.txt"))).save_pretrained(folder)
    return folder


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A CSV file of 11 training images of as many colours, and one for testing, without captions."""
    lines = ["image,labels,split"]
    for i in range(12):
        noise = np.random.default_rng(i).integers(0, 256, (14, 20, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{('dog', 'cat')[i % 2]},{'train' if i else 'test'}")
    (tmp_path / "pictures.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "pictures.csv"


def by_hand(blip: Path, image: Path) -> str:
    """The caption of one picture, a token at a time: the likeliest one after those that are there."""
    network = BlipForConditionalGeneration.from_pretrained(blip).eval()
    pixels = BlipProcessor.from_pretrained(blip)(images=Image.open(image), return_tensors="pt")["pixel_values"]
    seen, tokens = network.vision_model(pixels)[0], [2]
    for _ in range(captioning._LONGEST):
        logits = network.text_decoder(torch.tensor([tokens]), encoder_hidden_states=seen).logits[0, -1]
        tokens.append(int(logits.argmax()))
        if tokens[-1] == 3:
            break
    return " ".join(word for word in (WORDS[token] for token in tokens) if word not in WORDS[:5])


def test_the_model_says_what_is_likeliest_word_by_word(blip, pictures, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    told = caption(pictures, "--name", tmp_path / "said", "--model", blip, "--batch", 4)
    made, source = load_dataset(str(tmp_path / "said/said.yaml")), load_dataset(str(pictures))
    expected = tuple(by_hand(blip, path) or NOTHING for path in source.train.paths)
    assert made.train.captions == expected and len(set(expected)) > 3
    assert made.train.names == source.train.names and made.test.names == source.test.names
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    by = captions_by(str(tmp_path / "said/said.yaml"))
    assert re.fullmatch(rf"the model {re.escape(str(blip))}, weights [0-9a-f]{{16}}", by)
    assert f"note: said: captions by {by}\n" in told and "wrote" in told
    assert any(by in warning for warning in check_dataset(str(tmp_path / "said/said.yaml"), None, tmp_path).warnings)
    # a card that is there is not made anew unasked; with --force all captions are there already
    told = caption(pictures, "--name", tmp_path / "said", "--model", blip, code=1)
    assert told == f"Error: {tmp_path}/said/said.yaml is there already; --force overwrites it\n"
    assert "captions: 11 of 11 are kept" in caption(pictures, "--name", tmp_path / "said", "--model", blip, "--force")


def test_a_prompt_begins_every_caption_and_is_named(blip, pictures):
    captioner = Captioner(str(blip), "a photo of")
    said = captioner([Image.open(path) for path in load_dataset(str(pictures)).train.paths[:3]])
    assert all(text.startswith("a photo of") for text in said)
    assert captioner.name.endswith(", beginning with 'a photo of'")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_named(pictures, tmp_path, monkeypatch):
    split, path, opened = load_dataset(str(pictures)).train, tmp_path / "captions.jsonl", Path.open
    path.write_text(json.dumps({"captions_by": "me"}) + "\n")

    def describe(images):
        return ["a photo"] * len(images)

    describe.name = "me"
    monkeypatch.setattr(
        Path,
        "open",
        lambda self, mode="r", *more, **kw: opened(Path("/dev/full") if mode == "a" else self, mode, *more, **kw),
    )
    with pytest.raises(DiskError, match=f"^{tmp_path}: the disk is full"):
        model_captions(split, describe, path, 4, lambda line: None, cache=tmp_path / "cache")


def test_stopped_anywhere_it_goes_on_to_the_same_file(blip, pictures, tmp_path):
    split, captioner = load_dataset(str(pictures)).train, Captioner(str(blip))
    whole = model_captions(split, captioner, tmp_path / "a/captions.jsonl", 4, lambda line: None, cache=tmp_path)
    content = (tmp_path / "a/captions.jsonl").read_bytes()
    starts = [len(b"".join(content.splitlines(True)[:lines])) for lines in range(13)]
    for cut in (0, 3, starts[1], starts[1] + 9, starts[4], starts[6] + 30, len(content) - 1, len(content)):
        path = tmp_path / f"cut{cut}.jsonl"
        path.write_bytes(content[:cut])
        asked = []

        def counted(images):
            asked.append(len(images))  # noqa: B023
            return captioner(images)

        counted.name = captioner.name
        again = model_captions(split, counted, path, 4, lambda line: None, cut < starts[1], tmp_path)
        assert again == whole and path.read_bytes() == content
        kept = max(0, sum(start <= cut for start in starts) - 2)
        assert sum(asked) == sum(size for first, size in ((0, 4), (4, 4), (8, 3)) if kept < first + size)


def test_a_changed_picture_and_another_model(blip, pictures, tmp_path):
    split, captioner, path = load_dataset(str(pictures)).train, Captioner(str(blip)), tmp_path / "captions.jsonl"
    model_captions(split, captioner, path, 1, lambda line: None, cache=tmp_path / "cache")
    Image.new("RGB", (30, 30), (250, 10, 200)).save(split.paths[4])
    asked = []

    def other(images):
        asked.extend(images)
        return ["something else"] * len(images)

    other.name = captioner.name
    again = load_dataset(str(pictures)).train
    said = model_captions(again, other, path, 1, lambda line: None, cache=tmp_path / "cache")
    assert len(asked) == 1 and [i for i, text in enumerate(said) if text == "something else"] == [4]
    other.name = "the model other"
    with pytest.raises(DataError, match=r"captions by the model /.* and not by the model other; take another --name"):
        model_captions(again, other, path, 1, lambda line: None, cache=tmp_path / "cache")
    said = model_captions(again, other, path, 1, lambda line: None, force=True, cache=tmp_path / "cache")
    assert set(said) == {"something else"}


def test_what_is_damaged_is_named_and_the_rest_is_kept(blip, pictures, tmp_path):
    (tmp_path / "3.png").write_bytes(b"no picture")
    args = (pictures, "--name", tmp_path / "said", "--model", blip, "--batch", 4)
    told = caption(*args, code=1)
    assert f"{tmp_path}/3.png: cannot be decoded as an image" in told and "the same command goes on" in told
    path = tmp_path / "said/captions.jsonl"
    lines = path.read_text().splitlines()
    assert len(lines) == 11 and not (tmp_path / "said/said.yaml").exists()
    Image.new("RGB", (20, 20), (9, 200, 9)).save(tmp_path / "3.png")
    assert "captions: 10 of 11" not in caption(*args)
    assert len(load_dataset(str(tmp_path / "said/said.yaml")).train.captions) == 11
    path.write_text("\n".join([lines[0], json.dumps({"image": "x"}), ""]))
    told = caption(*args, "--force", code=1)
    assert told.splitlines()[-1] == f"Error: {path} line 2: not as it was written; delete the file to begin anew"


def test_a_caption_that_says_nothing_is_replaced_and_counted(blip, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(Captioner, "__call__", lambda self, images: ["", "a dog"][: len(images)])
    told = caption(pictures, "--name", tmp_path / "said", "--model", blip, "--batch", 2)
    assert f"note: 6 captions are empty; '{NOTHING}' stands for them" in told
    made = load_dataset(str(tmp_path / "said/said.yaml"))
    assert made.train.captions == (NOTHING, "a dog") * 5 + (NOTHING,)


def test_no_transformers_no_model_and_no_captioning_model_are_a_line_each(pictures, tmp_path, monkeypatch):
    args = (pictures, "--name", tmp_path / "said")
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip/config.json").write_text('{"model_type": "clip"}')
    for folder in ("none", "clip"):
        told = caption(*args, "--model", tmp_path / folder, code=1)
        assert told.count("\n") == 1 and f"{folder}: cannot be opened to make captions: " in told
        assert ("there is no such folder" in told) == (folder == "none")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    told = caption(*args, "--model", "nobody/has-this", code=1)
    assert (
        told.count("\n") == 1 and "it is not on this machine, and 127.0.0.1:1 cannot be reached: name a folder" in told
    )
    monkeypatch.setitem(sys.modules, "transformers", None)
    told = caption(*args, code=1)
    assert told == "Error: captions by a model need transformers: pip install 'lmptlib[captions]'\n"
    told = caption(*args, "--templates", "--model", "x", code=2)
    assert "--templates are made of the labels" in told and not (tmp_path / "said").exists()


def test_templates_name_the_labels_and_nothing_else(photos, tmp_path):  # noqa: F811
    told = caption(photos, "--name", tmp_path / "said", "--templates")
    source, made = load_dataset(str(photos)), load_dataset(str(tmp_path / "said/said.yaml"))
    frames = {template.partition("{}")[0] for template in TEMPLATES}
    begins, orders = set(), set()
    for row, text in zip(source.train.labels, made.train.captions):
        names = [source.class_names[c] for c in row.nonzero()[0]]
        begin = next(frame for frame in frames if text.startswith(frame))
        things = re.split(", | and ", text.removeprefix(begin).removesuffix("."))
        assert sorted(things) == sorted(f"a {name}" for name in names), text
        begins.add(begin)
        orders |= {things[0] for _ in [0] if len(names) == 4}
    assert begins == frames and len(orders) > 1
    assert "captions by templates of the labels, seed 0: they tell nothing that the labels do not" in told
    assert "note: photos has captions, which stay where they are" in told

    caption(photos, "--name", tmp_path / "again", "--templates")
    caption(photos, "--name", tmp_path / "other", "--templates", "--seed", 1)
    again, other = (load_dataset(str(tmp_path / name / f"{name}.yaml")) for name in ("again", "other"))
    assert again.train.captions == made.train.captions != other.train.captions
    assert template_caption([], "0 a.jpg") == NOTHING


def test_what_made_captions_stays_known_of_a_tail_that_is_cut_out(photos, tmp_path):  # noqa: F811
    caption(photos, "--name", tmp_path / "said", "--templates")
    card = tmp_path / "said/said.yaml"
    args = ["data", "make", str(tmp_path / "lt"), "--from", str(card), "--max", "20"]
    told = CliRunner().invoke(main, args)
    assert told.exit_code == 0 and "note: lt: captions by templates of the labels, seed 0" in told.output
    fields = yaml.safe_load((tmp_path / "lt/lt.yaml").read_text())
    assert fields["captions_by"] == captions_by(str(card)) and captions_by(str(photos)) == ""


def test_of_a_class_without_training_images_the_card_says_that_it_may_be(pictures, tmp_path):
    pictures.write_text(pictures.read_text().replace("\n0.png,dog", "\n0.png,cow"))
    (tmp_path / "card.yaml").write_text("name: card\nsource: pictures.csv\nallow_empty: true\n")
    told = caption(tmp_path / "card.yaml", "--name", tmp_path / "said", "--templates")
    assert "no training image: cow" in told and load_dataset(str(tmp_path / "said/said.yaml")).class_counts.min() == 0
