"""Pictures: photographs as JPEG, and a grid of them with titles."""

import base64
import io

import plotly.graph_objects as go
from PIL import Image


def jpeg(image: Image.Image, side: int) -> bytes:
    """A picture as a JPEG file, no side longer than `side` pixels."""
    small, buffer = image.convert("RGB"), io.BytesIO()
    small.thumbnail((side, side))
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def jpeg_uri(image: Image.Image, side: int) -> str:
    """A picture as an address that holds it whole, for a page."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(image, side)).decode()


def image_grid(images: list[Image.Image], titles: list[str], columns: int = 6, width: int = 128) -> go.Figure:
    """Pictures in a grid, each with a title (which may hold <br>) above it."""
    rows = -(-len(images) // columns)
    figure = go.Figure()
    for i, (image, title) in enumerate(zip(images, titles)):
        x, y = i % columns, -(i // columns) * 1.4
        square = {"sizex": 0.94, "sizey": 0.94, "xanchor": "left", "yanchor": "top"}
        figure.add_layout_image(source=jpeg_uri(image, width), x=x, y=y, xref="x", yref="y", **square)
        above = {"showarrow": False, "yanchor": "bottom", "font_size": 11}
        figure.add_annotation(text=title, x=x + 0.47, y=y + 0.02, xref="x", yref="y", **above)
    figure.update_xaxes(visible=False, range=[-0.05, columns])
    figure.update_yaxes(visible=False, range=[0.4 - 1.4 * rows, 0.4], scaleanchor="x")
    # above the first titles stand plotly's buttons
    return figure.update_layout(
        template="plotly_white", height=30 + 220 * rows, margin={"l": 10, "r": 10, "t": 32, "b": 10}
    )
