"""Pictures of many kinds, real and fake, made from the photographs and drawings that some PyPI packages ship."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

FOLDERS = (
    "skimage/data",
    "sklearn/datasets/images",
    "matplotlib/mpl-data/sample_data",
    "gradio/media_assets/images",
    "gradio/test_data",
)
LEAST_SIDE = 64
SIDES = (64, 128, 256, 512, 768)
Chance = random.Random
Picture = Image.Image
Maker = Callable[[Picture, Chance], Picture]


def photographs(folder: Path) -> list[Picture]:
    """What the packages ship, as it is, from 64 pixels a side."""
    files = sorted(file for name in FOLDERS for file in (folder / name).rglob("*.*"))
    found = [_opened(file) for file in files if file.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"}]
    return [picture for picture in found if min(picture.size) >= LEAST_SIDE]


def _opened(file: Path) -> Picture:
    with Image.open(file) as picture:
        picture.load()
        return picture.convert("RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB")


def part_of(picture: Picture, chance: Chance) -> Picture:
    """A crop of at least two fifths of each side, scaled to one of the sides, mirrored or not."""
    width, height = (max(1, int(side * chance.uniform(0.4, 1))) for side in picture.size)
    left, top = chance.randint(0, picture.width - width), chance.randint(0, picture.height - height)
    crop = picture.crop((left, top, left + width, top + height))
    side = chance.choice(SIDES)
    size = (side, max(32, side * height // width)) if width > height else (max(32, side * width // height), side)
    crop = crop.resize(size, Image.Resampling.LANCZOS)
    return ImageOps.mirror(crop) if chance.random() < 0.5 else crop


def opaque(picture: Picture) -> Picture:
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, (0, 0), picture if picture.mode == "RGBA" else None)
    return paper


def toned(least: float, most: float) -> Maker:
    """Brightness times a factor."""
    return lambda picture, chance: ImageEnhance.Brightness(opaque(picture)).enhance(chance.uniform(least, most))


def pale(picture: Picture, chance: Chance) -> Picture:
    return ImageEnhance.Contrast(opaque(picture)).enhance(chance.uniform(0.15, 0.5))


def foggy(picture: Picture, chance: Chance) -> Picture:
    level = chance.randint(180, 240)
    fog = Image.new("RGB", picture.size, (level, level, level))
    soft = opaque(picture).filter(ImageFilter.GaussianBlur(chance.uniform(0, 3)))
    return Image.blend(soft, fog, chance.uniform(0.4, 0.8))


def on_paper(picture: Picture, chance: Chance) -> Picture:
    """A product on a white, grey or black ground."""
    ground = Image.new("RGB", picture.size, chance.choice(["white", "white", "#f6f6f6", "black"]))
    small = picture.copy()
    width, height = (max(12, int(side * chance.uniform(0.2, 0.7))) for side in picture.size)
    small.thumbnail((width, height))
    place = tuple(chance.randint(0, outer - inner) for outer, inner in zip(picture.size, small.size, strict=True))
    ground.paste(small, place, small if small.mode == "RGBA" else None)  # type: ignore[arg-type]  # two numbers
    return ground


def cut_out(picture: Picture, chance: Chance) -> Picture:
    """On nothing: an ellipse of it, or what its own alpha channel leaves."""
    if picture.mode == "RGBA":
        return picture
    mask = Image.new("L", picture.size, 0)
    across, down = (side * chance.uniform(0.05, 0.35) for side in picture.size)
    ImageDraw.Draw(mask).ellipse((across, down, picture.width - across, picture.height - down), fill=255)
    return Image.merge("RGBA", (*picture.split(), mask))


def line_art(picture: Picture, chance: Chance) -> Picture:
    edges = ImageOps.autocontrast(ImageOps.invert(opaque(picture).convert("L").filter(ImageFilter.FIND_EDGES)))
    return edges.point(lambda level: 255 if level > 200 else 0) if chance.random() < 0.5 else edges


def letterboxed(picture: Picture, chance: Chance) -> Picture:
    bar = int(picture.height * chance.uniform(0.05, 0.2))
    return ImageOps.expand(opaque(picture), (0, bar), chance.choice(["black", "white", "#808080"]))


def few_colours(picture: Picture, chance: Chance) -> Picture:
    return opaque(picture).quantize(chance.choice([2, 3, 4, 8, 64]))


def gradient(picture: Picture, chance: Chance) -> Picture:
    colours = [tuple(chance.randint(0, 255) for _ in range(3)) for _ in range(2)]
    kind = chance.choice([Image.linear_gradient, Image.radial_gradient])("L").resize(picture.size)
    return ImageOps.colorize(kind, *colours)  # type: ignore[arg-type]  # three numbers each


def night_sky(picture: Picture, chance: Chance) -> Picture:
    """Stars, a few of them bright, over a sky that is not quite even."""
    width, height = picture.size
    dark = (chance.randint(0, 12), chance.randint(0, 14), chance.randint(8, 40))
    sky = ImageOps.colorize(Image.linear_gradient("L").resize(picture.size), (0, 0, 4), dark)
    draw = ImageDraw.Draw(sky)
    for _ in range(width * height // chance.randint(300, 1500)):
        x, y, level = chance.randrange(width), chance.randrange(height), int(chance.triangular(40, 255, 60))
        draw.ellipse((x, y, x + level // 150, y + level // 150), fill=(level, level, level))
    return sky


def document(picture: Picture, chance: Chance) -> Picture:
    """Lines of text, few or many, on paper."""
    page = Image.new("RGB", picture.size, chance.choice(["white", "#faf7ee"]))
    draw = ImageDraw.Draw(page)
    words = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "a", "lighthouse", "keeper", "writes"]
    for line in range(chance.randint(2, max(3, picture.height // 14))):
        draw.text((6, 6 + 14 * line), " ".join(chance.choices(words, k=chance.randint(2, 12))), fill=(20, 20, 30))
    return page


def chart(picture: Picture, chance: Chance) -> Picture:
    page = Image.new("RGB", picture.size, "white")
    draw, (width, height) = ImageDraw.Draw(page), picture.size
    draw.line([(10, 6), (10, height - 10), (width - 6, height - 10)], fill="black")
    points = [(10 + step * (width - 20) // 20, chance.randint(8, height - 14)) for step in range(21)]
    draw.line(points, fill=chance.choice(["blue", "red", "green"]), width=2)
    return page


def minimal(picture: Picture, chance: Chance) -> Picture:
    """One plain shape on one plain colour, such as a logo or a flag."""
    ground, shade = (tuple(chance.randint(0, 255) for _ in range(3)) for _ in range(2))
    page = Image.new("RGB", picture.size, ground)
    across, down = (side * chance.uniform(0.1, 0.45) for side in picture.size)
    ImageDraw.Draw(page).ellipse((across, down, picture.width - across, picture.height - down), fill=shade)
    return page


KINDS: dict[str, Maker] = {
    "as they are": lambda picture, _: picture,
    "dark": toned(0.15, 0.4),
    "overexposed": toned(1.2, 2),
    "low contrast": pale,
    "foggy": foggy,
    "product on a ground": on_paper,
    "cut out, transparent": cut_out,
    "line art": line_art,
    "letterboxed": letterboxed,
    "few colours": few_colours,
    "grey": lambda picture, _: opaque(picture).convert("L"),
    "gradient": gradient,
    "night sky": night_sky,
    "document": document,
    "chart": chart,
    "one shape": minimal,
}


def file_of(picture: Picture, chance: Chance) -> tuple[bytes, str]:
    """The picture as a file of some format and quality that can hold it."""
    kind = chance.choice(["png", "webp"] if picture.mode == "RGBA" else ["png", "jpeg", "webp"])
    sink, quality = io.BytesIO(), chance.randint(30, 95)
    if kind == "png":
        picture.save(sink, "PNG", compress_level=1)
    else:
        picture.convert("RGBA" if picture.mode == "RGBA" else "RGB").save(sink, kind, quality=quality, method=0)
    return sink.getvalue(), kind


def noisy(picture: Picture, chance: Chance) -> Picture:
    colour = tuple(chance.randint(15, 240) for _ in range(3))
    layers = [Image.effect_noise(picture.size, chance.uniform(1, 3)) for _ in range(3)]
    grounds = [Image.new("L", picture.size, level) for level in colour]
    return Image.merge(
        "RGB", [ImageChops.add(layer, ground, 1, -128) for layer, ground in zip(layers, grounds, strict=True)]
    )


def flat(picture: Picture, chance: Chance) -> Picture:
    return Image.new("RGB", picture.size, tuple(chance.randint(0, 255) for _ in range(3)))


def specked(picture: Picture, chance: Chance) -> Picture:
    page = flat(picture, chance)
    side = max(1, int((picture.width * picture.height * 0.00005) ** 0.5))
    page.paste("white", (4, 4, 4 + side, 4 + side))
    return page


def clear(picture: Picture, chance: Chance) -> Picture:
    return Image.merge("RGBA", (*opaque(picture).split(), Image.new("L", picture.size, chance.randint(0, 6))))


def filled(picture: Picture, chance: Chance) -> Picture:
    whole = opaque(picture)
    whole.paste((128, 128, 128), (0, int(whole.height * chance.uniform(0.1, 0.85)), *whole.size))
    return whole


def boxed(picture: Picture, _: Chance) -> Picture:
    page = Image.new("RGB", picture.size, (204, 204, 204))
    ImageDraw.Draw(page).text((8, picture.height // 2), "image not available", fill=(120, 120, 120))
    return page


FAKES: dict[str, Maker] = {
    "one colour": flat,
    "one colour with a speck": specked,
    "noise on one colour": noisy,
    "transparent": clear,
    "grey where a decoder ran out of data": filled,
    "placeholder with a text, not listed, once": boxed,
}
