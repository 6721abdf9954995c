"""Every fault of a download."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from sandbox_shopper import Shopper, open_shop, opened, urls

# What webp and jpeg make of one colour is not quite one colour.
LOSSY_DIFFERENCE = 3


@pytest.fixture(scope="module")
def shared_shop() -> Iterator[Shopper]:
    with open_shop(slow_download_seconds=0.2) as shopper:
        yield shopper


@pytest.fixture
def shop(shared_shop: Shopper) -> Shopper:
    shared_shop.sandbox.reset()
    return shared_shop


def test_truncated(shop: Shopper) -> None:
    """Fewer bytes come than were announced."""
    url = urls(shop.buy())[0]
    shop.sandbox.set_faults(truncated=1)
    with pytest.raises(httpx.RemoteProtocolError):
        shop.download(url)


def test_html(shop: Shopper) -> None:
    """200 with a page."""
    url = urls(shop.buy())[0]
    shop.sandbox.set_faults(html=1)
    answer = shop.download(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_empty_body(shop: Shopper) -> None:
    """200 with a picture's type and no bytes."""
    url = urls(shop.buy())[0]
    shop.sandbox.set_faults(empty_body=1)
    answer = shop.download(url)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/png", b"")


@pytest.mark.parametrize(("asked", "delivered"), [("png", "JPEG"), ("webp", "JPEG"), ("jpeg", "PNG")])
def test_wrong_format(shop: Shopper, asked: str, delivered: str) -> None:
    """Another format than asked, under the type that was asked."""
    url = urls(shop.buy(output_format=asked))[0]
    shop.sandbox.set_faults(wrong_format=1)
    answer = shop.download(url)
    assert answer.headers["content-type"] == f"image/{asked}"
    assert opened(answer.content).format == delivered


def test_wrong_type(shop: Shopper) -> None:
    """The picture under a type that says nothing."""
    url = urls(shop.buy())[0]
    shop.sandbox.set_faults(wrong_type=1)
    answer = shop.download(url)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert opened(answer.content).format == "PNG"


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_flat(shop: Shopper, output_format: str) -> None:
    """One colour, in the right size and format."""
    url = urls(shop.buy(output_format=output_format, aspect_ratio="2:1"))[0]
    shop.sandbox.set_faults(flat=1)
    image = opened(shop.download(url).content)
    assert (image.format, image.size) == (output_format.upper(), (64, 32))
    bands = [band.getextrema() for band in image.convert("RGB").split()]
    assert all(high - low <= LOSSY_DIFFERENCE for low, high in bands)  # type: ignore[operator]  # one band: a pair of numbers


def test_placeholder(shop: Shopper) -> None:
    """The same bytes for different prompts."""
    shop.sandbox.set_faults(placeholder=1)
    first, second = shop.picture("one"), shop.picture("two")
    assert first == second
    assert opened(first).format == "PNG"


def test_expired(shop: Shopper) -> None:
    """The URL first tried stays 403; a look at the job gives one that works."""
    document = shop.buy()
    shop.sandbox.set_faults(expired=1)
    assert [shop.download(urls(document)[0]).status_code for _ in range(2)] == [403, 403]
    assert shop.download(urls(shop.look(document["id"]))[0]).status_code == 200


def test_gone(shop: Shopper) -> None:
    """403 for every URL of the output."""
    document = shop.buy()
    shop.sandbox.set_faults(gone=1)
    assert shop.download(urls(document)[0]).status_code == 403
    assert shop.download(urls(shop.look(document["id"]))[0]).status_code == 403


def test_redirect_download(shop: Shopper) -> None:
    """302 to another path of the CDN, where the picture is."""
    url = urls(shop.buy())[0]
    picture = shop.download(url).content
    shop.sandbox.set_faults(redirect_download=1)
    redirect = shop.download(url)
    assert redirect.status_code == 302
    followed = shop.http.get(url, follow_redirects=True)
    assert (followed.status_code, followed.content) == (200, picture)


def test_redirect_outside(shop: Shopper) -> None:
    """302 to where no client must go."""
    url = urls(shop.buy())[0]
    shop.sandbox.set_faults(redirect_outside=1)
    assert shop.download(url).headers["location"].startswith("http://169.254.169.254/")


def test_slow_download(shop: Shopper) -> None:
    """The picture comes whole, in many parts."""
    url = urls(shop.buy())[0]
    picture = shop.download(url).content
    shop.sandbox.set_faults(slow_download=1)
    with shop.http.stream("GET", url) as answer:
        parts = list(answer.iter_raw())
    assert len(parts) > 5
    assert b"".join(parts) == picture


def test_oversized(shop: Shopper) -> None:
    """No length is announced, and bytes come for as long as the client takes them."""
    url = urls(shop.buy())[0]
    shop.sandbox.set_faults(oversized=1)
    received = 0
    with shop.http.stream("GET", url) as answer:
        assert "content-length" not in answer.headers
        for part in answer.iter_raw():
            received += len(part)
            if received > 8_000_000:
                break
    assert received > 8_000_000
    assert shop.sandbox.bill()["downloads"] == 1
