"""What is taken for an image, what for damage, and what someone should look at."""

import contextlib
import hashlib
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pictures import colourful, encoded, every_encoding
from prefect_trinetra.errors import DownloadDamaged
from prefect_trinetra.images import VerifiedImage, image_extension, verify
from prefect_trinetra.suspects import Wanted

ENCODINGS = every_encoding()


def verified(
    data: bytes, *, wanted: str = "png", ratio: str = "auto", max_pixels: int = 10**6, content_type: str = ""
) -> VerifiedImage:
    return verify(data, content_type=content_type, wanted=Wanted(wanted, ratio), max_pixels=max_pixels)


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_whole_image_is_described(name: str) -> None:
    """By what its bytes say: format, sides, length, digest; nothing about it is odd."""
    data, image_format = ENCODINGS[name], name.replace(",", " ").split()[0]
    found = verified(data, wanted=image_format, ratio="3:2")
    digest = hashlib.sha256(data).hexdigest()
    assert found == VerifiedImage(image_format, 48, 32, len(data), digest, None, found.perceptual_hash)
    assert found.perceptual_hash is not None


@pytest.mark.parametrize("name", ENCODINGS)
def test_whatever_is_cut_off_is_noticed(name: str) -> None:
    """Every strict prefix of a file is damage, also one that lacks only the last byte."""
    data = ENCODINGS[name]
    for length in range(len(data)):
        with pytest.raises(DownloadDamaged):
            verified(data[:length])


@given(name=st.sampled_from(sorted(ENCODINGS)), rest=st.binary(max_size=64))
def test_what_follows_the_end_does_no_harm(name: str, rest: bytes) -> None:
    """Some servers append bytes: the picture before them is whole."""
    assert verified(ENCODINGS[name] + rest, wanted=name.replace(",", " ").split()[0]).suspect is None


@given(name=st.sampled_from([name for name in ENCODINGS if name.startswith("png")]), data=st.data())
def test_an_altered_png_is_damaged(name: str, data: st.DataObject) -> None:
    """Its checksums tell about every single byte."""
    whole = ENCODINGS[name]
    position = data.draw(st.integers(0, len(whole) - 1))
    altered = bytes([whole[position] ^ data.draw(st.integers(1, 255))])
    with pytest.raises(DownloadDamaged):
        verified(whole[:position] + altered + whole[position + 1 :])


@given(start=st.sampled_from([b"", *(data[:30] for data in ENCODINGS.values())]), rest=st.binary(max_size=200))
def test_any_bytes_are_an_image_or_damage(start: bytes, rest: bytes) -> None:
    """Nothing else ever comes out, whatever a decoder stumbles over."""
    with contextlib.suppress(DownloadDamaged):
        assert verified(start + rest).width > 0


@pytest.mark.parametrize(
    ("data", "content_type", "sentence"),
    [
        (b"", "image/png", "is empty"),
        (b"<!DOCTYPE html><title>Sorry", "image/png", "an HTML or XML page"),
        (b'\n  {"error": "expired"}', "application/json", "is JSON, not an image .*application/json"),
        (b"please come back later", "", "no known image format.*no type"),
        (b"BM" + bytes(100), "image/bmp", "no known image format"),
        (b"\xef\xbb\xbf<html>", "text/html", "an HTML or XML page"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(data: bytes, content_type: str, sentence: str) -> None:
    """The bytes decide; what the server called them stands in the message."""
    with pytest.raises(DownloadDamaged, match=sentence):
        verified(data, content_type=content_type)


def test_the_bytes_decide_and_not_the_content_type() -> None:
    """A server that sends a picture as text has still sent the picture."""
    assert verified(ENCODINGS["png"], content_type="text/plain").suspect is None


def test_more_pixels_than_allowed_are_refused_before_decoding() -> None:
    """A few kilobytes can unfold into gigabytes: 400 million pixels here, and no warning from the library either."""
    bomb = encoded(Image.new("1", (20_000, 20_000)), "png")
    with pytest.raises(DownloadDamaged, match="20000 x 20000 pixels"):
        verified(bomb)
    assert verified(ENCODINGS["png"], max_pixels=48 * 32).width == 48


def test_a_good_image_of_another_format_is_kept_and_suspect() -> None:
    """It was paid for: it is named by what it is."""
    found = verified(ENCODINGS["jpeg"], wanted="png")
    assert (found.format, found.suspect) == ("jpeg", "wrong format: asked png, got jpeg")


@pytest.mark.parametrize("image_format", ["gif", "avif"])
def test_formats_that_nobody_asked_for_are_read_too(image_format: str) -> None:
    """What can be decoded is not thrown away."""
    found = verified(encoded(colourful(), image_format), wanted="webp")
    assert (found.format, found.width, found.height) == (image_format, 48, 32)


def test_extensions_are_those_that_people_use() -> None:
    """And the word jpg asks for jpeg."""
    assert [image_extension(name) for name in ("png", "jpeg", "webp", "gif")] == ["png", "jpg", "webp", "gif"]
    assert verified(ENCODINGS["jpeg"], wanted="jpg").suspect is None


def test_many_threads_verify_at_once() -> None:
    """Each gets its own answer."""
    files = [encoded(colourful((16 + number, 16)), "png") for number in range(40)]
    barrier = threading.Barrier(4)

    def work(number: int) -> int:
        if number < 4:
            barrier.wait(timeout=30)
        return verified(files[number]).width

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(40))) == [16 + number for number in range(40)]


def test_verifying_changes_nothing() -> None:
    """What is stored is what came: provenance that a provider signed into the file stays."""
    data = ENCODINGS["png"]
    before = bytes(bytearray(data))
    verified(data)
    assert data == before
    assert Image.open(io.BytesIO(data)).size == (48, 32)
