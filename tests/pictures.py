"""Image files made on the spot, in every way that encoders know."""

import io
import os

from PIL import Image, ImageFilter

Size = tuple[int, int]


def colourful(size: Size = (48, 32), mode: str = "RGB") -> Image.Image:
    """A soft picture with many colours, different each time; opaque where the mode has an alpha channel."""
    width, height = size
    noise = Image.frombytes("RGB", size, os.urandom(width * height * 3)).filter(ImageFilter.GaussianBlur(2))
    return noise.convert(mode)


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    """The image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def every_encoding() -> dict[str, bytes]:
    """One whole file of each kind, by a name that starts with its format."""
    picture, clear = colourful(), colourful(mode="RGBA")
    exif = Image.Exif()
    exif[0x010E] = "a preview ends like a picture: \xff\xd9"
    return {
        "png": encoded(picture, "png"),
        "png with alpha": encoded(clear, "png"),
        "png with a palette": encoded(picture.quantize(16), "png"),
        "png in grey": encoded(picture.convert("L"), "png"),
        "png with 16 bits": encoded(picture.convert("L").convert("I;16"), "png"),
        "jpeg": encoded(picture, "jpeg"),
        "jpeg, progressive": encoded(picture, "jpeg", progressive=True, quality=95),
        "jpeg, optimised, with exif": encoded(picture, "jpeg", optimize=True, exif=exif),
        "jpeg with restarts": encoded(picture, "jpeg", restart_marker_rows=1),
        "jpeg in grey": encoded(picture.convert("L"), "jpeg"),
        "jpeg in CMYK": encoded(picture.convert("CMYK"), "jpeg"),
        "webp": encoded(picture, "webp"),
        "webp, lossless": encoded(picture, "webp", lossless=True),
        "webp with alpha": encoded(clear, "webp", exif=exif),
    }
