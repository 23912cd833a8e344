"""Opening pictures."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from lmptlib.data.dataset import Split
from lmptlib.errors import first_line


def open_image(path: Path | str, content: BinaryIO | None = None) -> Image.Image:
    """An image file, upright and in RGB. `content`: its bytes, where they do not lie at `path`, which then names them.

    Raises ValueError, one line, for what is no image.
    """
    try:
        with Image.open(content or path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be decoded as an image ({first_line(error)})") from None


def undecodable(split: Split) -> list[str]:
    """One line for each image of a split that cannot be decoded."""

    def problem(image: int) -> str | None:
        try:
            open_image(split.paths[image])
        except ValueError as error:
            return f"{split.where(image)}: {error}"
        return None

    with ThreadPoolExecutor() as pool:
        return [line for line in pool.map(problem, range(len(split))) if line]
