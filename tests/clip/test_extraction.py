"""Photographs decoded at a part of their size, and features in half the bytes: within bounds, and never mixed with others."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps
from safetensors.torch import load_file

from lmptlib.clip import features
from lmptlib.clip.extraction import EXACT, ROOM, Extraction
from lmptlib.clip.features import caption_features, crop_features, image_features, image_parts
from lmptlib.clip.loading import load_clip
from lmptlib.config import resolve
from lmptlib.data import images
from lmptlib.data.images import open_image
from lmptlib.data.loading import load_dataset
from lmptlib.runs.classifier import Classifier
from lmptlib.training import mapped
from lmptlib.training.mapped import MappedInputs, inputs_of
from lmptlib.training.plan import plan_run

quiet = lambda line: None  # noqa: E731
HALF, REDUCED = Extraction(stored="float16"), Extraction(decoding="reduced")
# what clip-emoji, whose pictures have 64 pixels, needs of a reduced one
LEAST = 64 * ROOM


@pytest.fixture(scope="module")
def clip():
    return load_clip(log=quiet)


def drawn(height: int = 800, width: int = 1200) -> dict[str, np.ndarray]:
    """Gradients, stripes, waves, blocks with and without noise, (H, W, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (height // 50, width // 50, 3)).repeat(50, 0).repeat(50, 1)
    made = {
        "gradient": np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], -1),
        "stripes": np.stack([255 * ((x // n) % 2) for n in (25, 50, 75)], -1),
        "waves": np.stack([127 + 127 * np.sin((x - width / 2) * (y - height / 3) / n) for n in (4e3, 8e3, 2e4)], -1),
        "blocks": blocks,
        "noise": blocks + rng.normal(0, 25, blocks.shape),
    }
    return {name: values.clip(0, 255).astype(np.uint8) for name, values in made.items()}


def jpeg(picture: np.ndarray | Image.Image, **options) -> bytes:
    content = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(content, "JPEG", quality=92, **options)
    return content.getvalue()


def seen(picture: Image.Image, size: tuple[int, int] = (60, 40)) -> np.ndarray:
    """A picture as a model might be shown it: small."""
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC), float)


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_reduced_photograph_looks_as_the_whole_one(clip, subsampling):
    for name, picture in drawn().items():
        content = jpeg(picture, subsampling=subsampling)
        whole, reduced = open_image(content), open_image(content, least=LEAST)
        assert whole.size == (1200, 800) and reduced.size == (300, 200)
        # each pixel the mean of those it stands for
        mean = picture.reshape(200, 4, 300, 4, 3).mean((1, 3))
        assert np.abs(np.asarray(reduced, float) - mean).mean() < 3, name
        assert np.abs(seen(reduced) - seen(whole)).mean() < 0.5, name
        of_whole, of_reduced = clip.encode_images(torch.stack([clip.preprocess(each) for each in (whole, reduced)]))
        assert of_whole @ of_reduced > 0.9995, name


@pytest.mark.parametrize(
    ("size", "least", "reduced"),
    [
        ((1600, 1600), 200, (200, 200)),
        ((1600, 1600), 201, (400, 400)),
        ((1600, 408), 200, (800, 204)),
        ((398, 800), 200, (398, 800)),
        # a quarter would leave a column that is seen in part
        ((1604, 1602), 200, (802, 801)),
        ((1603, 1600), 200, (1603, 1600)),
    ],
)
def test_it_keeps_the_pixels_that_are_needed_and_its_edges(size, least, reduced):
    assert open_image(jpeg(Image.new("RGB", size)), least=least).size == reduced


def test_other_formats_are_read_whole(tmp_path):
    for suffix in ("png", "webp", "bmp", "tif"):
        Image.new("RGB", (800, 800)).save(tmp_path / f"a.{suffix}")
        assert open_image(tmp_path / f"a.{suffix}", least=100).size == (800, 800)
    assert open_image(Image.new("RGB", (800, 800)), least=100).size == (800, 800)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = jpeg(drawn()["gradient"], exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    reduced = open_image(content, least=LEAST)
    assert reduced.size == (upright.width // 4, upright.height // 4)
    assert np.abs(seen(reduced) - seen(upright)).mean() < 0.5


def test_its_colours_are_those_of_its_profile_and_mode():
    # a profile whose red and blue are exchanged, as the colours' names in it are
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    picture = drawn()["gradient"]
    content = jpeg(picture, icc_profile=swapped)
    reduced = seen(open_image(content, least=LEAST))
    assert np.abs(reduced - seen(open_image(content))).mean() < 0.5
    assert np.abs(reduced - seen(open_image(jpeg(picture)))).mean() > 20
    for mode in ("L", "CMYK"):
        content = jpeg(Image.fromarray(picture).convert(mode))
        whole, reduced = open_image(content), open_image(content, least=LEAST)
        assert reduced.mode == "RGB" and reduced.size == (300, 200)
        assert np.abs(seen(reduced) - seen(whole)).mean() < 0.5


def test_what_is_refused_whole_is_refused_reduced(monkeypatch):
    content = jpeg(drawn()["noise"])
    for least in (None, LEAST):
        with pytest.raises(ValueError, match="truncated"):
            open_image(content[: len(content) // 2], least=least)
        with pytest.raises(ValueError, match="a strip of 4,020 x 10 pixels"):
            open_image(jpeg(Image.new("RGB", (4020, 10))), least=least and 5)
    # more than are decoded, but at half the size; and more than that
    monkeypatch.setattr(images, "MOST_PIXELS", 500_000)
    assert open_image(content).size == (600, 400) and open_image(content, least=LEAST).size == (300, 200)
    assert open_image(content, least=700).size == (600, 400)
    monkeypatch.setattr(images, "MOST_PIXELS", 200_000)
    with pytest.raises(ValueError, match="1,200 x 800 are more than 200,000 pixels"):
        open_image(content)


@pytest.fixture
def photographs(tiny):
    """The tiny card, its first six training scenes as large as photographs, and one test scene."""
    names = [f"train/{i}.jpg" for i in range(6)] + ["test/0.jpg"]
    for name in names:
        scene = Image.open(tiny.folder / name).resize((800, 800), Image.Resampling.LANCZOS)
        (tiny.folder / name).write_bytes(jpeg(scene))
    return tiny


def test_only_whole_large_photographs_are_others_and_caches_are_apart(photographs, clip, tmp_path):
    train = load_dataset(str(photographs.path)).train
    exact, reduced = (image_features(clip, train, True, tmp_path, quiet, how) for how in (EXACT, REDUCED))
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    for name in ("plain", "flipped"):
        changed = (exact[name] != reduced[name]).any(1)
        assert changed.nonzero().flatten().tolist() == list(range(6))
        assert (exact[name] * reduced[name]).sum(1).min() > 0.999
    crops = [crop_features(clip, train, 5, tmp_path, quiet, how) for how in (EXACT, REDUCED)]
    captions = [caption_features(clip, train, tmp_path, quiet, how) for how in (EXACT, REDUCED)]
    assert torch.equal(*crops) and torch.equal(*captions)
    assert len(list(tmp_path.glob("*.safetensors"))) == 4, "crops and captions have one file each"


def test_float16_takes_half_the_room_and_moves_a_feature_by_its_rounding(tiny, clip, tmp_path):
    train = load_dataset(str(tiny.path)).train

    def of(how: Extraction) -> dict[str, torch.Tensor]:
        cache = tmp_path / how.stored
        return {
            **image_features(clip, train, True, cache, quiet, how),
            "captions": caption_features(clip, train, cache, quiet, how),
            "crops": crop_features(clip, train, 5, cache, quiet, how).flatten(0, 1),
        }

    exact, half, again = of(EXACT), of(HALF), of(HALF)
    text = torch.nn.functional.normalize(torch.randn(50, 128, generator=torch.Generator().manual_seed(0)), dim=1)
    for name, whole in exact.items():
        assert half[name].dtype == torch.float32 and torch.equal(half[name], again[name]), "computed and read"
        np.testing.assert_array_equal(half[name].numpy(), whole.numpy().astype(np.float16).astype(np.float32))
        moved = (half[name] - whole).norm(dim=1)
        assert 0 < moved.max() <= 2**-11
        assert ((half[name] - whole) @ text.T).abs().max() <= 2**-11 + 1e-7
        assert torch.cosine_similarity(half[name].double(), whole.double()).min() > 1 - 2**-22
    sizes = [
        sum(file.stat().st_size for file in (tmp_path / how).glob("*.safetensors")) for how in ("float32", "float16")
    ]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.02)
    kept = [load_file(file) for file in (tmp_path / "float16").glob("*.safetensors")]
    assert {tensor.dtype for file in kept for tensor in file.values()} == {torch.float16}


def test_mapped_float16_parts_give_the_batches_of_memory(tiny, clip, tmp_path, monkeypatch):
    dataset = load_dataset(str(tiny.path))
    monkeypatch.setattr(features, "PART", 8)
    parts = image_parts(clip, dataset.train, True, tmp_path, quiet, HALF)["plain"]
    index = torch.tensor([23, 0, 9, 9])
    assert parts.rows(index).dtype == torch.float32 and torch.equal(parts.rows(index), parts.whole()[index])
    given = dataset, clip, tmp_path, quiet, 1, HALF
    in_memory = inputs_of(*given)
    monkeypatch.setattr(mapped, "HELD", 0)
    on_disk = inputs_of(*given)
    assert isinstance(on_disk, MappedInputs) and not isinstance(in_memory, MappedInputs)
    flips = torch.tensor([0, 1, 1, 0])
    for needs in (("images",), ("images", "captions")):
        one, other = (inputs.batch(needs, index, flips) for inputs in (in_memory, on_disk))
        for name in needs:
            assert torch.equal(getattr(one, name), getattr(other, name)) and getattr(one, name).dtype == torch.float32


def test_a_choice_has_its_own_key_and_the_default_none(photographs, cache, tmp_path, make_run):
    card = {"dataset": str(photographs.path), "cache": str(cache)}
    configs = [resolve(**card, **own) for own in ({}, {"decoding": "reduced"}, {"feature_dtype": "float16"})]
    assert not {"decoding", "feature_dtype"} & configs[0].effective().keys()
    assert len({plan_run(config, tmp_path).key for config in configs}) == 3
    exact, half = make_run(method="zero_shot"), make_run(method="zero_shot", feature_dtype="float16")
    difference = np.abs(exact.scores()["scores"] - half.scores()["scores"]).max()
    assert 0 < difference <= 2**-11 + 1e-6


def test_a_classifier_decodes_as_its_run_did(photographs, make_run):
    run = make_run(method="zero_shot", decoding="reduced")
    paths: list[Path] = [photographs.folder / "test" / f"{i}.jpg" for i in range(3)]
    classifier = Classifier(run)
    scores = classifier.scores(classifier.features(paths)[:, 0])
    np.testing.assert_allclose(scores, run.scores()["scores"][:3], atol=1e-6)
    exact = make_run(method="zero_shot").scores()["scores"][:3]
    assert np.abs(scores - exact)[0].max() > 1e-5
    np.testing.assert_allclose(scores[1:], exact[1:], atol=1e-6)
