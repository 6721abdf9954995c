"""The webhook of the key: each terminal job document, POSTed once, whether or not anybody listens."""

from __future__ import annotations

import asyncio
import logging
import math
import time
import urllib.request
from http.client import HTTPException
from typing import Any, Final

import orjson

from prefect_trinetra.sandbox.book import Book
from prefect_trinetra.sandbox.cdn import OutputUrls
from prefect_trinetra.sandbox.jobs import Job

__all__ = ["Webhook"]

logger = logging.getLogger(__name__)

POST_SECONDS: Final = 10.0
# A timer may fire a clock tick early, and the job is not over then.
TICK_SECONDS: Final = 0.002


class Webhook:
    """Tells `url` of every job's end; with None it is silent."""

    def __init__(self, url: str | None, book: Book, urls: OutputUrls) -> None:
        self._url = url
        self._book = book
        self._urls = urls
        self._posts: set[asyncio.Task[None]] = set()

    def announce_end(self, job: Job) -> None:
        """See to it that the job's document is POSTed when it ends. Jobs that never end are not announced."""
        if self._url is None or math.isinf(job.ends_at):
            return
        task = asyncio.create_task(self._post_at_end(job, self._url))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _post_at_end(self, job: Job, url: str) -> None:
        await asyncio.sleep(max(0.0, job.ends_at - time.monotonic()) + TICK_SECONDS)
        self._book.traffic.webhooks += 1
        await asyncio.to_thread(_post, url, self._urls.document(job, None))


def _post(url: str, document: dict[str, Any]) -> None:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, orjson.dumps(document), headers, method="POST")  # noqa: S310  # configured
    try:
        urllib.request.urlopen(request, timeout=POST_SECONDS).close()  # noqa: S310  # the operator's own address
    except (OSError, HTTPException, ValueError) as error:
        logger.warning("The webhook for %s failed: %s", document["id"], error)
