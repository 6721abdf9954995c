"""Scenes with a horizon: mountains, a lake, the sea, dunes, a forest, a city, a night with planets."""

from __future__ import annotations

import math

from PIL import Image

from prefect_trinetra.sandbox.canvas import Canvas, Point
from prefect_trinetra.sandbox.palettes import mix

__all__ = ["city", "dunes", "forest", "lake", "mountains", "planets", "sea"]


def mountains(canvas: Canvas) -> None:
    """Ridges behind ridges, paler the farther away, under a low sun."""
    _sky(canvas, sun_height=canvas.random.uniform(0.22, 0.42))
    _ranges(canvas, top=0.45, bottom=0.95, layers=6, roughness=0.52)
    _birds(canvas, 0.2)


def lake(canvas: Canvas) -> None:
    """A range and its reflection in still water."""
    _sky(canvas, sun_height=0.26)
    shore = round(canvas.height * 0.6)
    _ranges(canvas, top=0.36, bottom=0.56, layers=4, roughness=0.5)
    mirrored = canvas.image.crop((0, 0, canvas.width, shore)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    water = mirrored.resize((canvas.width, canvas.height - shore), box=(0, 0, canvas.width, shore * 0.85))
    canvas.image.paste(water, (0, shore))
    canvas.veil(shore, canvas.height, canvas.palette.near, 0.75)
    for _ in range(46):
        share = canvas.random.random() ** 1.6
        y = shore + share * (canvas.height - shore)
        length = canvas.unit * canvas.random.uniform(0.04, 0.16) * (0.4 + share)
        x = canvas.random.uniform(-0.1, 1) * canvas.width
        colour = mix(canvas.palette.horizon, canvas.palette.far, canvas.random.random())
        canvas.draw.line((x, y, x + length, y), fill=colour, width=max(1, round(canvas.unit * 0.003)))
    bank = canvas.ridge(canvas.height * 0.99, canvas.unit * 0.025, 0.5)
    canvas.ground(bank, mix(canvas.palette.near, (0, 0, 0), 0.3))


def sea(canvas: Canvas) -> None:
    """A large sun over rows of waves, with a sail now and then."""
    horizon = 0.52
    _sky(canvas, sun_height=horizon - 0.06, sun_size=0.24)
    rows = 9
    sail_row = canvas.random.randrange(1, 4)
    for row in range(rows):
        share = row / (rows - 1)
        base = canvas.height * (horizon + (1.02 - horizon) * share**1.15)
        if row == sail_row:
            _sail(canvas, (canvas.width * canvas.random.uniform(0.2, 0.8), base), canvas.unit * 0.11)
        swell = canvas.unit * (0.004 + 0.02 * share)
        line = canvas.ridge(base, swell, 0.4, first_waves=5.5 - 3 * share)
        canvas.ground(line, canvas.layer_colour(0.05 + 0.95 * share))
        crest = [(x, y + canvas.unit * 0.004) for x, y in line]
        canvas.draw.line(crest, mix(canvas.layer_colour(share), canvas.palette.horizon, 0.35), 2)


def dunes(canvas: Canvas) -> None:
    """Sand in long curves, each with a sunny and a shaded side."""
    _sky(canvas, sun_height=0.24, sun_size=0.1)
    for row in range(5):
        share = row / 4
        base = canvas.height * (0.5 + 0.42 * share)
        line = canvas.ridge(base, canvas.unit * (0.05 + 0.05 * share), 0.28, first_waves=1.1)
        lit = mix(canvas.palette.horizon, canvas.palette.near, 0.12 + 0.6 * share)
        canvas.ground(line, lit)
        top = min(range(len(line)), key=lambda index: line[index][1])
        reach = canvas.unit * canvas.random.uniform(0.3, 0.6)
        crest_x, crest_y = line[top]
        shaded: list[Point] = [*line[top:], (canvas.width + reach, canvas.height), (crest_x + reach, canvas.height)]
        bend = [(crest_x + reach * t**2, crest_y + (canvas.height - crest_y) * t) for t in (0.75, 0.5, 0.25)]
        canvas.draw.polygon([*shaded, *bend], fill=mix(lit, canvas.palette.near, 0.38))


def forest(canvas: Canvas) -> None:
    """Conifers in rows that come out of the mist."""
    _sky(canvas, sun_height=0.3, sun_size=0.13)
    rows = 5
    for row in range(rows):
        share = row / (rows - 1)
        base = canvas.height * (0.55 + 0.5 * share)
        colour = canvas.layer_colour(share)
        ground = canvas.ridge(base, canvas.unit * 0.03, 0.4)
        canvas.ground(ground, colour)
        x, spacing = -canvas.unit * 0.05, canvas.unit * (0.028 + 0.075 * share)
        while x < canvas.width * 1.05:
            height = canvas.unit * (0.1 + 0.34 * share) * canvas.random.uniform(0.6, 1.15)
            _conifer(canvas, (x, base + canvas.unit * 0.04), height, row)
            x += spacing * canvas.random.uniform(0.6, 1.6)
        if row < rows - 1:
            mist = mix(canvas.palette.horizon, canvas.palette.far, 0.25)
            canvas.veil(base - canvas.unit * 0.16, base + canvas.unit * 0.08, mist, 0.5)


def city(canvas: Canvas) -> None:
    """Roofs at dusk, the nearest with their windows lit."""
    _sky(canvas, sun_height=0.3, sun_size=0.15)
    for row in range(4):
        share = row / 3
        x = -canvas.unit * 0.03
        while x < canvas.width:
            width = canvas.unit * canvas.random.uniform(0.05, 0.1) * (0.8 + 0.9 * share)
            rise = canvas.unit * canvas.random.uniform(0.1, 0.36) * (1.05 - 0.25 * share)
            _house(canvas, (x, canvas.height * (0.62 + 0.26 * share) - rise), width, share)
            x += width


def planets(canvas: Canvas) -> None:
    """Stars, one large world with a ring and small ones on their way around it."""
    dark = mix(canvas.palette.near, (8, 10, 28), 0.6)
    canvas.gradient(dark, mix(dark, canvas.palette.zenith, 0.55))
    for _ in range(140):
        place = (canvas.random.random() * canvas.width, canvas.random.random() * canvas.height)
        radius = canvas.unit * (0.001 + 0.0028 * canvas.random.random() ** 3)
        canvas.disc(place, radius, mix(dark, canvas.palette.paper, canvas.random.uniform(0.35, 1)))
    centre = (canvas.width * canvas.random.uniform(0.4, 0.6), canvas.height * canvas.random.uniform(0.42, 0.56))
    canvas.glow(centre, canvas.unit * 0.5, canvas.palette.horizon, 0.35)
    orbits = 4
    for orbit in range(1, orbits + 1):
        reach = canvas.unit * (0.24 + 0.12 * orbit)
        box = (centre[0] - reach, centre[1] - reach * 0.36, centre[0] + reach, centre[1] + reach * 0.36)
        faint = mix(dark, canvas.palette.horizon, 0.45)
        canvas.draw.ellipse(box, outline=faint, width=max(1, round(canvas.unit * 0.0025)))
    _world(canvas, centre, canvas.unit * 0.19)
    for orbit in range(1, orbits + 1):
        reach, angle = canvas.unit * (0.24 + 0.12 * orbit), canvas.random.uniform(0.1, math.pi - 0.1)
        place = (centre[0] + reach * math.cos(angle), centre[1] + reach * 0.36 * math.sin(angle))
        canvas.disc(place, canvas.unit * canvas.random.uniform(0.014, 0.04), canvas.accent())


def _sky(canvas: Canvas, *, sun_height: float, sun_size: float = 0.12) -> None:
    canvas.gradient(canvas.palette.zenith, canvas.palette.horizon)
    centre = (canvas.width * canvas.random.uniform(0.25, 0.75), canvas.height * sun_height)
    radius = canvas.unit * sun_size * canvas.random.uniform(0.85, 1.15)
    canvas.glow(centre, radius * 4, canvas.palette.light, 0.55)
    canvas.disc(centre, radius, canvas.palette.light)


def _ranges(canvas: Canvas, *, top: float, bottom: float, layers: int, roughness: float) -> None:
    for layer in range(layers):
        share = layer / (layers - 1)
        base = canvas.height * (top + (bottom - top) * share)
        relief = canvas.unit * (0.085 - 0.03 * share)
        canvas.ground(canvas.ridge(base, relief, roughness), canvas.layer_colour(share))
        if layer < layers - 1:
            mist = mix(canvas.palette.horizon, canvas.palette.far, 0.3)
            canvas.veil(base - relief, base + canvas.height * 0.1, mist, 0.35)


def _birds(canvas: Canvas, height: float) -> None:
    x, y = canvas.width * canvas.random.uniform(0.1, 0.6), canvas.height * height
    for _ in range(canvas.random.randrange(3, 7)):
        size = canvas.unit * canvas.random.uniform(0.012, 0.022)
        wings = [(x - size, y - size * 0.5), (x, y), (x + size, y - size * 0.6)]
        canvas.draw.line(wings, canvas.palette.near, max(2, round(canvas.unit * 0.004)), joint="curve")
        x += canvas.unit * canvas.random.uniform(0.03, 0.07)
        y += canvas.unit * canvas.random.uniform(-0.03, 0.03)


def _sail(canvas: Canvas, foot: Point, size: float) -> None:
    x, y = foot
    paper = canvas.palette.paper
    canvas.draw.polygon([(x, y - size * 1.3), (x, y - size * 0.2), (x + size * 0.62, y - size * 0.2)], paper)
    jib = [(x - size * 0.06, y - size * 1.1), (x - size * 0.06, y - size * 0.2), (x - size * 0.42, y - size * 0.2)]
    canvas.draw.polygon(jib, canvas.accent())
    hull = [(x - size * 0.55, y - size * 0.13), (x + size * 0.7, y - size * 0.13), (x + size * 0.45, y + size * 0.1)]
    canvas.draw.polygon([*hull, (x - size * 0.38, y + size * 0.1)], canvas.palette.near)


def _conifer(canvas: Canvas, foot: Point, height: float, row: int) -> None:
    x, y = foot
    colour = canvas.layer_colour(row / 4)
    half = height * 0.2
    for tier in range(5):
        low, high = y - height * tier * 0.18, y - height * (tier * 0.18 + 0.34)
        reach = half * (1 - tier * 0.19)
        canvas.draw.polygon([(x - reach, low), (x, high), (x + reach, low)], fill=colour)


def _house(canvas: Canvas, corner: Point, width: float, share: float) -> None:
    x, y = corner
    colour = canvas.layer_colour(0.1 + 0.9 * share)
    canvas.draw.rectangle((x, y, x + width, canvas.height), fill=colour)
    match canvas.random.randrange(4):
        case 0:
            canvas.draw.polygon([(x, y), (x + width / 2, y - width * 0.4), (x + width, y)], fill=colour)
        case 1:
            canvas.draw.rectangle((x + width * 0.3, y - width * 0.25, x + width * 0.7, y), fill=colour)
        case _:
            pass
    if share > 0.5:
        _windows(canvas, corner, width)


def _windows(canvas: Canvas, corner: Point, width: float) -> None:
    pane = canvas.unit * 0.012
    columns = max(1, int(width / (pane * 2.4)))
    left = corner[0] + (width - (columns * 2.4 - 1.4) * pane) / 2
    y = corner[1] + pane * 1.8
    while y < canvas.height - pane:
        for column in range(columns):
            if canvas.random.random() < 0.42:
                x = left + column * pane * 2.4
                glow = mix(canvas.palette.light, canvas.palette.accents[0], canvas.random.random() * 0.35)
                canvas.draw.rectangle((x, y, x + pane, y + pane * 1.4), fill=glow)
        y += pane * 3


def _world(canvas: Canvas, centre: Point, radius: float) -> None:
    x, y = centre
    base = canvas.palette.accents[0]
    ring = (x - radius * 1.75, y - radius * 0.5, x + radius * 1.75, y + radius * 0.5)
    width = max(2, round(radius * 0.12))
    canvas.draw.arc(ring, 180, 360, fill=canvas.palette.horizon, width=width)
    bands = 9
    canvas.disc(centre, radius, base)
    for band in range(bands):
        top = -1 + 2 * band / bands
        shade = mix(base, canvas.palette.near if band % 2 else canvas.palette.light, canvas.random.uniform(0.05, 0.3))
        edge = [-1 + 2 * (band + step / 6) / bands for step in range(7)]
        right = [(x + radius * math.sqrt(max(0.0, 1 - v * v)), y + radius * v) for v in edge]
        left = [(2 * x - px, py) for px, py in reversed(right)]
        if top < 1:
            canvas.draw.polygon([*right, *left], fill=shade)
    canvas.draw.arc(ring, 0, 180, fill=canvas.palette.horizon, width=width)
