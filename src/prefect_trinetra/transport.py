"""HTTP as the client needs it: an answer, or a trouble that says whether anything can have been sent.

With `troubles` the only module that knows httpx and aiohttp: none of their types or exceptions leaves it. Requests go
straight through httpx-aiohttp's transport: httpx's own client on top of it would log every URL, signature included,
and keep cookies.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from typing import Any, Final, cast

import aiohttp
import httpx
import yarl
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

from prefect_trinetra.answers import Answer
from prefect_trinetra.troubles import LOWER_ERRORS, ForbiddenAddress, Trouble, TroubleKind, trouble_of

__all__ = ["Pool"]

# The body of an answer that is an error: enough for its reason.
MAX_ERROR_BYTES: Final = 2**16
# As much as asyncio reads at once: 1.5 MB pictures cost a sixth less CPU than in the 16 KiB that is usual.
CHUNK_BYTES: Final = 2**18


class Pool:
    """Connections shared by requests of one kind: so many at most, an idle one reused for at most `idle_seconds`.

    `may_connect` is asked about each IP address before it is connected to. No cookies, no proxies, no `.netrc`.
    """

    def __init__(
        self,
        *,
        connections: int,
        idle_seconds: float,
        connect_timeout_seconds: float,
        may_connect: Callable[[str], bool] | None = None,
    ) -> None:
        self._connect_timeout_seconds = connect_timeout_seconds
        self._transport = _Transport(
            lambda: aiohttp.TCPConnector(
                limit=connections,
                keepalive_timeout=idle_seconds,
                ssl=_tls_context(),
                socket_factory=partial(_socket, may_connect) if may_connect else None,
            )
        )

    async def aclose(self) -> None:
        """Closes every connection; requests under way fail."""
        await self._transport.aclose()

    async def ask(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        content: bytes | None = None,
        timeout_seconds: float,
        total_seconds: float,
        max_bytes: int,
    ) -> Answer:
        """One request, one answer; redirects are answers.

        `timeout_seconds` bounds the wait for a connection, and each silence after it; `total_seconds` the whole.
        Raises Trouble where no answer began. A body that broke off is in the answer, as far as it came.
        """
        limits = {"pool": timeout_seconds, "connect": self._connect_timeout_seconds, "read": timeout_seconds}
        reading: _Reading | None = None
        trouble: Trouble | None = None
        try:
            async with asyncio.timeout(total_seconds):
                extensions = {"timeout": limits}
                request = httpx.Request(method, _parsed(url), headers=headers, content=content, extensions=extensions)
                reading = _Reading(await self._transport.handle_async_request(request), max_bytes)
                await reading.read()
        except LOWER_ERRORS as error:
            trouble = trouble_of(error)
        # Raised out here, so that no lower library's error hangs on it as its context.
        if reading is not None:
            return reading.answer(broken=trouble.words if trouble else None)
        raise trouble or Trouble(TroubleKind.BROKEN, "no answer came")


class _Transport(AiohttpTransport):
    """httpx-aiohttp's transport over a session of our own, made with the first request: it wants a running loop."""

    def __init__(self, connector: Callable[[], aiohttp.TCPConnector]) -> None:
        super().__init__(verify=_tls_context())
        self._connector = connector
        self._session: _ExactSession | None = None

    def get_client(self) -> Any:
        """Asked before each request, since what it returns is no aiohttp.ClientSession."""
        if self._session is None:
            self._session = _ExactSession(self._connector())
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


class _ExactSession:
    """An aiohttp session that sends URLs as they are written: a signature may be over `%2F`, and it would send `/`."""

    def __init__(self, connector: aiohttp.TCPConnector) -> None:
        no_cookies = aiohttp.DummyCookieJar()
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=no_cookies, read_bufsize=CHUNK_BYTES)

    def request(self, *, url: str, **options: Any) -> Any:
        try:
            exact = yarl.URL(url, encoded=True)
            # What the resolver would trip over, when it is too late to tell it from a broken answer.
            (exact.raw_host or "").encode("idna")
        except ValueError as error:
            raise aiohttp.InvalidURL(url) from error
        return self._session.request(url=exact, **options)

    async def close(self) -> None:
        await self._session.close()


class _Reading:
    """An answer that has begun: what came of its body before a time-out or a reset is not lost."""

    def __init__(self, response: httpx.Response, max_bytes: int) -> None:
        self._response = response
        self._max_bytes = max_bytes if response.is_success else min(max_bytes, MAX_ERROR_BYTES)
        self._body = bytearray()
        self._cut = False

    async def read(self) -> None:
        try:
            self._cut = int(self._response.headers.get("content-length", "0")) > self._max_bytes
            if not self._cut:
                await self._read_body()
        finally:
            await self._response.aclose()

    async def _read_body(self) -> None:
        # Nobody asked for an encoding; a server that gzips regardless is understood by httpx's slower reader.
        stream = cast("AiohttpResponseStream", self._response.stream)
        stream.CHUNK_SIZE = CHUNK_BYTES
        encoded = "content-encoding" in self._response.headers
        async for chunk in self._response.aiter_bytes() if encoded else stream:
            self._body += chunk
            if len(self._body) > self._max_bytes:
                self._cut = True
                return

    def answer(self, *, broken: str | None) -> Answer:
        return Answer(self._response.status_code, self._response.headers, bytes(self._body), broken, self._cut)


def _socket(may_connect: Callable[[str], bool], address: aiohttp.AddrInfoType) -> socket.socket:
    # What is connected to is what is checked: a literal, a resolved address, one that DNS changed a moment ago.
    family, kind, protocol, _, (host, *_) = address
    if not may_connect(str(host)):
        raise ForbiddenAddress
    return socket.socket(family=family, type=kind, proto=protocol)


@lru_cache(maxsize=4096)
def _parsed(url: str) -> httpx.URL:
    # Every submit goes to one URL and a job is looked at several times; parsing costs as much as sending.
    return httpx.URL(url)


@cache
def _tls_context() -> Any:
    # Reading the certificates takes 20 ms: once per process. Honours SSL_CERT_FILE and SSL_CERT_DIR.
    return httpx.create_ssl_context()
