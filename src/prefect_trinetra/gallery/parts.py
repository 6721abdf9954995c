"""A gallery's data as scripts: a page that was opened from a folder may load nothing else.

A part's name tells its content, so that it is written once and never with other bytes.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson

__all__ = ["Part", "part", "part_value", "script_json"]

Part = tuple[str, bytes]
"""A name below the gallery's folder, and the file's bytes."""

NAME_DIGITS: Final = 16
# What could end a script, begin markup, or break a line in older engines, wherever the JSON ends up.
UNSAFE: Final = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)


def script_json(value: Any) -> bytes:
    """JSON that is safe inside a script, in a file of its own or in a page: none of it can end the script."""
    data = orjson.dumps(value)
    for letter, escaped in UNSAFE:
        data = data.replace(letter, escaped)
    return data


def part(kind: str, value: Any) -> Part:
    """A script that hands `value` to the page; its name is `kind`, a folder, and a digest."""
    data = script_json(value)
    name = f"{kind}/{hashlib.sha256(data).hexdigest()[:NAME_DIGITS]}.js"
    return name, b"galleryPart(" + orjson.dumps(name) + b", " + data + b");\n"


def part_value(data: bytes) -> Any:
    """What a part hands over. Raises ValueError where it is none."""
    _, comma, rest = data.partition(b", ")
    if not comma or not rest.endswith(b");\n"):
        raise ValueError("no part of a gallery")
    return orjson.loads(rest.removesuffix(b");\n"))
