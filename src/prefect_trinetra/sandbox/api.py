"""The provider's two endpoints: submit a job, look at a job."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

from prefect_trinetra.sandbox.book import Book
from prefect_trinetra.sandbox.cdn import OutputUrls
from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.edits import EditError, fetch_source
from prefect_trinetra.sandbox.faults import FaultDice
from prefect_trinetra.sandbox.jobs import Job
from prefect_trinetra.sandbox.order import Order, Refusal, read_order
from prefect_trinetra.sandbox.pace import TokenBucket
from prefect_trinetra.sandbox.webhook import Webhook
from prefect_trinetra.sandbox.wire import Exchange

__all__ = ["ELSEWHERE_PREFIX", "JOB_PREFIX", "SUBMIT_PREFIX", "ProviderApi"]

SUBMIT_PREFIX: Final = "/v1/image/"
JOB_PREFIX: Final = "/v1/jobs/"
# Where a redirected submit points to: another place on this server, so that it can tell who followed.
ELSEWHERE_PREFIX: Final = "/elsewhere/"

BEFORE_ACCEPTANCE: Final = (
    "rate_limited",
    "rate_limited_bare",
    "unavailable",
    "error_before",
    "redirect_submit",
    "unauthorized",
    "forbidden",
)
INSTEAD_OF_THE_ANSWER: Final = (
    "error_after",
    "bare_503",
    "lost_answer",
    "reset_answer",
    "half_answer",
    "hang_after",
    "garbled",
    "no_id",
)


class ProviderApi:
    """Takes submits and shows jobs, and misbehaves as the dice say."""

    def __init__(self, config: SandboxConfig, dice: FaultDice, book: Book, urls: OutputUrls) -> None:
        self._config = config
        self._dice = dice
        self._book = book
        self._urls = urls
        self._keys = frozenset(config.api_keys)
        self._bucket = TokenBucket(config.requests_per_second, time.monotonic)
        self._webhook = Webhook(config, dice, book, urls)
        self._edits: set[asyncio.Task[None]] = set()

    def set_limit(self, requests_per_second: float | None) -> None:
        """Admit so many submits a second from now on. Raises ValueError for what is no rate."""
        if requests_per_second is not None and not 0 < requests_per_second < float("inf"):
            raise ValueError(requests_per_second)
        self._bucket.limit(requests_per_second)

    async def submit(self, exchange: Exchange) -> None:
        """POST /v1/image/{model}."""
        self._book.traffic.submits += 1
        body = await exchange.body()
        if not await self._admitted(exchange):
            return
        try:
            order = read_order(exchange.path.removeprefix(SUBMIT_PREFIX), body, self._config)
            await self._take(exchange, order)
        except Refusal as refusal:
            await exchange.answer_error(refusal.status, refusal.code, refusal.message)

    async def look(self, exchange: Exchange) -> None:
        """GET /v1/jobs/{id}."""
        self._book.traffic.polls += 1
        if not await self._known_key(exchange):
            return
        job_id = exchange.path.removeprefix(JOB_PREFIX)
        job = self._book.jobs.get(job_id)
        if job is not None:
            job.looks += 1
        if job is None or self._dice.strikes("poll_missing", job_id):
            await exchange.answer_error(404, "job_not_found", f"There is no job {job_id!r}.")
        elif self._dice.strikes("poll_error", job_id):
            await exchange.answer_error(500, "internal_error", "Something went wrong.")
        elif self._dice.strikes("poll_reset", job_id):
            await exchange.reset()
        elif self._dice.strikes("poll_hang", job_id):
            await exchange.wait_for_disconnect(self._config.hang_seconds)
        else:
            await exchange.answer_json(200, self._urls.document(job, exchange.header(b"host")))

    async def elsewhere(self, exchange: Exchange) -> None:
        """The place a redirected submit is sent to: it sells nothing and tells who came."""
        self._book.traffic.redirects_followed += 1
        self._book.traffic.key_leaks += exchange.header(b"x-api-key") is not None
        await exchange.answer_error(404, "not_found", "This is not the API.")

    async def _admitted(self, exchange: Exchange) -> bool:
        if not await self._known_key(exchange):
            return False
        wait_seconds = self._bucket.take()
        if wait_seconds > 0:
            await self._rate_limited(exchange, wait_seconds)
        return wait_seconds == 0

    async def _known_key(self, exchange: Exchange) -> bool:
        known = exchange.header(b"x-api-key") in self._keys
        if not known:
            await exchange.answer_error(401, "invalid_api_key", "The X-API-Key header carries no valid key.")
        return known

    async def _take(self, exchange: Exchange, order: Order) -> None:
        idempotency_key = exchange.header(b"idempotency-key")
        fault = self._dice.first(BEFORE_ACCEPTANCE, order.digest)
        if fault is not None:
            await self._answer_unaccepted(exchange, fault)
            return
        job = self._book.repeated(idempotency_key)
        if job is None:
            self._book.check_balance(order)
            job = self._book.accept(order, idempotency_key)
            self._begin(job)
        await self._answer_accepted(exchange, job)

    async def _answer_unaccepted(self, exchange: Exchange, fault: str) -> None:
        match fault:
            case "rate_limited":
                await self._rate_limited(exchange, 1.0)
            case "rate_limited_bare":
                await exchange.answer_error(429, "rate_limited", "Too many requests.")
            case "unavailable":
                await exchange.answer_error(503, "unavailable", "Come back later.", {"retry-after": "1"})
            case "redirect_submit":
                location = ELSEWHERE_PREFIX + exchange.path.lstrip("/")
                await exchange.answer_error(307, "moved", "See the Location header.", {"location": location})
            case "unauthorized":
                await exchange.answer_error(401, "invalid_api_key", "The X-API-Key header carries no valid key.")
            case "forbidden":
                await exchange.answer_error(403, "forbidden", "This key may not order images.")
            case _:
                await exchange.answer_error(500, "internal_error", "Something went wrong.")

    async def _answer_accepted(self, exchange: Exchange, job: Job) -> None:
        fault = self._dice.first(INSTEAD_OF_THE_ANSWER, job.order.digest)
        answer = {"job_id": job.id, "status": "queued"}
        if fault is None:
            await exchange.answer_json(202, answer)
            return
        rude: dict[str, Callable[[], Awaitable[None]]] = {
            "error_after": lambda: exchange.answer_error(500, "internal_error", "Something went wrong."),
            "bare_503": lambda: exchange.answer(503, b"<html>upstream timed out</html>", b"text/html"),
            "lost_answer": exchange.hang_up,
            "reset_answer": exchange.reset,
            "half_answer": lambda: exchange.answer_half(202, b'{"job_id": "job_gptimage2_'),
            "hang_after": lambda: exchange.wait_for_disconnect(self._config.hang_seconds),
            "garbled": lambda: exchange.answer(202, b'{"job_id": \x00\xff#!'),
            "no_id": lambda: exchange.answer_json(202, {"status": "queued"}),
        }
        await rude[fault]()

    async def _rate_limited(self, exchange: Exchange, wait_seconds: float) -> None:
        retry_after = str(max(1, math.ceil(wait_seconds)))
        await exchange.answer_error(429, "rate_limited", "Too many requests.", {"retry-after": retry_after})

    def _begin(self, job: Job) -> None:
        if job.order.image_url is None:
            self._webhook.announce_end(job)
            return
        task = asyncio.create_task(self._begin_edit(job, job.order.image_url))
        self._edits.add(task)
        task.add_done_callback(self._edits.discard)

    async def _begin_edit(self, job: Job, image_url: str) -> None:
        """Hold the job open until its source was fetched, then let it take its time."""
        duration, job.ends_at = job.ends_at - job.accepted_at, math.inf
        try:
            job.source = await asyncio.to_thread(fetch_source, image_url, self._config.pixels)
        except EditError as error:
            self._book.fail(job, str(error))
            duration = 0.0
        job.ends_at = time.monotonic() + duration
        self._webhook.announce_end(job)
