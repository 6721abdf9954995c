"""What downloaded bytes are: a whole image, fit to be stored exactly as it came, or damage."""

from __future__ import annotations

import codecs
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from prefect_trinetra.errors import DownloadDamaged
from prefect_trinetra.image_files import jpeg_is_whole, png_is_whole, sniff, webp_is_whole
from prefect_trinetra.reasons import ReasonClass

__all__ = ["VerifiedImage", "image_extension", "verify"]

# Relative to what was asked: models round sides to multiples of 16 or 32, which moves a ratio by a few per cent.
RATIO_TOLERANCE: Final = 0.10
# Between the least and the greatest value of a channel that is one colour to the eye: lossy WebP at its default quality
# ripples a plain surface by up to 7 levels of 255, JPEG by none.
FLAT_LEVELS: Final = 8
SAMPLE_SIDE_PIXELS: Final = 8

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


def verify(data: bytes, *, content_type: str, wanted_format: str, wanted_ratio: str, max_pixels: int) -> VerifiedImage:
    """What `data` is. Blocks for some milliseconds: call it in a thread.

    The bytes decide, not `content_type`, which only helps to describe what is no image. `wanted_ratio` is `W:H`;
    anything else asks for nothing. Raises DownloadDamaged where the bytes are no whole image, or one of more than
    `max_pixels`.
    """
    image_format = sniff(data)
    if image_format is None:
        raise DownloadDamaged(_description(data, content_type))
    image = _decoded(data, image_format, max_pixels)
    width, height = image.size
    reasons = (
        _other_format(wanted_format, image_format),
        _other_ratio(wanted_ratio, width, height),
        "flat" if _is_flat(image) else None,
    )
    return VerifiedImage(
        format=image_format,
        width=width,
        height=height,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        suspect="; ".join(filter(None, reasons)) or None,
    )


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


def _other_format(wanted: str, found: str) -> str | None:
    wanted = {"jpg": "jpeg"}.get(wanted, wanted)
    return f"wrong format: asked {wanted}, got {found}" if wanted != found else None


def _other_ratio(wanted: str, width: int, height: int) -> str | None:
    try:
        across, down = (float(part) for part in wanted.split(":"))
        off = width / height / (across / down) - 1
    except (ValueError, ZeroDivisionError):
        return None  # "auto", or a value the user had sent unchecked
    return f"wrong aspect ratio: asked {wanted}, got {width}x{height}" if abs(off) > RATIO_TOLERANCE else None


def _is_flat(image: Image.Image) -> bool:
    """One colour everywhere, or nothing to be seen at all. A few pixels tell for nearly every image that it is not."""
    if image.mode in {"P", "PA"}:
        image = image.convert("RGBA")
    side = SAMPLE_SIDE_PIXELS
    return _looks_flat(image.resize((side, side), Image.Resampling.NEAREST)) and _looks_flat(image)


def _looks_flat(image: Image.Image) -> bool:
    extrema = _extrema(image)
    if image.mode in {"RGBA", "LA"} and extrema[-1][1] == 0:
        return True
    return all(high - low <= FLAT_LEVELS for low, high in extrema)


def _extrema(image: Image.Image) -> tuple[tuple[float, float], ...]:
    """The least and the greatest value of each channel."""
    found = image.getextrema()
    return cast("tuple[tuple[float, float], ...]", found if len(image.getbands()) > 1 else (found,))
