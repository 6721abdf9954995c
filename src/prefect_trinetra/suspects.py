"""What looks wrong about an image that is whole: reasons for a person to look at it, in words. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

__all__ = ["Wanted", "suspect"]

# Relative to what was asked: models round sides to multiples of 16 or 32, which moves a ratio by a few per cent.
RATIO_TOLERANCE: Final = 0.10
# No model makes pictures this small; tracking pixels and icons of error pages are.
TINY_SIDE_PIXELS: Final = 16
# Between the least and the greatest value of a channel that is one colour to the eye: lossy WebP at its default quality
# ripples a plain surface by up to 7 levels of 255, JPEG by none.
FLAT_LEVELS: Final = 8
# Of the pixels of a picture in one colour. What is left of a megapixel is a spot of 10 x 10: less than a word.
FLAT_SHARE: Final = 0.9999
# Noise on one colour: each channel's standard deviation is at most this, and where so many pixels a side are made one,
# no more than these levels are left between them. A faint crack in a wall leaves more.
NOISE_LEVELS: Final = 3.0
SMOOTHED_PIXELS: Final = 8
SMOOTHED_LEVELS: Final = 4
# Where a decoder ran out of data it leaves this grey, over this part of the height or more; a grey frame is at the top
# as well.
FILL_GREY: Final = 128
FILL_TOLERANCE: Final = 3
FILL_PART: Final = 1 / 8
FRAME_PART: Final = 1 / 32

# A few pixels tell of nearly every picture that it is none of the above: of 64, this many may lie apart, ...
SAMPLE_SIDE: Final = 8
SAMPLE_OUTLIERS: Final = 4
# ... and the others within this, which is eight standard deviations of the noise above.
SAMPLE_LEVELS: Final = 24
LEVELS: Final = 256

# Modes whose channels are bytes; what the others become to be looked at.
BYTE_MODES: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
BYTE_MODE_OF: Final[Mapping[str, str]] = {"1": "L", "I;16": "L", "P": "RGBA", "PA": "RGBA"}
ALPHA_MODES: Final = frozenset({"LA", "RGBA"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an image should be: its format, its ratio as `W:H` (anything else asks for nothing).

    `placeholders` are the SHA-256s of files that are known to stand for a picture that could not be made.
    """

    format: str
    ratio: str
    placeholders: Collection[str] = ()


def suspect(image: Image.Image, image_format: str, sha256: str, wanted: Wanted) -> str | None:
    """All that is odd about a decoded image, in one line; None where nothing is."""
    reasons = (
        "a known placeholder" if sha256 in wanted.placeholders else None,
        _other_format(wanted.format, image_format),
        _other_ratio(wanted.ratio, *image.size),
        f"tiny: {image.width}x{image.height}" if min(image.size) < TINY_SIDE_PIXELS else None,
        *_odd_pixels(image),
    )
    return "; ".join(filter(None, reasons)) or None


def _other_format(wanted: str, found: str) -> str | None:
    wanted = {"jpg": "jpeg"}.get(wanted, wanted)
    return f"wrong format: asked {wanted}, got {found}" if wanted != found else None


def _other_ratio(wanted: str, width: int, height: int) -> str | None:
    try:
        across, down = (float(part) for part in wanted.split(":"))
        off = width / height / (across / down) - 1
    except (ValueError, ZeroDivisionError):
        return None  # "auto", or a value the user had sent unchecked
    return f"wrong aspect ratio: asked {wanted}, got {width}x{height}" if abs(off) > RATIO_TOLERANCE else None


def _odd_pixels(image: Image.Image) -> Iterator[str]:
    if image.mode not in BYTE_MODES:
        image = image.convert(BYTE_MODE_OF.get(image.mode, "RGB"))
    sample = image.resize((SAMPLE_SIDE, SAMPLE_SIDE), Image.Resampling.NEAREST).tobytes()
    depth = len(image.mode)
    channels = [sorted(sample[band::depth]) for band in range(depth)]
    if image.mode in ALPHA_MODES and channels[-1][-1 - SAMPLE_OUTLIERS] <= FLAT_LEVELS and _is_clear(image):
        yield "transparent"
    elif all(each[-1 - SAMPLE_OUTLIERS] - each[SAMPLE_OUTLIERS] <= SAMPLE_LEVELS for each in channels):
        yield from _plainness(image)
    if abs(sample[-depth] - FILL_GREY) <= FILL_TOLERANCE and _is_filled(image):
        yield "cut off: grey down to the last row"


def _is_clear(image: Image.Image) -> bool:
    """Whether next to nothing of it can be seen."""
    shades = image.getchannel("A").histogram()
    return sum(shades[: FLAT_LEVELS + 1]) >= FLAT_SHARE * sum(shades)


def _plainness(image: Image.Image) -> Iterator[str]:
    channels = _channels(image)
    if all(_one_shade(channel) == 1.0 for channel in channels):
        yield "flat"
    elif all(_one_shade(channel) >= FLAT_SHARE for channel in channels) or _is_noise(image, channels):
        yield "nearly flat"


def _channels(image: Image.Image) -> list[list[int]]:
    """How many pixels have which value, channel by channel."""
    histogram = image.histogram()
    return [histogram[start : start + LEVELS] for start in range(0, len(histogram), LEVELS)]


def _one_shade(channel: Sequence[int]) -> float:
    """The greatest share of the pixels whose values lie within FLAT_LEVELS of each other."""
    span = FLAT_LEVELS + 1
    return max(sum(channel[low : low + span]) for low in range(LEVELS - FLAT_LEVELS)) / sum(channel)


def _is_noise(image: Image.Image, channels: Sequence[Sequence[int]]) -> bool:
    if any(_deviation(channel) > NOISE_LEVELS for channel in channels):
        return False
    return all(_spread(channel) <= SMOOTHED_LEVELS for channel in _channels(image.reduce(SMOOTHED_PIXELS)))


def _spread(channel: Sequence[int]) -> int:
    """Between the least and the greatest value that any pixel has."""
    found = [value for value, pixels in enumerate(channel) if pixels]
    return found[-1] - found[0]


def _deviation(channel: Sequence[int]) -> float:
    count = sum(channel)
    mean = sum(value * pixels for value, pixels in enumerate(channel)) / count
    return float((sum((value - mean) ** 2 * pixels for value, pixels in enumerate(channel)) / count) ** 0.5)


def _is_filled(image: Image.Image) -> bool:
    """Whether the lower end is a decoder's fill, and no part of a frame."""
    end, frame = (max(1, round(image.height * part)) for part in (FILL_PART, FRAME_PART))
    lower = image.crop((0, image.height - end, *image.size))
    return _is_grey(lower) and not _is_grey(image.crop((0, 0, image.width, frame)))


def _is_grey(part: Image.Image) -> bool:
    least, most = FILL_GREY - FILL_TOLERANCE, FILL_GREY + FILL_TOLERANCE
    return not any(any(channel[:least]) or any(channel[most + 1 :]) for channel in _channels(part.convert("RGB")))
