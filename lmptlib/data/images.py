"""Opening pictures: what a model is shown is what a photo viewer shows."""

import io
import re
import struct
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageCms, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from lmptlib.errors import first_line, shorten

# Raise it when a picture is read otherwise than before: features and runs of the old reading are then not found.
READING = 2
# By content, whatever a file's suffix is. Pillow knows more: those need other programs, or are no pictures.
_FORMATS = {
    "AVIF",
    "BMP",
    "DIB",
    "GIF",
    "ICO",
    "JPEG",
    "JPEG2000",
    "PCX",
    "PNG",
    "PPM",
    "QOI",
    "SGI",
    "TGA",
    "TIFF",
    "WEBP",
}
# What files of these formats are called.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".avifs", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    *(".tga", ".qoi", ".pcx", ".ico", ".sgi", ".rgb", ".rgba", ".bw", ".icb", ".vda", ".vst"),
)
# Decoding more would need a gigabyte.
MOST_PIXELS = 75_000_000
# From here on a picture is halved before anything else: still ten times what a model sees, in a quarter of the memory.
MANY_PIXELS = 20_000_000
# A longer strip grows to gigabytes where its short side is brought to that of a model's pictures.
LONGEST_STRIP = 200
Picture = str | Path | bytes | Image.Image | np.ndarray

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
# EXIF's types of one, two and four bytes, as struct spells them.
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I"}
# TIFF tags.
_BITS, _PHOTOMETRIC, _LOWEST, _HIGHEST = 258, 262, 340, 341
_MODE_OF_PROFILE = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}
# PNG's transparent grey is told in the file's own steps, where Pillow's greys are stretched to 255.
_STRETCHED = {"L;2": 85, "L;4": 17}
_DAMAGED = "it is damaged"
# <_io.BytesIO object at 0x7f00>, <class 'int'>, b'II*', PosixPath('x'), numpy's dtype('uint8')
_OBJECT = re.compile(r"<\S+ .*>|\bb['\"]|\w\(['\"]|\b0x[0-9a-f]{6,}")
# First bytes of what people take for pictures.
_NO_PICTURES = {
    b"%PDF": "it is a PDF",
    b"%!PS": "it is PostScript",
    b"PK\x03\x04": "it is a zip archive",
    b"8BPS": "it is a Photoshop file: save it as PNG",
    b"<svg": "it is an SVG drawing: save it as PNG",
    b"<?xml": "it is XML, an SVG drawing perhaps: save it as PNG",
    b"<!": "it is an HTML page",
    b"<html": "it is an HTML page",
    b"version https://git-lfs": "it is a Git LFS pointer: run git lfs pull",
}


def open_image(picture: Picture, name: str | None = None, least: int | None = None) -> Image.Image:
    """A picture as a photo viewer shows it: upright, in sRGB, the first frame, on white where it is transparent.

    picture: a path, the bytes of a file, an open image, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8 or
    uint16. name: what errors call it, where it has no path. least: pixels that the shorter side needs: a JPEG that has twice
    as many, or more, is decoded at a half, a quarter or an eighth of its size where that divides both sides. 16 bits become
    8 by their upper half. Raises ValueError, one line, for what cannot be shown.

    >>> import numpy as np
    >>> from lmptlib.data.images import open_image
    >>> open_image(np.full((2, 3), 0xFF00, np.uint16)).getpixel((0, 0))
    (255, 255, 255)
    """
    return read_image(picture, name, least)[0]


def read_image(picture: Picture, name: str | None = None, least: int | None = None) -> tuple[Image.Image, list[str]]:
    """`open_image`, and what is unusual about the picture: `transparent`, `16 bits`, ... Raises ValueError."""
    name = name or (str(picture) if isinstance(picture, (str, Path)) else "the picture")
    try:
        if isinstance(picture, Image.Image):
            return _shown(picture)
        if isinstance(picture, np.ndarray):
            return _shown(_from_array(picture))
        if not isinstance(picture, (str, Path, bytes)):
            raise ValueError(f"a picture is a path, bytes, an open image or an array, not a {type(picture).__name__}")
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture, formats=_formats()) as image:
            shown, unusual = _shown(image, least)
            return shown, unusual + (["animated"] if _is_animated(image) else [])
    except UnidentifiedImageError:
        why = _what_it_is(picture)
    except Image.DecompressionBombError:
        why = f"it has more than {MOST_PIXELS:,} pixels: scale it down"
    except FileNotFoundError:
        why = "no such file"
    except MemoryError:
        why = "it needs more memory than there is"
    except (OSError, ValueError, RuntimeError) as error:
        why = _in_words(error)
    except Exception:
        # Pillow fails in any way on a damaged file: struct.error, AttributeError, KeyError, ...
        why = _DAMAGED
    raise ValueError(f"{shorten(name, 300)}: cannot be decoded as an image ({why})")


def _in_words(error: Exception) -> str:
    """What an error says; of one that shows Python's own objects, which tell a photographer nothing, that the file is damaged."""
    told = first_line(error)
    return _DAMAGED if _OBJECT.search(told) else shorten(told, 200)


@lru_cache
def _formats() -> tuple[str, ...]:
    """Those of the formats that this Pillow can read: AVIF came late."""
    Image.init()
    return tuple(sorted(_FORMATS & set(Image.OPEN)))


def _what_it_is(picture: Picture) -> str:
    """What a file is that no format fits, from its first bytes."""
    if isinstance(picture, bytes):
        head = picture[:32]
    else:
        with open(str(picture), "rb") as file:
            head = file.read(32)
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "it is a damaged AVIF, or this Pillow reads none"
    if head[4:8] == b"ftyp":
        return "it is HEIC or a video: save it as JPEG"
    kinds = [kind for start, kind in _NO_PICTURES.items() if head.startswith(start)]
    return kinds[0] if kinds else "in no format that is known" if head else "it is empty"


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)) or not array.size:
        raise ValueError(f"an array is (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        array = (array >> 8).astype(np.uint8)
    if array.dtype not in (np.uint8, np.bool_):
        hint = ": multiply by 255 what is from 0 to 1" if array.dtype.kind == "f" else ""
        raise ValueError(f"an array is of uint8 or uint16, not {array.dtype}{hint}")
    return Image.fromarray(array)


def _shown(image: Image.Image, least: int | None = None) -> tuple[Image.Image, list[str]]:
    """What a viewer shows of an open image, and what is unusual about it."""
    unusual = []
    _check_size(image, least)
    raw_mode = image.tile[0].args if isinstance(image, PngImageFile) and image.tile else None
    # What stands behind the pixels of a PNG is read with them.
    image.load()
    turn, profile = _TURNS.get(_orientation(image)), image.info.get("icc_profile")
    clear = image.info.get("transparency")
    if raw_mode in _STRETCHED and isinstance(clear, int):
        image.info["transparency"] = clear * _STRETCHED[raw_mode]
    if image.mode.startswith("I") or image.mode == "F":
        unusual.append("of more than 8 bits")
        image = _eight_bits(image)
    if image.mode in ("CMYK", "LAB"):
        unusual.append(image.mode)
    elif image.has_transparency_data and image.mode not in ("LA", "RGBA"):
        image = image.convert("LA" if image.mode in ("1", "L", "La") else "RGBA")
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    if image.width * image.height > MANY_PIXELS:
        unusual.append("large, read at half its size")
        image = image.reduce(2)
    alpha = None
    if image.mode in ("LA", "RGBA"):
        alpha, image = image.getchannel("A"), image.convert(image.mode.removesuffix("A"))
        if np.asarray(alpha).min() < 255:
            unusual.append("transparent")
    transform = _to_srgb(profile, image.mode) if profile else None
    if transform:
        unusual.append("of another colour space")
        shown = transform.apply(image.convert(transform.input_mode))
    else:
        shown = image.convert("RGB")
    if alpha:
        white = Image.new("RGB", shown.size, "white")
        white.paste(shown, mask=alpha)
        shown = white
    if turn is not None:
        unusual.append("turned by EXIF")
        shown = shown.transpose(turn)
    return shown, unusual


def _check_size(image: Image.Image, least: int | None) -> None:
    """Raises ValueError for a picture that would need a gigabyte. A large JPEG is decoded at half its size, and any at the
    smallest that has `least` pixels along its shorter side."""
    width, height = image.size
    if max(width, height) > LONGEST_STRIP * min(width, height):
        raise ValueError(f"a strip of {width:,} x {height:,} pixels, over {LONGEST_STRIP} times as long as wide")
    if image.format in ("JPEG", "MPO") and (share := _share(width, height, least)) > 1:
        # libjpeg leaves out the finest frequencies of each 8 x 8 pixels
        image.draft(None, (width // share, height // share))
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"{width:,} x {height:,} are more than {MOST_PIXELS:,} pixels: scale it down")


def _share(width: int, height: int, least: int | None) -> int:
    """At which part of its size a JPEG is decoded: 1, 2, 4 or 8, one that leaves `least` pixels.

    A part that does not divide both sides would move what is seen, by a fraction of a pixel at its far edges.
    """
    shares = (8, 4, 2) if least else ()
    fitting = (s for s in shares if min(width, height) >= s * (least or 1) and not width % s and not height % s)
    return max(next(fitting, 1), 2 if width * height > MOST_PIXELS else 1)


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, from 1 to 8; 1 where the tag makes no sense or is not there.

    Pillow would read the whole EXIF block, and fails on any odd entry in it. (A TIFF it turns by itself.)
    """
    exif = image.info.get("exif") or _raw_exif(image)
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if not order or len(exif) < 8:
        return 1
    start = struct.unpack_from(f"{order}I", exif, 4)[0]
    # Behind its entries stand those of the thumbnail, which may be turned otherwise.
    count = struct.unpack_from(f"{order}H", exif, start)[0] if start + 2 <= len(exif) else 0
    for place in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", exif, place)
        if tag == _ORIENTATION and kind in _WHOLE_NUMBERS and values == 1:
            return struct.unpack_from(f"{order}{_WHOLE_NUMBERS[kind]}", exif, place + 8)[0]
    return 1


def _raw_exif(image: Image.Image) -> bytes:
    """EXIF as ImageMagick writes it into a PNG: a name, a length, and hexadecimal digits. Empty where it is none."""
    lines = str(image.info.get("Raw profile type exif", "")).split("\n")
    try:
        return bytes.fromhex("".join(lines[3:]))
    except ValueError:
        return b""


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of more bits. Raises ValueError where nothing says which value is white."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        bits = tags.get(_BITS, (16,))[0]
        grey = (values >> (bits - 8)).clip(0, 255).astype(np.uint8)
        if tags.get(_PHOTOMETRIC) == 0:
            grey = 255 - grey
    else:
        low, high = (np.ravel(tags.get(tag, np.nan)).astype(float)[0] for tag in (_LOWEST, _HIGHEST))
        if not -np.inf < low < high < np.inf:
            kind = "floating point" if image.mode == "F" else "32 bits"
            raise ValueError(f"grey values in {kind}, and nothing says which is white: save it with 8 or 16 bits")
        if not np.isfinite(values).all():
            raise ValueError("it holds values that are not finite")
        scaled = values.astype(np.float32)
        scaled -= np.float32(low)
        scaled *= np.float32(255 / (high - low))
        grey = scaled.round(out=scaled).clip(0, 255, out=scaled).astype(np.uint8)
    if (clear := image.info.get("transparency")) is None:
        return Image.fromarray(grey)
    return Image.fromarray(np.dstack([grey, np.where(values == clear, 0, 255).astype(np.uint8)]))


@lru_cache(maxsize=64)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way of images of a mode to sRGB, by their colour profile.

    None for a profile that is damaged, or another kind of image's, or that changes nothing that can be seen, as sRGB's own.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = _MODE_OF_PROFILE.get(source.profile.xcolor_space)
        if space != mode and not (space == "RGB" and mode == "L"):
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), space, "RGB")
    except (OSError, ImageCms.PyCMSError):
        return None
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    colours = np.stack(np.meshgrid(*[steps] * 3), -1).reshape(1, -1, 3)
    samples = Image.fromarray(colours).convert("L" if mode == "L" else space).convert(space)
    changed = ImageChops.difference(transform.apply(samples), samples.convert("RGB"))
    return transform if np.asarray(changed).max() > 3 else None


def _is_animated(image: Image.Image) -> bool:
    try:
        return image.format in ("GIF", "PNG", "WEBP", "AVIF") and bool(getattr(image, "is_animated", False))
    except Exception:
        # A second frame, damaged: the first is what counts.
        return True
