"""One HTTP exchange, down to the connection: what an ordinary framework hides is what faults are made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

import orjson
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Exchange", "Links", "linked_protocol"]

JSON_TYPE: Final = b"application/json"
# One look at a client that should have gone away; it is told so by an event, this only bounds the wait.
DISCONNECT_SECONDS: Final = 10.0

Headers = Mapping[str, str]
NO_HEADERS: Final[Headers] = MappingProxyType({})

Links = dict[tuple[str, int], asyncio.Transport]


def linked_protocol(links: Links) -> type[asyncio.Protocol]:
    """A uvicorn protocol that keeps the open connections in `links`, by the client's address."""

    class LinkedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
            super().connection_made(transport)
            if self.client is not None:
                links[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.client is not None:
                links.pop(self.client, None)

    return LinkedProtocol


class Exchange:
    """A request, and the ways to answer it, rude ones included."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, links: Links) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self._scope = scope
        self._receive = receive
        self._send = send
        self._links = links

    def header(self, name: bytes) -> str | None:
        """A request header by its lower-case name."""
        return next((value.decode("latin-1") for key, value in self._scope["headers"] if key == name), None)

    @property
    def target(self) -> str:
        """The path with its query, as the client asked for it."""
        query: bytes = self._scope["query_string"]
        return f"{self.path}?{query.decode('latin-1')}"

    def query(self) -> dict[str, str]:
        """The query's parameters; the last of equal names counts."""
        pairs = (part.partition("=") for part in self._scope["query_string"].decode("latin-1").split("&"))
        return {name: unquote(value) for name, _, value in pairs}

    async def body(self) -> bytes:
        """The whole request body."""
        message = await self._receive()
        received: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return received
        parts = [received]
        while message.get("more_body"):
            message = await self._receive()
            parts.append(message.get("body", b""))
        return b"".join(parts)

    async def answer(
        self, status: int, body: bytes, content_type: bytes = JSON_TYPE, headers: Headers = NO_HEADERS
    ) -> None:
        """Answer whole."""
        await self._start(status, content_type, len(body), headers)
        await self._send({"type": "http.response.body", "body": body})

    async def answer_json(self, status: int, document: Any, headers: Headers = NO_HEADERS) -> None:
        """Answer with a JSON document."""
        await self.answer(status, orjson.dumps(document), headers=headers)

    async def answer_error(self, status: int, code: str, message: str, headers: Headers = NO_HEADERS) -> None:
        """Answer with the error document."""
        await self.answer_json(status, {"error": {"code": code, "message": message}}, headers)

    async def answer_half(self, status: int, body: bytes, content_type: bytes = JSON_TYPE) -> None:
        """Announce the whole body, send half of it and close the connection."""
        await self._start(status, content_type, len(body), NO_HEADERS)
        await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await self.hang_up()

    async def answer_slowly(self, body: bytes, content_type: bytes, *, seconds: float, steps: int = 20) -> None:
        """Answer 200 in small parts that come over that many seconds."""
        await self._start(200, content_type, len(body), NO_HEADERS)
        size = max(1, -(-len(body) // steps))
        for begin in range(0, len(body), size):
            await asyncio.sleep(seconds / steps)
            part = body[begin : begin + size]
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def answer_parts(self, parts: AsyncIterator[bytes], content_type: bytes) -> None:
        """Answer 200 with parts that come without an announced length, until they or the client end."""
        await self._start(200, content_type, None, NO_HEADERS)
        async for part in parts:
            if self._transport is None:
                return
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def hang_up(self) -> None:
        """Close the connection as it stands: after what was sent, before what was not."""
        if (transport := self._transport) is not None:
            transport.close()
        await self.wait_for_disconnect(DISCONNECT_SECONDS)

    async def reset(self) -> None:
        """Cut the connection: what was not yet sent is thrown away."""
        if (transport := self._transport) is not None:
            transport.abort()
        await self.wait_for_disconnect(DISCONNECT_SECONDS)

    async def wait_for_disconnect(self, seconds: float) -> None:
        """Say nothing until the client gives up or the time is over, then close."""
        try:
            async with asyncio.timeout(seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            if (transport := self._transport) is not None:
                transport.abort()
                await self._receive()

    @property
    def _transport(self) -> asyncio.Transport | None:
        host, port = self._scope["client"]
        return self._links.get((host, port))

    async def _start(self, status: int, content_type: bytes, length: int | None, headers: Headers) -> None:
        raw = [(b"content-type", content_type)]
        if length is not None:
            raw.append((b"content-length", b"%d" % length))
        raw += [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
