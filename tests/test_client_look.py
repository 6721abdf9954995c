"""What a look at a job brings: the document, or the word whether another look may."""

import gzip

import pytest

from evil_server import (
    KEY,
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
)
from prefect_trinetra.errors import JobGone, JobUnreadable
from prefect_trinetra.outcomes import Job, Output

DOCUMENT = b"""{"id": "job_1", "model": "gpt-image-2", "status": "succeeded",
 "output": {"outputs": [{"url": "https://cdn.trinetra.ai/a.png", "type": "image"}]}, "credits_charged": 7}"""
DONE = Job("job_1", "succeeded", (Output("https://cdn.trinetra.ai/a.png", "image"),), 7.0, model="gpt-image-2")


async def look_against(behaviour: Behaviour, job_id: str = "job_1") -> Job:
    async with EvilServer.running(behaviour) as server, client_of(server.url) as client:
        return await client.get_job(job_id)


async def test_asks_with_the_key_and_reads_the_document() -> None:
    """GET {base}/v1/jobs/{id}, as the provider's page says."""
    async with EvilServer.running(answering(answer(200, DOCUMENT))) as server, client_of(server.url) as client:
        assert await client.get_job("job_1") == DONE
    (heard,) = server.heard
    assert (heard.method, heard.target, heard.headers["x-api-key"]) == ("GET", "/v1/jobs/job_1", KEY)


@pytest.mark.parametrize(
    ("job_id", "target"),
    [
        ("a/b", "/v1/jobs/a%2Fb"),
        ("a?b#c", "/v1/jobs/a%3Fb%23c"),
        ("50%", "/v1/jobs/50%25"),
        ("jöb 一", "/v1/jobs/j%C3%B6b%20%E4%B8%80"),
    ],
)
async def test_a_job_id_is_opaque(job_id: str, target: str) -> None:
    """Whatever characters the provider's ids hold, they stay one segment of the path."""
    async with EvilServer.running(answering(answer(404))) as server, client_of(server.url) as client:
        with pytest.raises(JobGone):
            await client.get_job(job_id)
    assert server.heard[0].target == target


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_job_that_is_not_shown_is_gone(status: int) -> None:
    """It was accepted, so it stays pending: gone is no failure."""
    with pytest.raises(JobGone, match="pending") as gone:
        await look_against(answering(answer(status)))
    assert (gone.value.status, gone.value.job_id) == (status, "job_1")


@pytest.mark.parametrize("status", [202, 204, 302, 400, 402, 418, 500, 503])
async def test_any_other_status_asks_for_another_look(status: int) -> None:
    """Nothing but a document says what became of a job."""
    with pytest.raises(JobUnreadable):
        await look_against(saying_then_closing(answer(status, Location="https://elsewhere.example/")))


@pytest.mark.parametrize("status", [429, 503])
async def test_the_servers_hint_is_handed_on(status: int) -> None:
    """Retry-After, in seconds."""
    with pytest.raises(JobUnreadable) as unreadable:
        await look_against(answering(answer(status, Retry_After="3")))
    assert unreadable.value.retry_after_seconds == 3.0


UNREADABLE: dict[str, Behaviour] = {
    "closes": saying_then_closing(b""),
    "closes before reading": closing_at_once,
    "resets": saying_then_resetting(b""),
    "hangs": saying_then_hanging(b""),
    "hangs in the body": saying_then_hanging(answer(200, DOCUMENT)[:-9]),
    "closes in the body": saying_then_closing(answer(200, DOCUMENT)[:-9]),
    "garbles": saying_then_closing(b"\x00\xff\x80 garbage \r\n\r\n"),
    "sends a page": answering(answer(200, b"<html>login</html>", Content_Type="text/html")),
    "sends a list": answering(answer(200, b"[1, 2]")),
    "sends another job": answering(answer(200, DOCUMENT.replace(b"job_1", b"job_2"))),
    "sends no end": saying_then_hanging(answer(200, b"x" * (4 * 2**20 + 1))),
}


@pytest.mark.parametrize("behaviour", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_is_no_document_asks_for_another_look(behaviour: Behaviour) -> None:
    """Network trouble and garbage say nothing about the job."""
    with pytest.raises(JobUnreadable, match="job_1") as unreadable:
        await look_against(behaviour)
    assert unreadable.value.job_id == "job_1"


async def test_a_kept_connection_that_was_closed_is_no_trouble() -> None:
    """A GET may be made again, and is, at once."""

    async def behave(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(answer(200, DOCUMENT))
        await conversation.hear()

    async with EvilServer.running(behave) as server, client_of(server.url) as client:
        assert [await client.get_job("job_1") for _ in range(3)] == [DONE] * 3


async def test_a_server_that_compresses_unasked_is_understood() -> None:
    """Some proxies do."""
    packed = answering(answer(200, gzip.compress(DOCUMENT), Content_Encoding="gzip"))
    assert await look_against(packed) == DONE
