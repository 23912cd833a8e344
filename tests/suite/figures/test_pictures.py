"""Pictures: small enough for a page, in their places, with their titles."""

import base64
import io

from PIL import Image

from lmptlib.suite.figures.pictures import image_grid, jpeg, jpeg_uri


def test_a_picture_is_a_jpeg_no_longer_than_its_side():
    photograph = Image.new("RGBA", (300, 150), "red")
    small = Image.open(io.BytesIO(jpeg(photograph, 60)))
    assert small.format == "JPEG" and small.size == (60, 30) and photograph.size == (300, 150)
    kind, content = jpeg_uri(photograph, 60).split(",")
    assert kind == "data:image/jpeg;base64" and base64.b64decode(content) == jpeg(photograph, 60)


def test_a_grid_fills_its_rows_from_the_left():
    images = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    figure = image_grid(images, ["a", "b<br>c", "d"], columns=2)
    assert [(image.x, image.y) for image in figure.layout.images] == [(0, 0), (1, 0), (0, -1.4)]
    assert [image.source for image in figure.layout.images] == [jpeg_uri(image, 128) for image in images]
    assert [note.text for note in figure.layout.annotations] == ["a", "b<br>c", "d"]
