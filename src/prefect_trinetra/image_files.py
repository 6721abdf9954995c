"""The outsides of image files: which format the first bytes tell, and whether the file is there to its end."""

from __future__ import annotations

import re
import zlib
from typing import Final

__all__ = ["jpeg_is_whole", "png_is_whole", "sniff", "webp_is_whole"]

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
# A PNG chunk: 4 bytes of length, 4 of type, the data, 4 of CRC.
PNG_CHUNK_FRAME: Final = 12
# The first marker of a JPEG's entropy-coded data that is neither a stuffed zero nor a restart.
JPEG_MARKER: Final = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
JPEG_END: Final = 0xD9
# Markers that stand alone, without a length.
JPEG_BARE: Final = frozenset({0x01, 0xD8})
RIFF_HEADER: Final = 8


def sniff(data: bytes) -> str | None:
    """The format that the first bytes tell: png, jpeg, webp, gif or avif; None for anything else."""
    if data.startswith(PNG_SIGNATURE):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data[4:8] == b"ftyp" and data[8:12] in {b"avif", b"avis"}:
        return "avif"
    return None


def png_is_whole(data: bytes) -> bool:
    """Every chunk up to IEND is there, with the CRC it was sent with. What follows IEND is nobody's business."""
    view, position = memoryview(data), len(PNG_SIGNATURE)
    while position + PNG_CHUNK_FRAME <= len(data):
        length = int.from_bytes(view[position : position + 4])
        end = position + PNG_CHUNK_FRAME + length
        if end > len(data) or zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            return False
        if data[position + 4 : position + 8] == b"IEND":
            return True
        position = end
    return False


def jpeg_is_whole(data: bytes) -> bool:
    """The segments lead to an end marker. One in a preview picture inside a segment does not count."""
    position = 2
    while (found := JPEG_MARKER.search(data, position)) is not None:
        marker = found[1][0]
        if marker == JPEG_END:
            return True
        position = found.end()
        if marker not in JPEG_BARE:
            position += max(2, int.from_bytes(data[position : position + 2]))
    return False


def webp_is_whole(data: bytes) -> bool:
    """There are as many bytes as the RIFF header says."""
    return len(data) >= RIFF_HEADER + int.from_bytes(data[4:8], "little")
