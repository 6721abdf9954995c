"""What near-duplicates are found, what is wrongly called one, and what both cost.

Pictures that differ are the sandbox's, drawn for real prompts, and photographs; the same picture again is each of them
encoded, scaled, brightened or cut.

    python benchmarks/near_duplicates.py --pictures FOLDER --prompts PartiPrompts.tsv --hashes 1000000
"""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from time import process_time

import numpy as np
import pyarrow as pa
from PIL import Image, ImageEnhance
from rich.console import Console
from rich.table import Table
from sample_pictures import opaque, photographs
from suspects import drawn_pictures

from prefect_trinetra.near_duplicates import MOST_BITS, near_duplicates
from prefect_trinetra.perceptual import perceptual_hash

Edit = Callable[[Image.Image], Image.Image]


def again(image_format: str, quality: int) -> Edit:
    def edit(image: Image.Image) -> Image.Image:
        sink = io.BytesIO()
        image.save(sink, image_format, quality=quality)
        return Image.open(sink)

    return edit


def cut(image: Image.Image) -> Image.Image:
    across, down = image.width // 50, image.height // 50
    return image.crop((across, down, image.width - across, image.height - down))


EDITS: dict[str, Edit] = {
    "JPEG, quality 70": again("JPEG", 70),
    "WebP, quality 60": again("WEBP", 60),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "5 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.05),
    "15 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "cut by 2 % a side": cut,
}


def bits_of(image: Image.Image) -> int | None:
    told = perceptual_hash(image)
    return None if told is None else int(told, 16)


def is_same(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and (one ^ other).bit_count() <= MOST_BITS


def shares(kinds: dict[str, list[Image.Image]]) -> Table:
    """Of the same picture again: how many are found. Of pairs that differ: how many are called the same."""
    table = Table("", *kinds)
    hashes = {kind: [bits_of(image) for image in images] for kind, images in kinds.items()}
    table.add_row("pictures", *(f"{len(told):,}" for told in hashes.values()))
    table.add_row("too plain for a hash", *(f"{told.count(None):,}" for told in hashes.values()))
    for name, edit in EDITS.items():
        found = []
        for kind, images in kinds.items():
            near = [is_same(bits_of(edit(image)), bits) for image, bits in zip(images, hashes[kind], strict=True)]
            found.append(f"{sum(near) / len(near):.1%}")
        table.add_row(f"found: {name}", *found)
    wrong = []
    for told in hashes.values():
        pairs = [is_same(one, other) for one, other in combinations(told, 2)]
        wrong.append(f"{sum(pairs):,} of {len(pairs):,}")
    table.add_row("pairs of two pictures called the same", *wrong)
    return table


def skewed_hashes(told: Sequence[int], count: int) -> list[int]:
    """As many hashes whose bits are set as often as those of real pictures: neighbours of real ones, far enough."""
    chance = random.Random(0)  # noqa: S311  # the same each time
    return [chance.choice(told) ^ chance.getrandbits(64) & chance.getrandbits(64) for _ in range(count)]


def images(hashes: Sequence[int]) -> pa.Table:
    return pa.table(
        {
            "file_name": [f"images/{number}.png" for number in range(len(hashes))],
            "sha256": [f"{number:064x}" for number in range(len(hashes))],
            "perceptual_hash": [f"{bits:016x}" for bits in hashes],
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=Path, required=True, help="a folder of unpacked packages with photographs")
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--hashes", type=int, default=100_000)
    options = parser.parse_args()
    drawn = [Image.open(io.BytesIO(data)).convert("RGB") for _, data, _ in drawn_pictures(options.prompts)]
    kinds = {"drawn for prompts": drawn, "photographs": [opaque(each) for each in photographs(options.pictures)]}
    console = Console(width=110)
    console.print(shares(kinds))
    large = drawn[0].resize((1024, 1024))
    before = process_time()
    for _ in range(50):
        perceptual_hash(large)
    console.print(f"{20 * (process_time() - before):.2f} ms of CPU for the hash of a picture of 1024 x 1024")
    table = images(skewed_hashes([bits for image in drawn if (bits := bits_of(image))], options.hashes))
    before = process_time()
    near_duplicates(table, np.arange(table.num_rows))
    seconds = process_time() - before
    console.print(
        f"{seconds:.1f} s of CPU to compare {options.hashes:,} pictures: {1e6 * seconds / table.num_rows:.0f} us each"
    )


if __name__ == "__main__":
    main()
