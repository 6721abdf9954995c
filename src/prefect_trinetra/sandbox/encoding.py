"""From pixels to file bytes: the asked format, with the prompt in its metadata and a stand-in for C2PA."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Final
from xml.sax.saxutils import escape

from PIL import Image
from PIL.PngImagePlugin import PngInfo

__all__ = ["Label", "encode", "stamp"]

IMAGE_DESCRIPTION: Final = 0x010E  # the EXIF tag
PNG_HEADER_BYTES: Final = 8 + 25  # signature and IHDR
DEFAULT_COMPRESSION: Final = 100  # the provider's "output_compression" is Pillow's quality
# JPEG keeps metadata in segments of at most 64 kB; UTF-8 takes up to 4 bytes a character.
MAX_METADATA_CHARACTERS: Final = 8_000
# Stands in every file that is stamped, and is replaced by 64 hexadecimal digits.
STAMP_PLACE: Final = "@" * 64
CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# A C2PA manifest store is a JUMBF superbox; this one is empty but for its label.
C2PA_STAND_IN: Final = struct.pack(">I4sI4s", 46, b"jumb", 38, b"jumd") + b"c2pa" + bytes(13) + b"sandbox stand-in"


@dataclass(frozen=True)
class Label:
    """What a file says about itself: its prompt, and whatever makes it unlike any other."""

    prompt: str
    identity: str


def encode(image: Image.Image, output_format: str, compression: int | None, label: Label) -> bytes:
    """The image as png, jpeg or webp. Compression is 0-100 as the provider counts it: 100 is the best quality."""
    quality = DEFAULT_COMPRESSION if compression is None else compression
    buffer = BytesIO()
    if output_format == "png":
        image.save(buffer, "PNG", pnginfo=_png_text(label), compress_level=1)
        return _with_chunk(buffer.getvalue(), b"caBX", C2PA_STAND_IN)
    if output_format == "jpeg":
        image.convert("RGB").save(buffer, "JPEG", quality=min(quality, 95), exif=_exif(label), xmp=_xmp(label))
    else:
        image.save(buffer, "WEBP", quality=min(quality, 90), method=0, exif=_exif(label), xmp=_xmp(label))
    return buffer.getvalue()


def stamp(content: bytes, identity: str) -> bytes:
    """A copy of an encoded file whose label had STAMP_PLACE as its identity, now with 64 digits in that place."""
    at = content.index(STAMP_PLACE.encode())
    stamped = content[:at] + identity.encode() + content[at + len(STAMP_PLACE) :]
    if not content.startswith(b"\x89PNG"):
        return stamped
    # The tEXt chunk's checksum: over its type and data, which end right after the stamp.
    begin = content.rindex(b"tEXt", 0, at)
    end = at + len(STAMP_PLACE)
    checksum = struct.pack(">I", zlib.crc32(stamped[begin:end]))
    return stamped[:end] + checksum + stamped[end + 4 :]


def _png_text(label: Label) -> PngInfo:
    info = PngInfo()
    info.add_text("identity", label.identity)
    info.add_text("prompt", label.prompt.replace("\0", " "))
    info.add_text("Software", "prefect-trinetra sandbox")
    return info


def _with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return png[:PNG_HEADER_BYTES] + chunk + png[PNG_HEADER_BYTES:]


def _exif(label: Label) -> Image.Exif:
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = label.prompt[:MAX_METADATA_CHARACTERS].replace("\0", " ")
    return exif


def _xmp(label: Label) -> bytes:
    prompt = escape(CONTROL_CHARACTERS.sub(" ", label.prompt[:MAX_METADATA_CHARACTERS]))
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:identifier>{label.identity}</dc:identifier>"
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{prompt}</rdf:li></rdf:Alt></dc:description>'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()
