"""Colours that go together. Each palette is named for what it looks like; which one a picture gets goes by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PIL import ImageColor

__all__ = ["PALETTES", "Colour", "Palette", "mix"]

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """The colours of one picture, from the sky down; accents are for whatever is not sky or land."""

    zenith: Colour
    horizon: Colour
    light: Colour
    far: Colour
    near: Colour
    accents: tuple[Colour, ...]
    paper: Colour

    @property
    def all(self) -> tuple[Colour, ...]:
        """Every colour but the paper, the strongest first."""
        return (*self.accents, self.near, self.far, self.light, self.horizon)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour that is `share` (0 to 1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _palette(words: str) -> Palette:
    colours = [_colour(word) for word in words.split()]
    zenith, horizon, light, far, near, *accents, paper = colours
    return Palette(zenith, horizon, light, far, near, tuple(accents), paper)


def _colour(word: str) -> Colour:
    red, green, blue = ImageColor.getrgb(f"#{word}")[:3]
    return red, green, blue


# zenith horizon light far near accent accent accent accent paper
PALETTES: Final = tuple(
    map(
        _palette,
        (
            "2b3a67 f4a77f ffe3b0 8e7aa0 1d1f3b e0596b f2b36b 496a81 fbe9d0 f7f1e6",  # dusk over hills
            "9fd3d6 f6efd9 fff7e0 7fb0ab 1f4a4d e76f51 f4a261 2a9d8f e9c46a faf6ea",  # a morning by the coast
            "0f1b3d 3f5a91 f5efd0 34508a 0a1128 f2c14e f78154 5fa8d3 cae9ff f2efe6",  # a clear night
            "f7c59f fdeecf e8505b d79a7c 5b3a3c e8505b f9d56e 14b1ab 3d405b fbf5ea",  # terracotta
            "cfe3d4 f5f3e0 fffbe8 93b79a 1f3d2f d98f4e a3b18a 588157 e9c9a6 f8f5ea",  # a forest in the mist
            "5f4b8b f3a6b8 fff0d6 9a77b0 2c1f47 f45d7e ffb88c 6a89cc fde2e4 faf1ee",  # lilac evening
            "d8e2e9 f4f6f6 ffffff a9bfcd 2f4a5f c8553d f28f3b 588b8b ffd5c2 f7f6f2",  # winter light
            "b5442e f6b663 ffe9b3 d0703f 3c1518 f2a65a 772f1a 585123 eec170 faf0dc",  # desert at noon
            "13293d 247ba0 e8f1f2 1b6087 0b1a28 ff9f1c e71d36 2ec4b6 fdfffc f3f4ef",  # deep water
            "f9d5e5 fff4e6 ff6f61 eeb6c6 6b4c7a ff6f61 88b04b 5b5ea6 f7cac9 fcf6f2",  # blossom
            "264653 e9c46a fff3c9 6d8b74 1d2f36 f4a261 e76f51 2a9d8f faedcd f8f2e2",  # harvest
            "1b1b3a 693668 ffd1dc 5c3a78 0d0d1f f3a712 e4572e 2ec4b6 a8c5da f3eef2",  # city after rain
            "a7c5eb f9f3df ffb400 89a5c9 2d4059 ea5455 f07b3f ffd460 2d4059 faf7ee",  # bright and plain
            "3e4c3b d9c9a3 fbf1d3 8a8f6a 232a1f b5651d c9a227 6b705c ede0d4 f5f0e3",  # moss and ochre
        ),
    )
)
