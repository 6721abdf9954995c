"""The source picture of an edit: really fetched, and made as large as our own pictures."""

from __future__ import annotations

import urllib.request
from http.client import HTTPException
from io import BytesIO
from typing import Final

from PIL import Image, UnidentifiedImageError

__all__ = ["EditError", "fetch_source"]

FETCH_SECONDS: Final = 15.0
MAX_SOURCE_BYTES: Final = 32 * 1024 * 1024
# What the edits endpoint takes.
SOURCE_FORMATS: Final = ("PNG", "JPEG", "WEBP")


class EditError(Exception):
    """The image at image_url can't be edited; the message says why."""


def fetch_source(image_url: str, pixels: int) -> bytes:
    """The image as PNG, its long edge at most `pixels`. Blocks for up to 15 s. Raises EditError."""
    try:
        with urllib.request.urlopen(image_url, timeout=FETCH_SECONDS) as response:  # noqa: S310  # checked: http(s)
            content = response.read(MAX_SOURCE_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise EditError(f"image_url could not be fetched: {error}.") from error
    if len(content) > MAX_SOURCE_BYTES:
        raise EditError("The image at image_url has more than 32 MiB.")
    return _normalised(content, pixels)


def _normalised(content: bytes, pixels: int) -> bytes:
    try:
        with Image.open(BytesIO(content), formats=SOURCE_FORMATS) as image:
            image.draft("RGB", (pixels, pixels))
            source = image.convert("RGBA")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise EditError("What image_url points to is no png, jpeg or webp image.") from error
    source.thumbnail((pixels, pixels))
    png = BytesIO()
    source.save(png, "PNG", compress_level=1)
    return png.getvalue()
