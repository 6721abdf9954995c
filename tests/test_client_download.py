"""Fetching a picture: exact bytes, from where it is allowed, without the key."""

import gzip

import pytest

from evil_server import (
    Behaviour,
    Conversation,
    EvilServer,
    answer,
    answering,
    client_of,
    closing_at_once,
    saying_then_closing,
    saying_then_hanging,
    saying_then_resetting,
    untrusted_certificate,
)
from prefect_trinetra.client import Download
from prefect_trinetra.errors import DownloadDamaged, DownloadExpired, DownloadInterrupted

PICTURE = b"\x89PNG" + bytes(range(256)) * 1000
PUBLIC_API = "https://api.example"


async def download_from(behaviour: Behaviour, path: str = "/a.png", **settings: object) -> Download:
    async with EvilServer.running(behaviour) as server, client_of(server.url, **settings) as client:
        return await client.download(server.url + path)


async def test_brings_the_bytes_as_they_are() -> None:
    """And the media type that the server gave them."""
    picture = answering(answer(200, PICTURE, Content_Type="Image/PNG; charset=binary"))
    assert await download_from(picture) == Download(PICTURE, "image/png")


async def test_the_key_stays_home() -> None:
    """The CDN gets neither key nor cookies, and is asked for bytes as they are."""
    async with EvilServer.running(answering(answer(200, PICTURE))) as server, client_of(server.url) as client:
        await client.download(f"{server.url}/a.png")
    (heard,) = server.heard
    assert set(heard.headers) == {"host", "accept", "accept-encoding", "user-agent"}
    assert heard.headers["accept-encoding"] == "identity"


async def test_a_signed_url_is_sent_as_it_was_signed() -> None:
    """Escapes that could be written in another way are left alone: a signature may be over them."""
    target = "/a%2Fb/%7Ec//d?Credential=A%2F1&sig=a%2Bb%3D%3D&t=%3a%20+~'()"
    async with EvilServer.running(answering(answer(200, PICTURE))) as server, client_of(server.url) as client:
        await client.download(server.url + target)
    assert server.heard[0].target == target


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_an_expired_url(status: int) -> None:
    """The job may give another."""
    with pytest.raises(DownloadExpired):
        await download_from(answering(answer(status, b"<Error>AccessDenied</Error>")))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_busy_cdn(status: int) -> None:
    """The same URL may work later."""
    with pytest.raises(DownloadInterrupted):
        await download_from(answering(answer(status)))


INTERRUPTED: dict[str, Behaviour] = {
    "closes": saying_then_closing(b""),
    "closes before reading": closing_at_once,
    "resets": saying_then_resetting(b""),
    "hangs": saying_then_hanging(b""),
    "sends less than it promised": saying_then_closing(answer(200, PICTURE)[:-1]),
    "resets in the body": saying_then_resetting(answer(200, PICTURE)[:-1]),
    "hangs in the body": saying_then_hanging(answer(200, PICTURE)[:-1]),
    "misses the last chunk": saying_then_closing(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\x89PNG\r\n"
    ),
    "garbles": saying_then_closing(b"\x00\xff\x80 garbage \r\n\r\n"),
}


@pytest.mark.parametrize("behaviour", INTERRUPTED.values(), ids=INTERRUPTED)
async def test_a_download_that_broke_off(behaviour: Behaviour) -> None:
    """The same URL may work later; half a picture is never handed on."""
    with pytest.raises(DownloadInterrupted):
        await download_from(behaviour)


DAMAGED: dict[str, bytes] = {
    "a page": answer(200, b"<html>sorry</html>", Content_Type="text/html; charset=utf-8"),
    "an error document": answer(200, b'{"error": "x"}', Content_Type="application/problem+json"),
    "nothing": answer(200, Content_Type="image/png"),
    "no content": answer(204),
    "a part": answer(206, PICTURE, Content_Type="image/png"),
    "not modified": answer(304),
    "a strange status": answer(418),
    "a redirect to nowhere": answer(302),
}


@pytest.mark.parametrize("said", DAMAGED.values(), ids=DAMAGED)
async def test_an_answer_that_is_no_picture(said: bytes) -> None:
    """It is damaged, and says in what way."""
    with pytest.raises(DownloadDamaged):
        await download_from(saying_then_closing(said))


async def test_a_picture_of_the_largest_size_is_taken() -> None:
    """`max_image_bytes` is a size that is still allowed."""
    whole = answering(answer(200, PICTURE))
    assert len((await download_from(whole, max_image_bytes=len(PICTURE))).data) == len(PICTURE)


async def test_a_size_that_is_declared_too_large_is_not_read() -> None:
    """The message names the setting."""
    with pytest.raises(DownloadDamaged, match="TRINETRA_MAX_IMAGE_BYTES"):
        await download_from(
            saying_then_hanging(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"), max_image_bytes=1000
        )


async def test_a_body_without_end_is_not_read_to_its_end() -> None:
    """Reading stops at the cap, however the body is framed."""

    async def behave(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
        while True:
            await conversation.say(bytes(2**16))

    with pytest.raises(DownloadDamaged, match="TRINETRA_MAX_IMAGE_BYTES"):
        await download_from(behave, max_image_bytes=2**20)


async def test_a_cdn_that_compresses_unasked_is_understood() -> None:
    """What was packed for the road is unpacked; the picture is the same."""
    packed = answering(answer(200, gzip.compress(PICTURE), Content_Type="image/png", Content_Encoding="gzip"))
    assert (await download_from(packed)).data == PICTURE


async def test_redirects_are_followed() -> None:
    """Relative ones, too."""
    hops = answering(answer(302, Location="/b.png"), answer(307, Location="c.png?x=1"), answer(200, PICTURE))
    async with EvilServer.running(hops) as server, client_of(server.url) as client:
        assert (await client.download(f"{server.url}/a.png")).data == PICTURE
    assert [heard.target for heard in server.heard] == ["/a.png", "/b.png", "/c.png?x=1"]


async def test_redirects_end() -> None:
    """Five hops are followed, a sixth is not."""
    async with EvilServer.running(answering(answer(302, Location="/a.png"))) as server, client_of(server.url) as client:
        with pytest.raises(DownloadDamaged, match="more than 5"):
            await client.download(f"{server.url}/a.png")
    assert len(server.heard) == 6


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/a.png",
        "https://[::ffff:10.0.0.1]/a.png",
        "https://2130706433/a.png",
        "ftp://cdn.example/a.png",
        "file:///etc/passwd",
        "https://[broken/",
        "https://a..b/",
        "https:///a.png",
    ],
)
async def test_a_redirect_is_checked_like_the_url_itself(target: str) -> None:
    """A CDN can't send us into the network that we run in."""
    with pytest.raises(DownloadDamaged):
        await download_from(answering(answer(302, Location=target)))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a.png",
        "https://localhost/a.png",
        "https://[::1]/a.png",
        "http://cdn.example/a.png",
        "http://127.0.0.1/a.png",
        "data:image/png;base64,AAAA",
        "cdn.example/a.png",
        "",
        "https://cdn.example:port/a.png",
        "https://exa mple/\x00",
    ],
)
async def test_an_url_that_is_not_fetched(url: str) -> None:
    """Only https and public addresses, where the API is a public one."""
    async with client_of(PUBLIC_API) as client:
        with pytest.raises(DownloadDamaged):
            await client.download(url)


async def test_a_public_api_never_connects_to_this_machine() -> None:
    """The address is checked when it is connected to: a name that resolves to this machine is refused, too."""
    good = answering(answer(200, PICTURE))
    async with EvilServer.running(good, untrusted_certificate()) as server, client_of(PUBLIC_API) as client:
        with pytest.raises(DownloadDamaged, match="not a public one"):
            await client.download(server.url.replace("127.0.0.1", "localhost"))
    assert server.connections == 0


async def test_nobody_listens() -> None:
    """The same URL may work later."""
    async with EvilServer.running(closing_at_once) as server:
        url = server.url
    async with client_of(url) as client:
        with pytest.raises(DownloadInterrupted):
            await client.download(f"{url}/a.png")
