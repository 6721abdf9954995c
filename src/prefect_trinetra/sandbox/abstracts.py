"""Scenes without a horizon: tiles, strokes in a current, arches, discs, leaves, ribbons."""

from __future__ import annotations

import math
from random import Random

from PIL import Image, ImageDraw

from prefect_trinetra.sandbox.canvas import Canvas, Point
from prefect_trinetra.sandbox.palettes import Colour, mix

__all__ = ["arches", "current", "discs", "leaves", "ribbons", "tiles"]


def tiles(canvas: Canvas) -> None:
    """A grid of quarter and half circles, as a weaver of the twenties would have it."""
    columns = max(2, round(canvas.width / canvas.unit * 4))
    rows = max(2, round(canvas.height / canvas.unit * 4))
    colours = [*canvas.palette.accents, canvas.palette.near, canvas.palette.far]
    for row in range(rows):
        for column in range(columns):
            box = (
                column * canvas.width / columns,
                row * canvas.height / rows,
                (column + 1) * canvas.width / columns,
                (row + 1) * canvas.height / rows,
            )
            ground, figure, dot = canvas.random.sample(colours, 3)
            _tile(canvas, box, (ground, figure, dot))


def _tile(canvas: Canvas, box: tuple[float, float, float, float], colours: tuple[Colour, ...]) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    ground, figure, dot = colours
    canvas.draw.rectangle(box, fill=ground)
    turn = canvas.random.randrange(4)
    match canvas.random.randrange(4):
        case 0:  # a quarter circle around a corner
            x, y = (left, right)[turn % 2], (top, bottom)[turn // 2]
            whole = (x - width, y - height, x + width, y + height)
            start = (0, 90, 270, 180)[turn]
            canvas.draw.pieslice(whole, start, start + 90, fill=figure)
            half = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            canvas.draw.pieslice(half, start, start + 90, fill=dot)
        case 1:  # two half circles
            canvas.draw.pieslice((left, top, right, bottom), turn * 90, turn * 90 + 180, fill=figure)
        case 2:  # a disc in a disc
            for share, colour in ((0.08, figure), (0.32, dot)):
                x, y = width * share, height * share
                canvas.draw.ellipse((left + x, top + y, right - x, bottom - y), fill=colour)
        case _:  # a triangle
            corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
            canvas.draw.polygon([corners[turn], corners[(turn + 1) % 4], corners[(turn + 2) % 4]], fill=figure)


def current(canvas: Canvas) -> None:
    """Strokes that follow an invisible stream."""
    canvas.gradient(mix(canvas.palette.paper, canvas.palette.horizon, 0.25), canvas.palette.paper)
    stream = _Stream(canvas.random, canvas.unit)
    colours = canvas.palette.all[:-1]
    # As many strokes as keep a long picture as full as a square one.
    for _ in range(round(320 * canvas.width * canvas.height / canvas.unit**2)):
        start = (canvas.random.uniform(-0.15, 1) * canvas.width, canvas.random.random() * canvas.height)
        path = stream.path(start, canvas.random.randrange(8, 26))
        width = max(2, round(canvas.unit * canvas.random.choice((0.005, 0.008, 0.012, 0.018))))
        colour = canvas.random.choice(colours)
        canvas.draw.line(path, colour, width)
        for end in (path[0], path[-1]):
            canvas.disc(end, width / 2 - 0.5, colour)


class _Stream:
    """Two waves that say at every point which way things drift."""

    def __init__(self, random: Random, unit: float) -> None:
        self._across, self._along = (random.uniform(1.2, 3.4) / unit for _ in range(2))
        self._phases = (random.uniform(0, math.tau), random.uniform(0, math.tau))
        self._strengths = (random.uniform(0.6, 1.2), random.uniform(0.6, 1.2))
        self._lean, self._step = random.uniform(-0.6, 0.6), unit * 0.021

    def path(self, start: Point, steps: int) -> list[Point]:
        """Where something drifts in that many steps."""
        path = [start]
        for _ in range(steps):
            x, y = path[-1]
            angle = self._angle(x, y)
            path.append((x + self._step * math.cos(angle), y + self._step * math.sin(angle)))
        return path

    def _angle(self, x: float, y: float) -> float:
        first = math.sin(x * self._across + y * self._along + self._phases[0])
        second = math.cos(y * self._across * 1.7 - x * self._along * 0.6 + self._phases[1])
        return self._lean + self._strengths[0] * first + self._strengths[1] * second


def arches(canvas: Canvas) -> None:
    """Arches within arches, one of them with the sun."""
    canvas.gradient(mix(canvas.palette.horizon, canvas.palette.paper, 0.55), canvas.palette.paper)
    sun = (canvas.width * canvas.random.uniform(0.2, 0.8), canvas.height * 0.22)
    canvas.disc(sun, canvas.unit * 0.11, canvas.palette.accents[1])
    colours = canvas.palette.all
    count = max(2, round(2.4 * canvas.width / canvas.unit))
    for number in range(count * 2):
        radius = canvas.unit * canvas.random.uniform(0.2, 0.34)
        x = canvas.width * ((number % count) + canvas.random.uniform(0.2, 0.8)) / count
        top = canvas.height * canvas.random.uniform(0.42, 0.6) + canvas.height * 0.24 * (number // count)
        shift = canvas.random.randrange(len(colours))
        rings = 5
        for ring in range(rings):
            reach = radius * (1 - ring / rings)
            colour = colours[(ring + shift) % len(colours)] if ring % 2 == 0 else canvas.palette.paper
            canvas.disc((x, top + radius), reach, colour)
            below = max(canvas.height, top + radius)
            canvas.draw.rectangle((x - reach, top + radius, x + reach, below), fill=colour)


def discs(canvas: Canvas) -> None:
    """Large translucent discs and a few fine lines in balance."""
    canvas.gradient(canvas.palette.paper, mix(canvas.palette.paper, canvas.palette.horizon, 0.35))
    for size in (0.34, 0.27, 0.2, 0.15, 0.11, 0.08, 0.05):
        radius = canvas.unit * size * canvas.random.uniform(0.85, 1.15)
        centre = (
            canvas.width * canvas.random.gauss(0.5, 0.17),
            canvas.height * canvas.random.gauss(0.5, 0.17),
        )
        _translucent_disc(canvas, centre, radius, canvas.random.choice(canvas.palette.all[:6]))
    line = max(2, round(canvas.unit * 0.004))
    for _ in range(3):
        x, y = canvas.random.uniform(0.2, 0.8) * canvas.width, canvas.random.uniform(0.2, 0.8) * canvas.height
        radius = canvas.unit * canvas.random.uniform(0.1, 0.4)
        canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=canvas.palette.near, width=line)
    slant, height = canvas.random.uniform(-0.4, 0.4), canvas.random.uniform(0.15, 0.75)
    for number in range(canvas.random.randrange(3, 7)):
        y = canvas.height * (height + 0.03 * number)
        canvas.draw.line((0, y, canvas.width, y + slant * canvas.height), canvas.palette.near, line)


def _translucent_disc(canvas: Canvas, centre: Point, radius: float, colour: Colour) -> None:
    side = max(2, round(radius * 2))
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=205)
    canvas.image.paste(colour, (round(centre[0] - radius), round(centre[1] - radius)), mask)


def leaves(canvas: Canvas) -> None:
    """Stems with leaves, cut from paper."""
    ground = mix(canvas.palette.paper, canvas.palette.horizon, 0.5)
    canvas.gradient(ground, mix(ground, canvas.palette.light, 0.5))
    sun = (canvas.width * canvas.random.uniform(0.3, 0.7), canvas.height * 0.36)
    canvas.disc(sun, canvas.unit * 0.23, mix(canvas.palette.accents[1], canvas.palette.light, 0.25))
    stems = max(3, round(4.2 * canvas.width / canvas.unit))
    for stem in range(stems):
        x = canvas.width * (stem + canvas.random.uniform(0.2, 0.8)) / stems
        height = canvas.height * canvas.random.uniform(0.5, 0.86)
        colour = mix(canvas.accent(), canvas.palette.near, canvas.random.uniform(0.1, 0.65))
        _stem(canvas, x, height, colour, berries=canvas.random.random() < 0.25)


def _stem(canvas: Canvas, foot_x: float, height: float, colour: Colour, *, berries: bool) -> None:
    lean, pairs = canvas.random.uniform(-0.16, 0.16) * height, canvas.random.randrange(5, 9)
    spine = [(foot_x + lean * t**2, canvas.height * 1.01 - height * t) for t in (n / 24 for n in range(25))]
    canvas.draw.line(spine, colour, max(2, round(canvas.unit * 0.007)), joint="curve")
    for pair in range(pairs):
        share = 0.25 + 0.72 * pair / (pairs - 1)
        root = spine[round(share * 24)]
        length = canvas.unit * 0.2 * (1.15 - 0.7 * share)
        for side in (-1, 1):
            angle = -math.pi / 2 + side * (1.15 - 0.5 * share)
            if berries:
                tip = (root[0] + length * 0.6 * math.cos(angle), root[1] + length * 0.6 * math.sin(angle))
                canvas.draw.line((*root, *tip), colour, max(2, round(canvas.unit * 0.004)))
                canvas.disc(tip, canvas.unit * 0.017, canvas.palette.accents[0])
            else:
                _leaf(canvas, root, length, angle, colour)
    if not berries:
        _leaf(canvas, spine[-1], canvas.unit * 0.1, -math.pi / 2, colour)


def _leaf(canvas: Canvas, root: Point, length: float, angle: float, colour: Colour) -> None:
    along, across = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    shares = [step / 10 for step in range(11)]
    for sign, shade in ((1, colour), (-1, mix(colour, canvas.palette.paper, 0.16))):
        edge = [
            (
                root[0] + length * (t * along[0] + sign * 0.19 * math.sin(math.pi * t**0.8) * across[0]),
                root[1] + length * (t * along[1] + sign * 0.19 * math.sin(math.pi * t**0.8) * across[1]),
            )
            for t in shares
        ]
        canvas.draw.polygon(edge, fill=shade)


def ribbons(canvas: Canvas) -> None:
    """Bands of colour that swing across, each over the last."""
    canvas.gradient(canvas.palette.horizon, canvas.palette.paper)
    colours = list(canvas.palette.all)
    canvas.random.shuffle(colours)
    count = 11
    for band in range(count):
        share = band / (count - 1)
        line = canvas.ridge(canvas.height * (0.16 + 0.84 * share), canvas.unit * 0.065, 0.32, first_waves=1.3)
        colour = colours[band % len(colours)]
        shadow = [(x, y - canvas.unit * 0.012) for x, y in line]
        canvas.ground(shadow, mix(colour, canvas.palette.near, 0.35))
        canvas.ground(line, colour)
