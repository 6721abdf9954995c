"""What someone should look at, and what is odd only at first sight."""

import random

import pytest
from PIL import Image, ImageDraw

from pictures import Size, colourful, encoded
from prefect_trinetra.images import verify
from prefect_trinetra.suspects import Wanted


def suspect_of(image: Image.Image, image_format: str = "png", wanted: Wanted | None = None, **options: object) -> str:
    """What is said of the image as a file; an empty text where nothing is odd."""
    wanted = wanted or Wanted(image_format, "auto")
    found = verify(encoded(image, image_format, **options), content_type="", wanted=wanted, max_pixels=10**7)
    return found.suspect or ""


def noise(size: Size, least: int, most: int) -> Image.Image:
    """Each pixel by chance between two values, the same in every run."""
    chance = random.Random(0)  # noqa: S311  # seeded, to be the same in every run
    return Image.frombytes("L", size, bytes(chance.randint(least, most) for _ in range(size[0] * size[1])))


@pytest.mark.parametrize(
    ("size", "ratio", "is_suspect"),
    [
        ((1536, 1024), "3:2", False),
        ((1500, 1024), "3:2", False),
        ((1024, 1024), "3:2", True),
        ((1024, 1536), "3:2", True),
        ((1344, 768), "16:9", False),
        ((640, 480), "auto", False),
        ((640, 480), "raw:whatever", False),
        ((640, 480), "1:0", False),
    ],
)
def test_another_shape_than_asked_is_suspect(size: Size, ratio: str, is_suspect: bool) -> None:  # noqa: FBT001  # a table
    """Up to a tenth is rounding; what can't be compared is not judged."""
    said = suspect_of(colourful((size[0] // 16, size[1] // 16)), wanted=Wanted("png", ratio))
    assert bool(said) == is_suspect
    assert not said or said.startswith(f"wrong aspect ratio: asked {ratio}, got ")


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_a_tiny_image_is_suspect(size: Size) -> None:
    """No model makes pictures below 16 pixels a side; tracking pixels and icons are."""
    assert f"tiny: {size[0]}x{size[1]}" in suspect_of(colourful(size))


FLAT = {
    "white": Image.new("RGB", (64, 64), "white"),
    "grey": Image.new("L", (64, 64), 128),
    "palette": Image.new("P", (64, 64), 3),
    "half transparent": Image.new("RGBA", (64, 64), (10, 20, 30, 128)),
    "16 bits": Image.new("I;16", (64, 64), 40_000),
    "one bit": Image.new("1", (64, 64), 1),
}


@pytest.mark.parametrize("name", FLAT)
def test_one_colour_everywhere_is_suspect(name: str) -> None:
    """In whatever way the file holds its pixels."""
    assert suspect_of(FLAT[name]) == "flat"


@pytest.mark.parametrize("image_format", ["jpeg", "webp"])
def test_the_ripples_of_an_encoder_are_flat_too(image_format: str) -> None:
    """Encoders turn a plain surface into one that is almost plain."""
    assert suspect_of(Image.new("RGB", (64, 64), (77, 130, 201)), image_format) == "flat"


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_speck_on_one_colour_is_nearly_flat(mode: str) -> None:
    """One pixel in 10,000 is no picture."""
    image = Image.new(mode, (200, 200), "white")
    image.paste("black", (90, 90, 92, 92))
    assert suspect_of(image) == "nearly flat"


def test_noise_on_one_colour_is_nearly_flat() -> None:
    """What a sensor in the dark, or a model gone wrong, makes of nothing."""
    image = Image.merge("RGB", [noise((128, 128), low, low + 9) for low in (40, 90, 120)])
    assert suspect_of(image) == "nearly flat"


def test_a_small_thing_on_a_plain_ground_is_a_picture() -> None:
    """A product shot, a logo, a few words: most of it is background."""
    image = Image.new("RGB", (512, 512), "white")
    ImageDraw.Draw(image).text((200, 250), "a bee", fill="black")
    assert not suspect_of(image)


def test_a_faint_picture_is_a_picture() -> None:
    """Fog: hardly any contrast, but a shape."""
    image = Image.new("RGB", (256, 256), (200, 200, 200))
    ImageDraw.Draw(image).ellipse((60, 60, 200, 200), fill=(188, 188, 188))
    assert not suspect_of(image)


@pytest.mark.parametrize("shades", ["LA", "RGBA"])
def test_what_can_not_be_seen_is_suspect(shades: str) -> None:
    """Colours below an alpha channel of nothing."""
    colours = colourful((64, 64), shades[:-1]).split()
    assert suspect_of(Image.merge(shades, (*colours, Image.new("L", (64, 64), 3)))) == "transparent"


def test_a_silhouette_is_no_flat_image() -> None:
    """One colour, but a shape in its alpha channel."""
    shape = colourful((64, 64), "L")
    assert not suspect_of(Image.merge("RGBA", (*Image.new("RGB", (64, 64), "black").split(), shape)))


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
def test_grey_down_to_the_last_row_is_what_a_decoder_left(image_format: str) -> None:
    """A file that was cut off before it was encoded anew is whole, and its picture is not."""
    image = colourful((128, 128))
    image.paste((128, 128, 128), (0, 80, 128, 128))
    assert suspect_of(image, image_format) == "cut off: grey down to the last row"


def test_a_grey_frame_is_a_frame() -> None:
    """It is at the upper end, too."""
    image = Image.new("RGB", (128, 128), (128, 128, 128))
    image.paste(colourful((128, 80)), (0, 24))
    assert not suspect_of(image)


def test_a_listed_placeholder_is_known_by_its_bytes() -> None:
    """What only the account's owner can know is data."""
    image = colourful((64, 64))
    sha256 = verify(encoded(image, "png"), content_type="", wanted=Wanted("png", "auto"), max_pixels=10**6).sha256
    assert suspect_of(image, wanted=Wanted("png", "auto", {sha256})) == "a known placeholder"
    assert not suspect_of(colourful((64, 64)), wanted=Wanted("png", "auto", {sha256}))


def test_all_that_is_odd_is_said() -> None:
    """In one line."""
    said = suspect_of(Image.new("RGB", (64, 64)), "webp", Wanted("png", "16:9"), lossless=True)
    assert said == "wrong format: asked png, got webp; wrong aspect ratio: asked 16:9, got 64x64; flat"
