"""What scenes paint on: a canvas of twice the final size, so that scaling it down smooths every edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from PIL import Image, ImageDraw, ImageOps

from prefect_trinetra.sandbox.palettes import Colour, Palette, mix

__all__ = ["Canvas", "Point"]

Point = tuple[float, float]


@dataclass
class Canvas:
    """An image, its palette and its chance. `unit` is its shorter side: sizes in scenes are shares of it."""

    width: int
    height: int
    palette: Palette
    random: Random
    image: Image.Image = field(init=False)
    draw: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        self._take(Image.new("RGB", (self.width, self.height), self.palette.paper))

    @property
    def unit(self) -> float:
        """The shorter side, in pixels of the canvas."""
        return float(min(self.width, self.height))

    def gradient(self, top: Colour, bottom: Colour) -> None:
        """Fill everything with a vertical gradient."""
        ramp = Image.linear_gradient("L").resize((1, self.height), Image.Resampling.BILINEAR)
        self._take(ImageOps.colorize(ramp, top, bottom).resize((self.width, self.height)))

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """A filled circle."""
        x, y = centre
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def glow(self, centre: Point, radius: float, colour: Colour, strength: float = 0.8) -> None:
        """Light that fades to nothing at the radius; `strength` from 0 to 1 is its share at the centre."""
        side = max(2, round(2 * radius))
        fading = Image.radial_gradient("L").point([round(max(0, 180 - v) / 180 * 255 * strength) for v in range(256)])
        mask = fading.resize((side, side), Image.Resampling.BILINEAR)
        self.image.paste(colour, (round(centre[0] - radius), round(centre[1] - radius)), mask)

    def veil(self, top: float, bottom: float, colour: Colour, strength: float) -> None:
        """Mist between two heights: none at the top, `strength` (0 to 1) at the bottom."""
        height = max(1, round(bottom - top))
        mask = Image.linear_gradient("L").point([round(v * strength) for v in range(256)])
        self.image.paste(colour, (0, round(top)), mask.resize((self.width, height)))

    def ground(self, profile: Sequence[Point], colour: Colour) -> None:
        """Fill everything below a line that runs from the left edge to the right one."""
        corners: list[Point] = [(self.width, self.height), (0, self.height)]
        self.draw.polygon([*profile, *corners], fill=colour)

    def ridge(self, base: float, relief: float, roughness: float, *, first_waves: float = 1.5) -> list[Point]:
        """A line around the height `base`, made of ever smaller waves; roughness 0.3 is smooth, 0.6 is rocky."""
        waves, phases = first_waves, [self.random.uniform(0, math.tau) for _ in range(7)]
        octaves = []
        for octave, phase in enumerate(phases):
            octaves.append((waves * math.tau / self.width, phase, relief * roughness**octave))
            waves *= self.random.uniform(1.7, 2.3)
        step = max(2, self.width // 200)
        return [
            (x, base - sum(amount * math.sin(x * pace + phase) for pace, phase, amount in octaves))
            for x in range(0, self.width + step, step)
        ]

    def layer_colour(self, share: float) -> Colour:
        """The colour of land at a distance: 0 is the farthest, 1 the nearest."""
        return mix(self.palette.far, self.palette.near, share)

    def accent(self) -> Colour:
        """One of the accents."""
        return self.random.choice(self.palette.accents)

    def _take(self, image: Image.Image) -> None:
        self.image, self.draw = image, ImageDraw.Draw(image)
