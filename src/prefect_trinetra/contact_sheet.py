"""All pictures of a dataset on one sheet, in rows of equal height, as a photographer lays out prints."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

__all__ = ["Tile", "contact_sheet", "layout"]

SHEET_WIDTH: Final = 1_600
ROW_HEIGHT: Final = 250
GAP: Final = 10
PAPER: Final = (250, 249, 246)
# How much taller than wanted a row may get: one square picture is not to fill the sheet.
TALLEST: Final = 1.5


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a picture goes: left, top, width and height in pixels."""

    left: int
    top: int
    width: int
    height: int


def layout(ratios: Sequence[float], width: int = SHEET_WIDTH, row_height: int = ROW_HEIGHT) -> list[Tile]:
    """A tile for each picture, given width / height of each, in reading order.

    Every row fills the sheet's width, at about `row_height`; a few pictures that can't are not blown up.
    """
    tiles: list[Tile] = []
    top = GAP
    for row in _rows(ratios, width / row_height):
        room = width - GAP * (len(row) + 1)
        height = min(room / sum(row), row_height * TALLEST)
        tiles += _row_of_tiles(row, top, height)
        top += round(height) + GAP
    return tiles


def _rows(ratios: Sequence[float], wanted: float) -> Iterator[Sequence[float]]:
    """Rows of nearly the same sum, so that none is left half empty: each ends next to its share of the total."""
    share = sum(ratios) / max(1, round(sum(ratios) / wanted))
    row: list[float] = []
    gone = 0.0
    ended = 0
    for ratio in ratios:
        if row and gone + ratio / 2 > share * (ended + 1):
            yield row
            row, ended = [], ended + 1
        row.append(ratio)
        gone += ratio
    if row:
        yield row


def _row_of_tiles(ratios: Sequence[float], top: int, height: float) -> Iterator[Tile]:
    left = float(GAP)
    for ratio in ratios:
        width = ratio * height
        # From rounded edges, so that gaps and the right margin stay even.
        yield Tile(round(left), top, round(left + width) - round(left), round(height))
        left += width + GAP


def contact_sheet(pictures: Sequence[bytes]) -> bytes:
    """The pictures on one sheet, as PNG. Raises OSError for bytes that are no picture."""
    images = [_opened(data) for data in pictures]
    tiles = layout([image.width / image.height for image in images])
    height = max((tile.top + tile.height for tile in tiles), default=GAP) + GAP
    sheet = Image.new("RGB", (SHEET_WIDTH, height), PAPER)
    for image, tile in zip(images, tiles, strict=True):
        small = image.resize((tile.width, tile.height), Image.Resampling.LANCZOS)
        sheet.paste(small, (tile.left, tile.top), small)
    png = io.BytesIO()
    sheet.save(png, "PNG")
    return png.getvalue()


def _opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (SHEET_WIDTH // 2, ROW_HEIGHT * 2))
        return image.convert("RGBA")
