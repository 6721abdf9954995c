"""A picture small enough to be shown inside a text."""

from __future__ import annotations

import base64
import io
from typing import Final

from PIL import Image

__all__ = ["thumbnail", "thumbnail_uri", "webp_thumbnail"]

# Prefect's list of artifacts fetches every one whole, so ten thousand characters a picture are the limit.
MAX_URI_CHARACTERS: Final = 10_000
URI_START: Final = "data:image/jpeg;base64,"
MAX_BYTES: Final = (MAX_URI_CHARACTERS - len(URI_START)) // 4 * 3
LONG_EDGE_PIXELS: Final = 320
QUALITIES: Final = (80, 60, 40)
PAPER: Final = (255, 255, 255)
WEBP_QUALITY: Final = 70


def thumbnail_uri(data: bytes, edge: int = LONG_EDGE_PIXELS) -> str:
    """A picture as a `data:` address of at most 10,000 characters. Raises OSError for bytes that are no picture."""
    return URI_START + base64.b64encode(thumbnail(data, edge)).decode()


def thumbnail(data: bytes, edge: int = LONG_EDGE_PIXELS) -> bytes:
    """A small JPEG of a picture, what is transparent in it on white. Raises OSError for bytes that are no picture."""
    with Image.open(io.BytesIO(data)) as picture:
        whole = picture.convert("RGBA")
    while True:
        whole.thumbnail((edge, edge))
        for quality in QUALITIES:
            small = _jpeg(whole, quality)
            if len(small) <= MAX_BYTES:
                return small
        edge //= 2


def webp_thumbnail(data: bytes, edge: int = LONG_EDGE_PIXELS) -> bytes:
    """A small WebP of a picture, transparency kept. Raises OSError for bytes that are no whole picture."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft("RGB", (2 * edge, 2 * edge))
            small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f"the picture does not decode: {error}") from error
    small.thumbnail((edge, edge), reducing_gap=2.0)
    sink = io.BytesIO()
    small.save(sink, "WEBP", quality=WEBP_QUALITY, method=4)
    return sink.getvalue()


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    flat = Image.new("RGB", picture.size, PAPER)
    flat.paste(picture, (0, 0), picture)
    sink = io.BytesIO()
    flat.save(sink, "JPEG", quality=quality, optimize=True)
    return sink.getvalue()
