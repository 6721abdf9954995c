"""A server that speaks raw bytes over a real socket, so that it can do what no HTTP server would."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from prefect_trinetra.client import TrinetraClient
from prefect_trinetra.settings import Account, TrinetraSettings

KEY = "key-that-must-not-leak"
ACCEPTED = b'{"job_id": "job_1", "status": "queued"}'


@dataclass(frozen=True)
class Received:
    """One request as it came; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Conversation:
    """One connection, seen from the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[Received]
    was_heard: asyncio.Event

    async def hear(self) -> Received:
        """The next whole request. Raises IncompleteReadError where the client hung up instead."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.strip().split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        received = Received(method, target, headers, body)
        self.heard.append(received)
        self.was_heard.set()
        return received

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Ends the connection with RST instead of FIN."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def hang(self) -> None:
        await asyncio.Event().wait()


Behaviour = Callable[[Conversation], Awaitable[None]]


@dataclass
class EvilServer:
    """A running server: its address, what it heard, and how many connections it was given."""

    behaviour: Behaviour
    heard: list[Received] = field(default_factory=list)
    was_heard: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    url: str = ""
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        server = cls(behaviour)
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
        port = listener.sockets[0].getsockname()[1]
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        try:
            yield server
        finally:
            listener.close()
            await server.end()
            await listener.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._converse(Conversation(reader, writer, self.heard, self.was_heard)))
        self._under_way.add(task)
        await asyncio.wait({task})

    async def _converse(self, conversation: Conversation) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await self.behaviour(conversation)
        finally:
            conversation.writer.close()

    async def end(self) -> None:
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a proper answer; `Content_Type="..."` becomes a Content-Type header."""
    fields = {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Said So", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(*answers: bytes) -> Behaviour:
    """Says these, one after the other, to the requests of a connection; the last one to all that follow."""

    async def behave(conversation: Conversation) -> None:
        for each in answers:
            await conversation.hear()
            await conversation.say(each)
        while True:
            await conversation.hear()
            await conversation.say(answers[-1])

    return behave


def saying_then_closing(data: bytes) -> Behaviour:
    """Hears a request, says this much, and closes the connection."""

    async def behave(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(data)

    return behave


def saying_then_resetting(data: bytes) -> Behaviour:
    """Hears a request, says this much, and resets the connection."""

    async def behave(conversation: Conversation) -> None:
        await conversation.hear()
        if data:
            await conversation.say(data)
        conversation.reset()

    return behave


def saying_then_hanging(data: bytes) -> Behaviour:
    """Hears a request, says this much, and nothing more, for ever."""

    async def behave(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(data)
        await conversation.hang()

    return behave


async def closing_at_once(_: Conversation) -> None:
    """Closes the connection before anything is read."""


async def trickling(conversation: Conversation) -> None:
    """Hears a request and says a header letter now and then, for ever: never silent, never done."""
    await conversation.hear()
    await conversation.say(b"HTTP/1.1 202 Accepted\r\nX-Long: ")
    while True:
        await conversation.say(b"x")
        await asyncio.sleep(0.02)


def untrusted_certificate() -> ssl.SSLContext:
    """The server's side of TLS for this machine, signed by nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parent / "untrusted.pem")
    return context


def client_of(url: str, **settings: object) -> TrinetraClient:
    """A client for a server at `url`, with time-outs short enough for a test."""
    seconds = {"submit": 0.3, "poll": 0.3, "download": 0.6}
    short = {f"{name}_timeout_seconds": value for name, value in seconds.items()}
    return TrinetraClient(Account.of(KEY, url), TrinetraSettings(**(short | settings)))
