"""Pictures: deterministic, different from one another, and obedient to every parameter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_trinetra.sandbox.painting import Subject, paint
from prefect_trinetra.sandbox.studio import picture_size
from sandbox_shopper import Shopper, open_shop, opened, urls


@pytest.fixture(scope="module")
def shared_shop() -> Iterator[Shopper]:
    with open_shop(pictures="drawn", pixels=200) as shopper:
        yield shopper


@pytest.fixture
def shop(shared_shop: Shopper) -> Shopper:
    shared_shop.sandbox.reset()
    return shared_shop


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_a_picture_is_the_same_in_every_run(shop: Shopper, output_format: str) -> None:
    """Same seed, same request: same bytes."""
    first = shop.picture("a fjord", output_format=output_format)
    shop.sandbox.reset()
    assert shop.picture("a fjord", output_format=output_format) == first
    assert opened(first).format == output_format.upper()


@pytest.mark.parametrize("pictures", ["drawn", "stamped"])
@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_no_two_pictures_are_equal(pictures: str, output_format: str) -> None:
    """Neither those of one job, nor those of equal jobs, nor those of different prompts; all can be decoded."""
    with open_shop(pictures=pictures) as shop:
        jobs = [shop.buy(prompt, n=4, output_format=output_format) for prompt in ("one", "one", "two")]
        pictures_ = [shop.download(url).content for job in jobs for url in urls(job)]
    assert len(set(pictures_)) == 12
    assert {opened(picture).format for picture in pictures_} == {output_format.upper()}


@pytest.mark.parametrize(
    ("ratio", "size"),
    [("1:1", (200, 200)), ("16:9", (200, 112)), ("2:3", (133, 200)), ("1:90", (16, 200)), ("3x2", (200, 133))],
)
def test_the_aspect_ratio_is_obeyed(shop: Shopper, ratio: str, size: tuple[int, int]) -> None:
    """The long edge is the configured one; no side is shorter than 16."""
    assert opened(shop.picture(aspect_ratio=ratio)).size == size


def test_an_automatic_ratio_is_one_of_a_few(shop: Shopper) -> None:
    """It goes by the request."""
    sizes = {opened(shop.picture(f"prompt {number}", aspect_ratio="auto")).size for number in range(12)}
    assert sizes == {(200, 200), (200, 133), (133, 200)}


@pytest.mark.parametrize("output_format", ["png", "webp"])
def test_a_transparent_background_can_be_seen_through(shop: Shopper, output_format: str) -> None:
    """Its corner has no colour; without the parameter there is no alpha at all."""
    image = opened(shop.picture(background="transparent", output_format=output_format))
    assert image.mode == "RGBA"
    assert image.getchannel("A").getpixel((0, 0)) == 0
    assert opened(shop.picture(output_format=output_format)).mode == "RGB"


@pytest.mark.parametrize("output_format", ["jpeg", "webp"])
def test_compression_makes_a_file_smaller(shop: Shopper, output_format: str) -> None:
    """0 is the smallest file, 100 the best picture."""
    small, large = (shop.picture(output_format=output_format, output_compression=level) for level in (0, 100))
    assert len(small) < len(large) / 2


def test_a_picture_carries_its_prompt(shop: Shopper) -> None:
    """PNG as text; JPEG and WebP in XMP and EXIF; whatever the script."""
    prompt = 'a "sign" <that> says 東京 & ñ 🌃'
    assert opened(shop.picture(prompt)).info["prompt"] == prompt
    for output_format in ("jpeg", "webp"):
        image = opened(shop.picture(prompt, output_format=output_format))
        assert "says 東京 &amp; ñ 🌃" in image.info["xmp"].decode()
        assert str(image.getexif()[0x010E]).startswith('a "sign" <that> says')


def test_a_png_carries_provenance_before_its_pixels(shop: Shopper) -> None:
    """A caBX chunk as C2PA puts it: re-encoding would lose it."""
    for picture in (shop.picture(), shop.picture(background="transparent")):
        assert 0 < picture.index(b"caBX") < picture.index(b"IDAT")


def test_a_monstrous_prompt_hurts_nobody(shop: Shopper) -> None:
    """32,000 heavy characters, in every format; a control character too."""
    for output_format in ("png", "jpeg", "webp"):
        picture = shop.picture("🌃" * 31_998 + "\x01\0", output_format=output_format)
        assert opened(picture).format == output_format.upper()


def test_downloading_again_changes_nothing(shop: Shopper) -> None:
    """The same bytes at every download."""
    url = urls(shop.buy("again"))[0]
    assert len({shop.download(url).content for _ in range(5)}) == 1


@given(
    st.text(max_size=80),
    st.tuples(st.floats(0.05, 20), st.floats(0.05, 20)),
    st.integers(16, 260),
    st.sampled_from(["transparent", "opaque"]),
)
@settings(max_examples=60, deadline=None)
def test_any_prompt_can_be_painted_at_any_size(
    prompt: str, ratio: tuple[float, float], pixels: int, background: str
) -> None:
    """Painting never fails, and the size is the one asked for."""
    size = picture_size(ratio, pixels)
    transparent = background == "transparent"
    image = paint(Subject(prompt, prompt, "a note"), size, transparent=transparent)
    assert image.size == size
    assert image.mode == ("RGBA" if transparent else "RGB")
