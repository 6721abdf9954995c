"""A whole picture: a scene in a passe-partout of paper, with its prompt set below it like a print's title."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFont, ImageOps

from prefect_trinetra.sandbox import abstracts, landscapes
from prefect_trinetra.sandbox.canvas import Canvas
from prefect_trinetra.sandbox.palettes import PALETTES, Colour, Palette, mix

__all__ = ["Subject", "paint", "retouch"]

SUPERSAMPLING: Final = 2
# Below this a title could not be read: the scene fills the whole picture.
SMALLEST_FRAMED_SIDE: Final = 160
MAX_TITLE_LINES: Final = 2
# A title of 32,000 characters is cut long before it is measured.
MAX_TITLE_CHARACTERS: Final = 300

Scene = Callable[[Canvas], None]
Box = tuple[int, int, int, int]

# A prompt that speaks of one of these gets a scene with it.
SCENES_BY_WORD: Final[Mapping[str, Scene]] = {
    "mountain|hill|peak|alps|valley|snow|fox|wolf|eagle": landscapes.mountains,
    "lake|river|reflection|dew|rain|mirror": landscapes.lake,
    "sea|ocean|wave|beach|boat|ship|sail|fish|island|whale": landscapes.sea,
    "desert|dune|sand|camel|pyramid|sphinx": landscapes.dunes,
    "forest|tree|wood|pine|bear|deer|squirrel|owl": landscapes.forest,
    "city|street|building|house|skyline|tower|car|train|robot": landscapes.city,
    "space|planet|star|galaxy|moon|night|astronaut|rocket|universe": landscapes.planets,
    "flower|plant|leaf|garden|tulip|rose|fruit|bird|butterfly": abstracts.leaves,
}
ALL_SCENES: Final[tuple[Scene, ...]] = (
    *SCENES_BY_WORD.values(),
    abstracts.tiles,
    abstracts.current,
    abstracts.arches,
    abstracts.discs,
    abstracts.ribbons,
)


@dataclass(frozen=True)
class Subject:
    """What is to be painted: its seed decides everything but the title."""

    seed: str
    prompt: str
    note: str


def paint(subject: Subject, size: tuple[int, int], *, transparent: bool) -> Image.Image:
    """The picture of a subject; transparent leaves out the paper around it."""
    random = Random(subject.seed)
    palette = random.choice(PALETTES)

    def scene(width: int, height: int) -> Image.Image:
        canvas = Canvas(width * SUPERSAMPLING, height * SUPERSAMPLING, palette, random)
        _scene_for(subject.prompt, random)(canvas)
        return canvas.image.reduce(SUPERSAMPLING)

    return _framed(scene, subject, palette, size, transparent=transparent)


def retouch(original: Image.Image, subject: Subject, size: tuple[int, int], *, transparent: bool) -> Image.Image:
    """An edit of a picture: the same, in two inks of a palette, in a frame of its own."""
    palette = Random(subject.seed).choice(PALETTES)
    flattened = Image.new("RGB", original.size, palette.paper)
    flattened.paste(original, mask=original.getchannel("A") if "A" in original.getbands() else None)

    def scene(width: int, height: int) -> Image.Image:
        fitted = ImageOps.fit(flattened, (width, height))
        grey = ImageEnhance.Contrast(ImageOps.grayscale(fitted)).enhance(1.15)
        inked = ImageOps.colorize(grey, palette.near, palette.paper, palette.accents[0])
        return Image.blend(fitted, inked, 0.8)

    return _framed(scene, subject, palette, size, transparent=transparent)


def _scene_for(prompt: str, random: Random) -> Scene:
    any_scene = random.choice(ALL_SCENES)
    for words, scene in SCENES_BY_WORD.items():
        if re.search(rf"\b({words})s?\b", prompt[:MAX_TITLE_CHARACTERS], re.IGNORECASE):
            return scene
    return any_scene


def _framed(
    scene: Callable[[int, int], Image.Image],
    subject: Subject,
    palette: Palette,
    size: tuple[int, int],
    *,
    transparent: bool,
) -> Image.Image:
    width, height = size
    if min(size) < SMALLEST_FRAMED_SIDE:
        picture = scene(width, height)
        return _rounded(picture, min(size) // 8) if transparent else picture
    margin = round(min(size) * 0.055)
    lines = _title_lines(subject.prompt, round(min(size) * 0.036), width - 2 * margin)
    line_height = round(min(size) * 0.05)
    foot = margin + line_height * len(lines) + round(min(size) * 0.045)
    inner = scene(width - 2 * margin, height - margin - foot)
    sheet = Image.new("RGBA" if transparent else "RGB", size, (*palette.paper, 0) if transparent else palette.paper)
    if transparent:
        inner = _rounded(inner, margin // 2)
        _label_ground(sheet, (0, height - foot + margin // 4, width, height), palette)
    sheet.paste(inner, (margin, margin))
    ink = mix(palette.near, (30, 30, 34), 0.5)
    titles = [(line, round(line_height * 0.72), ink) for line in lines]
    titles.append((subject.note, round(line_height * 0.48), mix(ink, palette.paper, 0.45)))
    _write(sheet, titles, (margin, height - foot + round(margin * 0.5)), line_height)
    return sheet


def _rounded(picture: Image.Image, radius: int) -> Image.Image:
    mask = Image.new("L", (picture.width * 2, picture.height * 2))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), radius * 2, fill=255)
    rounded = picture.convert("RGBA")
    rounded.putalpha(ImageChops.lighter(mask.reduce(2), Image.new("L", picture.size)))
    return rounded


def _label_ground(sheet: Image.Image, box: Box, palette: Palette) -> None:
    left, top, right, bottom = box
    inset = round(sheet.height * 0.012)
    area = (left + inset, top, right - inset, bottom - inset)
    ImageDraw.Draw(sheet).rounded_rectangle(area, inset * 2, fill=(*palette.paper, 235))


def _write(sheet: Image.Image, titles: list[tuple[str, int, Colour]], at: tuple[int, int], line_height: int) -> None:
    draw, (x, y) = ImageDraw.Draw(sheet), at
    for line, font_size, ink in titles:
        draw.text((x, y), line, ink, _font(font_size))
        y += line_height


def _title_lines(prompt: str, font_size: int, width: int) -> list[str]:
    """The prompt's beginning in at most two lines of that width, with an ellipsis where it goes on."""
    font = _font(font_size)
    words = prompt[:MAX_TITLE_CHARACTERS].split()
    lines: list[str] = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    shown = lines[:MAX_TITLE_LINES]
    if len(lines) > MAX_TITLE_LINES or len(prompt) > MAX_TITLE_CHARACTERS:
        shown[-1] += " …"
    return [_shortened(line, font, width) for line in shown]


def _shortened(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    while font.getlength(line) > width and len(line) > 2:
        line = line[: max(1, int(len(line) * 0.92) - 2)].rstrip() + " …"
    return line


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(6, size))
