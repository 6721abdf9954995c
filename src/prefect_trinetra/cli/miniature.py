"""A picture on the terminal itself: two pixels a letter, upper and lower half."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

__all__ = ["miniature"]

UPPER_HALF: Final = "▀"
WIDEST: Final = 96
# With sixteen colours a picture is mud.
ENOUGH_COLOURS: Final = frozenset({"truecolor", "256"})


def miniature(picture: bytes, console: Console) -> Text | None:
    """The picture as wide as the terminal allows, or None where it would be no picture. Raises OSError."""
    if not console.is_terminal or console.no_color or console.color_system not in ENOUGH_COLOURS:
        return None
    with Image.open(io.BytesIO(picture)) as image:
        width = min(WIDEST, console.width - 1)
        height = max(2, round(image.height / image.width * width / 2) * 2)
        small = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    lines = (_line(small, top) for top in range(0, height, 2))
    return Text("\n").join(lines)


def _line(image: Image.Image, top: int) -> Text:
    line = Text(no_wrap=True)
    rows = [image.crop((0, y, image.width, y + 1)).tobytes() for y in (top, top + 1)]
    for at in range(0, 3 * image.width, 3):
        upper, lower = (Color.from_rgb(*row[at : at + 3]) for row in rows)
        line.append(UPPER_HALF, Style(color=upper, bgcolor=lower))
    return line
