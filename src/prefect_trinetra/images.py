"""What downloaded bytes are: a whole image, fit to be stored exactly as it came, or damage."""

from __future__ import annotations

import codecs
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from prefect_trinetra.errors import DownloadDamaged
from prefect_trinetra.image_files import jpeg_is_whole, png_is_whole, sniff, webp_is_whole
from prefect_trinetra.perceptual import perceptual_hash
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.suspects import Wanted, suspect

__all__ = ["VerifiedImage", "image_extension", "verify"]

# The decoders themselves, not Image.open: that tries plugins in turn, and its pixel limit is the whole process's.
DECODERS: Final[Mapping[str, type[ImageFile.ImageFile]]] = {
    "png": PngImageFile,
    "jpeg": JpegImageFile,
    "webp": WebPImageFile,
    "gif": GifImageFile,
    "avif": AvifImageFile,
}
# Decoders pass over a missing end once they have their pixels; these don't.
WHOLENESS: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "png": png_is_whole,
    "jpeg": jpeg_is_whole,
    "webp": webp_is_whole,
}
EXTENSIONS: Final[Mapping[str, str]] = {"jpeg": "jpg"}


@dataclass(frozen=True, slots=True)
class VerifiedImage:
    """A whole, decodable image. `suspect` says why someone should look at it, None that nothing is odd."""

    format: str
    width: int
    height: int
    bytes: int
    sha256: str
    suspect: str | None = None
    perceptual_hash: str | None = None


def verify(data: bytes, *, content_type: str, wanted: Wanted, max_pixels: int) -> VerifiedImage:
    """What `data` is. Blocks for some milliseconds: call it in a thread.

    The bytes decide, not `content_type`, which only helps to describe what is no image. Raises DownloadDamaged where
    they are no whole image, or one of more than `max_pixels`.
    """
    image_format = sniff(data)
    if image_format is None:
        raise DownloadDamaged(_description(data, content_type))
    image = _decoded(data, image_format, max_pixels)
    width, height = image.size
    sha256 = hashlib.sha256(data).hexdigest()
    odd = suspect(image, image_format, sha256, wanted)
    return VerifiedImage(image_format, width, height, len(data), sha256, odd, perceptual_hash(image))


def image_extension(format: str) -> str:  # noqa: A002  # the word that every caller has in hand
    """The file name extension of a format, without a dot."""
    return EXTENSIONS.get(format, format)


def _decoded(data: bytes, image_format: str, max_pixels: int) -> Image.Image:
    is_whole = WHOLENESS.get(image_format)
    if is_whole is not None and not is_whole(data):
        raise DownloadDamaged(f"the {image_format} image is cut off or altered: {len(data)} bytes came")
    try:
        image = DECODERS[image_format](io.BytesIO(data))
        _check_pixels(image.size, max_pixels)
        image.load()
    except (DownloadDamaged, MemoryError):
        raise  # too little memory is no fault of the bytes
    except Exception as error:  # a decoder meets damage with whatever it stumbles over
        raise DownloadDamaged(f"the {image_format} image does not decode to its end: {error!r}"[:200]) from error
    return image


def _check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise DownloadDamaged(
            f"the image has {width} x {height} pixels, more than the {max_pixels} allowed (TRINETRA_MAX_IMAGE_PIXELS)",
            reason_class=ReasonClass.IMAGE_TOO_LARGE,
        )


def _description(data: bytes, content_type: str) -> str:
    if not data:
        return "the download is empty"
    kinds = {b"<": "an HTML or XML page", b"{": "JSON", b"[": "JSON"}
    kind = kinds.get(data[:512].removeprefix(codecs.BOM_UTF8).lstrip()[:1], "no known image format")
    return f"the download is {kind}, not an image ({len(data)} bytes, sent as {content_type[:60] or 'no type'})"
