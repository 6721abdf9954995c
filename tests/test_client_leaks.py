"""What leaves the client: our own errors only, and in none of them the key or a URL's query."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator

import pytest

from evil_server import (
    KEY,
    Behaviour,
    EvilServer,
    answer,
    answering,
    client_of,
    closing_at_once,
    saying_then_closing,
    saying_then_hanging,
    saying_then_resetting,
    trickling,
)
from prefect_trinetra.client import TrinetraClient
from prefect_trinetra.errors import TrinetraError
from prefect_trinetra.request import ImageRequest

SECRET = "signature-that-must-not-leak"
LOWER = {"aiohttp", "httpx", "httpx_aiohttp", "httpcore", "yarl", "multidict"}

BEHAVIOURS: dict[str, Behaviour] = {
    "closes at once": closing_at_once,
    "closes": saying_then_closing(b""),
    "resets": saying_then_resetting(b""),
    "hangs": saying_then_hanging(b""),
    "trickles": trickling,
    "half a head": saying_then_closing(b"HTTP/1.1 200 OK\r\nContent"),
    "half a body": saying_then_closing(answer(200, b"0123456789")[:-3]),
    "resets in the body": saying_then_resetting(answer(200, b"0123456789")[:-3]),
    "hangs in the body": saying_then_hanging(answer(200, b"0123456789")[:-3]),
    "no HTTP": saying_then_closing(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "no status": saying_then_closing(b"HTTP/1.1 abc\r\n\r\n"),
    "no text": saying_then_closing(b"HTTP/1.1 400 \xff\xfe\r\nContent-Length: 0\r\n\r\n"),
    "bad header": saying_then_closing(b"HTTP/1.1 400 OK\r\nno colon\r\n\r\n"),
    "bad length": saying_then_closing(b"HTTP/1.1 400 OK\r\nContent-Length: many\r\n\r\n"),
    "two lengths": saying_then_closing(b"HTTP/1.1 400 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    "length and chunks": saying_then_closing(
        b"HTTP/1.1 400 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "bad chunk": saying_then_closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx"),
    "bad gzip": answering(answer(200, b"no gzip", Content_Encoding="gzip")),
    "bad redirect": answering(answer(302, Location=f"https://[{SECRET}/")),
    "redirect elsewhere": answering(answer(302, Location=f"https://10.0.0.1/?{SECRET}")),
    "bad request": answering(answer(400)),
    "not allowed": answering(answer(401)),
    "not found": answering(answer(404)),
    "broken": answering(answer(500)),
}


async def submit(client: TrinetraClient, _: str) -> object:
    return await client.submit(ImageRequest("a fox"), idempotency_key="1")


async def look(client: TrinetraClient, _: str) -> object:
    return await client.get_job("job_1")


async def download(client: TrinetraClient, url: str) -> object:
    return await client.download(f"{url}/a.png?Signature={SECRET}")


Call = Callable[[TrinetraClient, str], Awaitable[object]]


@pytest.mark.parametrize("call", [submit, look, download])
@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
async def test_only_our_errors_leave_and_they_tell_no_secret(behaviour: Behaviour, call: Call) -> None:
    """Neither in the error, nor in what it is chained to, nor in the local variables of a traceback below us."""
    async with EvilServer.running(behaviour) as server, client_of(server.url) as client:
        with pytest.raises(TrinetraError) as caught:
            await call(client, server.url)
    for error in chain(caught.value):
        assert type(error).__module__.partition(".")[0] not in LOWER
        assert KEY not in repr(error)
        assert SECRET not in repr(error)
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert SECRET not in shown


async def test_urls_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever turns all logging on still finds no signed URL in it."""
    caplog.set_level(logging.DEBUG)
    async with EvilServer.running(answering(answer(200, b"picture"))) as server, client_of(server.url) as client:
        await download(client, server.url)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("call", [submit, look, download])
async def test_cancellation_stays_cancellation(call: Call) -> None:
    """It is no trouble of the network."""
    hanging = saying_then_hanging(answer(200, b"0123456789")[:-3])
    patient = {f"{name}_timeout_seconds": 30 for name in ("submit", "poll", "download")}
    async with EvilServer.running(hanging) as server, client_of(server.url, **patient) as client:
        task = asyncio.ensure_future(call(client, server.url))
        await server.was_heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and everything that hangs on it as cause or context."""
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)
