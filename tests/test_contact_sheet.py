"""A contact sheet holds every picture, whole, in order, side by side."""

from __future__ import annotations

import io
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from prefect_trinetra.contact_sheet import GAP, SHEET_WIDTH, Tile, contact_sheet, layout

RATIOS = st.lists(st.floats(min_value=0.2, max_value=5), max_size=40)
# Edges are rounded to whole pixels.
GRAIN = 2


def picture(width: int, height: int, colour: str = "teal") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def apart(one: Tile, other: Tile) -> bool:
    return (
        one.left + one.width <= other.left
        or other.left + other.width <= one.left
        or one.top + one.height <= other.top
        or other.top + other.height <= one.top
    )


@given(RATIOS)
def test_pictures_lie_on_the_sheet_without_overlapping(ratios: list[float]) -> None:
    """Whatever their shapes."""
    tiles = layout(ratios)
    assert len(tiles) == len(ratios)
    assert all(tile.left >= GAP and tile.left + tile.width <= SHEET_WIDTH - GAP + GRAIN for tile in tiles)
    assert all(apart(one, other) for one, other in combinations(tiles, 2))


@given(RATIOS)
def test_pictures_come_in_reading_order(ratios: list[float]) -> None:
    """Left to right, then the next row."""
    assert all((one.top, one.left) < (other.top, other.left) for one, other in pairwise(layout(ratios)))


@given(st.lists(st.floats(min_value=0.5, max_value=2), min_size=30, max_size=40))
def test_every_row_fills_the_width(ratios: list[float]) -> None:
    """No last row is left half empty."""
    tiles = layout(ratios)
    rights = {tile.top: tile.left + tile.width for tile in tiles}
    assert all(abs(right - (SHEET_WIDTH - GAP)) <= GRAIN for right in rights.values())


def test_a_sheet_is_a_png_with_each_picture_on_it() -> None:
    """Their colours are found where the layout put them."""
    sheet = Image.open(io.BytesIO(contact_sheet([picture(30, 20, "red"), picture(20, 20, "blue")])))
    red, blue = layout([1.5, 1.0])
    assert (sheet.format, sheet.width) == ("PNG", SHEET_WIDTH)
    assert sheet.getpixel((red.left + 5, red.top + 5)) == (255, 0, 0)
    assert sheet.getpixel((blue.left + 5, blue.top + 5)) == (0, 0, 255)


def test_no_pictures_make_an_empty_sheet() -> None:
    """Nobody needs a special case."""
    assert Image.open(io.BytesIO(contact_sheet([]))).width == SHEET_WIDTH
