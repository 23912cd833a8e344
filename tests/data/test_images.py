"""Pictures, opened: what is shown is what a photo viewer shows, and what is damaged is named."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

from lmptlib.data import images
from lmptlib.data.images import open_image, read_image

Y, X = np.mgrid[0:48, 0:64]
# A picture with a red mark at the upper left, small for testing.
RGB = np.stack([40 + 2 * X, 30 + 3 * Y, 200 - X - Y], -1).clip(0, 255).astype(np.uint8)
RGB[4:16, 6:22] = (220, 30, 30)
GREY = np.asarray(Image.fromarray(RGB).convert("L"))
GREY_RGB = np.repeat(GREY[..., None], 3, -1)
ALPHA = np.where((X - 40) ** 2 + (Y - 24) ** 2 < 300, 255, 0).astype(np.uint8)
SEEN = ALPHA[..., None] == 255
ON_WHITE = np.where(SEEN, RGB, 255)
HIDDEN = np.where(SEEN, RGB, np.random.default_rng(0).integers(0, 256, RGB.shape)).astype(np.uint8)


def palette() -> Image.Image:
    image = Image.fromarray((ALPHA == 255).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 10, 20, 30])
    return image


# Name, what is saved, how, and the right values, as a viewer shows them on white.
MODES = [
    ("rgb.png", Image.fromarray(RGB), {}, RGB),
    ("grey8.png", Image.fromarray(GREY), {}, GREY_RGB),
    ("grey16.png", Image.fromarray(GREY.astype(np.uint16) * 257), {}, GREY_RGB),
    ("grey16.tif", Image.fromarray(GREY.astype(np.uint16) * 257), {}, GREY_RGB),
    ("grey16 dim.png", Image.fromarray(GREY.astype(np.uint16) * 64), {}, GREY_RGB // 4),
    ("grey16.pgm", Image.fromarray(GREY.astype(np.uint16) * 257), {}, GREY_RGB),
    ("grey16 clear.png", Image.fromarray(np.where(SEEN[..., 0], GREY, 7).astype(np.uint16) * 257), {"transparency": 7 * 257},
     np.where(SEEN & (GREY_RGB != 7), GREY_RGB, 255)),
    ("white is zero.tif", Image.fromarray((255 - GREY).astype(np.uint16) * 257), {"tiffinfo": {262: 0}}, GREY_RGB),
    ("float with a range.tif", Image.fromarray((GREY / 255).astype(np.float32)), {"tiffinfo": {340: 0.0, 341: 1.0}}, GREY_RGB),
    ("int32 with a range.tif", Image.fromarray(GREY.astype(np.int32) * 9), {"tiffinfo": {340: 0.0, 341: 2295.0}}, GREY_RGB),
    ("one bit.png", Image.fromarray(GREY > 100), {}, np.where(GREY_RGB > 100, 255, 0)),
    ("black logo.png", Image.fromarray(np.dstack([np.zeros_like(RGB), ALPHA])), {}, np.where(SEEN, 0, 255)),
    ("hidden noise.png", Image.fromarray(np.dstack([HIDDEN, ALPHA])), {}, ON_WHITE),
    ("hidden noise.webp", Image.fromarray(np.dstack([HIDDEN, ALPHA])), {"lossless": True, "exact": True}, ON_WHITE),
    ("half clear.png", Image.fromarray(np.dstack([RGB, np.full_like(GREY, 51)])), {}, np.rint(RGB * 0.2 + 255 * 0.8)),
    ("grey clear.png", Image.fromarray(np.dstack([GREY, ALPHA]), "LA"), {}, np.where(SEEN, GREY_RGB, 255)),
    ("tRNS.png", Image.fromarray(np.where(SEEN, RGB, np.array([1, 2, 3], np.uint8))), {"transparency": (1, 2, 3)}, ON_WHITE),
    ("palette.png", palette(), {"transparency": 0}, np.where(SEEN, (10, 20, 30), 255)),
    ("palette.gif", palette(), {"transparency": 0}, np.where(SEEN, (10, 20, 30), 255)),
    ("plain palette.gif", palette(), {}, np.where(SEEN, (10, 20, 30), 0)),
    ("animated.gif", Image.fromarray(GREY), {"save_all": True, "append_images": [Image.fromarray(255 - GREY)]}, GREY_RGB),
    ("animated.webp", Image.fromarray(RGB), {"save_all": True, "append_images": [Image.fromarray(255 - RGB)], "lossless": True}, RGB),
    ("pages.tif", Image.fromarray(RGB), {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]}, RGB),
    ("cmyk.tif", Image.fromarray(RGB).convert("CMYK"), {}, RGB),
    ("plain.ppm", Image.fromarray(RGB), {}, RGB),
    ("plain.bmp", Image.fromarray(RGB), {}, RGB),
    ("plain.tga", Image.fromarray(RGB), {}, RGB),
    ("plain.qoi", Image.fromarray(RGB), {}, RGB),
    ("plain.jp2", Image.fromarray(RGB), {"irreversible": False}, RGB),
    ("plain.avif", Image.fromarray(RGB), {"quality": 100, "subsampling": "4:4:4"}, RGB),
]  # fmt: skip


@pytest.mark.parametrize(("name", "image", "options", "shown"), MODES, ids=[row[0] for row in MODES])
def test_a_picture_is_what_a_viewer_shows(tmp_path, name, image, options, shown):
    path = tmp_path / name
    image.save(path, **options)
    found = open_image(path)
    assert found.mode == "RGB"
    assert np.abs(np.asarray(found).astype(int) - shown).max() <= (3 if name.endswith("avif") else 1)
    # The same file by another suffix, as bytes, and opened by the caller.
    other = path.rename(path.with_suffix(".jpg"))
    for same in (other, str(other), other.read_bytes(), Image.open(other)):
        assert np.array_equal(open_image(same), found)


def grey_png(samples: np.ndarray, bits: int, clear: int) -> bytes:
    """A grey PNG of few bits and a transparent grey, put together by hand: Pillow writes none."""
    rows = np.packbits(
        np.unpackbits(samples.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :].reshape(len(samples), -1), axis=1
    )
    header = struct.pack(">IIBBBBB", samples.shape[1], len(samples), bits, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = [(b"IHDR", header), (b"tRNS", struct.pack(">H", clear)), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, data) for name, data in chunks)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize(("bits", "step"), [(1, 255), (2, 85), (4, 17), (8, 1)])
def test_a_transparent_grey_of_few_bits(bits, step):
    samples = np.arange(2**bits)[None, :8].repeat(2, 0)
    found = np.asarray(open_image(grey_png(samples, bits, 1)))[0, :, 0]
    assert found.tolist() == np.where(samples[0] == 1, 255, samples[0] * step).tolist()


@pytest.mark.parametrize("place", [b"IDAT", b"IEND"])
def test_the_orientation_may_stand_behind_the_pixels(place):
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG")
    at = file.getvalue().index(place) - 4
    content = file.getvalue()[:at] + png_chunk(b"eXIf", exif_block([TURN])) + file.getvalue()[at:]
    assert open_image(content).size == (48, 64)


def test_the_orientation_as_imagemagick_writes_it():
    info = PngInfo()
    block = b"Exif\0\0" + exif_block([TURN])
    info.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG", pnginfo=info)
    assert open_image(file.getvalue()).size == (48, 64)
    damaged = PngInfo()
    damaged.add_text("Raw profile type exif", "\nexif\n 9\nno digits\n")
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG", pnginfo=damaged)
    assert np.array_equal(open_image(file.getvalue()), RGB)


def test_the_thumbnails_orientation_is_not_the_pictures():
    """An entry behind those of the first directory, at a place where one more would stand."""
    assert open_image(jpeg(exif_block([(0x0100, 3, 1, 64), TURN], count=1))).size == (64, 48)
    assert open_image(jpeg(exif_block([(0x0100, 3, 1, 64), TURN], count=2))).size == (48, 64)


def test_values_that_are_not_finite_are_refused(tmp_path):
    Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(tmp_path / "a.tif", tiffinfo={340: 0.0, 341: 1.0})
    with pytest.raises(ValueError, match="it holds values that are not finite"):
        open_image(tmp_path / "a.tif")


def test_a_pillow_without_a_format_reads_the_others(monkeypatch):
    monkeypatch.delitem(Image.OPEN, "AVIF")
    images._formats.cache_clear()
    assert np.array_equal(open_image(grey_png(np.zeros((2, 8)), 8, 9)), np.zeros((2, 8, 3)))
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "AVIF")
    with pytest.raises(ValueError, match="it is a damaged AVIF, or this Pillow reads none"):
        open_image(file.getvalue())
    images._formats.cache_clear()


def test_lab_is_shown_in_colour(tmp_path):
    lab = ImageCms.profileToProfile(
        Image.fromarray(RGB), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    lab.save(tmp_path / "lab.tif")
    found, unusual = read_image(tmp_path / "lab.tif")
    assert np.abs(np.asarray(found).astype(int) - RGB).mean() < 1 and unusual == ["LAB"]


@pytest.mark.parametrize(
    "array", [RGB, GREY, GREY[..., None], GREY.astype(np.uint16) * 257, RGB.astype(np.uint16) << 8]
)
def test_an_array_is_a_picture(array):
    shown = np.asarray(open_image(array))
    assert np.array_equal(shown, RGB if array.shape[2:] == (3,) else GREY_RGB)
    assert np.array_equal(open_image(np.dstack([HIDDEN, ALPHA])), ON_WHITE)
    assert np.array_equal(open_image((GREY.astype(np.uint16) * 257).astype(">u2")), GREY_RGB)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (GREY / 255, "of uint8 or uint16, not float64: multiply by 255 what is from 0 to 1"),
        (RGB.transpose(2, 0, 1), r"\(H, W, 3\) or \(H, W, 4\), not \(3, 48, 64\)"),
        (RGB[None], r"not \(1, 48, 64, 3\)"),
        (np.zeros((0, 3), np.uint8), r"not \(0, 3\)"),
        (np.zeros((0, 0, 3), np.uint8), r"not \(0, 0, 3\)"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array, message):
    with pytest.raises(ValueError, match=message):
        open_image(array)


@pytest.mark.parametrize("mode", [np.int32, np.float32])
def test_grey_values_without_a_range_are_refused(tmp_path, mode):
    Image.fromarray(GREY.astype(mode)).save(tmp_path / "depth.tif")
    with pytest.raises(ValueError, match=r"depth.tif: .* nothing says which is white: save it with 8 or 16 bits"):
        open_image(tmp_path / "depth.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(RGB)
    for stored in (upright, *(upright.transpose(turn) for turn in Image.Transpose)):
        stored.getexif()[0x0112] = orientation
        if np.array_equal(ImageOps.exif_transpose(stored), RGB):
            break
    for suffix, options in (("png", {}), ("tif", {}), ("webp", {"lossless": True})):
        stored.save(tmp_path / f"a.{suffix}", exif=exif, **options)
        found, unusual = read_image(tmp_path / f"a.{suffix}")
        assert np.array_equal(found, RGB)
        assert unusual == (["turned by EXIF"] if orientation > 1 and suffix != "tif" else [])


TURN = (0x0112, 3, 1, 6)
# The entries of an EXIF block (tag, type, count, value), and whether it turns the picture.
EXIF = {
    "plain": ([TURN], True),
    "a double": ([TURN, (0x0101, 12, 1, 38)], True),
    "a 64-bit number": ([TURN, (0x0101, 16, 1, 38)], True),
    "text as a number": ([(0x010F, 4, 1, 7), TURN], True),
    "an unknown type": ([TURN, (0x9999, 99, 1, 0)], True),
    "type 0": ([(0x0110, 0, 1, 0xFFFFFFFF), TURN, (0x8769, 9, 2, 0xFFFFFFFF)], True),
    "an offset beyond": ([TURN, (0x010F, 2, 400, 999999)], True),
    "a signed rational": ([TURN, (0x011A, 10, 1, 38)], True),
    "a count of 2^31": ([TURN, (0x8825, 15, 2**31, 8)], True),
    "a loop": ([TURN, (0x8769, 4, 1, 8)], True),
    "a bad directory": ([TURN, (0x8769, 4, 1, 99999)], True),
    "a long": ([(0x0112, 4, 1, 6)], True),
    "a byte": ([(0x0112, 1, 1, 6)], True),
    "0": ([(0x0112, 3, 1, 0)], False),
    "9": ([(0x0112, 3, 1, 9)], False),
    "two": ([(0x0112, 3, 2, 0x60006)], False),
    "ascii": ([(0x0112, 2, 2, 0x36)], False),
    "none": ([(0x011A, 5, 1, 38)], False),
}


def exif_block(entries, order="<", count=None) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    block = mark + struct.pack(f"{order}IH", 8, len(entries) if count is None else count)
    for tag, kind, number, value in entries:
        # A short stands in the first half of its field.
        short = order == ">" and kind == 3 and number == 1
        block += struct.pack(f"{order}HHII", tag, kind, number, value << 16 if short else value)
    return block + bytes(20)


def jpeg(exif: bytes) -> bytes:
    """A JPEG whose EXIF segment holds these bytes, put there by hand: Pillow would not write most of them."""
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG", quality=95)
    segment = b"Exif\0\0" + exif
    return file.getvalue()[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + file.getvalue()[2:]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("case", EXIF)
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_read_whatever_else_exif_holds(case, order):
    entries, turned = EXIF[case]
    if order == ">" and case in ("two", "ascii", "a byte"):
        pytest.skip("their values are written for the other order")
    for content in (jpeg(exif_block(entries, order)), jpeg(b"Exif\0\0" + exif_block(entries, order))):
        assert open_image(content).size == ((48, 64) if turned else (64, 48))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("exif", [b"", b"II*\0", b"xyz" * 9, exif_block([TURN])[:15], exif_block([], count=65535)])
def test_an_exif_block_that_is_none_turns_nothing(exif):
    assert open_image(jpeg(exif)).size == (64, 48)
    assert open_image(jpeg(exif_block([TURN], count=65535))).size == (48, 64)


def test_colour_profiles_are_applied(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"?XYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"?XYZ", b"bXYZ", 1)
    plain = Image.fromarray(RGB)
    plain.save(tmp_path / "srgb.png", icc_profile=srgb)
    plain.save(tmp_path / "swapped.png", icc_profile=swapped)
    plain.save(tmp_path / "damaged.png", icc_profile=srgb[:200])
    # A profile for another kind of image.
    plain.convert("CMYK").save(tmp_path / "another.tif", icc_profile=swapped)
    Image.fromarray(np.dstack([HIDDEN, ALPHA])).save(tmp_path / "clear.png", icc_profile=swapped)
    Image.fromarray(GREY).save(tmp_path / "grey.png", icc_profile=swapped)
    for name, shown, kinds in (
        ("srgb.png", RGB, []),
        ("swapped.png", RGB[..., ::-1], ["of another colour space"]),
        ("damaged.png", RGB, []),
        ("another.tif", RGB, ["CMYK"]),
        ("clear.png", ON_WHITE[..., ::-1], ["transparent", "of another colour space"]),
        ("grey.png", GREY_RGB, []),
    ):
        found, unusual = read_image(tmp_path / name)
        assert np.abs(np.asarray(found).astype(int) - shown).max() <= 3 and unusual == kinds, name


def test_profiles_of_grey_and_cmyk_pictures_are_applied(tmp_path):
    """A profile of gamma 1 for grey, made of sRGB's by hand; one for CMYK is an ICC file of presses, and there is none here."""
    linear = linear_grey_profile()
    Image.fromarray(GREY).save(tmp_path / "grey.png", icc_profile=linear)
    Image.fromarray(np.dstack([GREY, ALPHA]), "LA").save(tmp_path / "clear.png", icc_profile=linear)
    light = GREY / 255
    shown = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    found, unusual = read_image(tmp_path / "grey.png")
    assert np.abs(np.asarray(found) - shown[..., None]).max() <= 2 and unusual == ["of another colour space"]
    found, unusual = read_image(tmp_path / "clear.png")
    assert np.abs(np.asarray(found) - np.where(SEEN, shown[..., None], 255)).max() <= 2
    assert unusual == ["transparent", "of another colour space"]


def linear_grey_profile() -> bytes:
    """An ICC profile of version 2 for grey, with a curve of gamma 1 and D50 white (ICC.1:2001-04, 6.1, 6.3.1)."""
    d50 = struct.pack(">3i", 63190, 65536, 54061)
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"g\0" + bytes(79), b"wtpt": b"XYZ " + bytes(4) + d50}
    tags |= {b"kTRC": b"curv" + bytes(4) + struct.pack(">I", 0), b"cprt": b"text" + bytes(4) + b"none\0"}
    place, table, content = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", place + len(content), len(data))
        content += data
    head = struct.pack(">I", place + len(content)) + bytes(4) + struct.pack(">I", 0x02400000) + b"mntrGRAYXYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + d50
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + content


def test_what_is_unusual_is_told(tmp_path):
    told = {name: read_image(save(tmp_path / name, image, options))[1] for name, image, options, _ in MODES}
    assert told["rgb.png"] == told["plain.avif"] == told["plain palette.gif"] == told["one bit.png"] == []
    assert told["grey16.png"] == told["float with a range.tif"] == ["of more than 8 bits"]
    assert told["hidden noise.webp"] == told["tRNS.png"] == told["palette.gif"] == ["transparent"]
    assert told["animated.gif"] == told["animated.webp"] == ["animated"] and told["cmyk.tif"] == ["CMYK"]
    opaque = Image.fromarray(np.dstack([RGB, np.full_like(GREY, 255)]))
    assert read_image(opaque) == (Image.fromarray(RGB), [])


def save(path: Path, image: Image.Image, options: dict) -> Path:
    image.save(path, **options)
    return path


def test_large_pictures_are_halved_and_larger_ones_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MANY_PIXELS", 64 * 48 - 1)
    for image, shown in ((Image.fromarray(RGB), RGB), (palette(), np.where(SEEN, (10, 20, 30), 0))):
        found, unusual = read_image(image)
        assert found.size == (32, 24) and unusual == ["large, read at half its size"]
        assert np.abs(np.asarray(found).astype(int) - shown.reshape(24, 2, 32, 2, 3).mean((1, 3))).max() <= 1
    monkeypatch.setattr(images, "MOST_PIXELS", 64 * 48 - 1)
    with pytest.raises(ValueError, match="64 x 48 are more than 3,071 pixels: scale it down"):
        open_image(save(tmp_path / "a.png", Image.fromarray(RGB), {}))
    # The decoder of JPEG halves by itself.
    assert open_image(save(tmp_path / "a.jpg", Image.fromarray(RGB), {})).size == (32, 24)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and holds nothing."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return head + struct.pack(">I", 99) + b"IDAT"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"nothing", "in no format that is known"),
        (b"%PDF-1.7 ...", "it is a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is PostScript"),
        (b"<!DOCTYPE html><html>", "it is an HTML page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "it is an SVG drawing"),
        (b"PK\x03\x04" + bytes(30), "it is a zip archive"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "it is HEIC"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "it is a Git LFS pointer: run git lfs pull"),
        (png_header(20_000, 20_000), "it has more than 75,000,000 pixels: scale it down"),
        (png_header(9_000, 9_000), "9,000 x 9,000 are more than 75,000,000 pixels: scale it down"),
        (png_header(1, 65_000), "a strip of 1 x 65,000 pixels, over 200 times as long as wide"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x05IHDR", "cannot be decoded"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, why):
    path = tmp_path / "a photo.jpg"
    path.write_bytes(content)
    for picture, name in ((path, None), (content, str(path))):
        with pytest.raises(ValueError) as error:
            open_image(picture, name)
        assert str(error.value).startswith(f"{path}: cannot be decoded as an image (") and why in str(error.value)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError("cannot identify image file <_io.BytesIO object at 0x7f2a10b3c9a0>"), "it is damaged"),
        (ValueError("not a TIFF file (header b'II*\\x00' not valid)"), "it is damaged"),
        (RuntimeError("cannot read PosixPath('/tmp/a photo.jpg')"), "it is damaged"),
        (TypeError("unsupported operand type(s) for +: <class 'int'> and <class 'str'>"), "it is damaged"),
        (KeyError((1, 8)), "it is damaged"),
        (MemoryError(), "it needs more memory than there is"),
        (OSError("image file is truncated (3 bytes not processed)"), "image file is truncated (3 bytes not processed)"),
    ],
)
def test_no_message_shows_an_object_of_python(monkeypatch, error, why):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(ValueError) as shown:
        open_image(b"...", "a photo.jpg")
    assert str(shown.value) == f"a photo.jpg: cannot be decoded as an image ({why})"


def test_what_is_no_file_is_named(tmp_path):
    for path in (tmp_path / "none.jpg", tmp_path, tmp_path / ("x" * 300), f"{tmp_path}/a\0b.jpg"):
        with pytest.raises(ValueError, match="cannot be decoded as an image") as error:
            open_image(path)
        assert len(str(error.value).splitlines()) == 1


def test_4500_damaged_files_give_a_picture_or_a_line_with_their_name(tmp_path):
    """Cut short, with bytes changed, doubled and left out: Pillow raises whatever it is led to."""
    rng = np.random.default_rng(7)
    exif = Image.Exif()
    exif[0x0112] = 6
    small = Image.fromarray(RGB[::2, ::2])
    refused = 0
    kinds = ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000", "BMP", "PPM")
    for kind in kinds:
        whole = io.BytesIO()
        small.save(whole, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "TIFF", "WEBP") else {}))
        for i in range(500):
            path = tmp_path / f"{kind} {i}.jpg"
            path.write_bytes(damage(whole.getvalue(), rng))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    assert open_image(path).mode == "RGB"
                except ValueError as error:
                    assert str(error).startswith(f"{path}: cannot be decoded") and len(str(error).splitlines()) == 1
                    refused += 1
    assert refused > 1000


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """One of five kinds, at random: most of it near the beginning, where what counts is told."""
    place = int(len(content) * rng.random() ** 3)
    length = int(rng.integers(1, 9))
    noise = rng.bytes(length)
    return (
        content[:place],
        content[:place] + noise + content[place + length :],
        content[:place] + noise + content[place:],
        content[:place] + content[place + length :],
        content[:place] + bytes(length) + content[place + length :],
    )[rng.integers(5)]


def test_the_pictures_that_failed(shared, tmp_path):
    """Real ones: each decodes, turned as its orientation says, or is named."""
    folder = shared / "cases"
    if not folder.is_dir():
        pytest.skip("no cases beside the project")
    unturned = {"empty", "garbage", "orient_0", "orient_9", "orient_ascii", "orient_two", "short"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in (folder / "exif").glob("*.jpg"):
            assert open_image(path).size == ((160, 120) if path.stem in unturned else (120, 160)), path.name
        for path in (folder / "damaged").iterdir():
            with pytest.raises(ValueError, match=path.name):
                open_image(path)
