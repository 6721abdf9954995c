"""Pictures that look alike are found, those that don't are not, whatever their order and number."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance

from prefect_trinetra.near_duplicates import MOST_BITS, NearDuplicates, near_duplicates
from prefect_trinetra.perceptual import HASH_DIGITS, perceptual_hash

IMAGES = pa.schema([(name, pa.string()) for name in ("file_name", "sha256", "perceptual_hash")])
Edit = Callable[[Image.Image], Image.Image]


def image(number: int, bits: int | None, sha256: str | None = None) -> tuple[str, str, str | None]:
    """Its name, its digest and its hash."""
    told = None if bits is None else f"{bits:0{HASH_DIGITS}x}"
    return f"images/{number}.png", sha256 or str(number), told


def found(images: list[tuple[str, str, str | None]]) -> list[str | None]:
    """What each image nearly equals."""
    names, digests, hashes = zip(*images, strict=True) if images else ((), (), ())
    columns = {"file_name": names, "sha256": digests, "perceptual_hash": hashes}
    near: list[str | None] = near_duplicates(pa.table(columns, IMAGES), np.arange(len(images))).to_pylist()
    return near


def scene(size: tuple[int, int]) -> Image.Image:
    """A sky, a sun and hills: something to see, the same each time."""
    width, height = size
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.6, height * 0.1, width * 0.8, height * 0.35), fill=(250, 220, 120))
    draw.polygon([(0, height), (width * 0.3, height * 0.4), (width * 0.7, height)], fill=(40, 70, 50))
    draw.polygon([(width * 0.4, height), (width * 0.9, height * 0.6), (width, height)], fill=(90, 60, 40))
    return image


def distance(one: Image.Image, other: Image.Image) -> int:
    first, second = perceptual_hash(one), perceptual_hash(other)
    assert first is not None
    assert second is not None
    return (int(first, 16) ^ int(second, 16)).bit_count()


def encoded(image_format: str, quality: int) -> Edit:
    def edit(image: Image.Image) -> Image.Image:
        sink = io.BytesIO()
        image.save(sink, image_format, quality=quality)
        return Image.open(sink)

    return edit


EDITS: dict[str, Edit] = {
    "as JPEG": encoded("JPEG", 70),
    "as WebP": encoded("WEBP", 60),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "a little brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.05),
    "with an alpha channel": lambda image: image.convert("RGBA"),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("pixels", [(256, 256), (384, 256)], ids=str)
def test_a_picture_that_was_encoded_or_scaled_anew_is_the_same(name: str, pixels: tuple[int, int]) -> None:
    """Within the bits that count as one picture."""
    picture = scene(pixels)
    assert distance(picture, EDITS[name](picture)) <= MOST_BITS


def test_another_picture_is_another() -> None:
    """Mirrored it has the same colours, and is far away."""
    picture = scene((256, 256))
    assert distance(picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) > 4 * MOST_BITS


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "I;16"])
def test_a_plain_picture_has_no_hash(mode: str) -> None:
    """All plain ones would be one."""
    assert perceptual_hash(Image.new(mode, (40, 40))) is None


def brute_force(hashes: list[int]) -> list[str | None]:
    """Each with the first one before it that is like none before it."""
    firsts: list[int] = []
    found: list[str | None] = []
    for number, bits in enumerate(hashes):
        like = next((first for first in firsts if hashes[first] == bits), None)
        near = [first for first in firsts if (hashes[first] ^ bits).bit_count() <= MOST_BITS]
        like = like if like is not None else (near[0] if near else None)
        found.append(None if like is None else f"images/{like}.png")
        if like is None:
            firsts.append(number)
    return found


@given(st.integers(0, 2**64 - 1), st.lists(st.sets(st.integers(0, 63), max_size=6), max_size=40))
def test_exactly_those_within_the_limit_are_found(base: int, flips: list[set[int]]) -> None:
    """As comparing each with each would find them: which are near-duplicates, and that each names a like one."""
    hashes = [base ^ sum(1 << bit for bit in flipped) for flipped in flips]
    near = found([image(number, bits) for number, bits in enumerate(hashes)])
    assert [each is None for each in near] == [each is None for each in brute_force(hashes)]
    for number, name in enumerate(near):
        if name is not None:
            first = int(name.removeprefix("images/").removesuffix(".png"))
            assert first < number
            assert near[first] is None
            assert (hashes[first] ^ hashes[number]).bit_count() <= MOST_BITS


def test_equal_bytes_need_no_hash() -> None:
    """Plain pictures and those of early versions are compared by their bytes."""
    near = found([image(0, None, "same"), image(1, None, "other"), image(2, None, "same")])
    assert near == [None, None, "images/0.png"]


def test_a_copy_of_a_near_duplicate_names_the_first() -> None:
    """All of a kind name one picture, which a person may keep."""
    near = found([image(0, 0b0), image(1, 0b1, "copied"), image(2, 0b1, "copied")])
    assert near == [None, "images/0.png", "images/0.png"]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(2, 30))
def test_what_is_found_by_columns_is_what_is_found_one_by_one(base: int, images: int) -> None:
    """Also where so many look alike that they are not compared pair by pair."""
    shown = [image(number, base ^ (number % 7) << (number % 60)) for number in range(images * 40)]
    near = NearDuplicates()
    assert found(shown) == [near.earlier(*each) for each in shown]
