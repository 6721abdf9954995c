"""What an answer to a POST means, against a server that does what servers do when they fail."""

import asyncio

import orjson
import pytest

from evil_server import (
    ACCEPTED,
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
from prefect_trinetra.errors import (
    AccountRefused,
    NotAccepted,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
    TrinetraError,
    Unavailable,
)
from prefect_trinetra.outcomes import Job
from prefect_trinetra.request import ImageRequest

REQUEST = ImageRequest("a lighthouse")


async def submit_to(url: str, **settings: object) -> Job:
    async with client_of(url, **settings) as client:
        return await client.submit(REQUEST, idempotency_key="idem-1")


async def submit_against(behaviour: Behaviour, **settings: object) -> Job:
    async with EvilServer.running(behaviour) as server:
        return await submit_to(server.url, **settings)


async def test_sends_body_key_and_idempotency_key() -> None:
    """One POST carries the request's body, the API key, the idempotency key and who we are."""
    async with EvilServer.running(answering(answer(202, ACCEPTED))) as server:
        job = await submit_to(server.url)
    (heard,) = server.heard
    assert job == Job("job_1", "queued")
    assert (heard.method, heard.target) == ("POST", "/v1/image/gpt-image-2")
    assert orjson.loads(heard.body) == REQUEST.body()
    assert heard.headers["x-api-key"] == KEY
    assert heard.headers["idempotency-key"] == "idem-1"
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["user-agent"].startswith("prefect-trinetra/")


async def test_keeps_a_path_of_the_base_url() -> None:
    """A base URL may have a path: a gateway's prefix."""
    async with EvilServer.running(answering(answer(202, ACCEPTED))) as server:
        await submit_to(f"{server.url}/gateway/")
    assert server.heard[0].target == "/gateway/v1/image/gpt-image-2"


HALF_HEAD = b"HTTP/1.1 202 Accepted\r\nContent-Ty"
HALF_BODY = answer(202, ACCEPTED)[:-10]
BROKEN: dict[str, Behaviour] = {
    "reads the body, then closes": saying_then_closing(b""),
    "reads the body, then resets": saying_then_resetting(b""),
    "closes after half of the head": saying_then_closing(HALF_HEAD),
    "resets after half of the head": saying_then_resetting(HALF_HEAD),
    "closes after half of the body": saying_then_closing(HALF_BODY),
    "resets after half of the body": saying_then_resetting(HALF_BODY),
    "hangs": saying_then_hanging(b""),
    "hangs after half of the head": saying_then_hanging(HALF_HEAD),
    "hangs after half of the body": saying_then_hanging(HALF_BODY),
    "trickles for ever": trickling,
    "closes before reading": closing_at_once,
    "garbles": saying_then_closing(b"\x00\xff\x80 garbage \r\n\r\n"),
    "garbles the reason": saying_then_closing(b"HTTP/1.1 202 \xff\xfe\r\nContent-Length: 0\r\n\r\n"),
    "garbles a chunk": saying_then_closing(b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnonsense"),
    "claims gzip that is none": answering(answer(202, ACCEPTED, Content_Encoding="gzip")),
    "lies about the length": answering(answer(202, ACCEPTED, Content_Length="-5")),
    "sends a giant header": saying_then_closing(b"HTTP/1.1 202 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    "switches protocols": saying_then_closing(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "answers endlessly": saying_then_hanging(b"HTTP/1.1 202 OK\r\n\r\n" + b"x" * (2**20 + 1)),
    "accepts without an id": answering(answer(202, b'{"status": "queued"}')),
    "accepts with a page": answering(answer(200, b"<html>hello</html>", Content_Type="text/html")),
    "accepts with nothing": answering(answer(202)),
}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_what_broke_after_sending_is_unknown(behaviour: Behaviour) -> None:
    """Once the POST may have arrived, nobody can say that it was not accepted."""
    with pytest.raises(OutcomeUnknown):
        await submit_against(behaviour)


@pytest.mark.parametrize(
    "status", [100, 204, 206, 301, 302, 303, 304, 307, 308, 406, 408, 409, 418, 500, 502, 503, 504, 599]
)
async def test_an_answer_that_does_not_say_is_unknown(status: int) -> None:
    """A redirect, a 5xx, a bare 503 and whatever else is no clear word."""
    with pytest.raises(OutcomeUnknown):
        await submit_against(saying_then_closing(answer(status, Location="https://elsewhere.example/")))


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refusal_keeps_its_reason(status: int) -> None:
    """The provider's reason and code are what the row's report shows."""
    body = b'{"error": {"code": "moderation_blocked", "message": "not this one"}}'
    with pytest.raises(RequestRefused, match="not this one") as refused:
        await submit_against(answering(answer(status, body)))
    assert (refused.value.status, refused.value.code) == (status, "moderation_blocked")
    assert not isinstance(refused.value, AccountRefused)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405])
async def test_a_refusal_that_concerns_the_account_says_so(status: int) -> None:
    """Every other row would fare the same: the caller can tell by the type."""
    with pytest.raises(AccountRefused):
        await submit_against(answering(answer(status)))


async def test_a_status_that_refuses_counts_without_its_body() -> None:
    """A 400 whose body broke off is still a refusal."""
    with pytest.raises(RequestRefused):
        await submit_against(saying_then_closing(answer(400, b"x", Content_Length="99")))


async def test_a_whole_job_id_counts_though_the_answer_broke_off() -> None:
    """What was accepted and named is not lost to a missing last chunk."""
    head = b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (len(ACCEPTED), ACCEPTED)
    assert (await submit_against(saying_then_resetting(head + chunk))).id == "job_1"


async def test_429_waits_as_long_as_it_is_told() -> None:
    """Retry-After is handed on, in seconds."""
    with pytest.raises(RateLimited) as limited:
        await submit_against(answering(answer(429, Retry_After="7")))
    assert limited.value.retry_after_seconds == 7.0


async def test_503_with_retry_after_was_not_accepted() -> None:
    """A server that names a time has not begun."""
    with pytest.raises(Unavailable) as busy:
        await submit_against(answering(answer(503, Retry_After="2")))
    assert busy.value.retry_after_seconds == 2.0


async def test_a_bare_503_counts_as_not_accepted_only_on_the_users_word() -> None:
    """`retry_503` is that word."""
    with pytest.raises(Unavailable):
        await submit_against(answering(answer(503)), retry_503=True)


async def test_redirects_are_not_followed() -> None:
    """The key goes to the base URL only."""
    async with EvilServer.running(answering(answer(202, ACCEPTED))) as other:
        elsewhere = answering(answer(307, Location=f"{other.url}/v1/image/gpt-image-2"))
        with pytest.raises(OutcomeUnknown):
            await submit_against(elsewhere)
    assert other.heard == []


async def test_cookies_are_not_kept() -> None:
    """One answer's cookie does not show in the next request."""
    setting = answering(answer(202, ACCEPTED, Set_Cookie="a=b; Path=/"))
    async with EvilServer.running(setting) as server, client_of(server.url) as client:
        await client.submit(REQUEST, idempotency_key="1")
        await client.submit(REQUEST, idempotency_key="2")
    assert "cookie" not in server.heard[1].headers


async def test_a_cancelled_submit_ends_as_cancelled() -> None:
    """Cancellation is not turned into one of our errors."""
    hanging = saying_then_hanging(b"")
    async with EvilServer.running(hanging) as server, client_of(server.url, submit_timeout_seconds=30) as client:
        task = asyncio.create_task(client.submit(REQUEST, idempotency_key="1"))
        await server.was_heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closing_ends_what_is_under_way() -> None:
    """A POST that was out when the client closed is unknown; closing twice is fine."""
    async with EvilServer.running(saying_then_hanging(b"")) as server:
        client = client_of(server.url, submit_timeout_seconds=30)
        task = asyncio.create_task(client.submit(REQUEST, idempotency_key="1"))
        await server.was_heard.wait()
        await client.aclose()
        await client.aclose()
        with pytest.raises(TrinetraError) as ended:
            await task
    assert isinstance(ended.value, OutcomeUnknown | NotAccepted)
