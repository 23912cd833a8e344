"""Pictures, opened."""

from PIL import Image

from lmptlib.data.images import open_image


def test_open_image_turns_everything_into_rgb(tmp_path):
    for mode in ("L", "P", "RGBA", "CMYK", "1"):
        path = tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}"
        Image.new(mode, (8, 8)).save(path)
        assert open_image(path).mode == "RGB"


def test_photographs_are_turned_upright(tmp_path):
    lying = Image.new("RGB", (40, 20), "white")
    lying.paste("red", (0, 0, 10, 20))
    tag = lying.getexif()
    # The camera was held upright.
    tag[274] = 6
    lying.save(tmp_path / "a.png", exif=tag)
    upright = open_image(tmp_path / "a.png")
    assert upright.size == (20, 40) and upright.getpixel((10, 3)) == (255, 0, 0)
    assert upright.getpixel((10, 37)) == (255, 255, 255)
