"""The webhook of the key: each terminal job document, POSTed once, whether or not anybody listens; and its faults."""

from __future__ import annotations

import asyncio
import logging
import math
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any, Final, NamedTuple

import orjson

from prefect_trinetra.sandbox.book import Book
from prefect_trinetra.sandbox.cdn import OutputUrls
from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.faults import FaultDice
from prefect_trinetra.sandbox.jobs import Job
from prefect_trinetra.sandbox.order import MODEL

__all__ = ["Webhook"]

logger = logging.getLogger(__name__)

POST_SECONDS: Final = 10.0
# A timer may fire a clock tick early, and the job is not over then.
TICK_SECONDS: Final = 0.002
FLOOD: Final = 100
GARBAGE: Final = (b"", b"\x00\xff{", b"[1, 2, 3]", b'{"status": "succeeded"}', b'{"id": {"id": "job"}}', b"[" * 10_000)


class _Post(NamedTuple):
    """One POST: when, as a part of the job's time and in seconds after that, and its body; None is the document."""

    part: float
    seconds: float
    body: bytes | None = None


class Webhook:
    """Tells the configured address of every job's end; without one it is silent."""

    def __init__(self, config: SandboxConfig, dice: FaultDice, book: Book, urls: OutputUrls) -> None:
        self._url = config.webhook_url
        self._late_seconds = config.webhook_late_seconds
        self._dice = dice
        self._book = book
        self._urls = urls
        self._posts: set[asyncio.Task[None]] = set()

    def announce_end(self, job: Job) -> None:
        """See to it that the job's document is POSTed when it ends. Jobs that never end are not announced."""
        if self._url is None or math.isinf(job.ends_at):
            return
        for post in self._course(job):
            task = asyncio.create_task(self._send(job, post, self._url))
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)

    def _course(self, job: Job) -> Iterator[_Post]:
        """All that is POSTed because of a job."""
        if self._strikes("webhook_early", job):
            yield _Post(0.5, 0.0, _forged(job.id))
        if not self._strikes("webhook_lost", job):
            late = self._late_seconds if self._strikes("webhook_late", job) else 0.0
            body = _forged(job.id, "failed") if self._strikes("webhook_false", job) else None
            for seconds in (0.0, 0.0, 0.5) if self._strikes("webhook_doubled", job) else (0.0,):
                yield _Post(1.0, late + seconds, body)
        if self._strikes("webhook_stranger", job):
            yield _Post(1.0, 0.0, _forged(f"{job.id}-stranger"))
        if self._strikes("webhook_garbage", job):
            yield from (_Post(1.0, 0.0, body) for body in GARBAGE)
        if self._strikes("webhook_flood", job):
            yield from (_Post(0.9, 0.0, _forged(f"{job.id}-flood{number}")) for number in range(FLOOD))

    def _strikes(self, name: str, job: Job) -> bool:
        return self._dice.strikes(name, job.id)

    async def _send(self, job: Job, post: _Post, url: str) -> None:
        at = job.accepted_at + post.part * (job.ends_at - job.accepted_at) + post.seconds
        await asyncio.sleep(max(0.0, at - time.monotonic()) + TICK_SECONDS)
        self._book.traffic.webhooks += 1
        body = orjson.dumps(self._urls.document(job, None)) if post.body is None else post.body
        await asyncio.to_thread(_post, url, body, job.id)


def _forged(job_id: str, status: str = "succeeded") -> bytes:
    """What somebody might send who wants to be believed."""
    outputs: list[dict[str, Any]] = [{"url": "http://169.254.169.254/latest/meta-data", "type": "image"}]
    document = {"id": job_id, "model": MODEL, "status": status, "output": {"outputs": outputs}, "credits_charged": 9e9}
    return orjson.dumps(document)


def _post(url: str, body: bytes, job_id: str) -> None:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  # configured
    try:
        urllib.request.urlopen(request, timeout=POST_SECONDS).close()  # noqa: S310  # the operator's own address
    except (OSError, HTTPException, ValueError) as error:
        # Not the address: its path may be a secret.
        logger.warning("A webhook about %s failed: %s", job_id, error)
