"""When a POST was certainly not sent, and why no connection ever sends one twice."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from evil_server import (
    ACCEPTED,
    Conversation,
    EvilServer,
    answer,
    answering,
    client_of,
    saying_then_resetting,
    trickling,
    untrusted_certificate,
)
from prefect_trinetra.errors import ConfigurationError, OutcomeUnknown, Unavailable
from prefect_trinetra.outcomes import Job
from prefect_trinetra.request import ImageRequest

REQUEST = ImageRequest("a lighthouse")


async def submit_to(url: str, **settings: object) -> Job:
    async with client_of(url, **settings) as client:
        return await client.submit(REQUEST, idempotency_key="idem-1")


@pytest.fixture
def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose listener never accepts and whose backlog is full: a SYN gets no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(address)
        yield address[1]
        for each in waiting:
            each.close()


async def test_a_refused_connection_sent_nothing(closed_port: int) -> None:
    """Nobody listens, so nobody can have accepted."""
    with pytest.raises(Unavailable, match="nothing was sent"):
        await submit_to(f"http://127.0.0.1:{closed_port}")


async def test_a_connection_that_times_out_sent_nothing(full_port: int) -> None:
    """A SYN without an answer carries no POST."""
    with pytest.raises(Unavailable, match="nothing was sent"):
        await submit_to(f"http://127.0.0.1:{full_port}", connect_timeout_seconds=0.1)


async def test_a_host_that_does_not_resolve_was_sent_nothing() -> None:
    """`.invalid` never resolves (RFC 2606)."""
    with pytest.raises(Unavailable, match=r"trinetra\.invalid .*nothing was sent"):
        await submit_to("https://trinetra.invalid", submit_timeout_seconds=30)


async def test_a_tls_handshake_with_garbage_sent_nothing() -> None:
    """The POST travels only after the handshake."""

    async def garble(conversation: Conversation) -> None:
        await conversation.say(b"this is no TLS\r\n\r\n")

    async with EvilServer.running(garble) as server:
        with pytest.raises(Unavailable, match="nothing was sent"):
            await submit_to(server.url.replace("http:", "https:"))
    assert server.connections == 1


async def test_a_certificate_that_is_not_trusted_sent_nothing() -> None:
    """A server that can't prove its name is not given the key."""
    async with EvilServer.running(answering(answer(202, ACCEPTED)), untrusted_certificate()) as server:
        with pytest.raises(Unavailable, match="certificate"):
            await submit_to(server.url)
    assert server.heard == []


async def test_a_handshake_that_hangs_sent_nothing() -> None:
    """The connect time-out covers the TLS handshake, too."""

    async def hang(conversation: Conversation) -> None:
        await conversation.hang()

    async with EvilServer.running(hang) as server:
        with pytest.raises(Unavailable, match="nothing was sent"):
            await submit_to(server.url.replace("http:", "https:"), connect_timeout_seconds=0.1)


async def test_no_free_connection_sent_nothing() -> None:
    """A POST that waited in vain for another to finish has not left."""
    async with EvilServer.running(trickling) as server, client_of(server.url, max_connections=1) as client:
        first, second = await asyncio.gather(
            client.submit(REQUEST, idempotency_key="1"),
            client.submit(REQUEST, idempotency_key="2"),
            return_exceptions=True,
        )
    assert isinstance(first, OutcomeUnknown)
    assert isinstance(second, Unavailable)
    assert len(server.heard) == 1


async def test_an_impossible_base_url_is_a_configuration_error() -> None:
    """No retry can mend a host name with an empty label."""
    with pytest.raises(ConfigurationError, match="TRINETRA_BASE_URL"):
        await submit_to("https://api..example")


async def test_is_never_sent_twice_by_itself() -> None:
    """Whatever the server does to the one connection it gets, one POST is all it hears."""
    async with EvilServer.running(saying_then_resetting(b"")) as server:
        with pytest.raises(OutcomeUnknown):
            await submit_to(server.url)
    assert len(server.heard) == 1


async def test_is_not_sent_again_on_a_kept_connection_that_dies() -> None:
    """aiohttp repeats a GET on a stale connection; a POST it must not."""
    first = True

    async def behave(conversation: Conversation) -> None:
        nonlocal first
        await conversation.hear()
        if first:
            first = False
            await conversation.say(answer(202, ACCEPTED))
            await conversation.hear()
        conversation.reset()

    async with EvilServer.running(behave) as server, client_of(server.url) as client:
        await client.submit(REQUEST, idempotency_key="1")
        with pytest.raises(OutcomeUnknown):
            await client.submit(REQUEST, idempotency_key="2")
    assert len(server.heard) == 2


async def test_a_server_that_closes_idle_connections_makes_no_unknowns() -> None:
    """Connections that idled are not reused for a POST, so the server's time-out and ours never race."""

    async def behave(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(answer(202, ACCEPTED))
        async with asyncio.timeout(1.0):
            while True:
                await conversation.hear()
                await conversation.say(answer(202, ACCEPTED))

    async def closing_idle(conversation: Conversation) -> None:
        try:
            await behave(conversation)
        except TimeoutError:
            return

    async def submits(client_number: int, pauses: int) -> list[Job]:
        jobs = []
        for turn in range(pauses):
            jobs.append(await client.submit(REQUEST, idempotency_key=f"{client_number}-{turn}"))
            await asyncio.sleep(0.93 + client_number * 0.004)  # around the server's second: the race itself
        return jobs

    async with EvilServer.running(closing_idle) as server, client_of(server.url) as client:
        jobs = await asyncio.gather(*(submits(number, 3) for number in range(30)))
    assert sum(map(len, jobs)) == 90
