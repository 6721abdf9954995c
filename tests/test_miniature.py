"""A picture on the terminal, two pixels a letter."""

from __future__ import annotations

import io
from typing import Literal

import pytest
from PIL import Image
from rich.console import Console

from prefect_trinetra.cli.miniature import miniature

Colours = Literal["standard", "256", "truecolor"]


def console(colours: Colours | None, *, terminal: bool = True) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        color_system=colours,
        width=41,
        legacy_windows=False,
        no_color=False,  # whatever NO_COLOR says
    )


@pytest.fixture
def picture() -> bytes:
    """Red above, blue below, as wide as high."""
    image = Image.new("RGB", (80, 80), "red")
    image.paste("blue", (0, 40, 80, 80))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_a_picture_fills_the_width_and_keeps_its_shape(picture: bytes) -> None:
    """Forty letters wide, twenty lines high: a letter is twice as high as wide."""
    small = miniature(picture, console("truecolor"))
    assert small is not None
    lines = small.plain.splitlines()
    assert (len(lines), {len(line) for line in lines}) == (20, {40})


def test_each_half_of_a_letter_has_its_pixels_colour(picture: bytes) -> None:
    """Red at the top, blue at the bottom."""
    small = miniature(picture, console("truecolor"))
    assert small is not None
    first, last = small.spans[0].style, small.spans[-1].style
    assert (str(first), str(last)) == ("#ff0000 on #ff0000", "#0000ff on #0000ff")


@pytest.mark.parametrize("shown", [console("standard"), console(None), console("truecolor", terminal=False)])
def test_where_it_would_be_no_picture_there_is_none(picture: bytes, shown: Console) -> None:
    """Sixteen colours, none, or no terminal at all."""
    assert miniature(picture, shown) is None
